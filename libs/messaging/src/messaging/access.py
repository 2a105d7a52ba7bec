"""How a client reaches the broker, and as whom."""

import ssl
from dataclasses import dataclass, field
from typing import Any, Literal

from aiokafka.helpers import create_ssl_context
from faststream.security import BaseSecurity, SASLScram512

Protocol = Literal["PLAINTEXT", "SASL_PLAINTEXT", "SASL_SSL"]
MECHANISM = "SCRAM-SHA-512"
"""The only one: the broker keeps no password, and none crosses the wire."""


@dataclass(frozen=True, slots=True)
class KafkaAccess:
    """The brokers' address and the principal; made once of the settings, used by every client."""

    bootstrap: str
    protocol: Protocol = "PLAINTEXT"
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    """PEM file of who signed the brokers' certificates; the system's where it is empty."""

    def options(self) -> dict[str, Any]:
        """The keyword arguments of aiokafka's clients; kafka-python calls them the same."""
        where = {"bootstrap_servers": self.bootstrap}
        if self.protocol == "PLAINTEXT":
            return where
        return {
            **where,
            "security_protocol": self.protocol,
            "sasl_mechanism": MECHANISM,
            "sasl_plain_username": self.username,
            "sasl_plain_password": self.password,
            "ssl_context": self._trust(),
        }

    def security(self) -> BaseSecurity | None:
        """The same for FastStream; None where nobody has to say who he is."""
        if self.protocol == "PLAINTEXT":
            return None
        return SASLScram512(self.username, self.password, ssl_context=self._trust())

    def _trust(self) -> ssl.SSLContext | None:
        if self.protocol != "SASL_SSL":
            return None
        context: ssl.SSLContext = create_ssl_context(cafile=self.ca_file or None)
        return context
