-- Where database and topics disagreed after a restore, fact by fact (docs/runbooks/restore-from-backup.md):
-- forgotten: on the topic, and the restored database knows nothing of it; lost: stated here, and gone from the
-- topic. The auditor reads these, so that what a person was told of once is no breach for ever.
create table restored_history (
    topic text not null,
    key text not null,
    version bigint not null check (version > 0),
    kind text not null check (kind in ('forgotten', 'lost')),
    tenant_id uuid not null,
    event_id uuid,
    type text,
    found_at timestamptz not null default now(),
    primary key (topic, key, version, kind),
    check ((event_id is not null) = (kind = 'forgotten'))
);
create index restored_history_event on restored_history (event_id) where event_id is not null;
call tenant_table('restored_history', '', 'select, insert');
