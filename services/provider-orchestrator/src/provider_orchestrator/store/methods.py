"""What was said of how payers can pay."""

import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass

from messaging import Tx


@dataclass(frozen=True, slots=True)
class Declared:
    """How payers can pay through a provider on a rail."""

    provider: str
    rail: str
    methods: tuple[str, ...]
    assets: tuple[str, ...]
    amount_max_minor: int
    pages: tuple[str, ...]


async def lock_declared(tx: Tx) -> dict[tuple[str, str], Declared]:
    """What was said last, by provider and rail; replicas that start at once take turns."""
    await tx.execute("lock table declared_methods in share row exclusive mode")
    rows = await tx.fetch(
        "select provider, rail, methods, assets, amount_max_minor, pages from declared_methods"
    )
    found = [
        Declared(
            row["provider"],
            row["rail"],
            tuple(row["methods"]),
            tuple(row["assets"]),
            row["amount_max_minor"],
            tuple(row["pages"]),
        )
        for row in rows
    ]
    return {(one.provider, one.rail): one for one in found}


async def save_declared(tx: Tx, declared: Sequence[Declared]) -> None:
    """Remember what is said now."""
    rows = [astuple(one) for one in sorted(declared, key=lambda one: (one.provider, one.rail))]
    # Lists in a list would be sent as an array of two dimensions.
    texts = [
        tuple(json.dumps(part) if isinstance(part, tuple) else part for part in row) for row in rows
    ]
    columns = zip(*texts, strict=True) if texts else [()] * 6
    await tx.execute(
        """
        insert into declared_methods (provider, rail, methods, assets, amount_max_minor, pages)
        select provider, rail, array(select jsonb_array_elements_text(methods::jsonb)),
               array(select jsonb_array_elements_text(assets::jsonb)), amount_max_minor,
               array(select jsonb_array_elements_text(pages::jsonb))
        from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[])
            as n(provider, rail, methods, assets, amount_max_minor, pages)
        on conflict (provider, rail) do update set methods = excluded.methods,
            assets = excluded.assets, amount_max_minor = excluded.amount_max_minor,
            pages = excluded.pages
        """,
        *[list(column) for column in columns],
    )
