-- What a void or a return finds spent already. A void gives the payer what is there; a return takes all of
-- it back, and what is not there is the merchant's first and the platform's then.
alter table payment_booking
    add column kept_minor bigint not null default 0,
    add column short_minor bigint not null default 0,
    add constraint payment_booking_kept
        check (kept_minor between 0 and applied_minor and (reclassed or kept_minor = 0)),
    add constraint payment_booking_short
        check (short_minor >= 0 and (state = 'reversed' or short_minor = 0));
comment on column payment_booking.kept_minor is
    'what a void could not make the payer''s: it was refunded or spent before';
comment on column payment_booking.short_minor is
    'what the platform bore when the payment was taken back, less what came back to it since';

-- What is to leave from the treasury, so that no two payouts are promised the same tokens.
alter table reservation add column from_treasury boolean not null default false;
create index reservation_from_treasury
    on reservation (tenant_id, asset) where state = 'reserved' and from_treasury;
