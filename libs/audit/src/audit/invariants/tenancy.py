"""Tenants apart: no row points into another tenant, and no role can see past its own."""

from typing import Final

from audit.invariant import Invariant
from audit.services import SCHEMAS
from invoiceos_contracts import PLATFORM

AUDITOR: Final = "invoiceos_auditor"

REFERENCES: Final = (
    ("gateway.api_key", "tenant_id", "gateway.tenant", "tenant_id"),
    ("invoice.invoice_line", "invoice_id", "invoice.invoice", "id"),
    ("invoice.invoice_payment", "invoice_id", "invoice.invoice", "id"),
    ("invoice.invoice_booking", "invoice_id", "invoice.invoice", "id"),
    ("wallet_factory.wallet", "invoice_id", "invoice.invoice", "id"),
    ("wallet_factory.decision", "invoice_id", "invoice.invoice", "id"),
    ("wallet_factory.wallet_secret", "wallet_id", "wallet_factory.wallet", "id"),
    ("ephemeral_manager.ephemeral_wallet", "id", "wallet_factory.wallet", "id"),
    ("ephemeral_manager.ephemeral_wallet", "invoice_id", "invoice.invoice", "id"),
    ("ephemeral_manager.wallet_payment", "wallet_id", "wallet_factory.wallet", "id"),
    ("ephemeral_manager.wallet_payment", "invoice_id", "invoice.invoice", "id"),
    ("ephemeral_manager.destruction_evidence", "wallet_id", "wallet_factory.wallet", "id"),
    ("provider_orchestrator.watched_address", "invoice_id", "invoice.invoice", "id"),
    ("provider_orchestrator.payment", "invoice_id", "invoice.invoice", "id"),
    ("provider_orchestrator.balance_request", "wallet_id", "wallet_factory.wallet", "id"),
    ("reserve_ledger.ledger_transaction", "invoice_id", "invoice.invoice", "id"),
    ("reserve_ledger.ledger_transaction", "payment_id", "provider_orchestrator.payment", "id"),
    ("reserve_ledger.payment_booking", "invoice_id", "invoice.invoice", "id"),
    ("reserve_ledger.obligation", "invoice_id", "invoice.invoice", "id"),
    ("notification.webhook_delivery", "endpoint_id", "notification.webhook_endpoint", "id"),
    ("notification.webhook_delivery", "event_id", "notification.webhook_event", "id"),
    ("notification.webhook_event", "invoice_id", "invoice.invoice", "id"),
    ("notification.notification", "invoice_id", "invoice.invoice", "id"),
    ("notification.invoice_contact", "invoice_id", "invoice.invoice", "id"),
)
"""Columns that name a row of another table: child, column, parent, the parent's column."""

_REFERENCES: Final = "\nunion all\n".join(
    f"""
    select '{child}.{column}' as reference, c.tenant_id, c.{column} as id,
           (select min(p.tenant_id::text) from {parent} p where p.{key} = c.{column})
               as tenant_of_parent
    from {child} c
    where c.{column} is not null and not exists (
        select from {parent} p where p.tenant_id = c.tenant_id and p.{key} = c.{column})"""
    for child, column, parent, key in REFERENCES
)
IMMUTABLE: Final = (
    "reserve_ledger.ledger_transaction",
    "reserve_ledger.posting",
    "reserve_ledger.reserve_statement",
    "ephemeral_manager.destruction_log",
    "wallet_factory.issued_address",
    "wallet_factory.decision",
    *(f"{schema}.operation" for schema in SCHEMAS),
)
"""Tables to which rows are added and nothing else is ever done."""

_NAMES: Final = ", ".join(f"'{schema}'" for schema in SCHEMAS)
_TABLES: Final = f"""
select c.oid, n.nspname as schema, c.relname as name, c.relkind, c.relowner, c.reloptions,
       c.relrowsecurity, c.relforcerowsecurity
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ({_NAMES}) and c.relkind in ('r', 'p', 'v', 'm', 'f')
"""
_TENANT_TABLES: Final = f"""
select t.* from ({_TABLES}) t
join pg_attribute a on a.attrelid = t.oid and a.attname = 'tenant_id' and not a.attisdropped
where t.relkind in ('r', 'p')
"""
_ROLES: Final = f"""
select r.oid, r.rolname, s.schema, s.part, r.rolsuper, r.rolbypassrls, r.rolcreaterole,
       r.rolcreatedb, r.rolreplication
from pg_roles r
join (select n as schema, p as part, n || '_' || p as name
      from unnest(array[{_NAMES}]) as n, unnest(array['owner', 'api', 'worker']) as p
      union all select null, 'auditor', '{AUDITOR}') s on s.name = r.rolname
"""

_ROWS: Final = (
    Invariant(
        "tenancy.references_stay_inside",
        "What a row names exists, and is of the same tenant.",
        _REFERENCES,
        "I20",
    ),
    Invariant(
        "tenancy.tenants_are_known",
        "Every row is of a tenant that joined; the fees of chains are in the platform's own books.",
        "\nunion all\n".join(
            f"""
            select distinct '{table}' as "table", c.tenant_id from {table} c
            where not exists (select from gateway.tenant t where t.tenant_id = c.tenant_id)
              and ('{table}', c.tenant_id) is distinct from
                  ('reserve_ledger.ledger_head', '{PLATFORM}'::uuid)"""
            for table in (
                "invoice.customer",
                "invoice.issuer_profile",
                "invoice.number_sequence",
                "invoice.invoice",
                "wallet_factory.wallet",
                "ephemeral_manager.ephemeral_wallet",
                "provider_orchestrator.payment",
                "reserve_ledger.ledger_head",
                "notification.webhook_endpoint",
            )
        ),
        "I20",
    ),
)

_ACCESS: Final = (
    Invariant(
        "access.rows_are_secured",
        "Row security is on, and forced, for every table that has a tenant.",
        f"""
        select schema, name, relrowsecurity, relforcerowsecurity from ({_TENANT_TABLES}) t
        where not (relrowsecurity and relforcerowsecurity)
        """,
        "I21",
    ),
    Invariant(
        "access.policies_as_written",
        "Each table with a tenant has the three policies: requests see the tenants they act for, "
        "workers write, the auditor reads. Beside them the ledger's own checks read its book.",
        f"""
        select t.schema, t.name, p.polname as policy, p.polcmd, r.rolname as role,
               pg_get_expr(p.polqual, p.polrelid) as condition
        from ({_TENANT_TABLES}) t
        left join pg_policy p on p.polrelid = t.oid
        left join pg_roles r on p.polroles = array[r.oid]
        where not coalesce(case p.polname
            when 'tenant_api' then r.rolname = t.schema || '_api' and p.polpermissive
                and pg_get_expr(p.polqual, p.polrelid) like '(tenant_id = ANY (%%app.tenants%%'
            when 'tenant_worker' then r.rolname = t.schema || '_worker'
            when 'tenant_auditor' then r.rolname = '{AUDITOR}' and p.polcmd = 'r'
            when 'tenant_checks' then r.rolname = 'reserve_ledger_owner' and p.polcmd = 'r'
                and t.schema = 'reserve_ledger' and t.name in ('ledger_transaction', 'posting')
            end, false)
        union all
        select t.schema, t.name, null, null, null, count(p.oid) || ' policies'
        from ({_TENANT_TABLES}) t
        left join pg_policy p on p.polrelid = t.oid and p.polname <> 'tenant_checks'
        group by t.schema, t.name having count(p.oid) <> 3
        """,
        "I21",
    ),
    Invariant(
        "access.roles_are_plain",
        "No role of the platform is superuser, passes row security by, or makes roles or "
        "databases.",
        f"""
        select rolname from ({_ROLES}) r
        where rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication
        """,
        "I21",
    ),
    Invariant(
        "access.roles_stay_apart",
        "No role that serves requests or works belongs to another role, owns anything, "
        "or can enter another service's schema.",
        f"""
        with role as materialized ({_ROLES})
        select r.rolname, 'member of ' || g.rolname as what
        from role r join pg_auth_members m on m.member = r.oid join pg_roles g on g.oid = m.roleid
        where r.part <> 'owner'
        union all
        select r.rolname, 'owns ' || t.schema || '.' || t.name
        from ({_TABLES}) t join role r on r.oid = t.relowner
        where r.part <> 'owner' or r.schema <> t.schema
        union all
        select r.rolname, 'may use ' || n.nspname
        from role r join pg_namespace n on n.nspname in ({_NAMES})
        where r.part <> 'auditor' and n.nspname <> r.schema
          and has_schema_privilege(r.oid, n.oid, 'usage')
        """,
        "I21",
    ),
    Invariant(
        "access.views_keep_row_security",
        "No view shows a role what row security would not, and no materialized view is granted.",
        f"""
        select t.schema, t.name, r.rolname
        from ({_TABLES}) t
        join ({_ROLES}) r on r.part in ('api', 'worker')
        where t.relkind in ('v', 'm') and has_table_privilege(r.oid, t.oid, 'select')
          and (t.relkind = 'm' or not coalesce('security_invoker=true' = any(t.reloptions), false))
        """,
        "I21",
    ),
    Invariant(
        "access.nothing_is_public",
        "Nothing in a service's schema is granted to everybody.",
        f"""
        select t.schema, t.name, a.privilege_type
        from ({_TABLES}) t join pg_class c on c.oid = t.oid
        cross join lateral aclexplode(c.relacl) a where a.grantee = 0
        union all
        select n.nspname, null, a.privilege_type
        from pg_namespace n cross join lateral aclexplode(n.nspacl) a
        where n.nspname in ({_NAMES}) and a.grantee = 0
        """,
        "I21",
    ),
    Invariant(
        "access.history_is_read_only",
        "Nobody who works here may change or remove what is only ever added to.",
        f"""
        select t.name, r.rolname, p.privilege
        from unnest(array{list(IMMUTABLE)}) as t(name)
        cross join ({_ROLES}) r
        cross join unnest(array['update', 'delete', 'truncate']) as p(privilege)
        where r.part <> 'owner' and has_table_privilege(r.oid, t.name, p.privilege)
        union all
        select t.name, r.rolname, 'update of a column'
        from unnest(array{list(IMMUTABLE)}) as t(name) cross join ({_ROLES}) r
        where r.part <> 'owner' and has_any_column_privilege(r.oid, t.name, 'update')
          and not has_table_privilege(r.oid, t.name, 'update')
        """,
        "I6",
    ),
    Invariant(
        "access.history_was_never_changed",
        "Nobody has changed or removed a row of what is only ever added to, since the server "
        "counts.",
        f"""
        select schemaname, relname, n_tup_upd as changed, n_tup_del as removed
        from pg_stat_user_tables
        where schemaname || '.' || relname = any(array{list(IMMUTABLE)})
          and (n_tup_upd > 0 or n_tup_del > 0)
        """,
        "I6",
    ),
    Invariant(
        "access.auditor_only_reads",
        "The auditor can read everything and change nothing.",
        f"""
        select t.schema, t.name, p.privilege
        from ({_TABLES}) t
        cross join unnest(array['insert', 'update', 'delete', 'truncate']) as p(privilege)
        where has_table_privilege('{AUDITOR}', t.oid, p.privilege)
        union all
        select t.schema, t.name, 'no select' from ({_TABLES}) t
        where not has_table_privilege('{AUDITOR}', t.oid, 'select')
          and not has_any_column_privilege('{AUDITOR}', t.oid, 'select')
        """,
        "I21",
    ),
)

TENANCY: Final = (*_ROWS, *_ACCESS)
