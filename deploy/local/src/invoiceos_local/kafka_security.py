"""A broker that knows its clients: SCRAM logins, and no right that was not given."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

MECHANISM = "SCRAM-SHA-512"
OPERATOR = "operator"
"""May do everything: creates topics, users and rights."""
BROKER = "broker"
"""The broker as a client of itself."""
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"
_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"


@dataclass(frozen=True)
class Logins:
    """The passwords of the two principals that are there before anything else is."""

    operator: str = field(repr=False)
    broker: str = field(repr=False)

    def format_arguments(self) -> list[str]:
        """For the storage tool: a broker without its first users could never be given others.

        They are made in an open broker too, so that security can be switched on later.
        """
        users = {OPERATOR: self.operator, BROKER: self.broker}
        return [
            argument
            for name, password in users.items()
            for argument in ("--add-scram", f"{MECHANISM}=[name={name},password={password}]")
        ]


def secured_properties(listeners: Iterable[str], logins: Logins) -> dict[str, str]:
    """What differs from an open broker, given its listeners.

    The controller is spoken to by the broker alone. It keeps the SCRAM users in its own log, which
    it cannot read before it has let the broker in: hence a fixed password for that listener.
    """
    own = f'username="{BROKER}" password="{logins.broker}"'
    made = {
        "listener.security.protocol.map": ",".join(f"{n}:SASL_PLAINTEXT" for n in listeners),
        "sasl.enabled.mechanisms": MECHANISM,
        "sasl.mechanism.inter.broker.protocol": MECHANISM,
        "sasl.mechanism.controller.protocol": "PLAIN",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": f"User:{BROKER};User:{OPERATOR}",
    }
    for name in listeners:
        prefix = f"listener.name.{name.lower()}"
        if name == "CONTROLLER":
            made[f"{prefix}.sasl.enabled.mechanisms"] = "PLAIN"
            users = f'{own} user_{BROKER}="{logins.broker}"'
            made[f"{prefix}.plain.sasl.jaas.config"] = f"{_PLAIN} required {users};"
        else:
            made[f"{prefix}.{MECHANISM.lower()}.sasl.jaas.config"] = f"{_SCRAM} required {own};"
    return made


def login(username: str, password: str) -> dict[str, Any]:
    """How aiokafka's clients are told who they are."""
    return {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": MECHANISM,
        "sasl_plain_username": username,
        "sasl_plain_password": password,
    }


def settings(protocol: str, username: str, password: str) -> dict[str, str]:
    """The same as variables of a process."""
    return {
        "INVOICEOS_KAFKA_SECURITY_PROTOCOL": protocol,
        "INVOICEOS_KAFKA_SASL_USERNAME": username,
        "INVOICEOS_KAFKA_SASL_PASSWORD": password,
    }
