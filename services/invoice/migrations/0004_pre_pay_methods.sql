-- This service's own copy of how payers can pay beside a transfer; what providers can do belongs to no tenant.
create table pay_method (
    provider text not null,
    rail text not null,
    methods text[] not null,
    assets text[] not null,
    amount_max_minor bigint not null check (amount_max_minor >= 0),
    pages text[] not null,
    version bigint not null check (version > 0),
    primary key (provider, rail)
);
do $$ begin
    execute format('grant select, insert, update on pay_method to %I', current_schema() || '_worker');
    execute format('grant select on pay_method to %I', current_schema() || '_api');
end $$;
