"""Faults of the migrations: what the database would no longer refuse."""

from tests.mutations.mutation import Mutation

_BACKBONE = "libs/messaging/src/messaging/migrations/0000_pre_messaging.sql"
_TENANCY = "libs/messaging/src/messaging/migrations/0001_pre_auditor.sql"
"""Holds the procedure that is in force when the services make their tables."""
_INVOICE = "services/invoice/migrations/0001_pre_invoice.sql"
_LEDGER = "services/reserve-ledger/migrations/0001_pre_ledger.sql"
_FACTORY = "services/wallet-factory/migrations/0001_pre_wallets.sql"
_MANAGER = "services/ephemeral-manager/migrations/0001_pre_ephemeral_wallets.sql"
_ORCHESTRATOR = "services/provider-orchestrator/migrations/0001_pre_tempo.sql"
_GATEWAY = "services/gateway/migrations/0001_pre_tenants_and_keys.sql"

_POLICY = (
    "using (tenant_id = any((select string_to_array('\n"
    "        'nullif(current_setting(''app.tenants'', true), ''''), '','')::uuid[])::uuid[]))'"
)

PLANTED = (
    Mutation(
        name="row-security-not-forced",
        sentence="Row-level security does not bind the owner of a table.",
        file=_TENANCY,
        old="    execute format('alter table %s force row level security', target);\n",
        new="",
        suite="tests/reserve_ledger/test_store.py"
        "::test_every_table_of_a_tenant_is_bound_by_row_security",
    ),
    Mutation(
        name="tenant-forgotten",
        sentence="Row-level security shows every tenant's rows to everybody.",
        file=_TENANCY,
        old=_POLICY,
        new="using (true)'",
        suite="tests/invoice/test_store.py::test_a_tenant_sees_and_changes_only_its_own_rows",
    ),
    Mutation(
        name="no-tenant-means-all",
        sentence="A transaction for which no tenant was named sees everybody's rows.",
        file=_TENANCY,
        old=_POLICY,
        new=_POLICY.replace(
            "using (", "using (coalesce(current_setting(''app.tenants'', true), '''') = '''' or "
        ),
        suite="tests/reserve_ledger/test_store.py::test_a_tenant_sees_its_own_books_only",
    ),
    Mutation(
        name="inbox-without-its-key",
        sentence="The inbox takes the same event any number of times.",
        file=_BACKBONE,
        old="    received_at timestamptz not null default now(),\n"
        "    primary key (event_id, consumer)\n",
        new="    received_at timestamptz not null default now()\n",
        suite="tests/libs/messaging/test_processing.py"
        "::test_an_event_has_its_effect_once_however_often_it_comes",
    ),
    Mutation(
        name="idempotency-without-its-key",
        sentence="One Idempotency-Key can be taken by several transactions at once.",
        file=_BACKBONE,
        old="    created_at timestamptz not null default now(),\n"
        "    primary key (tenant_id, route, key)\n",
        new="    created_at timestamptz not null default now()\n",
        suite="tests/libs/messaging/test_writer.py::test_fifty_at_once_with_one_key_write_once",
    ),
    Mutation(
        name="fact-of-any-size",
        sentence="The outbox takes facts that the broker can never take.",
        file=_BACKBONE,
        old=" check (octet_length(payload) <= 1000000)",
        new="",
        suite="tests/libs/messaging/test_outbox.py"
        "::test_a_fact_larger_than_a_record_may_be_fails_its_transaction_not_the_relay",
    ),
    Mutation(
        name="postings-unchecked",
        sentence="The database enters postings that do not sum to zero.",
        file=_LEDGER,
        old="create trigger posting_checked after insert on posting\n"
        "    referencing new table as added for each statement "
        "execute function check_added_postings();\n",
        new="",
        suite="tests/reserve_ledger/test_store.py"
        "::test_the_worker_itself_cannot_enter_what_does_not_balance",
    ),
    Mutation(
        name="chain-unchecked",
        sentence="The database enters transactions that do not follow the one before them.",
        file=_LEDGER,
        old="create trigger transaction_checked after insert on ledger_transaction\n"
        "    referencing new table as added for each statement "
        "execute function check_added_transactions();\n",
        new="",
        suite="tests/reserve_ledger/test_store.py"
        "::test_the_worker_itself_cannot_enter_what_does_not_balance",
    ),
    Mutation(
        name="postings-can-be-changed",
        sentence="The worker may update postings.",
        file=_LEDGER,
        old="call tenant_table('posting', 'select', 'select, insert');",
        new="call tenant_table('posting', 'select', 'select, insert, update');",
        suite="tests/reserve_ledger/test_store.py::test_entries_cannot_be_changed_or_removed",
    ),
    Mutation(
        name="liability-in-debit",
        sentence="What is owed to somebody may become what he owes.",
        file=_LEDGER,
        old="    balance_minor bigint not null check (account not like '2%' or balance_minor <= 0),",
        new="    balance_minor bigint not null,",
        suite="tests/reserve_ledger/test_store.py"
        "::test_the_database_refuses_a_debit_on_a_liability_and_amounts_out_of_range",
    ),
    Mutation(
        name="duplicate-reference-allowed",
        sentence="One cause can be posted twice by the same template.",
        file=_LEDGER,
        old="    unique (tenant_id, sequence),\n    unique (tenant_id, cause_event_id, template)\n",
        new="    unique (tenant_id, sequence)\n",
        suite="tests/reserve_ledger/test_store.py::test_a_cause_is_entered_once_by_each_template",
    ),
    Mutation(
        name="negative-money-received",
        sentence="An invoice may have received less than nothing.",
        file=_INVOICE,
        old="    received_micros bigint not null default 0 check (received_micros >= 0),",
        new="    received_micros bigint not null default 0,",
        suite="tests/invoice/test_store.py::test_a_row_that_breaks_a_rule_is_refused",
    ),
    Mutation(
        name="numbers-within-reach",
        sentence="A request may set the counter of invoice numbers.",
        file=_INVOICE,
        old="call tenant_table('number_sequence', '');",
        new="call tenant_table('number_sequence');",
        suite="tests/invoice/test_store.py::test_requests_may_not_touch_numbers_or_bookings",
    ),
    Mutation(
        name="address-given-twice",
        sentence="The database takes one address for two wallets.",
        file=_FACTORY,
        old="    address text not null,\n    primary key (network, address)\n",
        new="    address text not null\n",
        suite="tests/wallet_factory/test_subscribers.py"
        "::test_an_address_cannot_be_given_twice_even_if_the_counter_were_set_back",
    ),
    Mutation(
        name="secrets-within-reach",
        sentence="A request may read what is to be destroyed.",
        file=_FACTORY,
        old="call tenant_table('wallet_secret', '', 'select, insert, delete');",
        new="call tenant_table('wallet_secret', 'select', 'select, insert, delete');",
        suite="tests/wallet_factory/test_subscribers.py"
        "::test_secrets_are_out_of_the_api_roles_reach",
    ),
    Mutation(
        name="destruction-log-can-be-changed",
        sentence="The service may update its log of destructions.",
        file=_MANAGER,
        old="call tenant_table('destruction_log', 'select', 'select, insert');",
        new="call tenant_table('destruction_log', 'select', 'select, insert, update');",
        suite="tests/ephemeral_manager/test_subscribers.py"
        "::test_the_destruction_log_cannot_be_changed_by_the_service",
    ),
    Mutation(
        name="two-owners-of-an-address",
        sentence="Two wallets can watch one address, and both get its money.",
        file=_ORCHESTRATOR,
        old="create unique index watched_address_place",
        new="create index watched_address_place",
        suite="tests/provider_orchestrator/test_workers.py"
        "::test_a_second_wallet_at_an_address_gets_none_of_its_money",
    ),
    Mutation(
        name="key-can-be-changed",
        sentence="A request may give an API key another secret.",
        file=_GATEWAY,
        old="call tenant_table('api_key', 'select, insert, update (revoked_at)', 'select, update');",
        new="call tenant_table('api_key', 'select, insert, update', 'select, update');",
        suite="tests/gateway/test_store.py::test_the_api_role_may_not",
    ),
)
