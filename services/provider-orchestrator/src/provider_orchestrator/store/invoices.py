"""What can be paid, as the facts of invoices said: a copy of our own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from messaging import Tx
from money import ASSETS, EXPONENT_MAX, asset

Key = tuple[UUID, UUID]
COUNTED_WITHIN = timedelta(days=1)
"""What an invoice has not counted after so long it will never count: it was late, for example."""


@dataclass(frozen=True, slots=True)
class Payable:
    """What an invoice asks for now, as its facts said."""

    tenant_id: UUID
    invoice_id: UUID
    wallet_id: UUID | None
    """None where the fact does not say; it never changes."""
    document: str
    asset: str
    due_minor: int
    version: int
    expired: bool = False
    """Whether the time to pay it is over."""
    number: str | None = None
    link_hash: bytes | None = None
    """Of its payment link; None where the fact does not say."""
    received_micros: int | None = None
    """What it has counted of all that came, in millionths; None where nobody said yet."""
    customer_id: UUID | None = None
    """Who it is for; None where it says nobody, or the fact does not say."""
    overdue: bool = False
    """Whether its due date has passed."""
    on_the_way_minor: int = 0
    """What came, or is about to, and is not counted yet."""

    @property
    def owed_minor(self) -> int:
        """What may still be asked for."""
        return max(0, self.due_minor - self.on_the_way_minor)


_COLUMNS = """
    tenant_id, invoice_id, wallet_id, document, asset, due_minor, version, expired, number,
    link_hash, received_micros, customer_id, overdue
"""
_GIVEN = f"""
    unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
           $8::bool[], $9::text[], $10::bytea[], $11::bigint[], $12::uuid[],
           $13::bool[]) as n({_COLUMNS})
"""


async def save_payables(tx: Tx, payables: Sequence[Payable]) -> None:
    """Take over what is newer; one that was never issued is not kept."""
    rows = [
        (
            *(p.tenant_id, p.invoice_id, p.wallet_id, p.document, p.asset, p.due_minor, p.version),
            *(p.expired, p.number, p.link_hash, p.received_micros, p.customer_id, p.overdue),
        )
        for p in sorted(payables, key=lambda p: (p.tenant_id, p.invoice_id))
    ]
    columns = [list(column) for column in zip(*rows, strict=True)]
    await tx.execute(
        f"""
        insert into payable_invoice ({_COLUMNS})
        select {_COLUMNS} from {_GIVEN}
        where wallet_id is not null
        on conflict (tenant_id, invoice_id) do nothing
        """,
        *columns,
    )
    await tx.execute(
        f"""
        update payable_invoice as p
        set document = n.document, due_minor = n.due_minor, version = n.version,
            expired = n.expired, received_micros = n.received_micros, overdue = n.overdue,
            link_hash = coalesce(p.link_hash, n.link_hash)
        from {_GIVEN}
        where p.tenant_id = n.tenant_id and p.invoice_id = n.invoice_id and p.version < n.version
        """,
        *columns,
    )


async def lock_payables(
    tx: Tx, invoices: Sequence[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], Payable]:
    """Invoices by tenant and id, locked in one order: whoever takes a charge lease holds these."""
    rows = await tx.fetch(
        f"""
        select {_COLUMNS} from payable_invoice
        where (tenant_id, invoice_id) in (select * from unnest($1::uuid[], $2::uuid[]))
        order by tenant_id, invoice_id for no key update
        """,
        [tenant for tenant, _ in invoices],
        [invoice for _, invoice in invoices],
    )
    return {(row["tenant_id"], row["invoice_id"]): Payable(**row) for row in rows}


async def with_what_is_on_the_way(tx: Tx, payables: Mapping[Key, Payable]) -> dict[Key, Payable]:
    """The same with the money that the invoice's facts do not show yet.

    Call it after the lease was looked at: whoever gives that back says what came in the same commit
    """
    rows = await tx.fetch(
        """
        select tenant_id, invoice_id, asset, sum(amount_minor)::bigint as minor,
               max(coalesce(final_at, updated_at)) as at
        from payment
        where (tenant_id, invoice_id) in (select * from unnest($1::uuid[], $2::uuid[]))
          and state in ('seen', 'succeeded')
        group by tenant_id, invoice_id, asset
        """,
        [tenant for tenant, _ in payables],
        [invoice for _, invoice in payables],
    )
    came: dict[Key, int] = {}
    recent: set[Key] = set()
    for row in rows:
        key = (row["tenant_id"], row["invoice_id"])
        paid_in = ASSETS.get(row["asset"])
        if paid_in is not None and paid_in.currency == asset(payables[key].asset).currency:
            came[key] = came.get(key, 0) + row["minor"] * _micros(row["asset"])
            if row["at"] > tx.now - COUNTED_WITHIN:
                recent.add(key)
    return {
        key: replace(one, on_the_way_minor=_uncounted(one, came[key])) if key in recent else one
        for key, one in payables.items()
    }


def _micros(code: str) -> int:
    """Millionths of a currency in a minor unit of an asset."""
    return int(10 ** (EXPONENT_MAX - asset(code).exponent))


def _uncounted(payable: Payable, came_micros: int) -> int:
    if payable.received_micros is None:
        return 0
    return max(0, came_micros - payable.received_micros) // _micros(payable.asset)


async def select_links(
    tx: Tx, links: Sequence[tuple[UUID, bytes]]
) -> dict[tuple[UUID, bytes], UUID]:
    """Invoice by tenant and hash of its link."""
    rows = await tx.fetch(
        """
        select tenant_id, link_hash, invoice_id from payable_invoice
        where (tenant_id, link_hash) in (select * from unnest($1::uuid[], $2::bytea[]))
        """,
        [tenant for tenant, _ in links],
        [hashed for _, hashed in links],
    )
    return {(row["tenant_id"], row["link_hash"]): row["invoice_id"] for row in rows}
