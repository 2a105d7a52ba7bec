-- To an address of a provider money may come again after the payment has ended: each time is a payment of its own.

-- What the attempt had captured before: the same money becomes a payment once, whoever hears of it again.
alter table payment add column captured_from_minor bigint not null default 0 check (captured_from_minor >= 0);
create unique index payment_collected_each on payment (tenant_id, attempt_id, invoice_id, captured_from_minor)
    where attempt_id is not null;
drop index payment_collected;
