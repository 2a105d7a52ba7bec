"""How payers can pay beside a transfer, as the providers' side said."""

import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass

from messaging import Tx


@dataclass(frozen=True, slots=True)
class Declared:
    """What one provider takes on one rail."""

    provider: str
    rail: str
    methods: Sequence[str]
    assets: Sequence[str]
    amount_max_minor: int
    pages: Sequence[str]
    version: int


async def save_methods(tx: Tx, declared: Sequence[Declared]) -> None:
    """Take over what is newer; one row for each provider and rail."""
    rows = [
        # Lists in a list would be sent as an array of two dimensions.
        [json.dumps(list(part)) if isinstance(part, tuple) else part for part in astuple(one)]
        for one in sorted(declared, key=lambda one: (one.provider, one.rail))
    ]
    await tx.execute(
        """
        insert into pay_method (provider, rail, methods, assets, amount_max_minor, pages, version)
        select provider, rail, array(select jsonb_array_elements_text(methods::jsonb)),
               array(select jsonb_array_elements_text(assets::jsonb)), amount_max_minor,
               array(select jsonb_array_elements_text(pages::jsonb)), version
        from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[],
                    $7::bigint[])
            as n(provider, rail, methods, assets, amount_max_minor, pages, version)
        on conflict (provider, rail) do update set methods = excluded.methods,
            assets = excluded.assets, amount_max_minor = excluded.amount_max_minor,
            pages = excluded.pages, version = excluded.version
        where pay_method.version < excluded.version
        """,
        *[list(column) for column in zip(*rows, strict=True)],
    )


@dataclass(frozen=True, slots=True)
class Circuit:
    """Whether a provider is asked for nothing now, on one rail in one currency."""

    provider: str
    rail: str
    currency: str
    """`*` for the rail as a whole."""
    open: bool
    version: int


async def save_circuits(tx: Tx, circuits: Sequence[Circuit]) -> None:
    """Take over what is newer."""
    ordered = sorted(circuits, key=lambda one: (one.provider, one.rail, one.currency))
    await tx.execute(
        """
        insert into pay_circuit (provider, rail, currency, open, version)
        select provider, rail, currency, open, version
        from unnest($1::text[], $2::text[], $3::text[], $4::bool[], $5::bigint[])
            as n(provider, rail, currency, open, version)
        on conflict (provider, rail, currency) do update set open = excluded.open,
            version = excluded.version
        where pay_circuit.version < excluded.version
        """,
        *[list(column) for column in zip(*map(astuple, ordered), strict=True)],
    )


async def methods_for(tx: Tx, asset: str, amount_minor: int) -> dict[str, set[str]]:
    """What can take this amount now: by method, where the payer is sent then.

    A provider whose circuit is open takes nothing: its page would not be there.
    """
    rows = await tx.fetch(
        """
        select m.method, p.pages from pay_method as p, unnest(p.methods) as m(method)
        where $1 = any(p.assets) and p.amount_max_minor >= $2
          and not exists (
            select from pay_circuit as c
            where c.provider = p.provider and c.rail = p.rail and c.currency in ('*', $1)
              and c.open)
        order by m.method
        """,
        asset,
        amount_minor,
    )
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row["method"], set()).update(row["pages"])
    return found
