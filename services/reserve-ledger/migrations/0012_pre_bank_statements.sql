-- Statements of banks, by file: whose account it is, and the file they came in. What a bank calls a statement
-- names it for good: the same again is the same, and another one under its name is refused.
alter table external_statement
    add column account text check (length(account) between 1 and 64),
    add column file_hash bytea check (octet_length(file_hash) = 32),
    add constraint external_statement_of_bank
        check (kind <> 'bank' or format = 'event' or (account is not null and file_hash is not null
               and opening_minor is not null and closing_minor is not null));
comment on column external_statement.file_hash is
    'SHA-256 of the file as it was sent; a file may hold several statements';
create unique index external_statement_name
    on external_statement (tenant_id, source, asset, name) where format <> 'event';

-- An operator sends the file: what it says is observed by the role that answers.
do $$
begin
    execute format('grant insert, update on reserve_source to %I', current_schema() || '_api');
end $$;
