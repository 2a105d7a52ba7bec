"""What the settings of providers have in common; each folder has its own, found by nobody else."""

from typing import Annotated

from pydantic import BeforeValidator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from chassis.settings import Environment
from money import ASSETS


class ProviderSettings(BaseSettings):
    """Settings of one provider: `INVOICEOS_` and the field's name, which begins with its own."""

    model_config = SettingsConfigDict(
        env_prefix="INVOICEOS_", frozen=True, extra="ignore", use_attribute_docstrings=True
    )

    environment: Environment = Environment.PRODUCTION

    @property
    def in_production(self) -> bool:
        """Whether real money moves."""
        return self.environment is Environment.PRODUCTION


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _known(value: object) -> object:
    split = _split(value)
    for code in split if isinstance(split, tuple) else ():
        if code not in ASSETS:
            message = f"{code!r} is no asset"
            raise ValueError(message)
    return split


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""A list, written with commas."""
AssetCodes = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_known)]
"""Assets that we know, written with commas."""


def safe_url(url: str, *, in_production: bool) -> str:
    """An address without its last slash; raises `ValueError` for one that others can read."""
    if in_production and not url.startswith("https://"):
        message = f"production talks to providers over https, not to {url[:100]!r}"
        raise ValueError(message)
    return url.rstrip("/")
