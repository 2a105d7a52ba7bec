"""Payments: each is money that stands on a chain, known once, and booked."""

from typing import Final

from audit.invariant import Invariant

_CHAIN: Final = (
    Invariant(
        "chain.one_history",
        "The transfers that stand are in one block a height, none beyond the block that was "
        "swept up to, and the last block is remembered.",
        """
        select t.chain_id, t.block_number, count(distinct t.block_hash) as blocks
        from provider_orchestrator.chain_transfer t
        left join provider_orchestrator.chain_cursor c using (chain_id)
        left join provider_orchestrator.chain_block b
            on b.chain_id = t.chain_id and b.number = t.block_number
        where t.orphaned_at is null
        group by t.chain_id, t.block_number
        having count(distinct t.block_hash) > 1
            or bool_or(t.block_number > coalesce(c.number, -1))
            or bool_or(b.hash <> t.block_hash)
        union all
        select b.chain_id, b.number, 1
        from provider_orchestrator.chain_block b
        left join provider_orchestrator.chain_cursor c using (chain_id)
        where b.number > coalesce(c.number, -1) or (b.number = c.number and b.hash <> c.hash)
        """,
    ),
    Invariant(
        "chain.no_money_dropped",
        "Each transfer that stands is a payment, or waits for the owner of its address.",
        """
        select t.chain_id, t.block_number, encode(t.transaction_hash, 'hex') as transaction_hash,
               t.log_index, t.payment_id
        from provider_orchestrator.chain_transfer t
        where t.orphaned_at is null
          and not exists (
            select from provider_orchestrator.unmatched_transfer u
            where (u.chain_id, u.block_hash, u.transaction_hash, u.log_index)
                  = (t.chain_id, t.block_hash, t.transaction_hash, t.log_index))
          and not exists (
            select from provider_orchestrator.payment p
            where p.id = t.payment_id and p.block_hash = t.block_hash and p.state <> 'reverted')
        """,
    ),
    Invariant(
        "chain.unmatched_is_nobodys",
        "Money that waits for an owner is at an address that nobody has, on a block that stands.",
        """
        select u.chain_id, encode(u.transaction_hash, 'hex') as transaction_hash, u.log_index,
               w.wallet_id, t.orphaned_at
        from provider_orchestrator.unmatched_transfer u
        left join provider_orchestrator.watched_address w using (chain_id, address)
        left join provider_orchestrator.chain_transfer t
            using (chain_id, block_hash, transaction_hash, log_index)
        where w.wallet_id is not null or t.orphaned_at is not null
        """,
    ),
    Invariant(
        "chain.money_finds_its_owner",
        "Money at an address that was given out finds its wallet.",
        """
        select u.chain_id, encode(u.transaction_hash, 'hex') as transaction_hash, u.log_index,
               w.tenant_id, w.id as wallet_id
        from provider_orchestrator.unmatched_transfer u
        join wallet_factory.wallet w
            on w.chain_id = u.chain_id and lower(w.address) = '0x' || encode(u.address, 'hex')
        where u.found_at < %(before)s and w.created_at < %(before)s
        """,
        settled=True,
    ),
)

_PAYMENTS: Final = (
    Invariant(
        "payments.stand_on_transfers",
        "A payment is money that came to its wallet's address: the same transfer, amount, asset "
        "and block, unless the chain took it back.",
        """
        select p.tenant_id, p.id, p.state, p.amount_minor, t.units, t.orphaned_at
        from provider_orchestrator.payment p
        left join provider_orchestrator.chain_transfer t
            on (t.chain_id, t.block_hash, t.transaction_hash, t.log_index)
               = (p.chain_id, p.block_hash, p.transaction_hash, p.log_index)
        left join provider_orchestrator.watched_address w
            on (w.tenant_id, w.wallet_id, w.invoice_id)
               = (p.tenant_id, p.wallet_id, p.invoice_id)
        where p.intent_id is null and (t.payment_id is distinct from p.id
           or t.asset <> p.asset or least(t.units, 1000000000000000000) <> p.amount_minor
           or w.address is distinct from t.address or w.chain_id <> p.chain_id
           or (p.state <> 'reverted' and t.orphaned_at is not null))
        """,
    ),
    Invariant(
        "payments.one_owner",
        "A transfer is one payment of one tenant.",
        """
        select id, count(*) as times, array_agg(tenant_id) as tenants
        from provider_orchestrator.payment group by id having count(*) > 1
        union all
        select null, count(*), array_agg(tenant_id)
        from provider_orchestrator.payment
        group by chain_id, provider, reference having count(*) > 1
        """,
        "I7",
    ),
    Invariant(
        "payments.booked",
        "Each payment that is final is in the books, with its amount; "
        "what is not what was asked for is in suspense; what was taken back is not in them.",
        """
        select p.tenant_id, p.id, p.state, p.amount_minor, p.asset, b.state as booking,
               b.amount_minor as booked_minor
        from provider_orchestrator.payment p
        left join reserve_ledger.payment_booking b
            on b.tenant_id = p.tenant_id and b.payment_id = p.id
        where p.updated_at < %(before)s and case p.state
            when 'succeeded' then b.state is null or b.state = 'reversed'
            when 'conflicted' then b.state is distinct from 'suspense'
            else b.state in ('booked', 'suspense') end
        """,
        "I25",
        settled=True,
    ),
    Invariant(
        "payments.only_payments_are_booked",
        "Everything in the books is a payment, of the same tenant, invoice, asset and amount.",
        """
        select b.tenant_id, b.payment_id, b.invoice_id, b.asset, b.amount_minor,
               p.amount_minor as payment_minor
        from reserve_ledger.payment_booking b
        left join provider_orchestrator.payment p
            on p.tenant_id = b.tenant_id and p.id = b.payment_id
        where (b.invoice_id, b.asset::text, b.amount_minor)
              is distinct from (p.invoice_id, p.asset, p.amount_minor)
        """,
        "I25",
    ),
    Invariant(
        "payments.reach_the_invoice",
        "Each payment that was announced is known to its invoice, and so is that it was taken "
        "back.",
        """
        select p.tenant_id, p.invoice_id, p.id, p.state, i.sighting
        from provider_orchestrator.payment p
        left join invoice.invoice_payment i
            on i.tenant_id = p.tenant_id and i.invoice_id = p.invoice_id and i.payment_id = p.id
        where p.cause is null and p.updated_at < %(before)s
          and i.sighting is distinct from
              case p.state when 'reverted' then 'reverted' else 'seen' end
        """,
        settled=True,
    ),
    Invariant(
        "payments.reach_the_wallet",
        "Each payment that is final is known where the life of its wallet is decided, "
        "with what the ledger made of it.",
        """
        select p.tenant_id, p.wallet_id, p.id, p.state, w.state as known, w.booking_ids
        from provider_orchestrator.payment p
        left join ephemeral_manager.wallet_payment w
            on w.tenant_id = p.tenant_id and w.id = p.id and w.wallet_id = p.wallet_id
        left join reserve_ledger.payment_booking b
            on b.tenant_id = p.tenant_id and b.payment_id = p.id
        left join reserve_ledger.ledger_transaction t
            on t.tenant_id = b.tenant_id and t.id = b.transaction_id
        where p.updated_at < %(before)s and (
            case p.state when 'succeeded' then w.state is distinct from 'final'
                         when 'conflicted' then w.state is distinct from 'conflicted'
                         when 'reverted' then w.state in ('seen', 'final', 'conflicted')
                         else false end
            or (b.state = 'booked' and t.posted_at < %(before)s
                and not coalesce(b.transaction_id = any(w.booking_ids), false)))
        """,
        "I19",
        settled=True,
    ),
)

_COLLECTED: Final = (
    Invariant(
        "payments.captures_are_payments",
        "What a provider captured is payments of the intent's invoices: all of it, once.",
        """
        select a.tenant_id, a.id, a.state, a.captured_minor, p.minor
        from provider_orchestrator.payment_attempt a
        left join lateral (
            select sum(amount_minor) as minor from provider_orchestrator.payment p
            where p.tenant_id = a.tenant_id and p.attempt_id = a.id) p on true
        where a.kind = 'collect' and a.captured_minor is distinct from p.minor
        union all
        select p.tenant_id, p.id, p.state, p.amount_minor, null
        from provider_orchestrator.payment p
        where p.attempt_id is not null and not exists (
            select from provider_orchestrator.payment_attempt a
            where a.tenant_id = p.tenant_id and a.id = p.attempt_id
              and a.intent_id = p.intent_id and a.provider = p.provider)
        """,
        "I7",
    ),
    Invariant(
        "payments.one_lease",
        "Whatever may still take money for an invoice is one intent, and holds its charge lease.",
        """
        select s.tenant_id, s.intent_id, s.invoice_id, s.live, i.state
        from provider_orchestrator.payment_share s
        join provider_orchestrator.payment_intent i
            on i.tenant_id = s.tenant_id and i.id = s.intent_id
        where s.live is distinct from (i.state in ('created', 'routed', 'submitted',
            'requires_action', 'processing', 'authorized', 'unknown'))
        """,
        "I9",
    ),
    Invariant(
        "payments.failover_after_an_end",
        "An attempt elsewhere is made only once the one before has ended, definitely.",
        """
        select b.tenant_id, b.id, b.number, a.state as before
        from provider_orchestrator.payment_attempt b
        left join provider_orchestrator.payment_attempt a
            on a.tenant_id = b.tenant_id and a.intent_id = b.intent_id and a.kind = b.kind
           and a.number = b.number - 1
        where b.kind = 'collect' and b.number > 1
          and (a.state is null or a.state not in ('declined', 'rejected', 'absent'))
        """,
        "I10",
    ),
    Invariant(
        "payments.begun_by_rules",
        "A payment's terms are those that were decided when it was begun, by the same version.",
        """
        select i.tenant_id, i.id, i.rules_version
        from provider_orchestrator.payment_intent i
        where i.rules_verdict is not null and not exists (
            select from provider_orchestrator.payment_rules_decision d
            where d.tenant_id = i.tenant_id and d.intent_id = i.id and d.stage = 'begun'
              and d.verdict = i.rules_verdict and d.facts = i.rules_facts
              and d.rules_version is not distinct from i.rules_version)
        """,
    ),
    Invariant(
        "payments.treated_by_rules",
        "What came and was not what was asked for counts only where the terms accepted it.",
        """
        select p.tenant_id, p.id, p.state, i.rules_version
        from provider_orchestrator.payment p
        join provider_orchestrator.payment_intent i
            on i.tenant_id = p.tenant_id and i.id = p.intent_id
        where i.rules_verdict is not null and not exists (
            select from provider_orchestrator.payment_rules_decision d
            where d.tenant_id = i.tenant_id and d.intent_id = i.id and d.stage = 'arrived'
              and (d.verdict -> 'arrival' ->> 'outcome' = 'accept')
                  = (p.state <> 'conflicted'))
        """,
    ),
)

PAYMENTS: Final = (*_CHAIN, *_PAYMENTS, *_COLLECTED)
