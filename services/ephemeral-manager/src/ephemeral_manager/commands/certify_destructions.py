"""Gather what others say of a destruction, and certify it when nothing is missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from chassis.evidence import Signer, canonical, digest
from ephemeral_manager import store
from ephemeral_manager.commands.lives import Lives
from ephemeral_manager.domain.destruction import Head, certificate_body
from ephemeral_manager.domain.matters import Open
from ephemeral_manager.domain.wallet import State, Step
from ephemeral_manager.settings import signer
from ephemeral_manager.store import Key
from invoiceos_contracts.ephemeral_v1 import (
    Certificate,
    CertificateBody,
    EphemeralWalletDestroyed,
)
from invoiceos_contracts.provider_v1 import WalletBalanceObserved
from invoiceos_contracts.wallet_v1 import WalletSecretsDestroyed
from messaging import Tx


@dataclass(frozen=True, slots=True)
class Testimony:
    """What somebody says of a wallet that is to be destroyed."""

    fact: WalletSecretsDestroyed | WalletBalanceObserved
    cause: UUID

    @property
    def key(self) -> Key:
        """Tenant and wallet."""
        return self.fact.tenant_id, self.fact.wallet_id


async def certify_destructions(tx: Tx, heard: Sequence[Testimony]) -> None:
    """Destroy the wallets for which the evidence is there and nothing is open.

    A balance counts only while the wallet is being destroyed: one from before says nothing. The
    last one counts, so a wallet that was not empty waits for the next answer.
    """
    lives = await Lives.load(tx, [item.key for item in heard])
    destroying = {key: w for key, w in lives.wallets.items() if w.state is State.DESTROYING}
    secrets = [t.fact for t in heard if isinstance(t.fact, WalletSecretsDestroyed)]
    balances = [
        t.fact for t in heard if isinstance(t.fact, WalletBalanceObserved) and t.key in destroying
    ]
    if secrets:
        await store.upsert_evidence(tx, "secrets", secrets)
    if balances:
        await store.upsert_evidence(tx, "balance", balances)
    quiet = [key for key in sorted(destroying) if lives.still_open(key) == Open()]
    if quiet:
        await certify(tx, lives, quiet, {item.key: item.cause for item in heard})
    await lives.save(tx)


async def certify(tx: Tx, lives: Lives, keys: Sequence[Key], causes: Mapping[Key, UUID]) -> None:
    """Certify those of these wallets (being destroyed, no payment open) whose evidence is whole."""
    evidence = await store.select_evidence(tx, keys) if keys else {}
    probe = Head(0, store.GENESIS)
    complete = [
        key
        for key in keys
        if key in evidence
        and certificate_body(lives.wallets[key], evidence[key], probe, tx.now) is not None
    ]
    if not complete:
        return
    heads = await store.lock_heads(tx, {tenant for tenant, _ in complete})
    holder, made = signer(), []
    for key in complete:
        wallet = lives.wallets[key]
        body = certificate_body(wallet, evidence[key], heads[key[0]], tx.now)
        assert body is not None
        certificate = sign(holder, body)
        heads[key[0]] = Head(body.certificate_number, certificate.hash)
        destroyed = wallet.go(State.DESTROYED, destroyed_at=tx.now)
        fact = EphemeralWalletDestroyed(**wallet.names, certificate=certificate)
        lives.apply(key, Step(destroyed, (fact,)), causes.get(key))
        made.append((destroyed, certificate))
    await store.insert_certificates(tx, made)
    await store.update_heads(tx, heads)


def sign(holder: Signer, body: CertificateBody) -> Certificate:
    """The certificate of a body, signed with the platform's key."""
    hashed = digest(canonical(body))
    return Certificate(
        body=body,
        hash=hashed,
        signature=holder.sign(hashed),
        key_id=holder.key_id,
        public_key=holder.public_key,
    )
