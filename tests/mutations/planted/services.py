"""Faults of the services: money counted wrongly, wallets destroyed too soon, word given twice."""

from tests.mutations.mutation import Mutation

_INVOICE = "services/invoice/src/invoice"
_INVOICE_TESTS = "tests/invoice"

INVOICE = (
    Mutation(
        name="numbers-with-gaps",
        sentence="Each batch of opened invoices skips a number.",
        file=f"{_INVOICE}/store/__init__.py",
        old="set next = n.next + excluded.next - 1",
        new="set next = n.next + excluded.next",
        suite=f"{_INVOICE_TESTS}/test_store.py"
        "::test_five_hundred_invoices_issued_at_once_get_consecutive_numbers",
    ),
    Mutation(
        name="booking-counted-twice",
        sentence="A booking of the ledger that is told again counts again.",
        file=f"{_INVOICE}/domain/settlement.py",
        old="    if fact.transaction_id in invoice.bookings:\n        return invoice, []\n",
        new="",
        suite=f"{_INVOICE_TESTS}/test_domain.py::test_each_booking_counts_once",
    ),
    Mutation(
        name="reversal-of-the-unknown-forgotten",
        sentence="A reversal that comes before its booking is passed over, and the booking counts.",
        file=f"{_INVOICE}/domain/settlement.py",
        old="        after = derive(_with_booking(invoice, stub))",
        new="        del stub\n        after = derive(invoice)",
        suite=f"{_INVOICE_TESTS}/test_domain.py"
        "::test_any_order_and_any_repetition_ends_in_the_same_state",
    ),
    Mutation(
        name="tolerance-on-the-wrong-side",
        sentence="Any shortage is tolerated.",
        file=f"{_INVOICE}/domain/states.py",
        old="self.asked_micros - self.received_micros <= self.tolerance_micros",
        new="self.received_micros - self.asked_micros <= self.tolerance_micros",
        suite=f"{_INVOICE_TESTS}/test_domain.py"
        "::test_the_larger_tolerance_decides_what_may_be_missing",
    ),
    Mutation(
        name="excess-not-noticed",
        sentence="Money beyond what was asked counts as payment in full, to the cent.",
        file=f"{_INVOICE}/domain/settlement.py",
        old="    if received > asked:\n        return S.OVERPAID\n",
        new="",
        suite=f"{_INVOICE_TESTS}/test_domain.py::test_a_booking_is_judged_to_the_last_millionth",
    ),
    Mutation(
        name="late-money-not-told",
        sentence="Money that comes after the expiry is counted as if it came in time.",
        file=f"{_INVOICE}/domain/settlement.py",
        old="    if invoice.timeliness in (T.EXPIRED, T.PAID_LATE):",
        new="    if False:",
        suite=f"{_INVOICE_TESTS}/test_domain.py"
        "::test_late_money_is_accepted_while_open_and_credited_when_void",
    ),
    Mutation(
        name="other-currency-counts",
        sentence="Money of another currency settles the invoice.",
        file=f"{_INVOICE}/domain/facts.py",
        old="    if token is None or token.currency != asset(invoice.terms.asset).currency:",
        new="    if token is None:",
        suite=f"{_INVOICE_TESTS}/test_domain.py::test_money_of_another_currency_never_counts",
    ),
    Mutation(
        name="void-with-money",
        sentence="An invoice is called off though money came or is on its way.",
        file=f"{_INVOICE}/domain/documents.py",
        old="    if invoice.received_micros or invoice.settlement is not S.UNPAID or "
        "has_pending(invoice):",
        new="    if False:",
        suite=f"{_INVOICE_TESTS}/test_domain.py"
        "::test_an_invoice_with_money_or_money_on_its_way_cannot_be_voided",
    ),
    Mutation(
        name="invoice-not-locked",
        sentence="Two transactions change an invoice, and the later one undoes the earlier.",
        file=f"{_INVOICE}/store/__init__.py",
        old="        order by tenant_id, id for update",
        new="        order by tenant_id, id",
        suite=f"{_INVOICE_TESTS}/test_store.py::test_an_invoice_that_is_being_changed_is_waited_for",
    ),
)

_FACTORY = "services/wallet-factory/src/wallet_factory"
_FACTORY_TESTS = "tests/wallet_factory"

WALLET_FACTORY = (
    Mutation(
        name="place-of-the-counter-reused",
        sentence="Each batch of wallets begins where the one before it ended, not behind it.",
        file=f"{_FACTORY}/store/__init__.py",
        old="        update tempo_master set next_tag = next_tag + $3\n"
        "        where chain_id = $1 and master_id = $2 returning next_tag - $3\n",
        new="        update tempo_master set next_tag = next_tag + $3 - 1\n"
        "        where chain_id = $1 and master_id = $2 returning next_tag - $3 + 1\n",
        suite=f"{_FACTORY_TESTS}/test_subscribers.py"
        "::test_a_thousand_invoices_in_one_poll_get_addresses_of_their_own",
    ),
    Mutation(
        name="address-not-noted",
        sentence="What addresses were given is not kept, so that one could be given twice.",
        file=f"{_FACTORY}/commands/provision_wallets.py",
        old="        await store.insert_addresses(tx, kept)\n",
        new="",
        suite=f"{_FACTORY_TESTS}/test_subscribers.py"
        "::test_an_address_cannot_be_given_twice_even_if_the_counter_were_set_back",
    ),
    Mutation(
        name="wallet-for-every-attempt",
        sentence="Each attempt to issue an invoice makes it a wallet more.",
        file=f"{_FACTORY}/store/__init__.py",
        old="        [request.invoice_id for request in asked],\n"
        "        [wallet.decision.mode.mode for wallet in ordered],",
        new="        [tx.new_id() for _ in asked],\n"
        "        [wallet.decision.mode.mode for wallet in ordered],",
        suite=f"{_FACTORY_TESTS}/test_subscribers.py"
        "::test_an_unhealthy_rail_fails_the_invoice_and_a_retry_serves_it",
    ),
    Mutation(
        name="memo-says-nothing",
        sentence="The memo does not commit to the invoice.",
        file=f"{_FACTORY}/domain/wallet.py",
        old='    public_id = encode("inv", invoice_id).encode()',
        new='    del invoice_id\n    public_id = b"invoice"',
        suite=f"{_FACTORY_TESTS}/test_domain.py"
        "::test_a_memo_commits_to_the_invoice_under_its_salt_alone",
    ),
    Mutation(
        name="persistent-wallet-destroyed",
        sentence="The secrets of a wallet that is to stay are destroyed.",
        file=f"{_FACTORY}/store/__init__.py",
        old=" and w.mode = 'ephemeral'\n",
        new="\n",
        suite=f"{_FACTORY_TESTS}/test_subscribers.py"
        "::test_a_persistent_wallet_or_a_foreign_tenants_keeps_its_secrets",
    ),
    Mutation(
        name="older-news-overwrite-newer",
        sentence="The news of a rail's health that came last counts, however old.",
        file=f"{_FACTORY}/store/__init__.py",
        old="            where (known.changed_at, known.version) < "
        "(excluded.changed_at, excluded.version)\n",
        new="",
        suite=f"{_FACTORY_TESTS}/test_subscribers.py"
        "::test_older_news_of_health_never_overwrite_newer",
    ),
)

_MANAGER = "services/ephemeral-manager/src/ephemeral_manager"
_MANAGER_TESTS = "tests/ephemeral_manager"

EPHEMERAL_MANAGER = (
    Mutation(
        name="destroyed-with-funds",
        sentence="A wallet that holds money, or to which some is on its way, is destroyed.",
        file=f"{_MANAGER}/domain/destruction.py",
        old="    return empty and balance.payments_pending == 0",
        new="    return empty or balance.payments_pending >= 0",
        suite=f"{_MANAGER_TESTS}/test_subscribers.py"
        "::test_a_wallet_that_is_not_empty_is_asked_for_again",
    ),
    Mutation(
        name="destroyed-with-a-payment-unknown",
        sentence="The certificate is made while a payment has an open end.",
        file=f"{_MANAGER}/commands/certify_destructions.py",
        old="    quiet = [key for key in sorted(destroying) if lives.still_open(key) == Open()]",
        new="    quiet = sorted(destroying)",
        suite=f"{_MANAGER_TESTS}/test_subscribers.py"
        "::test_money_that_comes_after_the_end_is_still_announced",
    ),
    Mutation(
        name="evidence-from-before-the-end",
        sentence="A balance that was read before the destruction began counts as its evidence.",
        file=f"{_MANAGER}/commands/certify_destructions.py",
        old=" and t.key in destroying\n",
        new="\n",
        suite=f"{_MANAGER_TESTS}/test_subscribers.py"
        "::test_a_balance_from_before_the_destruction_says_nothing",
    ),
    Mutation(
        name="guard-forgets-the-legal-hold",
        sentence="A wallet under a legal hold is destroyed.",
        file=f"{_MANAGER}/domain/destruction.py",
        old="    return guard.drained and guard.watch_window_over and clear and not guard.legal_hold",
        new="    return guard.drained and guard.watch_window_over and clear",
        suite=f"{_MANAGER_TESTS}/test_domain.py"
        "::test_each_value_of_the_guard_alone_stops_destruction",
    ),
    Mutation(
        name="guard-forgets-unknown-payments",
        sentence="Destruction begins though a payment has an open end.",
        file=f"{_MANAGER}/domain/destruction.py",
        old="    clear = guard.unknown_payments == guard.open_disputes == guard.open_refunds == 0",
        new="    clear = guard.open_disputes == guard.open_refunds == 0",
        suite=f"{_MANAGER_TESTS}/test_subscribers.py"
        "::test_an_unknown_payment_or_a_legal_hold_postpones_the_end",
    ),
    Mutation(
        name="back-from-destruction",
        sentence="A wallet whose destruction has begun can become active again.",
        file=f"{_MANAGER}/domain/wallet.py",
        old="    State.DESTROYING: frozenset({State.DESTROYING, State.DESTROYED}),",
        new="    State.DESTROYING: frozenset({State.DESTROYING, State.DESTROYED, State.ACTIVE}),",
        suite=f"{_MANAGER_TESTS}/test_domain.py::test_nothing_leads_back_from_destruction",
    ),
    Mutation(
        name="certificates-not-chained",
        sentence="A certificate does not carry the hash of the one before it.",
        file=f"{_MANAGER}/domain/destruction.py",
        old="        previous_hash=previous.hash,",
        new="        previous_hash=previous.hash[::-1],",
        suite=f"{_MANAGER_TESTS}/test_subscribers.py"
        "::test_certificates_of_a_tenant_form_a_chain_without_a_gap",
    ),
    Mutation(
        name="late-money-not-announced",
        sentence="Money that comes after a wallet's end is nobody's business.",
        file=f"{_MANAGER}/domain/payments.py",
        old="            if closure.reason != PAID or first > wallet.expires_at:\n"
        "                return True\n",
        new="",
        suite=f"{_MANAGER_TESTS}/test_subscribers.py"
        "::test_late_money_is_found_resolved_and_restarts_the_window",
    ),
    Mutation(
        name="stale-alarm-expires",
        sentence="The alarm of the old end expires a wallet that was extended.",
        file=f"{_MANAGER}/commands/wake_wallets.py",
        old="        if wallet is not None and _until(timer) == wallet.expires_at:",
        new="        if wallet is not None:",
        suite=f"{_MANAGER_TESTS}/test_subscribers.py"
        "::test_the_alarm_of_an_earlier_end_expires_nothing",
    ),
)

_ORCHESTRATOR = "services/provider-orchestrator/src/provider_orchestrator"
_ORCHESTRATOR_TESTS = "tests/provider_orchestrator"

_RECORD = """\
        async with self._database.transaction() as tx:
            won = await record_sweep(tx, swept, confirmations=confirmations, by_address=by_address)
"""
_MOVE_THEN_RECORD = """\
        async with self._database.transaction() as tx:
            won = await chain.move_cursor(tx, cursor, swept.to, swept.head_number)
        moved = Cursor(cursor.chain_id, swept.to, cursor.start, cursor.genesis_hash)
        there = type(swept)(moved, swept.to, swept.head_number, swept.transfers)
        async with self._database.transaction() as tx:
            won = won and await record_sweep(tx, there, confirmations=confirmations)
"""

PROVIDER_ORCHESTRATOR = (
    Mutation(
        name="payment-known-by-its-log-index",
        sentence="A payment is named by where its log stands in the block.",
        file=f"{_ORCHESTRATOR}/domain/transfers.py",
        old='        return f"{_hex(self.transaction_hash)}:{_hex(self.address)}:{self.ordinal}"',
        new='        return f"{_hex(self.address)}:{self.log_index}"',
        suite=f"{_ORCHESTRATOR_TESTS}/test_domain.py"
        "::test_a_payment_moves_with_its_transaction_and_keeps_its_id",
    ),
    Mutation(
        name="payments-of-a-transaction-merged",
        sentence="Two payments to one address in one transaction are taken for one.",
        file=f"{_ORCHESTRATOR}/providers/tempo/mapping.py",
        old="        counted[place] = ordinal = counted.get(place, -1) + 1",
        new="        counted[place] = ordinal = 0",
        suite=f"{_ORCHESTRATOR_TESTS}/test_payments.py"
        "::test_payments_of_one_transaction_are_each_their_own",
    ),
    Mutation(
        name="reorganisation-ignored",
        sentence="Another block where the cursor stands is not noticed.",
        file=f"{_ORCHESTRATOR}/workers/chain.py",
        old="        if glance.at_cursor is None or glance.at_cursor.hash != cursor.block.hash:",
        new="        if glance.at_cursor is None:",
        suite=f"{_ORCHESTRATOR_TESTS}/test_reorganisations.py"
        "::test_a_final_payment_is_reversed_and_comes_again_as_the_same_payment",
    ),
    Mutation(
        name="dropped-block-takes-nothing-back",
        sentence="Payments of a block the chain dropped stand.",
        file=f"{_ORCHESTRATOR}/commands/reverse_orphans.py",
        old="    steps = [revert(payment, dropped[payment.id]) for payment in standing]",
        new="    steps = [(payment, []) for payment in standing]",
        suite=f"{_ORCHESTRATOR_TESTS}/test_reorganisations.py"
        "::test_a_final_payment_is_reversed_and_comes_again_as_the_same_payment",
    ),
    Mutation(
        name="lagging-node-takes-money-back",
        sentence="A node that is behind counts as a chain that dropped blocks.",
        file=f"{_ORCHESTRATOR}/workers/chain.py",
        old="                return ancestor if contradicted else None",
        new="                return ancestor",
        suite=f"{_ORCHESTRATOR_TESTS}/test_reorganisations.py"
        "::test_a_node_that_lags_takes_nothing_back",
    ),
    Mutation(
        name="cursor-saved-before-the-record",
        sentence="The cursor moves in a transaction of its own, before what was found is recorded.",
        file=f"{_ORCHESTRATOR}/workers/chain.py",
        old=_RECORD,
        new=_MOVE_THEN_RECORD,
        suite=f"{_ORCHESTRATOR_TESTS}/test_store.py"
        "::test_a_sweep_that_cannot_be_recorded_is_swept_again",
    ),
    Mutation(
        name="half-a-block-swept",
        sentence="A sweep that is cut short counts its last, half-read block as read.",
        file=f"{_ORCHESTRATOR}/domain/chain.py",
        old="    return cut - 1 if cut > numbers[0] else cut",
        new="    return cut",
        suite=f"{_ORCHESTRATOR_TESTS}/test_domain.py::test_a_sweep_is_cut_between_blocks",
    ),
    Mutation(
        name="sweep-does-not-wait-for-wallets",
        sentence="A sweep and a new address are recorded without seeing each other.",
        file=f"{_ORCHESTRATOR}/commands/record_sweep.py",
        old="    await chain.lock_sweep(tx, chain_id)\n",
        new="",
        suite=f"{_ORCHESTRATOR_TESTS}/test_store.py"
        "::test_a_sweep_waits_for_wallets_that_are_being_written",
    ),
    Mutation(
        name="money-without-an-owner-dropped",
        sentence="Money at an address that is not known yet is forgotten.",
        file=f"{_ORCHESTRATOR}/commands/record_sweep.py",
        old="        await chain.insert_unmatched(tx, homeless)",
        new="        del homeless",
        suite=f"{_ORCHESTRATOR_TESTS}/test_payments.py"
        "::test_money_that_came_before_its_wallet_is_stated_when_the_wallet_is_ready",
    ),
    Mutation(
        name="wrong-token-counts",
        sentence="A token we take settles an invoice that did not ask for it.",
        file=f"{_ORCHESTRATOR}/domain/transfers.py",
        old="    if not transfer.listed or transfer.asset not in watched.accepted_assets:",
        new="    if not transfer.listed:",
        suite=f"{_ORCHESTRATOR_TESTS}/test_domain.py"
        "::test_what_cannot_pay_is_a_conflict_and_never_seen",
    ),
    Mutation(
        name="token-believed-by-its-name",
        sentence="A token that calls itself by the name of real money is shown under it.",
        file=f"{_ORCHESTRATOR}/domain/transfers.py",
        old=" and letters not in taken else",
        new=" else",
        suite=f"{_ORCHESTRATOR_TESTS}/test_domain.py"
        "::test_a_foreign_token_never_gets_the_name_of_real_money",
    ),
    Mutation(
        name="finality-ignored",
        sentence="A payment counts as soon as it is in a block, whatever may happen to the block.",
        file=f"{_ORCHESTRATOR}/domain/transfers.py",
        old='    if payment.state != "seen" or payment.block_number > finality.number:',
        new='    if payment.state != "seen":',
        suite=f"{_ORCHESTRATOR_TESTS}/test_reorganisations.py"
        "::test_with_confirmations_a_payment_is_final_only_under_them",
    ),
)

_LEDGER = "services/reserve-ledger/src/reserve_ledger"
_LEDGER_TESTS = "tests/reserve_ledger"

_LOCK_HEADS = """\
        insert into ledger_head as h (tenant_id)
        select tenant_id from unnest($1::uuid[]) as t(tenant_id) order by tenant_id
        on conflict (tenant_id) do update set sequence = h.sequence
        returning tenant_id, sequence, encode(hash, 'hex') as hash,
                  greatest(clock_timestamp(), posted_at) as posted_at
"""
_READ_HEADS = """\
        with begun as (
            insert into ledger_head (tenant_id)
            select id from unnest($1::uuid[]) as t(id) order by id on conflict do nothing
        )
        select t.id as tenant_id, coalesce(h.sequence, 0) as sequence,
               coalesce(encode(h.hash, 'hex'), repeat('0', 64)) as hash,
               greatest(clock_timestamp(), h.posted_at) as posted_at
        from unnest($1::uuid[]) as t(id) left join ledger_head h on h.tenant_id = t.id
"""

RESERVE_LEDGER = (
    Mutation(
        name="fee-on-the-wrong-side",
        sentence="The merchant gets the fee, and the platform all the rest.",
        file=f"{_LEDGER}/domain/templates.toml",
        old='lines = ["debit 1200 applied", "credit 2100 applied - fee", "credit 4100 fee"]',
        new='lines = ["debit 1200 applied", "credit 2100 fee", "credit 4100 applied - fee"]',
        suite=f"{_LEDGER_TESTS}/test_domain.py::test_payment_legs_of_part_all_more_and_nothing",
    ),
    Mutation(
        name="sides-swapped",
        sentence="What is held in suspense is credited where it came and debited where it is owed.",
        file=f"{_LEDGER}/domain/templates.toml",
        old='lines = ["debit 1900 amount", "credit 2900 amount"]',
        new='lines = ["credit 1900 amount", "debit 2900 amount"]',
        suite=f"{_LEDGER_TESTS}/test_subscribers.py::test_what_was_not_asked_for_waits_in_suspense",
    ),
    Mutation(
        name="excess-applied",
        sentence="All that came counts towards the invoice, also what was not asked for.",
        file=f"{_LEDGER}/domain/books.py",
        old="        applied = min(amount.amount_minor, needed)",
        new="        applied = max(amount.amount_minor, needed)",
        suite=f"{_LEDGER_TESTS}/test_subscribers.py"
        "::test_payments_of_one_invoice_in_one_poll_are_folded",
    ),
    Mutation(
        name="fee-rounded-up",
        sentence="The platform's fee is rounded up.",
        file=f"{_LEDGER}/domain/templates.py",
        old="    return divide(applied_minor * fee_ppm, PPM, Rounding.HALF_EVEN)",
        new="    return divide(applied_minor * fee_ppm, PPM, Rounding.UP)",
        suite=f"{_LEDGER_TESTS}/test_domain.py"
        "::test_the_fee_is_half_even_and_never_more_than_what_is_applied",
    ),
    Mutation(
        name="unbalanced-entry-posted",
        sentence="An entry whose postings do not sum to zero is posted.",
        file=f"{_LEDGER}/domain/chain.py",
        old="        assert is_balanced(entry.legs), entry\n",
        new="",
        suite=f"{_LEDGER_TESTS}/test_domain.py::test_an_unbalanced_entry_cannot_be_posted",
    ),
    Mutation(
        name="cause-posted-twice",
        sentence="An event that comes again after the inbox forgot it is booked again.",
        file=f"{_LEDGER}/commands/book_payments.py",
        old="        if event.id not in known\n",
        new="",
        suite=f"{_LEDGER_TESTS}/test_subscribers.py"
        "::test_an_event_that_comes_again_after_the_inbox_forgot_it_changes_nothing",
    ),
    Mutation(
        name="reversal-not-exact",
        sentence="A payment that was taken back leaves its fee in the books.",
        file=f"{_LEDGER}/domain/books.py",
        old="            legs = templates.reversal(templates.payment(before.split, before.place)[1])",
        new="            split = replace(before.split, fee_minor=0)\n"
        "            legs = templates.reversal(templates.payment(split, before.place)[1])",
        suite=f"{_LEDGER_TESTS}/test_subscribers.py"
        "::test_a_reverted_payment_is_reversed_exactly_and_may_succeed_again",
    ),
    Mutation(
        name="chain-skips-a-transaction",
        sentence="The second transaction of a batch carries the hash before the first.",
        file=f"{_LEDGER}/domain/chain.py",
        old="        self.head = Head(head.tenant_id, sequence, hashed, head.posted_at)",
        new="        self.head = Head(head.tenant_id, sequence, head.hash, head.posted_at)",
        suite=f"{_LEDGER_TESTS}/test_domain.py::test_the_walk_names_what_is_wrong_and_where",
    ),
    Mutation(
        name="hash-without-the-postings",
        sentence="A posting can be changed without breaking the chain.",
        file=f"{_LEDGER}/domain/chain.py",
        old='"postings":[{legs}],{reference}',
        new="{reference}",
        suite=f"{_LEDGER_TESTS}/test_api.py::test_an_altered_row_is_found",
    ),
    Mutation(
        name="balance-not-kept",
        sentence="The kept balances stay what they were first, whatever is posted.",
        file=f"{_LEDGER}/store/balances.py",
        old="        set debit_minor = excluded.debit_minor, credit_minor = excluded.credit_minor\n"
        "    ), addressed",
        new="        set debit_minor = account_balance.debit_minor\n    ), addressed",
        suite=f"{_LEDGER_TESTS}/test_subscribers.py"
        "::test_a_reverted_payment_is_reversed_exactly_and_may_succeed_again",
    ),
    Mutation(
        name="books-not-locked",
        sentence="Two processes post for one tenant without waiting for each other.",
        file=f"{_LEDGER}/store/chain.py",
        old=_LOCK_HEADS,
        new=_READ_HEADS,
        suite=f"{_LEDGER_TESTS}/test_store.py::test_books_that_are_being_posted_to_are_waited_for",
    ),
    Mutation(
        name="statement-lies",
        sentence="Every statement says that the reserve covers what circulates.",
        file=f"{_LEDGER}/domain/reserve.py",
        old="        covered=is_covered(stated),",
        new="        covered=True,",
        suite=f"{_LEDGER_TESTS}/test_subscribers.py"
        "::test_a_drift_of_one_unit_is_stated_with_the_next_batch",
    ),
    Mutation(
        name="own-funds-count-as-reserve",
        sentence="The platform's own income hides what is missing.",
        file=f"{_LEDGER}/domain/reserve.py",
        old="        difference_minor=reserve - circulation - own,",
        new="        difference_minor=max(0, reserve - circulation - own),",
        suite=f"{_LEDGER_TESTS}/test_domain.py"
        "::test_a_statement_is_signed_chained_and_tells_a_breach_of_one_unit",
    ),
)

_NOTIFICATION = "services/notification/src/notification"
_NOTIFICATION_TESTS = "tests/notification"

NOTIFICATION = (
    Mutation(
        name="new-webhook-id-for-each-attempt",
        sentence="A receiver cannot recognise an event that comes again.",
        file=f"{_NOTIFICATION}/providers/webhook.py",
        old='            "webhook-id": str(claim.event_id),',
        new='            "webhook-id": f"{claim.event_id}-{claim.attempt}",',
        suite=f"{_NOTIFICATION_TESTS}/test_webhooks.py::test_a_failing_receiver_is_tried_again_"
        "with_the_same_id_and_a_new_timestamp",
    ),
    Mutation(
        name="signature-over-another-text",
        sentence="The signature is not over the bytes that are sent.",
        file=f"{_NOTIFICATION}/providers/webhook.py",
        old="Webhook(secret).sign(str(claim.event_id), at, text)",
        new="Webhook(secret).sign(str(claim.event_id), at, text.lower())",
        suite=f"{_NOTIFICATION_TESTS}/test_webhooks.py"
        "::test_an_event_arrives_signed_with_its_own_id_and_without_personal_data",
    ),
    Mutation(
        name="personal-data-in-a-webhook",
        sentence="What is sensitive in a fact goes to receivers.",
        file=f"{_NOTIFICATION}/commands/queue_webhooks.py",
        old='    data = fact.model_dump(mode="json", exclude=set(fact.SENSITIVE))',
        new='    data = fact.model_dump(mode="json")',
        suite=f"{_NOTIFICATION_TESTS}/test_webhooks.py"
        "::test_an_event_arrives_signed_with_its_own_id_and_without_personal_data",
    ),
    Mutation(
        name="never-tried-again",
        sentence="A delivery that failed once has failed for good.",
        file=f"{_NOTIFICATION}/domain/deliveries.py",
        old="    if attempt >= len(schedule.delays_s):",
        new="    if attempt >= 1:",
        suite=f"{_NOTIFICATION_TESTS}/test_domain.py::test_what_may_pass_is_tried_again",
    ),
    Mutation(
        name="tried-for-ever",
        sentence="A delivery is tried without an end.",
        file=f"{_NOTIFICATION}/domain/deliveries.py",
        old="    if attempt >= len(schedule.delays_s):\n"
        '        return Verdict(State.FAILED, reason=f"attempts_exhausted:{reason}")\n'
        "    planned = schedule.delays_s[attempt] ",
        new="    planned = schedule.delays_s[min(attempt, len(schedule.delays_s) - 1)] ",
        suite=f"{_NOTIFICATION_TESTS}/test_webhooks.py::test_attempts_end_after_the_schedule",
    ),
    Mutation(
        name="endpoint-of-another-tenant",
        sentence="Events go to the endpoints of every tenant.",
        file=f"{_NOTIFICATION}/store/deliveries.py",
        old="join webhook_endpoint e on e.tenant_id = ev.tenant_id and e.state = 'enabled'",
        new="join webhook_endpoint e on e.state = 'enabled'",
        suite=f"{_NOTIFICATION_TESTS}/test_webhooks.py::test_each_tenant_gets_its_own_events_only",
    ),
    Mutation(
        name="addresses-inside-allowed",
        sentence="A name that leads inside the network is connected to.",
        file=f"{_NOTIFICATION}/providers/guard.py",
        old="                if reason is not None:",
        new="                if False:",
        suite=f"{_NOTIFICATION_TESTS}/test_guard.py"
        "::test_a_name_with_one_address_inside_is_not_connected_to",
    ),
    Mutation(
        name="redirect-followed",
        sentence="A receiver can send us on to another address.",
        file=f"{_NOTIFICATION}/providers/webhook.py",
        old="                allow_redirects=False,",
        new="                allow_redirects=True,",
        suite=f"{_NOTIFICATION_TESTS}/test_webhooks.py"
        "::test_a_redirect_is_not_followed_and_a_cookie_not_kept",
    ),
    Mutation(
        name="late-outcome-undoes-a-later-attempt",
        sentence="The outcome of an attempt that was thought lost moves the delivery.",
        file=f"{_NOTIFICATION}/store/deliveries.py",
        old="        where d.tenant_id = v.tenant_id and d.id = v.id and d.attempt = v.attempt\n",
        new="        where d.tenant_id = v.tenant_id and d.id = v.id\n",
        suite=f"{_NOTIFICATION_TESTS}/test_webhooks.py"
        "::test_an_outcome_that_comes_after_another_attempt_began_changes_nothing",
    ),
    Mutation(
        name="mail-for-every-hearing",
        sentence="A fact that is heard again is mailed again.",
        file=f"{_NOTIFICATION}/store/mails.py",
        old="        [mail.cause_id for mail in mails],",
        new="        [tx.new_id() for _ in mails],",
        suite=f"{_NOTIFICATION_TESTS}/test_mails.py"
        "::test_a_fact_that_comes_again_after_the_inbox_forgot_it_is_not_mailed_again",
    ),
    Mutation(
        name="new-message-id-for-each-try",
        sentence="A mail that is sent again cannot be recognised.",
        file=f"{_NOTIFICATION}/providers/mail_message.py",
        old="    return f\"<{encode('ntf', claim.notification_id)}@{domain}>\"",
        new="    return f\"<{encode('ntf', claim.notification_id)}.{claim.attempt}@{domain}>\"",
        suite=f"{_NOTIFICATION_TESTS}/test_mails.py"
        "::test_what_a_dead_process_sent_is_sent_again_under_the_same_message_id",
    ),
    Mutation(
        name="unknown-mail-called-sent",
        sentence="A mail whose fate is unknown counts as sent.",
        file=f"{_NOTIFICATION}/providers/smtp.py",
        old="MailState.UNKNOWN, f",
        new="MailState.SENT, f",
        suite=f"{_NOTIFICATION_TESTS}/test_mails.py::test_each_mail_ends_as_the_server_answered",
    ),
)

PLANTED = (
    *INVOICE,
    *WALLET_FACTORY,
    *EPHEMERAL_MANAGER,
    *PROVIDER_ORCHESTRATOR,
    *RESERVE_LEDGER,
    *NOTIFICATION,
)
