"""Settings of simulated services: those of the local stack, with the simulator's addresses."""

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from typing import Any

from tests.simulator.database import url_of

from invoiceos_local.environment import Surroundings, installed_services, service_environment
from invoiceos_local.resolver import Infrastructure
from invoiceos_local.secrets_file import StackSecrets

FAST: Mapping[str, Mapping[str, str]] = {
    "*": {"INVOICEOS_DATABASE_POOL_SIZE": "4", "INVOICEOS_DRAIN_SECONDS": "5"},
    "gateway": {
        "INVOICEOS_RATE_LIMIT_PER_SECOND": "0",
        "INVOICEOS_PUBLIC_RATE_LIMIT_PER_SECOND": "0",
        "INVOICEOS_FAILED_LOGINS_PER_MINUTE": "0",
    },
    "provider-orchestrator": {
        "INVOICEOS_TEMPO_WS_URL": "",
        "INVOICEOS_TEMPO_OPEN_S": "2",
        "INVOICEOS_TEMPO_POLL_S": "1",
        "INVOICEOS_TEMPO_START_BLOCK": "0",
    },
    "ephemeral-manager": {"INVOICEOS_DESTROY_RETRY_S": "3"},
    "notification": {
        "INVOICEOS_WEBHOOK_ALLOW_HOSTS": "receiver.test",
        "INVOICEOS_WEBHOOK_RETRY_S": ",".join(["0", "1", "2", "4", "8", *["8"] * 30]),
        "INVOICEOS_MAIL_RETRY_S": ",".join(["0", "1", "2", "4", "8", *["8"] * 30]),
        "INVOICEOS_WEBHOOK_TIMEOUT_S": "5",
        "INVOICEOS_MAIL_TIMEOUT_S": "6",
    },
}


SERVICES = tuple(installed_services())
"""Looked up once: it takes longer than starting one of them."""


def _key(name: str) -> bytes:
    return hashlib.sha256(f"simulator {name}".encode()).digest()


def _secrets() -> StackSecrets:
    """Keys that are the same in every run: a signature is part of the history."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    def text(raw: bytes) -> str:
        return base64.b64encode(raw).decode()

    token = Ed25519PrivateKey.from_private_bytes(_key("token"))
    return StackSecrets(
        operator_token="operator-" + "s" * 40,
        database_password_seed="simulator",
        internal_token_private_key=text(token.private_bytes_raw()),
        internal_token_public_key=text(token.public_key().public_bytes_raw()),
        evidence_private_key=text(_key("evidence")),
        webhook_secret_key=text(_key("webhooks")),
        personal_data_key=text(_key("personal data")),
        tempo_tag_key_hex=_key("tags").hex(),
    )


SECRETS = _secrets()


@cache
def environment_of(service: str, admin_url: str, database: str) -> dict[str, str]:
    """The `INVOICEOS_` variables of a service."""
    infrastructure = Infrastructure(
        kafka_bootstrap="simulated:9092",
        postgres_url=admin_url,
        tempo_rpc_url="http://chain.test",
        smtp_url="smtp://mail.test:25",
        mail_api_url="",
    )
    ports = {name: 8000 + place for place, name in enumerate(SERVICES)}
    around = Surroundings(infrastructure, SECRETS, ports)
    made = service_environment(service, around)
    roles = {
        f"INVOICEOS_DATABASE_{kind.upper()}_URL": url_of(
            admin_url, database, f"{service.replace('-', '_')}_{kind}"
        )
        for kind in ("owner", "api", "worker")
    }
    return made | roles | dict(FAST["*"]) | dict(FAST.get(service, {}))


def settings_of(kind: type, environment: Mapping[str, str]) -> Any:
    """A service's settings out of its variables."""
    prefix = "INVOICEOS_"
    return kind(**{name[len(prefix) :].lower(): value for name, value in environment.items()})
