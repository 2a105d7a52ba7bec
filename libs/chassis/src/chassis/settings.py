"""Every environment variable a service reads: `INVOICEOS_` and the field's name in capitals."""

from enum import StrEnum
from functools import cache
from typing import Annotated, Self, TypeVar

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from messaging.access import KafkaAccess, Protocol


class Role(StrEnum):
    """A part of a service that operators may scale by itself."""

    API = "api"
    CONSUMERS = "consumers"
    RELAY = "relay"


class Environment(StrEnum):
    """Where the service runs; only development relaxes anything."""

    DEVELOPMENT = "development"
    TEST = "test"
    PRODUCTION = "production"


class KafkaSettings(BaseSettings):
    """Where the brokers are, and as whom one talks to them: services and operators' commands."""

    model_config = SettingsConfigDict(
        env_prefix="INVOICEOS_", frozen=True, extra="ignore", use_attribute_docstrings=True
    )

    kafka_bootstrap: str = "127.0.0.1:9092"
    kafka_security_protocol: Protocol = "PLAINTEXT"
    """With SASL a principal logs in by SCRAM-SHA-512; with SSL besides, the wire is encrypted."""
    kafka_sasl_username: str = ""
    kafka_sasl_password: SecretStr = SecretStr("")
    kafka_ca_file: str = ""
    """PEM file of who signed the brokers' certificates; the system's where it is empty."""

    @property
    def kafka(self) -> KafkaAccess:
        """What every client of the broker is made with."""
        return KafkaAccess(
            self.kafka_bootstrap,
            self.kafka_security_protocol,
            self.kafka_sasl_username,
            self.kafka_sasl_password.get_secret_value(),
            self.kafka_ca_file,
        )

    @model_validator(mode="after")
    def _principal_is_complete(self) -> Self:
        named = self.kafka_sasl_username and self.kafka_sasl_password.get_secret_value()
        if self.kafka_security_protocol != "PLAINTEXT" and not named:
            raise ValueError("SASL needs kafka_sasl_username and kafka_sasl_password")
        return self


class Settings(KafkaSettings):
    """What every service needs. A secret may be a file in the folder `INVOICEOS_SECRETS_DIR`."""

    environment: Environment = Environment.PRODUCTION
    log_level: str = "info"
    kafka_network_trusted: bool = False
    """The network to the brokers is private: production may do without SASL_SSL."""
    database_api_url: SecretStr
    """Role bound by row-level security: requests."""
    database_worker_url: SecretStr
    """Role of consumers, relay and timers."""
    database_pool_size: Annotated[int, Field(ge=2, le=100)] = 6
    instance_id: str = ""
    """Stable name of this replica: it gets its partitions back at once when it restarts."""
    http_host: str = "127.0.0.1"
    http_port: Annotated[int, Field(ge=1, le=65535)] = 8080
    roles: Annotated[frozenset[Role], NoDecode] = frozenset(Role)
    internal_token_public_key: str = ""
    """Ed25519 public key of the gateway's internal tokens, base64."""
    otlp_endpoint: str = ""
    """Where traces go (OTLP over HTTP); none are sent when empty."""
    drain_seconds: Annotated[float, Field(ge=0, le=120)] = 20
    """Longest wait for work in flight after SIGTERM."""

    @model_validator(mode="after")
    def _brokers_are_guarded(self) -> Self:
        open_wire = self.kafka_security_protocol != "SASL_SSL" and not self.kafka_network_trusted
        if self.environment is Environment.PRODUCTION and open_wire:
            raise ValueError(
                "production needs kafka_security_protocol SASL_SSL; set kafka_network_trusted "
                "where the network to the brokers is private"
            )
        return self

    @field_validator("roles", mode="before")
    @classmethod
    def _split_roles(cls, value: object) -> object:
        return value.split(",") if isinstance(value, str) else value


S = TypeVar("S", bound=BaseSettings)


def read(kind: type[S]) -> S:
    """Settings as the environment has them now; a missing or wrong one ends the process."""
    import os

    folder = os.environ.get("INVOICEOS_SECRETS_DIR")
    return kind(_secrets_dir=folder) if folder else kind()


@cache
def load(kind: type[S]) -> S:
    """Settings of this process: read once."""
    return read(kind)
