"""The settings of each service; the same names serve in compose and Kubernetes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from urllib.parse import urlsplit, urlunsplit

from invoiceos_local import evm_facts, kafka_security
from invoiceos_local.ports import LOOPBACK
from invoiceos_local.resolver import Infrastructure
from invoiceos_local.secrets_file import StackSecrets
from invoiceos_local.tempo_facts import CHAIN_ID, MASTER_ADDRESS, MASTER_ID, TOKENS

GATEWAY = "gateway"
AUDITOR = "auditor"
"""A process beside the services: it serves nobody, and has no schema of its own."""
AUDIT_EVERY_SECONDS = 30
SANDBOX = "provider-sandbox"
"""Plays Stripe, PayPal and Circle: somebody else's system, so no service either."""
DATABASE = "invoiceos"
# Settings of the caller's environment that win over the ones made here.
_PASSED_ON = (
    "INVOICEOS_LOG_LEVEL",
    "INVOICEOS_OTLP_ENDPOINT",
    "INVOICEOS_MAIL_FROM",
    "INVOICEOS_TEMPO_CHAIN_ID",
    "INVOICEOS_TEMPO_MASTER_ADDRESS",
    "INVOICEOS_TEMPO_MASTER_ID",
    "INVOICEOS_TEMPO_TOKENS",
)


def installed_services() -> list[str]:
    """The services that are installed, by their entry points."""
    return sorted({point.name for point in entry_points(group="invoiceos.services")})


def schema_of(service: str) -> str:
    return service.replace("-", "_")


def url_setting(service: str) -> str:
    """The name of the setting that holds a service's address."""
    return f"INVOICEOS_{schema_of(service).upper()}_URL"


@dataclass(frozen=True)
class Surroundings:
    """What the settings of every service are made of."""

    infrastructure: Infrastructure
    secrets: StackSecrets
    ports: Mapping[str, int]
    sandbox_url: str = ""
    """Of what plays the payment providers; empty where nothing does."""
    evm_operator_key_file: str = ""
    """Of the key that sweeps deposit addresses; only of use where there is an EVM chain."""

    def url(self, service: str) -> str:
        return f"http://{LOOPBACK}:{self.ports[service]}"

    def database_url(self, role: str | None = None) -> str:
        """The platform's database as a role, or as the superuser."""
        server = urlsplit(self.infrastructure.postgres_url)
        login, _, place = server.netloc.rpartition("@")
        if role is not None:
            login = f"{role}:{self.secrets.database_password(role)}"
        return urlunsplit((server.scheme, f"{login}@{place}", f"/{DATABASE}", server.query, ""))

    def kafka(self, principal: str) -> dict[str, str]:
        """The broker, and how this principal logs in where it has to."""
        found = self.infrastructure
        where = {"INVOICEOS_KAFKA_BOOTSTRAP": found.kafka_bootstrap}
        if not found.kafka_secured:
            return where
        password = self.secrets.kafka_password(principal)
        return where | kafka_security.settings(found.kafka_security_protocol, principal, password)


def service_environment(service: str, around: Surroundings) -> dict[str, str]:
    """The `INVOICEOS_` variables of one service."""
    made = {
        "INVOICEOS_ENVIRONMENT": "development",
        "INVOICEOS_LOG_LEVEL": "info",
        **around.kafka(service),
        "INVOICEOS_HTTP_HOST": LOOPBACK,
        "INVOICEOS_HTTP_PORT": str(around.ports[service]),
        "INVOICEOS_ROLES": "api,consumers,relay",
        "INVOICEOS_INSTANCE_ID": f"{service}-0",
        "INVOICEOS_INTERNAL_TOKEN_PUBLIC_KEY": around.secrets.internal_token_public_key,
        **_databases(service, around),
        **_special(service, around),
    }
    chosen = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    optional = {"INVOICEOS_LOG_LEVEL", "INVOICEOS_OTLP_ENDPOINT"}
    return made | {k: v for k, v in chosen.items() if k in made or k in optional}


def administration_environment(around: Surroundings) -> dict[str, str]:
    """The variables of the commands that prepare databases, migrate and create topics."""
    return {
        "INVOICEOS_ENVIRONMENT": "development",
        "INVOICEOS_DATABASE_ADMIN_URL": around.database_url(),
        "INVOICEOS_DATABASE_PASSWORD_SEED": around.secrets.database_password_seed,
        "INVOICEOS_AUDIT_DATABASE_URL": around.database_url("invoiceos_auditor"),
        **_kafka_operator(around),
        "INVOICEOS_OPERATOR_TOKEN": around.secrets.operator_token,
        url_setting(GATEWAY): around.url(GATEWAY) if GATEWAY in around.ports else "",
    }


def _kafka_operator(around: Surroundings) -> dict[str, str]:
    """The operator's own login, and the seed of everybody else's."""
    found = around.infrastructure
    if not found.kafka_secured:
        return {"INVOICEOS_KAFKA_BOOTSTRAP": found.kafka_bootstrap}
    return {
        "INVOICEOS_KAFKA_BOOTSTRAP": found.kafka_bootstrap,
        **kafka_security.settings(
            found.kafka_security_protocol, found.kafka_username, found.kafka_password
        ),
        "INVOICEOS_KAFKA_PASSWORD_SEED": around.secrets.kafka_password_seed,
    }


def auditor_environment(around: Surroundings, port: int) -> dict[str, str]:
    """The variables of the auditor, which reads every schema and every topic."""
    return {
        "INVOICEOS_AUDIT_DATABASE_URL": around.database_url("invoiceos_auditor"),
        **around.kafka(AUDITOR),
        "INVOICEOS_HTTP_HOST": LOOPBACK,
        "INVOICEOS_HTTP_PORT": str(port),
    }


def sandbox_environment(port: int, file: str) -> dict[str, str]:
    """The variables of the provider sandbox."""
    return {
        "INVOICEOS_ENVIRONMENT": "development",
        "INVOICEOS_SANDBOX_HOST": LOOPBACK,
        "INVOICEOS_SANDBOX_PORT": str(port),
        "INVOICEOS_SANDBOX_FILE": file,
    }


def _databases(service: str, around: Surroundings) -> dict[str, str]:
    return {
        f"INVOICEOS_DATABASE_{kind.upper()}_URL": around.database_url(
            f"{schema_of(service)}_{kind}"
        )
        for kind in ("owner", "api", "worker")
    }


def _special(service: str, around: Surroundings) -> dict[str, str]:
    makers = {
        GATEWAY: _gateway,
        "invoice": _invoice,
        "wallet-factory": _wallet_factory,
        "provider-orchestrator": _provider_orchestrator,
        "ephemeral-manager": _evidence,
        "reserve-ledger": _evidence,
        "notification": _notification,
    }
    maker = makers.get(service)
    return maker(around) if maker else {}


def _gateway(around: Surroundings) -> dict[str, str]:
    others = (service for service in around.ports if service != GATEWAY)
    return {
        "INVOICEOS_INTERNAL_TOKEN_PRIVATE_KEY": around.secrets.internal_token_private_key,
        "INVOICEOS_OPERATOR_TOKEN": around.secrets.operator_token,
        "INVOICEOS_PERSONAL_DATA_KEY": around.secrets.personal_data_key,
        "INVOICEOS_PUBLIC_URL": around.url(GATEWAY),
        **{url_setting(service): around.url(service) for service in others},
    }


def _invoice(around: Surroundings) -> dict[str, str]:
    return {
        "INVOICEOS_PUBLIC_URL": around.url(GATEWAY) if GATEWAY in around.ports else "",
        "INVOICEOS_PERSONAL_DATA_KEY": around.secrets.personal_data_key,
    }


def _tempo() -> dict[str, str]:
    return {
        "INVOICEOS_TEMPO_CHAIN_ID": str(CHAIN_ID),
        "INVOICEOS_TEMPO_MASTER_ADDRESS": MASTER_ADDRESS,
        "INVOICEOS_TEMPO_TOKENS": ",".join(f"{k}={v}" for k, v in TOKENS.items()),
    }


def _wallet_factory(around: Surroundings) -> dict[str, str]:
    """Tempo first, then the other chain, then whoever takes cards: as far as they are there."""
    rails = ["tempo"]
    made = {
        **_tempo(),
        "INVOICEOS_TEMPO_MASTER_ID": MASTER_ID,
        "INVOICEOS_TEMPO_TAG_KEY": around.secrets.tempo_tag_key_hex,
    }
    if around.infrastructure.evm_rpc_url:
        rails.append("evm-create2")
        made["INVOICEOS_EVM_SALT_KEY"] = around.secrets.evm_salt_key_hex
        made["INVOICEOS_EVM_CHAINS"] = json.dumps([_evm()])
    if around.sandbox_url:
        rails.append("psp")
        made["INVOICEOS_PSP_ASSETS"] = "stripe=USD+EUR,paypal=USD+EUR"
    return made | {"INVOICEOS_RAILS": ",".join(rails)}


def _evm() -> dict[str, object]:
    """What both services are told of the EVM chain."""
    return {
        "chain_id": evm_facts.CHAIN_ID,
        "factory": evm_facts.FACTORY,
        "implementation": evm_facts.IMPLEMENTATION,
        "tokens": dict(evm_facts.TOKENS),
    }


def _evm_watched(around: Surroundings) -> dict[str, str]:
    """Blocks come with transactions alone, so one is final as soon as it is there."""
    found = around.infrastructure
    chain = {
        **{name: value for name, value in _evm().items() if name != "implementation"},
        "rpc_url": found.evm_rpc_url,
        "ws_url": found.evm_ws_url,
        "finality": 0,
        "poll_s": 0.25,
        "open_s": 10,
        "operator_key_file": around.evm_operator_key_file,
        "dust_minor": evm_facts.DUST_MINOR,
        "sweep_wait_s": 1,
    }
    return {"INVOICEOS_EVM_CHAINS": json.dumps([chain])} if found.evm_rpc_url else {}


def _provider_orchestrator(around: Surroundings) -> dict[str, str]:
    return {
        **_tempo(),
        "INVOICEOS_TEMPO_RPC_URL": around.infrastructure.tempo_rpc_url,
        "INVOICEOS_TEMPO_WS_URL": around.infrastructure.tempo_ws_url,
        "INVOICEOS_PUBLIC_URL": around.url(GATEWAY) if GATEWAY in around.ports else "",
        **_evm_watched(around),
        **(_played(around.sandbox_url) if around.sandbox_url else {}),
    }


def _played(sandbox_url: str) -> dict[str, str]:
    """Stripe and PayPal, as the sandbox plays them."""
    return {
        "INVOICEOS_STRIPE_SECRET_KEY": "sk_test_local",
        "INVOICEOS_STRIPE_URL": f"{sandbox_url}/stripe",
        "INVOICEOS_STRIPE_PAGES": sandbox_url,
        "INVOICEOS_PAYPAL_CLIENT_ID": "sandbox-client",
        "INVOICEOS_PAYPAL_CLIENT_SECRET": "sandbox-secret",
        "INVOICEOS_PAYPAL_URL": f"{sandbox_url}/paypal",
        "INVOICEOS_PAYPAL_PAGES": sandbox_url,
    }


def _evidence(around: Surroundings) -> dict[str, str]:
    return {"INVOICEOS_EVIDENCE_PRIVATE_KEY": around.secrets.evidence_private_key}


def _notification(around: Surroundings) -> dict[str, str]:
    return {
        "INVOICEOS_SMTP_URL": around.infrastructure.smtp_url,
        "INVOICEOS_MAIL_FROM": "Invoice OS <invoices@example.test>",
        "INVOICEOS_WEBHOOK_ALLOW_HOSTS": f"{LOOPBACK},localhost",
        "INVOICEOS_WEBHOOK_SECRET_KEY": around.secrets.webhook_secret_key,
        "INVOICEOS_PERSONAL_DATA_KEY": around.secrets.personal_data_key,
    }
