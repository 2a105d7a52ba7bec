"""What is stored of one tenant: so that a set of refused requests can be shown to change nothing."""

from uuid import UUID

from testkit.platform import Platform

_TABLES = """
    select n.nspname as schema, c.relname as name from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and a.attnum > 0
    where n.nspname = any($1) and c.relkind in ('r', 'p') order by 1, 2
"""


async def rows_of(platform: Platform, tenant_id: UUID) -> dict[str, int]:
    """Rows of a tenant in every table of every service, outboxes and kept answers included."""
    schemas = [name.replace("-", "_") for name in platform.stack.ports]
    tables = [f"{row['schema']}.{row['name']}" for row in await platform.sql(_TABLES, schemas)]
    counts = " union all ".join(
        f"select '{table}' as name, count(*) as n from {table} where tenant_id = $1"
        for table in tables
    )
    return {row["name"]: row["n"] for row in await platform.sql(counts, tenant_id)}
