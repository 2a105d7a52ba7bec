"""Wallets: one for each invoice, an address for each, and an end that can be proved."""

from typing import Final

from audit.invariant import Invariant
from audit.invariants.certificates import wrong_certificates

_GIVEN: Final = (
    Invariant(
        "wallets.one_for_each_invoice",
        "Each invoice that was issued has exactly one wallet, and shows its address; "
        "no other invoice shows one.",
        """
        select i.tenant_id, i.id, i.document, i.wallet_id, count(w.id) as wallets
        from invoice.invoice i
        left join wallet_factory.wallet w
            on w.tenant_id = i.tenant_id and w.invoice_id = i.id
        group by i.tenant_id, i.id
        having case when i.document in ('open', 'closed', 'void')
            then count(w.id) <> 1
              or bool_or((w.id, w.mode, w.rail, w.chain_id, w.address, w.memo, w.due_minor, w.asset)
                         is distinct from (i.wallet_id, i.wallet_mode, i.rail, i.chain_id,
                                           i.address, i.memo, i.total_minor, i.asset))
            else i.wallet_id is not null end
        """,
        "I17",
    ),
    Invariant(
        "wallets.open_their_invoice",
        "An invoice that was given a wallet opens.",
        """
        select w.tenant_id, w.id, w.invoice_id, i.document
        from wallet_factory.wallet w
        left join invoice.invoice i on i.tenant_id = w.tenant_id and i.id = w.invoice_id
        where w.created_at < %(before)s and coalesce(i.document, '') not in
              ('open', 'closed', 'void')
        """,
        "I17",
        settled=True,
    ),
    Invariant(
        "wallets.addresses_given_once",
        "No address is given twice, each that was given is noted, "
        "and the counter they come from is not behind.",
        """
        select w.chain_id, lower(w.address) as address, count(*) as wallets
        from wallet_factory.wallet w group by w.rail, w.chain_id, lower(w.address)
        having count(*) > 1
        union all
        select w.chain_id, w.address, 1 from wallet_factory.wallet w
        where not exists (
            select from wallet_factory.issued_address a where a.address = w.address)
        union all
        select chain_id, 'places taken: ' || coalesce(m.taken, 0), w.wallets
        from (select chain_id, count(*) as wallets from wallet_factory.wallet
              where rail = 'tempo' group by chain_id) w
        left join (select chain_id, sum(next_tag) as taken from wallet_factory.tempo_master
                   group by chain_id) m using (chain_id)
        where coalesce(m.taken, 0) < w.wallets
        union all
        select chain_id, 'factory places taken: ' || coalesce(f.taken, 0), w.wallets
        from (select chain_id, count(*) as wallets from wallet_factory.wallet
              where salt is not null group by chain_id) w
        left join (select chain_id, sum(next_place) as taken from wallet_factory.create2_factory
                   group by chain_id) f using (chain_id)
        where coalesce(f.taken, 0) < w.wallets
        """,
        "I17",
    ),
    Invariant(
        "wallets.decided",
        "Behind each wallet stands the decision that made it, and each decision for a rail made "
        "its wallet.",
        """
        select tenant_id, invoice_id, w.id as wallet_id, d.wallet_id as decided_id, d.rail
        from wallet_factory.wallet w
        full join (select * from wallet_factory.decision where failure is null) d
            using (tenant_id, invoice_id)
        where w.id is distinct from d.wallet_id or w.rail <> d.rail or w.mode <> d.mode
        """,
    ),
    Invariant(
        "wallets.policies_numbered",
        "A tenant's policies for its wallets are numbered without a gap, and each decision names "
        "one that there was.",
        """
        select tenant_id, version, created_at from (
            select tenant_id, version, created_at, row_number() over (
                partition by tenant_id order by version) as place
            from wallet_factory.wallet_policy) p
        where version <> place
        union all
        select d.tenant_id, d.policy_version, d.decided_at from wallet_factory.decision d
        where d.policy_version is not null and not exists (
            select from wallet_factory.wallet_policy p
            where p.tenant_id = d.tenant_id and p.version = d.policy_version)
        """,
        "U7",
    ),
    Invariant(
        "wallets.watched",
        "The address of each wallet is watched for money, for the invoice it was given to.",
        """
        select tenant_id, id as wallet_id, w.invoice_id, w.address,
               '0x' || encode(a.address, 'hex') as watched
        from (select * from wallet_factory.wallet where chain_id is not null) w
        full join (select tenant_id, wallet_id as id, invoice_id, chain_id, address, due_minor,
                          due_asset
                   from provider_orchestrator.watched_address) a using (tenant_id, id)
        where case when a.address is null then w.created_at < %(before)s
                   else (a.invoice_id, a.chain_id, '0x' || encode(a.address, 'hex'), a.due_minor,
                         a.due_asset)
                        is distinct from
                        (w.invoice_id, w.chain_id, lower(w.address), w.due_minor, w.asset) end
        """,
        "I17",
        settled=True,
    ),
)

_LIVES: Final = (
    Invariant(
        "lives.begin",
        "Each ephemeral wallet of an open invoice lives, with the address and the end it was "
        "given; nothing else does.",
        """
        select tenant_id, id as wallet_id, i.invoice_id, i.document, e.state
        from (select tenant_id, wallet_id as id, id as invoice_id, document, rail, chain_id,
                     address, issued_at
              from invoice.invoice where wallet_mode = 'ephemeral') i
        full join ephemeral_manager.ephemeral_wallet e using (tenant_id, id)
        where case when e.id is null then i.issued_at < %(before)s
                   else (e.invoice_id, e.rail, e.chain_id, e.address)
                        is distinct from (i.invoice_id, i.rail, i.chain_id, i.address) end
        """,
        "I19",
        settled=True,
    ),
    Invariant(
        "lives.have_alarms",
        "A wallet that waits for its end, for the end of its watch or for its destruction has a "
        "timer for it: none is left behind.",
        """
        select e.tenant_id, e.id, e.state, a.kind
        from ephemeral_manager.ephemeral_wallet e
        join (values ('active', 'wallet.ttl'), ('watching', 'wallet.watch'),
                     ('destroying', 'wallet.destroy')) as a(state, kind) on a.state = e.state
        where not exists (
            select from ephemeral_manager.timer t where t.kind = a.kind and t.ref = e.id::text)
        """,
        "I19, I24",
    ),
    Invariant(
        "lives.pass_through",
        "No wallet rests in a state that it only passes through: "
        "expired, draining and drained end in the transaction that began them.",
        """
        select tenant_id, id, state from ephemeral_manager.ephemeral_wallet
        where state in ('expired', 'draining', 'drained')
        """,
        "I23",
    ),
    Invariant(
        "lives.end_in_time",
        "No wallet is active past its time to live.",
        """
        select tenant_id, id, expires_at from ephemeral_manager.ephemeral_wallet
        where state = 'active' and expires_at < %(due)s
        """,
        "I19",
        settled=True,
    ),
    Invariant(
        "lives.follow_their_invoice",
        "The wallet of a settled invoice is closed, and knows that it is settled; "
        "the wallet of a void one is closed too; an invoice knows that its wallet is gone.",
        """
        select i.tenant_id, i.id, i.document, i.settlement, e.id as wallet_id, e.state, e.settled
        from invoice.invoice i
        join ephemeral_manager.ephemeral_wallet e
            on e.tenant_id = i.tenant_id and e.id = i.wallet_id
        where (i.updated_at < %(before)s
               and (e.settled <> (i.settlement in ('paid', 'overpaid'))
                 or (e.state = 'active'
                     and (i.document = 'void' or i.settlement in ('paid', 'overpaid')))))
           or (e.destroyed_at < %(before)s and i.wallet_destroyed_at is null)
           or (i.wallet_destroyed_at is not null and e.destroyed_at is null)
        """,
        "I19, I25",
        settled=True,
    ),
)

_ENDS: Final = (
    Invariant(
        "wallets.secrets_until_the_end",
        "A wallet has its secrets until they are destroyed, and nothing of them after.",
        """
        select tenant_id, w.id, s.wallet_id as secret_of, w.secrets_destroyed_at
        from wallet_factory.wallet w
        full join (select tenant_id, wallet_id, wallet_id as id from wallet_factory.wallet_secret)
            s using (tenant_id, id)
        where (w.secrets_destroyed_at is null) <> (s.wallet_id is not null) or w.rail is null
        """,
        "I18",
    ),
    Invariant(
        "destruction.leaves_no_secret",
        "Of a wallet that is destroyed no secret is left; of one that is not being destroyed "
        "none is missing.",
        """
        select e.tenant_id, e.id, e.state, w.secrets_destroyed_at
        from ephemeral_manager.ephemeral_wallet e
        join wallet_factory.wallet w on w.tenant_id = e.tenant_id and w.id = e.id
        where case when e.state = 'destroyed' then w.secrets_destroyed_at is null
                   when e.state = 'destroying' then false
                   else w.secrets_destroyed_at is not null end
        """,
        "I18",
    ),
    Invariant(
        "destruction.secrets_go_when_asked",
        "Of a wallet that is being destroyed the secrets are destroyed.",
        """
        select e.tenant_id, e.id, e.destroying_at, e.asked
        from ephemeral_manager.ephemeral_wallet e
        join wallet_factory.wallet w on w.tenant_id = e.tenant_id and w.id = e.id
        where e.state = 'destroying' and e.destroying_at < %(before)s
          and w.secrets_destroyed_at is null
        """,
        "I18",
        settled=True,
    ),
    Invariant(
        "destruction.guarded",
        "A wallet is destroyed only when it is drained, its watch is over, no payment to it is "
        "open, it holds nothing and nobody holds it back.",
        """
        select e.tenant_id, e.id, e.state, e.guard, e.legal_hold, b.fact -> 'balances' as balances
        from ephemeral_manager.ephemeral_wallet e
        left join ephemeral_manager.destruction_evidence b
            on b.tenant_id = e.tenant_id and b.wallet_id = e.id and b.kind = 'balance'
        where e.state in ('destroying', 'destroyed') and (
            e.legal_hold
            or not coalesce((e.guard ->> 'drained')::boolean
                            and (e.guard ->> 'watch_window_over')::boolean
                            and not (e.guard ->> 'legal_hold')::boolean
                            and (e.guard ->> 'unknown_payments')::integer = 0, false)
            or (e.state = 'destroyed' and (
                (b.fact is null and e.chain_id is not null)
                or (b.fact ->> 'payments_pending')::integer <> 0
                or jsonb_path_exists(b.fact, '$.balances[*] ? (@.amount_minor != 0)'))))
        """,
        "I19",
    ),
    Invariant(
        "destruction.certified",
        "Each wallet that is destroyed has its certificate, which is about it, and no other has.",
        """
        select tenant_id, id as wallet_id, e.state, l.number
        from (select * from ephemeral_manager.ephemeral_wallet where state = 'destroyed') e
        full join (select tenant_id, wallet_id as id, number, invoice_id, destroyed_at, certificate
                   from ephemeral_manager.destruction_log) l using (tenant_id, id)
        where (e.invoice_id, e.destroyed_at) is distinct from (l.invoice_id, l.destroyed_at)
           or l.certificate #>> '{body,address}' <> e.address
        """,
        "I18",
    ),
    Invariant(
        "destruction.certificates_chained",
        "A tenant's certificates are numbered without a gap, each carries the hash of the one "
        "before, and the head kept is the last of them.",
        """
        select tenant_id, number, hash from (
            select tenant_id, number, hash, previous_hash, certificate,
                   row_number() over w as place, lag(hash) over w as hash_before
            from ephemeral_manager.destruction_log
            window w as (partition by tenant_id order by number)) c
        where number <> place or previous_hash <> coalesce(hash_before, repeat('0', 64))
           or certificate ->> 'hash' <> hash
           or certificate #>> '{body,previous_hash}' <> previous_hash
           or certificate #>> '{body,certificate_number}' <> number::text
        union all
        select tenant_id, c.number, c.hash
        from ephemeral_manager.certificate_chain c
        full join (
            select distinct on (tenant_id) tenant_id, number, hash
            from ephemeral_manager.destruction_log order by tenant_id, number desc) l
            using (tenant_id)
        where case when l.number is null then c.number <> 0
                   else (c.number, c.hash) is distinct from (l.number, l.hash) end
        """,
        "I27",
    ),
    Invariant(
        "destruction.certificates_verify",
        "Each certificate's hash is that of what it says, and its signature is right.",
        """
        select tenant_id, number, certificate from ephemeral_manager.destruction_log
        order by tenant_id, number
        """,
        "I27",
        judge=wrong_certificates,
    ),
    Invariant(
        "destruction.late_money_is_noticed",
        "Money that came to a destroyed wallet is known as late money.",
        """
        select p.tenant_id, p.wallet_id, p.id, p.block_at, e.destroyed_at, w.late
        from ephemeral_manager.ephemeral_wallet e
        join provider_orchestrator.payment p
            on p.tenant_id = e.tenant_id and p.wallet_id = e.id and p.state = 'succeeded'
        join ephemeral_manager.wallet_payment w on w.tenant_id = p.tenant_id and w.id = p.id
        where e.state = 'destroyed' and w.first_seen_at > e.destroyed_at
          and p.updated_at < %(before)s and w.late is null
        """,
        "I18",
        settled=True,
    ),
)

WALLETS: Final = (*_GIVEN, *_LIVES, *_ENDS)
