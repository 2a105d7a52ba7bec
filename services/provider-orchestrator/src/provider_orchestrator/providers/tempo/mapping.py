"""Which transfers of TIP-20 tokens are deposits of ours; pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from provider_orchestrator.domain.transfers import Transfer
from provider_orchestrator.providers.chain.mapping import Log
from provider_orchestrator.providers.chain.profile import Surroundings

VIRTUAL_MARK = b"\xfd" * 10
TOKEN_PREFIX = bytes.fromhex("20c000000000000000000000")
"""How the address of every TIP-20 token begins; anyone can write a log elsewhere, only the protocol
writes one here, and only it moves money on from a virtual address."""


def is_token(address: bytes) -> bool:
    """Whether the protocol itself keeps this token."""
    return address.startswith(TOKEN_PREFIX)


def is_virtual(address: bytes) -> bool:
    """Whether an address has the form of a virtual one."""
    return address[4:14] == VIRTUAL_MARK


def hops(found: Iterable[Log], *, guard: bytes | None, master_id: bytes) -> list[Log]:
    """The last hops of deposits: from a virtual address to the master, or to the guard.

    Of those to the guard only ours: it keeps everybody's blocked transfers.
    """
    return [
        log
        for log in found
        if log.memo is None
        and log.units > 0
        and is_virtual(log.sender)
        and (log.receiver != guard or log.sender.startswith(master_id))
    ]


@dataclass(frozen=True, slots=True)
class _Origin:
    payer: bytes | None
    memo: bytes | None


def origin_of(hop: Log, companions: Sequence[Log]) -> _Origin:
    """Who paid and with which memo: the nearest transfer to the address before the hop.

    `companions` are the logs of the hop's transaction whose receiver is the hop's sender, in order.
    """
    before = [
        log
        for log in companions
        if log.index < hop.index and log.token == hop.token and log.units == hop.units
    ]
    paid = next((log for log in reversed(before) if log.memo is None), None)
    if paid is None:
        return _Origin(None, None)
    memo = next(
        (log.memo for log in before if log.memo is not None and log.index > paid.index), None
    )
    return _Origin(paid.sender, memo)


@dataclass(frozen=True, slots=True)
class Ends:
    """Where deposits end, and of which tokens they count."""

    master: bytes
    guard: bytes | None
    listed: frozenset[bytes]


def transfers(found: Sequence[Log], around: Surroundings, ends: Ends) -> list[Transfer]:
    """Hops as transfers. What the master sends to itself over a virtual address is none."""
    by_place: dict[tuple[bytes, bytes, bytes], list[Log]] = {}
    for log in around.companions:
        place = (log.block_hash, log.transaction_hash, log.receiver)
        by_place.setdefault(place, []).append(log)
    counted: dict[tuple[bytes, bytes, bytes], int] = {}
    made = []
    for hop in found:
        place = (hop.block_hash, hop.transaction_hash, hop.sender)
        counted[place] = ordinal = counted.get(place, -1) + 1
        origin = origin_of(hop, by_place.get(place, ()))
        if origin.payer == ends.master:
            continue
        made.append(_transfer(hop, ordinal, origin, (around, ends)))
    return made


def _transfer(
    hop: Log, ordinal: int, origin: _Origin, given: tuple[Surroundings, Ends]
) -> Transfer:
    around, ends = given
    return Transfer(
        chain_id=around.chain_id,
        block_number=hop.block_number,
        block_hash=hop.block_hash,
        block_at=around.times[hop.block_hash],
        transaction_hash=hop.transaction_hash,
        log_index=hop.index,
        ordinal=ordinal,
        address=hop.sender,
        token=hop.token,
        asset=around.assets[hop.token],
        listed=hop.token in ends.listed,
        units=hop.units,
        payer=origin.payer,
        memo=origin.memo,
        blocked=hop.receiver == ends.guard,
    )
