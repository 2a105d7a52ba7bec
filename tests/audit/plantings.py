"""For each invariant something that breaks it, and whatever else it cannot but break with it.

A statement may name an invoice of the world (`{paid}`), its companies (`{tenant}`, `{rival}`) and a
stranger nobody knows (`{stranger}`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

from world import World

from audit import TopicRecord

Records = list[TopicRecord]


@dataclass(frozen=True)
class Planting:
    """A breach, and what has to be found."""

    invariant: str
    statements: tuple[str, ...] = ()
    records: Callable[[Records], Records] = field(default=lambda records: records)
    also: frozenset[str] = frozenset()

    def rendered(self, world: World) -> list[str]:
        """The statements with the world's ids in them."""
        names = {**world.invoices, "tenant": world.tenant, "rival": world.rival}
        names["stranger"] = UUID(int=99)
        return [self._named(text, names) for text in self.statements]

    @staticmethod
    def _named(text: str, names: dict[str, UUID]) -> str:
        for name, value in names.items():
            text = text.replace(f"{{{name}}}", f"'{value}'")
        return text


def of(invariant: str, *statements: str, also: Sequence[str] = ()) -> Planting:
    """Planted in the database."""
    return Planting(invariant, statements, also=frozenset(also))


def on_topics(
    invariant: str, change: Callable[[Records], Records], *statements: str, also: Sequence[str] = ()
) -> Planting:
    """Planted among the records of the topics."""
    return Planting(invariant, statements, change, frozenset(also))


BOOKED = "template in ('invoice_paid', 'invoice_overpaid', 'payment_unapplied')"
OF_PAID = f"""tenant_id = {{tenant}} and sequence = (
    select sequence from reserve_ledger.ledger_transaction
    where invoice_id = {{paid}} and {BOOKED})"""

INTENT, ATTEMPT = "'00000000-0000-7000-8000-0000000000a1'", "'00000000-0000-7000-8000-0000000000a2'"
COLLECTED = (
    f"""insert into provider_orchestrator.payment_intent (tenant_id, id, state, amount_minor, asset,
        manual_capture, description, expires_at, created_by, created_at, updated_at)
    values ({{tenant}}, {INTENT}, 'submitted', 100, 'USD', false, 'x', now(), 'x', now(), now())""",
    f"""insert into provider_orchestrator.payment_share (tenant_id, intent_id, payment_id,
        invoice_id, wallet_id, place, amount_minor, due_minor)
    values ({{tenant}}, {INTENT}, gen_random_uuid(), {{unpaid}}, gen_random_uuid(), 1, 100, 100)""",
    f"""insert into provider_orchestrator.payment_attempt (tenant_id, id, intent_id, kind, number,
        provider, rail, decision_id, key, order_body, amount_minor, asset, state, created_at,
        updated_at)
    values ({{tenant}}, {ATTEMPT}, {INTENT}, 'collect', 1, 'x', 'card', gen_random_uuid(),
        gen_random_uuid(), jsonb_build_object(), 100, 'USD', 'sent', now(), now())""",
)
"""A payment that is under way."""

OF_PARTIAL = OF_PAID.replace("{paid}", "{partial}")
REWRITTEN = ["ledger.running_balances", "ledger.chain_recomputed"]
UNBALANCED = [
    "ledger.entries_balanced",
    "ledger.reserve_covers_at_every_step",
    "ledger.balances_are_sums",
    *REWRITTEN,
]

LEDGER = [
    of(
        "ledger.entries_balanced",
        # One transaction a unit over, another a unit under: the tenant's sums stay right.
        f"update reserve_ledger.posting set amount_minor = amount_minor + 1 where {OF_PAID}"
        " and account = '4100'",
        f"update reserve_ledger.posting set amount_minor = amount_minor - 1 where {OF_PARTIAL}"
        " and account = '4100'",
        also=["ledger.reserve_covers_at_every_step", *REWRITTEN],
    ),
    of(
        "ledger.money_conserved",
        f"update reserve_ledger.posting set amount_minor = amount_minor + 1 where {OF_PAID}"
        " and account = '4100'",
        also=UNBALANCED,
    ),
    of(
        "ledger.reserve_covers_at_every_step",
        f"update reserve_ledger.posting set account = '6000' where {OF_PAID} and account = '4100'",
        also=["ledger.balances_are_sums", *REWRITTEN],
    ),
    of(
        "ledger.balances_are_sums",
        "update reserve_ledger.account_balance set debit_minor = debit_minor + 5,"
        " credit_minor = credit_minor + 5 where tenant_id = {tenant} and account = '1200'",
        also=["ledger.addresses_make_up_codes"],
    ),
    of(
        "ledger.addresses_make_up_codes",
        "update reserve_ledger.account set debit_minor = debit_minor + 5,"
        " credit_minor = credit_minor + 5 where tenant_id = {tenant} and address = 'treasury'",
    ),
    of(
        "ledger.reservations_follow_entries",
        "insert into reserve_ledger.reservation (tenant_id, id, purpose, state, asset,"
        " amount_minor, taken_from, transaction_id, ended_by)"
        " values ({tenant}, {stranger}, 'payout', 'released', 'PATHUSD', 5, '2100',"
        " {stranger}, {stranger})",
        also=["histories.complete"],
    ),
    of(
        "ledger.settlements_follow_entries",
        "insert into reserve_ledger.dispute (tenant_id, id, payment_id, invoice_id, provider,"
        " asset, amount_minor, outcome, cause_event_id, credit_minor, pending_minor,"
        " available_minor, short_minor, fee_minor, transaction_id, sequence, template, ended_by)"
        " values ({tenant}, {stranger}, {stranger}, {stranger}, 'stripe', 'USD', 5, 'won',"
        " {stranger}, 0, 0, 5, 0, 0, {stranger}, 1, 'x', {stranger})",
    ),
    of(
        "reserve.bank_statements_add_up",
        "insert into reserve_ledger.external_statement (tenant_id, id, source, kind, asset, name,"
        " format, content_hash, starts_at, ends_at, opening_minor, closing_minor, line_count,"
        " imported_by, imported_at, account, file_hash)"
        " values ('00000000-0000-0000-0000-000000000000', {stranger}, 'bank:main', 'bank', 'EUR',"
        " 'one', 'camt053', sha256('x'), now(), now(), 5, 6, 0, 'x', now(), 'DE1', sha256('x'))",
    ),
    of(
        "ledger.holds_are_kept",
        "update reserve_ledger.account set held_minor = 1"
        " where tenant_id = {tenant} and address = 'merchant:available'",
    ),
    of(
        "ledger.running_balances",
        f"update reserve_ledger.posting set balance_minor = balance_minor + 1 where {OF_PAID}"
        " and account = '1200'",
    ),
    of(
        "ledger.no_overdraft",
        "update reserve_ledger.posting set amount_minor = -amount_minor where account = '1900'",
        also=["ledger.money_conserved", *UNBALANCED],
    ),
    of(
        "ledger.entries_complete",
        f"update reserve_ledger.posting set line = line + 1 where {OF_PAID} and line = 3",
    ),
    of(
        "ledger.chain_unbroken",
        "update reserve_ledger.ledger_transaction set previous_hash = sha256('x')"
        " where tenant_id = {tenant} and sequence = 3",
        also=["ledger.chain_recomputed"],
    ),
    of(
        "ledger.chain_recomputed",
        "update reserve_ledger.ledger_transaction set template_version = 2"
        " where tenant_id = {tenant} and sequence = 3",
    ),
    of(
        "ledger.heads_agree",
        "update reserve_ledger.ledger_head set sequence = sequence + 1 where tenant_id = {tenant}",
    ),
    of(
        "ledger.one_effect_per_event",
        "update reserve_ledger.ledger_transaction t set cause_event_id = o.cause_event_id"
        " from reserve_ledger.ledger_transaction o"
        " where t.tenant_id = {rival} and o.invoice_id = {paid} and o.template = t.template",
        also=["ledger.chain_recomputed"],
    ),
    of(
        "ledger.bookings_follow_entries",
        "update reserve_ledger.payment_booking set generation = generation + 1"
        " where invoice_id = {paid}",
    ),
    of(
        "ledger.reversed_once",
        "drop index reserve_ledger.ledger_transaction_reverses",
        "update reserve_ledger.ledger_transaction set reverses = (select id"
        " from reserve_ledger.ledger_transaction where invoice_id = {reverted} and reverses is null)"
        " where invoice_id = {moved} and reverses is not null",
        also=[
            "ledger.chain_recomputed",
            "ledger.reversals_are_exact",
            "invoices.reversals_are_the_ledgers",
        ],
    ),
    of(
        "ledger.reversals_are_exact",
        "update reserve_ledger.posting set amount_minor = amount_minor - 1"
        " where account = '1200' and sequence in (select sequence"
        " from reserve_ledger.ledger_transaction where invoice_id = {reverted}"
        " and reverses is not null)",
        also=["ledger.money_conserved", *UNBALANCED],
    ),
    of(
        "ledger.balances_explained",
        "update reserve_ledger.payment_booking set fee_minor = fee_minor + 1"
        " where invoice_id = {paid}",
    ),
    of(
        "ledger.obligations_follow_bookings",
        "update reserve_ledger.obligation set applied_micros = applied_micros + 1"
        " where invoice_id = {partial}",
    ),
    of(
        "reserve.totals_are_sums",
        "update reserve_ledger.reserve_total set balance_minor = balance_minor + 1"
        " where account = '1200'",
    ),
    of(
        "reserve.covered",
        "update reserve_ledger.reserve_statement set covered = false where sequence = 2",
    ),
    of(
        "reserve.statements_chained",
        "update reserve_ledger.reserve_statement set heads = '[]' where sequence = 2",
    ),
    of(
        "reserve.no_breach_open",
        "insert into reserve_ledger.reserve_breach"
        " (kind, asset, difference_minor, sequence, breached_at)"
        " values ('chain', 'PATHUSD', -1, 1, now())",
    ),
    of(
        "reserve.booked_is_the_sum",
        "update reserve_ledger.reserve_booked set booked_minor = booked_minor + 1",
    ),
    of(
        "reserve.adjustments_are_posted",
        """insert into reserve_ledger.reconciliation_break
            (tenant_id, id, reconciliation_id, source, asset, class, severity, external_key,
             amount_minor, account, since, why, state, closed_at, closed_because)
        values (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'stripe', 'USD', 'amount',
                'medium', 'x#1', 1, '1300', now(), 'planted', 'closed', now(), 'adjusted')""",
    ),
]

INVOICES = [
    of(
        "invoices.numbers_without_gap",
        "update invoice.invoice set number = 'INV-000099' where id = {paid}",
    ),
    of(
        "invoices.lines_add_up",
        "delete from invoice.invoice_line where invoice_id = {paid} and position = 1",
    ),
    of(
        "invoices.issue_ends",
        "update invoice.invoice set document = 'issuing' where id = {draft}",
    ),
    of(
        "invoices.dates_have_alarms",
        "delete from invoice.timer where ref = {unpaid} and kind = 'invoice.expiry'",
    ),
    of(
        "invoices.received_is_counted",
        "update invoice.invoice_booking set micros = micros + 1 where invoice_id = {partial}",
    ),
    of(
        "invoices.settlement_follows_money",
        "update invoice.invoice set settlement = 'partial' where id = {paid}",
        also=["lives.follow_their_invoice"],
    ),
    of(
        "invoices.processing_while_on_its_way",
        "update invoice.invoice set settlement = 'processing' where id = {unpaid}",
    ),
    of(
        "invoices.axes_agree",
        "update invoice.invoice set document = 'closed' where id = {paid}",
    ),
    of(
        "invoices.nothing_held_back",
        "update invoice.invoice_booking set state = 'held' where invoice_id = {partial}",
        also=["invoices.received_is_counted"],
    ),
    of(
        "invoices.bookings_are_the_ledgers",
        "update invoice.invoice_booking set amount_minor = amount_minor + 1"
        " where invoice_id = {partial}",
    ),
    of(
        "invoices.bookings_arrive",
        "delete from invoice.invoice_booking where invoice_id = {reverted}",
    ),
    of(
        "invoices.reversals_are_the_ledgers",
        "update invoice.invoice_booking set state = 'reversed' where invoice_id = {partial}",
        also=["invoices.received_is_counted"],
    ),
    of(
        "invoices.void_reaches_the_ledger",
        "update reserve_ledger.obligation set voided = false where invoice_id = {void}",
    ),
]

PAYMENT = "(select id from provider_orchestrator.payment where invoice_id = {paid})"
PAYMENTS = [
    of(
        "chain.one_history",
        "update provider_orchestrator.chain_cursor set number = number - 1",
    ),
    of(
        "chain.no_money_dropped",
        "delete from provider_orchestrator.unmatched_transfer",
    ),
    of(
        "chain.unmatched_is_nobodys",
        "update provider_orchestrator.chain_transfer set orphaned_at = now()"
        " where address = decode(repeat('ee', 20), 'hex')",
    ),
    of(
        "chain.money_finds_its_owner",
        "update provider_orchestrator.unmatched_transfer u set address ="
        " decode(substr(w.address, 3), 'hex') from wallet_factory.wallet w"
        " where w.invoice_id = {unpaid}",
        "update provider_orchestrator.watched_address set address = decode(repeat('dd', 20), 'hex')"
        " where invoice_id = {unpaid}",
        also=["wallets.watched"],
    ),
    of(
        "payments.stand_on_transfers",
        "update provider_orchestrator.chain_transfer set units = units + 1"
        f" where payment_id = {PAYMENT}",
    ),
    of(
        "payments.one_owner",
        "update provider_orchestrator.payment set reference = (select reference"
        " from provider_orchestrator.payment where invoice_id = {paid})"
        " where invoice_id = {theirs}",
    ),
    of(
        "payments.captures_are_payments",
        *COLLECTED,
        f"update provider_orchestrator.payment_attempt set state = 'captured',"
        f" captured_minor = 100, captured_asset = 'USD' where id = {ATTEMPT}",
    ),
    of(
        "payments.one_lease",
        *COLLECTED,
        f"update provider_orchestrator.payment_share set live = false where intent_id = {INTENT}",
    ),
    of(
        "payments.failover_after_an_end",
        *COLLECTED,
        f"update provider_orchestrator.payment_attempt set number = 2 where id = {ATTEMPT}",
    ),
    of(
        "disbursements.provider_payouts_are_divided",
        "insert into provider_orchestrator.provider_payout (provider, reference, asset,"
        " amount_minor, unassigned_minor, state, first_seen_at, updated_at)"
        " values ('stripe', 'po_1', 'USD', 100, 40, 'announced', now(), now())",
    ),
    of(
        "payments.begun_by_rules",
        *COLLECTED,
        "update provider_orchestrator.payment_intent set rules_facts = '[]', rules_verdict = '[]'"
        f" where id = {INTENT}",
    ),
    of(
        "payments.treated_by_rules",
        "alter table provider_orchestrator.payment drop constraint payment_stands",
        *COLLECTED,
        "insert into provider_orchestrator.payment_rules_decision (tenant_id, id, intent_id, stage,"
        " facts, verdict, decided_at)"
        f" values ({{tenant}}, gen_random_uuid(), {INTENT}, 'begun', '[]', '[]', now())",
        "update provider_orchestrator.payment_intent set rules_facts = '[]', rules_verdict = '[]'"
        f" where id = {INTENT}",
        "update provider_orchestrator.payment"
        f" set intent_id = {INTENT}, attempt_id = {ATTEMPT} where invoice_id = {{paid}}",
        also=["payments.captures_are_payments"],
    ),
    of(
        "payments.booked",
        "delete from reserve_ledger.payment_booking where invoice_id = {theirs}",
        also=[
            "ledger.bookings_follow_entries",
            "ledger.balances_explained",
            "ledger.obligations_follow_bookings",
            "reserve.booked_is_the_sum",
        ],
    ),
    of(
        "payments.only_payments_are_booked",
        "update reserve_ledger.payment_booking set invoice_id = {unpaid} where invoice_id = {wrong}",
    ),
    of(
        "payments.reach_the_invoice",
        "delete from invoice.invoice_payment where invoice_id = {reverted}",
    ),
    of(
        "payments.reach_the_wallet",
        "update ephemeral_manager.wallet_payment set booking_ids = '{}' where invoice_id = {paid}",
    ),
]

OUT = (
    "tenant_id, id, kind, amount_minor, asset, rail, destination, requested_by, approvals_needed,"
    " approvals_given, key, created_at, updated_at, state"
)
OUT_VALUES = "1, 'PATHUSD', 'tempo', '{}', 'maker'"
DISBURSEMENTS = [
    of(
        "disbursements.refunds_are_counted",
        f"insert into provider_orchestrator.disbursement ({OUT}, payment_id, invoice_id, source,"
        f" provider) select tenant_id, {{stranger}}, 'refund', {OUT_VALUES}, 0, 0, {{stranger}},"
        " now(), now(), 'requested', id, invoice_id, 'merchant', 'tempo'"
        " from provider_orchestrator.payment where invoice_id = {paid}",
    ),
    of(
        "disbursements.agreed_to_by_others",
        f"insert into provider_orchestrator.disbursement ({OUT}, reference, approved_at)"
        f" values ({{tenant}}, {{stranger}}, 'payout', {OUT_VALUES}, 1, 1, {{stranger}}, now(),"
        " now(), 'requested', 'r', now())",
    ),
    of(
        "disbursements.batches_count_their_lines",
        "insert into provider_orchestrator.payout_batch (tenant_id, id, reference, lines,"
        " lines_hash, totals, requested_by, approvals_needed, state, created_at, updated_at)"
        " values ({tenant}, {stranger}, 'b', 2, sha256('x'), '{}', 'maker', 0, 'approved', now(),"
        " now())",
    ),
]

WALLETS = [
    of(
        "wallets.one_for_each_invoice",
        "update invoice.invoice set memo = '0x' || repeat('a', 64) where id = {unpaid}",
    ),
    of(
        "wallets.open_their_invoice",
        "update wallet_factory.wallet set invoice_id = {draft} where invoice_id = {unpaid}",
        also=["wallets.one_for_each_invoice", "wallets.decided", "wallets.watched"],
    ),
    of(
        "wallets.addresses_given_once",
        "delete from wallet_factory.issued_address",
    ),
    of(
        "wallets.decided",
        "update wallet_factory.decision set rail = 'card' where invoice_id = {paid}",
    ),
    of(
        "wallets.policies_numbered",
        "update wallet_factory.decision set policy_version = 7 where invoice_id = {paid}",
    ),
    of(
        "wallets.watched",
        "delete from provider_orchestrator.watched_address where invoice_id = {unpaid}",
    ),
    of(
        "lives.begin",
        "update ephemeral_manager.ephemeral_wallet set address = '0x00'"
        " where invoice_id = {unpaid}",
    ),
    of(
        "lives.have_alarms",
        "delete from ephemeral_manager.timer where kind = 'wallet.watch'",
    ),
    of(
        "lives.pass_through",
        "update ephemeral_manager.ephemeral_wallet set state = 'drained' where invoice_id = {paid}",
    ),
    of(
        "lives.end_in_time",
        "update ephemeral_manager.ephemeral_wallet set expires_at = now() - interval '1 day'"
        " where invoice_id = {unpaid}",
    ),
    of(
        "lives.follow_their_invoice",
        "update ephemeral_manager.ephemeral_wallet set settled = false where invoice_id = {paid}",
    ),
    of(
        "wallets.secrets_until_the_end",
        "delete from wallet_factory.wallet_secret s using wallet_factory.wallet w"
        " where w.id = s.wallet_id and w.invoice_id = {paid}",
    ),
    of(
        "destruction.leaves_no_secret",
        "insert into wallet_factory.wallet_secret select tenant_id, id, decode(repeat('00', 32),"
        " 'hex'), decode(repeat('00', 17), 'hex') from wallet_factory.wallet"
        " where invoice_id = {ended}",
        "update wallet_factory.wallet set secrets_destroyed_at = null where invoice_id = {ended}",
    ),
    of(
        "destruction.secrets_go_when_asked",
        "update ephemeral_manager.ephemeral_wallet set state = 'destroying', destroying_at = now()"
        " - interval '1 day', guard = (select guard from ephemeral_manager.ephemeral_wallet"
        " where invoice_id = {ended}) where invoice_id = {paid}",
        "update ephemeral_manager.timer set kind = 'wallet.destroy' where ref in (select id::text"
        " from ephemeral_manager.ephemeral_wallet where invoice_id = {paid})"
        " and kind = 'wallet.watch'",
    ),
    of(
        "destruction.guarded",
        "update ephemeral_manager.ephemeral_wallet set legal_hold = true,"
        " legal_hold_reason = 'court' where invoice_id = {ended}",
    ),
    of(
        "destruction.certified",
        "update ephemeral_manager.destruction_log set invoice_id = {paid}",
    ),
    of(
        "destruction.certificates_chained",
        "update ephemeral_manager.certificate_chain set number = 7",
    ),
    of(
        "destruction.certificates_verify",
        "update ephemeral_manager.destruction_log set certificate = jsonb_set(certificate,"
        " '{body,reason}', '\"whim\"')",
    ),
    of(
        "destruction.late_money_is_noticed",
        "update ephemeral_manager.wallet_payment set first_seen_at = now() + interval '1 day'"
        " where invoice_id = {ended}",
    ),
]


def a_job(state: str, count: str) -> str:
    finished = "now()" if state == "done" else "null"
    names = ("waiting", "requested", "ready", "failed", "refused", "cancelled")
    counts = ", ".join("1" if name == count else "0" for name in names)
    return (
        "insert into ephemeral_manager.bulk_job (tenant_id, id, state, ordered_by, total,"
        f" {', '.join(names)}, repeated, conflicting, created_at, finished_at, version)"
        f" values ({{tenant}}, {{stranger}}, '{state}', 'me', 1, {counts}, 0, 0, now(),"
        f" {finished}, 1)"
    )


def a_row(state: str, **more: str) -> str:
    return (
        "insert into ephemeral_manager.bulk_row (tenant_id, job_id, position, reference,"
        " invoice_id, terms_hash, amount_minor, asset, description, due_at, ttl_s,"
        f" watch_window_s, state, updated_at{''.join(', ' + name for name in more)})"
        " values ({tenant}, {stranger}, 1, 'r', {stranger}, sha256('x'), 5, 'USD', 'd', now(), 60,"
        f" 60, '{state}', now() - interval '1 day'{''.join(', ' + v for v in more.values())})"
    )


BULK = [
    of(
        "bulk.counts_agree",
        a_job("done", "ready"),
        a_row("refused", code="'x'"),
        also=["histories.complete"],
    ),
    of(
        "bulk.rows_become_invoices",
        a_job("done", "ready"),
        a_row("ready", wallet_id="{stranger}", address="'0x1'"),
        also=["histories.complete"],
    ),
    of("bulk.orders_go_on", a_job("running", "waiting"), a_row("waiting")),
]

SELECTOR = [
    of(
        "selector.log_chained",
        'update wallet_factory.selector_log set body = body || \'{"mode": "x"}\''
        " where invoice_id = {paid}",
    ),
    of(
        "selector.log_heads_agree",
        "update wallet_factory.selector_log_head set sequence = sequence + 1"
        " where tenant_id = {tenant}",
    ),
    of(
        "selector.labels_learned_once",
        "insert into wallet_factory.selector_label select tenant_id, wallet_id, 3, rule, features,"
        " true, 'x', now() from wallet_factory.selector_open limit 1",
    ),
]

DELIVERIES = [
    of(
        "deliveries.event_for_each_endpoint",
        "delete from notification.webhook_delivery where event_id = (select min(id::text)::uuid"
        " from notification.webhook_event)",
        "delete from notification.webhook_attempt a where not exists (select"
        " from notification.webhook_delivery d where d.id = a.delivery_id)",
    ),
    of(
        "deliveries.one_at_a_time",
        "update notification.webhook_delivery set generation = 2 where event_id ="
        " (select min(id::text)::uuid from notification.webhook_event)",
    ),
    of(
        "deliveries.attempted",
        "update notification.webhook_delivery set state = 'delivering', finished_at = null,"
        " lease_until = now() - interval '1 hour' where event_id ="
        " (select min(id::text)::uuid from notification.webhook_event)",
    ),
    of(
        "deliveries.success_was_answered",
        "update notification.webhook_attempt set status_code = 500 where delivery_id ="
        " (select min(id::text)::uuid from notification.webhook_delivery)",
    ),
    of(
        "deliveries.attempts_differ_in_time",
        "insert into notification.webhook_attempt select tenant_id, delivery_id, 2, at, 204, null,"
        " 1, '' from notification.webhook_attempt limit 1",
        "update notification.webhook_delivery set attempt = 2 where id = (select delivery_id"
        " from notification.webhook_attempt where attempt = 2)",
    ),
    of(
        "mails.end",
        "update notification.notification set state = 'pending', finished_at = null,"
        " next_at = now() - interval '1 hour' where invoice_id = {paid}",
    ),
    of(
        "mails.told_once",
        "update notification.notification n set cause_event_id = o.cause_event_id"
        " from notification.notification o where n.invoice_id = {theirs}"
        " and o.invoice_id = {paid} and n.template = o.template",
    ),
    of(
        "mails.tell_of_the_issue",
        "delete from notification.notification where invoice_id = {paid}",
    ),
]

LETTER = (
    "insert into invoice.dead_letter (id, tenant_id, consumer, topic, partition, record_offset,"
    " record_key, headers, state, reason, error) values (gen_random_uuid(), {tenant}, 'invoice',"
    " 'invoiceos.wallet.v1', 0, 0, 'k', '[]', "
)
OUTBOX = (
    "insert into invoice.outbox (tenant_id, topic, key, event_id, type, version, occurred_at,"
    " staged_at, correlation_id, payload, parked) select tenant_id, topic, key, gen_random_uuid(),"
    " 'invoiceos.invoice.updated.v1', version, now(), {staged}, key, '', {parked}"
    " from invoice.stream_head where tenant_id = {rival} limit 1"
)
BACKBONE = [
    of(
        "outbox.drains",
        OUTBOX.replace("{staged}", "now() - interval '1 hour'").replace("{parked}", "false"),
    ),
    of(
        "outbox.nothing_parked",
        OUTBOX.replace("{staged}", "now()").replace("{parked}", "true"),
    ),
    of(
        "outbox.ends_at_the_head",
        OUTBOX.replace("{staged}", "now() + interval '1 hour'").replace("{parked}", "false"),
        "update invoice.outbox set version = version + 1",
    ),
    of(
        "outbox.states_its_own_facts",
        OUTBOX.replace("{staged}", "now() + interval '1 hour'").replace("{parked}", "false"),
        "update invoice.outbox set type = 'invoiceos.wallet.ready.v1'",
    ),
    of(
        "inbox.handled_once",
        "insert into invoice.inbox select event_id, 'invoice-2' from invoice.inbox limit 1",
    ),
    of(
        "timers.fire",
        "update invoice.timer set due_at = now() - interval '1 hour' where ref = {unpaid}",
    ),
    of(
        "timers.have_handlers",
        "insert into invoice.timer values ('invoice.party', 'x', {tenant},"
        " now() + interval '1 hour', '{}', 0)",
    ),
    of(
        "timers.succeed",
        "update invoice.timer set attempts = 5 where ref = {unpaid}",
    ),
    of(
        "dead_letters.none_open",
        LETTER + "'replaying', 'behind', 'waits')",
    ),
    of(
        "dead_letters.parked_behind_one",
        LETTER + "'parked', 'behind', 'waits')",
        also=["dead_letters.none_open"],
    ),
    of(
        "requests.answered",
        "insert into invoice.idempotency (tenant_id, route, key, request_hash) values"
        " ({tenant}, '/', 'k', 'h')",
    ),
    of(
        "histories.complete",
        "insert into wallet_factory.decision select tenant_id, gen_random_uuid(), {draft}, 1, mode,"
        " mode_rule, mode_reasons, null, rail_rule, skipped, 'no rail', inputs, decided_at"
        " from wallet_factory.decision where invoice_id = {unpaid}",
    ),
]


def _first(records: Records, kind: str) -> TopicRecord:
    return next(record for record in records if record.type == kind)


def _without(kind: str) -> Callable[[Records], Records]:
    def change(records: Records) -> Records:
        gone = _first(records, kind)
        return [record for record in records if record is not gone]

    return change


def _changed(kind: str, **fields: object) -> Callable[[Records], Records]:
    def change(records: Records) -> Records:
        found = _first(records, kind)
        return [replace(r, **fields) if r is found else r for r in records]

    return change


def _more(kind: str, **fields: object) -> Callable[[Records], Records]:
    """The record once more at the end of its partition, with these fields changed."""

    def change(records: Records) -> Records:
        return [*records, replace(_first(records, kind), **{"offset": 10_000, **fields})]

    return change


def _swapped(records: Records) -> Records:
    """The first two versions of a wallet change places."""
    ready = _first(records, READY)
    before = next(r for r in records if r.key == ready.key and r.version == 1)
    places = {id(ready): before.offset, id(before): ready.offset}
    return [replace(r, offset=places.get(id(r), r.offset)) for r in records]


READY = "invoiceos.wallet.ready.v1"
DRAINING = "invoiceos.ephemeral.draining.v1"
EXPIRED = "invoiceos.ephemeral.expired.v1"
KEYED = "invoiceos.api_key.created.v1"
SENT = "invoiceos.notification.sent.v1"


def _a_letter(records: Records) -> Records:
    """A record of a topic of dead letters that nobody keeps."""
    letter = TopicRecord(
        topic="invoiceos.wallet.v1.dlq",
        partition=0,
        offset=0,
        recorded_at=datetime.now(UTC),
        key="k",
        letter_of="invoiceos.wallet.v1/0/0",
        consumer="invoice",
    )
    return [*records, letter]


TOPICS = [
    on_topics("topics.readable", _changed(SENT, error="contract: no amount")),
    on_topics("topics.nothing_lost", _without(SENT)),
    on_topics("topics.nothing_made_up", _more(SENT, event_id=uuid4(), version=9)),
    on_topics("topics.in_order", _swapped),
    on_topics("topics.key_keeps_its_partition", _changed(READY, partition=99)),
    on_topics("topics.one_event_a_version", _more(SENT, event_id=uuid4())),
    on_topics("topics.tenant_of_the_aggregate", _changed(SENT, tenant_id=UUID(int=9))),
    on_topics("topics.owners_speak", _changed(SENT, type="invoiceos.tenant.created.v1")),
    on_topics(
        "topics.handled",
        lambda records: records,
        "delete from wallet_factory.inbox where event_id ="
        " (select min(event_id::text)::uuid from wallet_factory.inbox)",
    ),
    on_topics(
        "topics.dead_letters_published",
        lambda records: records,
        LETTER + "'resolved', 'handler', 'broken')",
        "update invoice.dead_letter set created_at = now() - interval '1 hour'",
    ),
    on_topics("topics.dead_letters_kept", _a_letter),
    on_topics("topics.histories_legal", _changed(DRAINING, type=EXPIRED)),
    on_topics("topics.said_once", _changed(KEYED, type="invoiceos.tenant.created.v1")),
]

ACCESS = [
    of(
        "tenancy.references_stay_inside",
        "update notification.webhook_event set invoice_id = {theirs} where id ="
        " (select min(id::text)::uuid from notification.webhook_event)",
    ),
    of(
        "tenancy.tenants_are_known",
        "update invoice.customer set tenant_id = {stranger} where id = (select customer_id"
        " from invoice.invoice where id = {draft})",
    ),
    of("access.rows_are_secured", "alter table invoice.invoice no force row level security"),
    of(
        "access.policies_as_written",
        "create policy convenience on invoice.invoice to invoice_api using (true)",
    ),
    of("access.roles_are_plain", "alter role invoice_api bypassrls"),
    of("access.roles_stay_apart", "grant usage on schema invoice to wallet_factory_worker"),
    of(
        "access.views_keep_row_security",
        "create view invoice.everything as select * from invoice.invoice",
        "grant select on invoice.everything to invoice_api, invoiceos_auditor",
    ),
    of("access.nothing_is_public", "grant select on invoice.invoice to public"),
    of(
        "access.history_is_read_only",
        "grant delete on reserve_ledger.posting to reserve_ledger_api",
    ),
    of("access.auditor_only_reads", "grant update on invoice.invoice to invoiceos_auditor"),
]

A_PARTNER = """insert into gateway.partner (tenant_id, name, event_types, created_by, created_at)
    values ({tenant}, 'acme', '{*}', 'operator', now())"""
A_REQUEST = """insert into gateway.partner_request (tenant_id, id, partner, request_id, state, body_hash,
    partition, record_offset, received_at, answered_at) values ({tenant}, {draft}, 'acme', 'a', """
NO_HISTORY = ["histories.complete"]
PARTNERS = [
    of(
        "partners.requests_answered",
        A_PARTNER,
        A_REQUEST + "'requested', sha256(''), 0, 0, now() - interval '1 hour', null)",
        also=NO_HISTORY,
    ),
    of(
        "partners.one_answer_a_request",
        A_PARTNER,
        A_REQUEST + "'accepted', sha256(''), 0, 0, now(), now())",
        also=NO_HISTORY,
    ),
    of(
        "partners.told_of_their_own",
        A_PARTNER,
        "insert into gateway.outbox (tenant_id, topic, key, event_id, type, version, occurred_at,"
        " correlation_id, headers, payload, staged_at) values ({rival}, 'partner.acme.events.v1',"
        " 'k', {draft}, 't', 1, now(), 'k', '[]', '', now() + interval '1 hour')",
    ),
]

PLANTINGS = [
    *PARTNERS,
    *LEDGER,
    *INVOICES,
    *PAYMENTS,
    *DISBURSEMENTS,
    *WALLETS,
    *BULK,
    *SELECTOR,
    *DELIVERIES,
    *BACKBONE,
    *TOPICS,
    *ACCESS,
]
