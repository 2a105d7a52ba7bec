"""What the sandbox reads from its environment."""

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class SandboxSettings(BaseSettings):
    """Settings of the sandbox. It has no place in production and does not start there."""

    model_config = SettingsConfigDict(env_prefix="INVOICEOS_", frozen=True, extra="ignore")

    environment: Literal["development", "test", "production"] = "production"
    sandbox_host: str = "127.0.0.1"
    sandbox_port: Annotated[int, Field(ge=1, le=65535)] = 8480
    sandbox_file: str = "provider-sandbox.sqlite"
    """Where it keeps its state; `:memory:` keeps none."""
    sandbox_seed: Annotated[int, Field(ge=0)] = 1
    """Decides every fault, identifier and break; a file that is there keeps its first seed."""
    sandbox_public_url: str = ""
    """Address by which clients and payers reach it; its own where not given."""

    @model_validator(mode="after")
    def _never_in_production(self) -> "SandboxSettings":
        if self.environment == "production":
            raise ValueError(
                "the provider sandbox moves no money and never runs in production: "
                "set INVOICEOS_ENVIRONMENT to development or test"
            )
        return self

    @property
    def public_url(self) -> str:
        """Where others reach it."""
        return self.sandbox_public_url or f"http://{self.sandbox_host}:{self.sandbox_port}"
