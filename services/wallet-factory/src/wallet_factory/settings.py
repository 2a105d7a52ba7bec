"""What the factory is told from outside."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    field_validator,
    model_validator,
)
from pydantic_settings import NoDecode

from chassis.settings import Settings, load
from money import asset

Address = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{40}$")]


class EvmChain(BaseModel):
    """An EVM chain with a factory of deposit addresses on it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    chain_id: Annotated[int, Field(ge=1, lt=2**53)]
    rail: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,40}$")] = "evm-create2"
    """Name of the rail; with several chains each has its own."""
    factory: Address
    implementation: Address
    """What the factory's proxies run; the factory names it."""
    tokens: Annotated[Mapping[str, Address], Field(min_length=1)]

    @field_validator("tokens")
    @classmethod
    def _are_tokens(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        return _known(value)


class WalletFactorySettings(Settings):
    """Settings of wallet-factory; each is `INVOICEOS_` and its name in capitals."""

    rails: Annotated[tuple[str, ...], NoDecode, Field(min_length=1)] = ("tempo",)
    """Rails in the order in which they are tried, separated by commas."""
    tempo_chain_id: Annotated[int, Field(ge=1, lt=2**63)]
    tempo_master_address: Address
    """Treasury account that owns the virtual addresses."""
    tempo_master_id: Annotated[str, StringConstraints(to_lower=True, pattern=r"^[0-9a-fA-F]{8}$")]
    """What the registry gave the master: 4 bytes, hexadecimal."""
    tempo_tokens: Annotated[Mapping[str, Address], NoDecode]
    """Tokens taken on Tempo, `PATHUSD=0x...,ALPHAUSD=0x...`; no other is ever accepted."""
    tempo_tag_key: SecretStr
    """Key of the address permutation: 32 bytes, hexadecimal. It may never change for a master."""
    evm_chains: tuple[EvmChain, ...] = ()
    """EVM chains that addresses can be given on, a JSON list; rails name them in their order."""
    evm_salt_key: SecretStr = SecretStr("")
    """Key of the salts: 32 bytes, hexadecimal. It may never change for a factory."""

    small_amounts: Annotated[Mapping[str, int], NoDecode] = Field(default_factory=dict)
    """Up to these minor units, `USD=5000,EUR=5000`, an invoice to an unknown payer is small: its
    wallet is ephemeral by rule, whatever the model says."""
    psp_assets: Annotated[Mapping[str, tuple[str, ...]], NoDecode] = Field(default_factory=dict)
    """What each payment service provider takes, `stripe=USD+EUR,paypal=USD`; for the rail `psp`."""

    @field_validator("small_amounts", mode="before")
    @classmethod
    def _split_small_amounts(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return dict(pair.strip().split("=", 1) for pair in value.split(",") if pair.strip())

    @field_validator("psp_assets", mode="before")
    @classmethod
    def _split_psp_assets(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = (pair.strip().partition("=") for pair in value.split(",") if pair.strip())
        return {name: tuple(codes.split("+")) for name, _, codes in pairs}

    @field_validator("psp_assets")
    @classmethod
    def _known_psp_assets(
        cls, value: Mapping[str, tuple[str, ...]]
    ) -> Mapping[str, tuple[str, ...]]:
        for codes in value.values():
            for code in codes:
                asset(code)
        return value

    @model_validator(mode="after")
    def _psp_takes_something(self) -> Self:
        if "psp" in self.rails and not self.psp_assets:
            raise ValueError("the rail psp needs psp_assets: which provider takes what")
        return self

    @field_validator("rails", mode="before")
    @classmethod
    def _split_rails(cls, value: object) -> object:
        return tuple(value.split(",")) if isinstance(value, str) else value

    @field_validator("tempo_tokens", mode="before")
    @classmethod
    def _split_tokens(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return dict(pair.strip().split("=", 1) for pair in value.split(",") if pair.strip())

    @field_validator("tempo_tokens")
    @classmethod
    def _known_tokens(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        return _known(value)

    @field_validator("tempo_tag_key")
    @classmethod
    def _whole_key(cls, value: SecretStr) -> SecretStr:
        if len(bytes.fromhex(value.get_secret_value())) != 32:
            raise ValueError("the key is 32 bytes, 64 hexadecimal digits")
        return value

    @model_validator(mode="after")
    def _chains_have_a_key_and_names(self) -> "WalletFactorySettings":
        if self.evm_chains and len(bytes.fromhex(self.evm_salt_key.get_secret_value())) != 32:
            raise ValueError("evm_salt_key is 32 bytes, 64 hexadecimal digits")
        names = ["tempo", *(chain.rail for chain in self.evm_chains)]
        if len(set(names)) < len(names):
            raise ValueError("each EVM chain is a rail with a name of its own")
        return self


def _known(tokens: Mapping[str, str]) -> Mapping[str, str]:
    wrong = [code for code in tokens if not asset(code).is_token]
    if wrong or not tokens:
        raise ValueError(f"name tokens, at least one; not tokens: {wrong}")
    return tokens


def settings() -> WalletFactorySettings:
    """The settings of this process."""
    found: WalletFactorySettings = load(WalletFactorySettings)
    return found
