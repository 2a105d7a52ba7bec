"""Every environment variable a service reads: `INVOICEOS_` and the field's name in capitals."""

from enum import StrEnum
from functools import cache
from typing import Annotated, TypeVar

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


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


class Settings(BaseSettings):
    """What every service needs. A secret may be a file in the folder `INVOICEOS_SECRETS_DIR`."""

    model_config = SettingsConfigDict(
        env_prefix="INVOICEOS_", frozen=True, extra="ignore", use_attribute_docstrings=True
    )

    environment: Environment = Environment.PRODUCTION
    log_level: str = "info"
    kafka_bootstrap: str = "127.0.0.1:9092"
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

    @field_validator("roles", mode="before")
    @classmethod
    def _split_roles(cls, value: object) -> object:
        return value.split(",") if isinstance(value, str) else value


S = TypeVar("S", bound=Settings)


@cache
def load(kind: type[S]) -> S:
    """Read settings once; a missing or wrong one ends the process with its name."""
    import os

    folder = os.environ.get("INVOICEOS_SECRETS_DIR")
    return kind(_secrets_dir=folder) if folder else kind()
