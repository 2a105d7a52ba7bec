"""Circle's words and amounts to ours; what it says and we do not know is unknown."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from money import ASSETS
from provider_orchestrator.domain.adapters import LineKind, StatementLine, Status
from provider_orchestrator.providers import amounts
from provider_orchestrator.providers.documents import (
    moment,
    object_in,
    objects_in,
    text_in,
)
from provider_orchestrator.providers.exchange import Senseless, Unsayable

DECIMALS = 2
"""Of every amount that Circle takes and tells."""
PAYMENT_STATUSES = {
    "pending": Status.PROCESSING,
    "confirmed": Status.PROCESSING,
    "action_required": Status.PROCESSING,
    "paid": Status.SUCCEEDED,
    "failed": Status.FAILED,
}
TRANSFER_STATUSES = {
    "pending": Status.PROCESSING,
    "running": Status.PROCESSING,
    "complete": Status.SUCCEEDED,
    "failed": Status.FAILED,
}
_START = datetime.min.replace(tzinfo=UTC)


class Assets:
    """Circle knows dollars and euros; which of our assets each of them is."""

    def __init__(self, codes: Sequence[str]) -> None:
        """Take what we call them."""
        self._by_word = {ASSETS[code].currency: code for code in codes}

    def money(self, minor: int, code: str) -> dict[str, str]:
        """An amount as Circle writes it; raises `Unsayable`."""
        if code not in self._by_word.values():
            message = f"Circle is not configured for {code}"
            raise Unsayable(message)
        value = amounts.text_of(minor, code, DECIMALS)
        return {"amount": value, "currency": ASSETS[code].currency}

    def minor(self, money: object) -> tuple[int, str]:
        """Minor units and asset of an amount; raises `Senseless`."""
        found = money if isinstance(money, Mapping) else {}
        word = found.get("currency")
        code = self._by_word.get(word) if isinstance(word, str) else None
        # A currency that we gave no name of ours keeps its own.
        return amounts.minor_of(found.get("amount"), code or word), str(code or word)


def status_word(intent: Mapping[str, Any]) -> tuple[str, str]:
    """The newest status of an intent and its context; empty ones where there is none."""
    steps = objects_in(intent, "timeline")
    if not steps:
        return "", ""
    newest = max(steps, key=lambda step: moment(step.get("time")) or _START)
    return text_in(newest, "status") or "", text_in(newest, "context") or ""


_KEPT = (
    *("id", "type", "status", "amount", "amountPaid", "amountRefunded", "settlementCurrency"),
    *("paymentIds", "refundIds", "timeline", "expiresOn", "createDate", "updateDate", "fees"),
    *("paymentIntentId", "transactionHash", "errorCode", "settlementAmount", "networkFees"),
)


def kept(document: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of an object: no payer's address and no identities."""
    return {name: document[name] for name in _KEPT if name in document}


def payment_line(payment: Mapping[str, Any], assets: Assets) -> StatementLine | None:
    """A payment or refund that is done, as a movement; None for another. Raises `Senseless`."""
    if text_in(payment, "status") != "paid":
        return None
    refund = text_in(payment, "type") == "refund"
    minor, code = assets.minor(payment.get("amount"))
    fee = assets.minor(payment["fees"])[0] if payment.get("fees") else 0
    kind = LineKind.REFUND if refund else LineKind.PAYMENT
    about = text_in(payment, "id" if refund else "paymentIntentId")
    return _line(payment, kind, (code, -minor if refund else minor, fee), about)


def transfer_line(transfer: Mapping[str, Any], assets: Assets) -> StatementLine | None:
    """A transfer to or from outside that is done; None for another. Raises `Senseless`."""
    ends = {name: text_in(object_in(transfer, name), "type") for name in ("source", "destination")}
    inside = ends["source"] == ends["destination"] == "wallet"
    if text_in(transfer, "status") != "complete" or inside:
        return None
    minor, code = assets.minor(transfer.get("amount"))
    if ends["source"] == "wallet":
        return _line(transfer, LineKind.PAYOUT, (code, -minor, 0), text_in(transfer, "id"))
    return _line(transfer, LineKind.OTHER, (code, minor, 0), text_in(transfer, "id"))


def deposit_line(deposit: Mapping[str, Any], assets: Assets) -> StatementLine | None:
    """What we wired there ourselves; None while it is on its way. Raises `Senseless`."""
    if text_in(deposit, "status") != "complete":
        return None
    minor, code = assets.minor(deposit.get("amount"))
    return _line(deposit, LineKind.OTHER, (code, minor, 0), text_in(deposit, "id"))


def bank_line(payout: Mapping[str, Any], assets: Assets) -> StatementLine | None:
    """What went to our bank; None while it is on its way. Raises `Senseless`."""
    if text_in(payout, "status") != "complete":
        return None
    minor, code = assets.minor(payout.get("amount"))
    fee = assets.minor(payout["fees"])[0] if payout.get("fees") else 0
    return _line(payout, LineKind.TRANSFER, (code, -minor, fee), text_in(payout, "id"))


def _line(
    document: Mapping[str, Any], kind: LineKind, sums: tuple[str, int, int], about: str | None
) -> StatementLine:
    # An object of Circle moves money once, when it comes to its end; then it stays as it is.
    at, line_id = moment(document.get("updateDate")), text_in(document, "id")
    if at is None or line_id is None:
        raise Senseless("a movement has an id and a time")
    code, gross, fee = sums
    return StatementLine(
        id=line_id,
        kind=kind,
        asset=code,
        gross_minor=gross,
        fee_minor=fee,
        at=at,
        provider_reference=about,
        raw=kept(document),
    )


def references_of(about: Mapping[str, Any]) -> tuple[str, ...]:
    """Whatever a notification points at: the object, and the intent it belongs to."""
    found = (text_in(about, name) for name in ("paymentIntentId", "id"))
    return tuple(dict.fromkeys(one for one in found if one))
