"""camt.053 of ISO 20022: bank statements as XML.

Read without entities, without a document type and without the network, so that a file can say what
happened on an account and nothing else.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

from lxml import etree

from reserve_ledger.domain.bank_files import (
    BadFile,
    BankEntry,
    BankStatement,
    bounded,
    minor_of,
    named,
    proved,
)

_NAMESPACE: Final = re.compile(
    r"\{(urn:iso:std:iso:20022:tech:xsd:camt\.053\.001\.\d{2})\}Document"
)
_OPENING: Final = ("OPBD", "PRCD")
_CLOSING: Final = ("CLBD",)


def read(data: bytes) -> list[BankStatement]:
    """Every statement of the file; raises `BadFile`."""
    root = _parsed(data)
    match = _NAMESPACE.fullmatch(root.tag)
    if match is None:
        raise BadFile(_line(root), "the document is no camt.053")
    reader = _Reader(match[1])
    found = [reader.statement(node) for node in reader.every(root, "BkToCstmrStmt/Stmt")]
    if not found:
        raise BadFile(_line(root), "the document has no statement")
    return found


def _parsed(data: bytes) -> etree._Element:
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        place = max(data.find(b"<!DOCTYPE"), data.find(b"<!ENTITY"))
        raise BadFile(data[:place].count(b"\n") + 1, "a document type or entity is not taken")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise BadFile(error.lineno or 1, f"no sound XML: {error.msg}"[:300]) from error
    if root.getroottree().docinfo.doctype:
        raise BadFile(1, "a document type is not taken")
    return root


class _Reader:
    """Reads elements of one version of the format, by their path."""

    def __init__(self, namespace: str) -> None:
        self._names = {"c": namespace}

    def every(self, node: etree._Element, path: str) -> list[etree._Element]:
        """All elements at a path."""
        return list(node.findall("/".join(f"c:{part}" for part in path.split("/")), self._names))

    def text(self, node: etree._Element, *paths: str) -> str | None:
        """What the first of these paths says that says anything."""
        for path in paths:
            for found in self.every(node, path):
                if found.text and found.text.strip():
                    return str(found.text.strip())
        return None

    def needed(self, node: etree._Element, *paths: str) -> str:
        """The same, where there has to be one."""
        found = self.text(node, *paths)
        if found is None:
            raise BadFile(_line(node), f"{paths[0]} is missing")
        return found

    def statement(self, node: etree._Element) -> BankStatement:
        """One statement, proved."""
        opening = self._balance(node, _OPENING)
        closing = self._balance(node, _CLOSING)
        asset = closing[1]
        if opening[1] != asset:
            raise BadFile(_line(node), "opening and closing are not in one currency")
        entries = [
            entry
            for each in self.every(node, "Ntry")
            if self.text(each, "Sts/Cd", "Sts/Prtry", "Sts") == "BOOK"
            for entry in self._entries(each, asset)
        ]
        statement = BankStatement(
            name=self.needed(node, "Id")[:200],
            account=self.needed(node, "Acct/Id/IBAN", "Acct/Id/Othr/Id")[:64],
            asset=asset,
            opened_on=opening[2],
            closed_on=closing[2],
            opening_minor=opening[0],
            closing_minor=closing[0],
            entries=bounded(entries),
        )
        return proved(statement, _line(node))

    def _balance(self, node: etree._Element, kinds: Sequence[str]) -> tuple[int, str, date]:
        found = {
            self.text(each, "Tp/CdOrPrtry/Cd"): each for each in reversed(self.every(node, "Bal"))
        }
        for kind in kinds:
            if kind in found:
                balance = found[kind]
                minor, asset = self._amount(balance)
                return minor, asset, self._day(balance, "Dt")
        raise BadFile(_line(node), f"the balance {kinds[0]} is missing")

    def _entries(self, node: etree._Element, asset: str) -> Iterator[BankEntry]:
        """The entry, or the parts of a batch where the bank lists them to the unit."""
        minor, currency = self._amount(node)
        if currency != asset:
            raise BadFile(_line(node), f"an entry in {currency} on an account in {asset}")
        parts = self.every(node, "NtryDtls/TxDtls")
        group = named(self.text(node, "NtryDtls/Btch/PmtInfId", "NtryDtls/Btch/MsgId"))
        if len(parts) > 1 and (amounts := self._amounts(parts, asset, minor)):
            for part, amount in zip(parts, amounts, strict=True):
                yield self._entry(node, part, amount, group or named(self._own(node)))
            return
        yield self._entry(node, parts[0] if parts else node, minor, group)

    def _amounts(
        self, parts: Sequence[etree._Element], asset: str, whole_minor: int
    ) -> list[int] | None:
        sign = -1 if whole_minor < 0 else 1
        amounts = []
        for part in parts:
            found = self.every(part, "Amt") or self.every(part, "AmtDtls/TxAmt/Amt")
            if not found or found[0].get("Ccy") != asset:
                return None
            minor = minor_of((found[0].text or "").strip(), asset, _line(found[0]))
            against = self.text(part, "CdtDbtInd")
            own = sign if against is None else self._sign(part, against)
            amounts.append(own * minor)
        return amounts if sum(amounts) == whole_minor else None

    def _entry(
        self, node: etree._Element, part: etree._Element, minor: int, group: str | None
    ) -> BankEntry:
        own = self.text(part, "Refs/AcctSvcrRef") if part is not node else None
        if own is None and group is None:
            own = self._own(node)
        memo = " ".join(
            found.text.strip() for found in self.every(part, "RmtInf/Ustrd") if found.text
        )
        return BankEntry(
            line=_line(part),
            amount_minor=minor,
            booked_on=self._day(node, "BookgDt", "ValDt"),
            reference=named(own),
            related=named(
                self.text(part, "Refs/EndToEndId", "Refs/TxId", "RmtInf/Strd/CdtrRefInf/Ref")
            ),
            memo=memo[:500] or None,
            group=group,
        )

    def _own(self, node: etree._Element) -> str | None:
        return self.text(node, "AcctSvcrRef", "NtryRef")

    def _amount(self, node: etree._Element) -> tuple[int, str]:
        found = self.every(node, "Amt")
        if not found:
            raise BadFile(_line(node), "Amt is missing")
        asset = found[0].get("Ccy") or ""
        minor = minor_of((found[0].text or "").strip(), asset, _line(found[0]))
        if minor < 0:
            raise BadFile(_line(found[0]), "an amount is never negative: CdtDbtInd says its side")
        return self._sign(node, self.needed(node, "CdtDbtInd")) * minor, asset

    def _sign(self, node: etree._Element, side: str) -> int:
        if side not in ("CRDT", "DBIT"):
            raise BadFile(_line(node), f"CdtDbtInd is CRDT or DBIT, not {side[:20]!r}")
        return 1 if side == "CRDT" else -1

    def _day(self, node: etree._Element, *paths: str) -> date:
        text = self.needed(node, *(f"{path}/{leaf}" for path in paths for leaf in ("Dt", "DtTm")))
        try:
            return date.fromisoformat(text[:10])
        except ValueError as error:
            raise BadFile(_line(node), f"{text[:40]!r} is no date") from error


def _line(node: etree._Element) -> int:
    return int(node.sourceline or 1)
