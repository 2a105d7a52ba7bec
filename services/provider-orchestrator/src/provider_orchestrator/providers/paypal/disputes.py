"""What PayPal tells of disputes: questions take no money; claims do, and may give it back."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from provider_orchestrator.domain.adapters import ProviderFault
from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.domain.settling import DisputeSaid, DisputeState
from provider_orchestrator.providers.documents import moment, objects_in, text_in
from provider_orchestrator.providers.exchange import Reply, Senseless
from provider_orchestrator.providers.paypal.client import PayPalClient, quoted
from provider_orchestrator.providers.paypal.mapping import link_of, minor_of

_PATH = "/v1/customer/disputes"
_PAGE = "50"
_PAGES_MAX = 200


class NotTold(Exception):
    """PayPal did not say; what it answered instead."""

    def __init__(self, reply: Reply) -> None:
        """Keep the answer."""
        super().__init__(reply.cause)
        self.reply = reply


async def of_captures(
    client: PayPalClient, captures: Sequence[str], known: Sequence[str]
) -> tuple[list[DisputeSaid], list[str]]:
    """Disputes of captures for which money moved, and the names of all; raises `NotTold`."""
    names = list(known)
    for capture in captures:
        async for page in _pages(client, disputed_transaction_id=capture):
            if not page.ok:
                raise NotTold(page)
            names += [name for one in _items(page) if (name := text_in(one, "dispute_id"))]
    said: list[DisputeSaid] = []
    for name in (names := list(dict.fromkeys(names))):
        reply = await client.get(f"{_PATH}/{quoted(name)}")
        if not reply.ok:
            raise NotTold(reply)
        if (one := dispute_of(reply.body)) is not None:
            said.append(one)
    return said, names


async def disputed_since(client: PayPalClient, since: datetime) -> Sequence[tuple[str, str]]:
    """Disputes and the captures they are about; raises `ProviderFault`."""
    found: list[tuple[str, str]] = []
    start = since.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    try:
        async for page in _pages(client, start_time=start):
            if not page.ok:
                raise page.fault()
            for one in _items(page):
                name = text_in(one, "dispute_id")
                found += [(name, capture) for capture in captures_of(one) if name]
    except Senseless as error:
        raise ProviderFault(Outcome.UNKNOWN, "unreadable") from error
    return found


def captures_of(dispute: Mapping[str, Any]) -> list[str]:
    """What it is about, by our side's names."""
    named = objects_in(dispute, "disputed_transactions")
    return [name for one in named if (name := text_in(one, "seller_transaction_id"))]


def dispute_of(document: Mapping[str, Any]) -> DisputeSaid | None:
    """A dispute for which money was taken of us; None where it is a question so far.

    Once it is resolved, what went back to us decides, not the many words there are for outcomes.
    """
    reference, status = text_in(document, "dispute_id"), text_in(document, "status")
    if reference is None or status is None:
        raise Senseless("a dispute has a name and a state")
    taken, back, code = 0, 0, ""
    for one in objects_in(document, "money_movements"):
        if one.get("affected_party") != "SELLER":
            continue
        minor, code = minor_of(one.get("amount"))
        if one.get("type") == "DEBIT":
            taken += minor
        elif one.get("type") == "CREDIT":
            back += minor
    if not taken:
        return None
    state = DisputeState.OPEN
    if status == "RESOLVED":
        state = DisputeState.WON if back >= taken else DisputeState.LOST
    return DisputeSaid(
        reference=reference,
        state=state,
        amount_minor=taken,
        asset=code,
        reason=(text_in(document, "reason") or "general").lower()[:100],
        respond_by=moment(document.get("seller_response_due_date")),
    )


def _items(page: Reply) -> list[Mapping[str, Any]]:
    return list(objects_in(page.body, "items"))


async def _pages(client: PayPalClient, **asked: str) -> AsyncIterator[Reply]:
    """All pages, the first that fails being the last."""
    token: str | None = None
    for _ in range(_PAGES_MAX):
        more = {} if token is None else {"next_page_token": token}
        reply = await client.get(_PATH, page_size=_PAGE, **asked, **more)
        yield reply
        following = link_of(reply.body, "next") if reply.ok else None
        if following is None:
            return
        token = parse_qs(urlsplit(following).query).get("next_page_token", [None])[0]
        if token is None:
            return
