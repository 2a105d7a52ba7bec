"""A broker with security on, its topics and its rights made as an operator makes them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from access.administration import Administration
from access.commands import bring_about
from access.grants import declared
from chassis import topics
from chassis.cli import services
from chassis.databases import password_of
from invoiceos_local.resolver import Choices, Infrastructure, infrastructure
from invoiceos_local.secrets_file import StackSecrets
from messaging import KafkaAccess


@dataclass(frozen=True)
class SecuredKafka:
    """A running broker, and how each of the platform's principals logs in."""

    infrastructure: Infrastructure
    seed: str
    """The passwords of services and auditor follow from it."""

    @property
    def operator(self) -> KafkaAccess:
        """Whoever may do everything."""
        found = self.infrastructure
        return KafkaAccess(
            found.kafka_bootstrap, "SASL_PLAINTEXT", found.kafka_username, found.kafka_password
        )

    def access(self, principal: str, password: str | None = None) -> KafkaAccess:
        """As one of the platform's principals, or as anybody with a password of his own."""
        return KafkaAccess(
            self.infrastructure.kafka_bootstrap,
            "SASL_PLAINTEXT",
            principal,
            password_of(self.seed, principal) if password is None else password,
        )

    def environment(self) -> dict[str, str]:
        """The settings of an operator's commands."""
        found = self.infrastructure
        return {
            "INVOICEOS_KAFKA_BOOTSTRAP": found.kafka_bootstrap,
            "INVOICEOS_KAFKA_SECURITY_PROTOCOL": found.kafka_security_protocol,
            "INVOICEOS_KAFKA_SASL_USERNAME": found.kafka_username,
            "INVOICEOS_KAFKA_SASL_PASSWORD": found.kafka_password,
            "INVOICEOS_KAFKA_PASSWORD_SEED": self.seed,
        }


@contextmanager
def running_secured_kafka(folder: Path) -> Iterator[SecuredKafka]:
    """A broker of its own, whatever the environment names; empty topics, every right given."""
    choices = Choices(own=True, embedded=True, security=True)
    with infrastructure(folder, needs={"kafka"}, choices=choices) as found:
        kafka = SecuredKafka(found, StackSecrets.of(folder).kafka_password_seed)
        prepare(kafka)
        yield kafka


def prepare(kafka: SecuredKafka) -> None:
    """Make the topics, the users and the rights of the platform."""
    asyncio.run(topics.create(kafka.operator))
    with Administration(kafka.operator) as broker:
        bring_about(broker, declared(services().values()), kafka.seed)
