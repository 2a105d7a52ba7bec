"""What the provider orchestrator reads from its environment."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from chassis.settings import Settings, load
from money import asset

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


def _address(text: str) -> bytes:
    if not _ADDRESS.fullmatch(text):
        message = f"{text[:50]!r} is not an address: 0x and 40 hexadecimal digits"
        raise ValueError(message)
    return bytes.fromhex(text[2:])


class EvmChain(BaseModel):
    """An EVM chain with a factory of deposit addresses on it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    chain_id: Annotated[int, Field(ge=1, le=2**53)]
    rail: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")] = "evm-create2"
    """Name of the rail; with several chains each has its own."""
    rpc_url: str
    ws_url: str = ""
    factory: str
    """The contract that sweeps to the treasury."""
    tokens: Annotated[Mapping[str, str], Field(min_length=1)]
    """The tokens we take, and no others: address by code."""
    finality: Literal["finalized"] | Annotated[int, Field(ge=0, le=10_000)] = "finalized"
    """Final is what the node calls so, or has so many blocks on top; 0 where a block is final."""
    poll_s: Annotated[float, Field(gt=0, le=60)] = 2.0
    rpc_timeout_s: Annotated[float, Field(gt=0, le=60)] = 10.0
    log_range_max: Annotated[int, Field(ge=1, le=100_000)] = 1000
    start_block: Annotated[int, Field(ge=0)] | None = None
    stall_s: Annotated[float, Field(ge=0)] = 0
    open_s: Annotated[float, Field(gt=0, le=3600)] = 60
    addresses_max: Annotated[int, Field(ge=1, le=100_000)] = 10_000
    """More addresses are not named to the node: every transfer of the tokens is read then."""
    operator_key_file: Path | None = None
    """File of the key that may sweep, hexadecimal; without it nobody sweeps from here."""
    dust_minor: Annotated[int, Field(ge=1)] = 1_000_000
    """Less than this at an address is left until there is more, or somebody waits for it."""
    sweep_wait_s: Annotated[float, Field(ge=0)] = 60
    """How long money waits for company when there is less than a whole batch."""
    replace_after_s: Annotated[float, Field(gt=0)] = 180
    """A sweep that is in no block by then is signed again with the same nonce and a higher fee."""
    fee_gwei_max: Annotated[int, Field(ge=1)] = 200
    """Dearer gas is not bought; sweeps wait."""

    @field_validator("factory")
    @classmethod
    def _is_address(cls, value: str) -> str:
        _address(value)
        return value

    @field_validator("tokens")
    @classmethod
    def _are_tokens(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        _tokens(",".join(f"{code}={at}" for code, at in value.items()))
        return value

    @property
    def tokens_by_address(self) -> dict[bytes, str]:
        """Asset code by the token's address."""
        return {_address(at): code for code, at in self.tokens.items()}

    @property
    def factory_address(self) -> bytes:
        """The factory's address."""
        return _address(self.factory)


class OrchestratorSettings(Settings):
    """Settings of the chains we watch and of their health."""

    public_url: str = "http://127.0.0.1:8080"
    """Where payers reach the platform: providers send them back there."""
    tempo_rpc_url: str
    """JSON-RPC over HTTP of a node that is ours, or of several behind one address.

    One request must be answered by one node: a batch whose parts go to several hides money where
    one of them lags, and says nothing of it.
    """
    tempo_ws_url: str = ""
    """WebSocket of the same chain, for speed only; without it the sweep finds everything."""
    tempo_chain_id: Annotated[int, Field(ge=1, le=2**53)]
    tempo_master_address: str
    """Where all virtual addresses forward to."""
    tempo_master_id: str = ""
    """Four bytes, hexadecimal, that begin our virtual addresses; needed beside the guard alone."""
    tempo_tokens: str
    """The tokens we take: `PATHUSD=0x..,ALPHAUSD=0x..`."""
    tempo_guard_address: str = ""
    """Contract that keeps transfers which a receive policy blocked; empty where there is none."""
    tempo_confirmations: Annotated[int, Field(ge=0, le=1000)] = 0
    """Blocks on top of a payment's own before it is final; 0 on Tempo, where a block is final."""
    tempo_poll_s: Annotated[float, Field(gt=0, le=60)] = 0.25
    tempo_rpc_timeout_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    tempo_log_range_max: Annotated[int, Field(ge=1, le=100_000)] = 2000
    """Blocks a sweep looks at, at most."""
    tempo_start_block: Annotated[int, Field(ge=0)] | None = None
    """First block to sweep when nothing was swept before; the present head where not given.

    Give it in production: what was paid before the first sweep is never seen otherwise.
    """
    tempo_stall_s: Annotated[float, Field(ge=0)] = 0
    """Seconds without a new block that count as a fault of the provider; 0 never counts them."""
    tempo_open_s: Annotated[float, Field(gt=0, le=3600)] = 60
    """Seconds the circuit first stays open; half as long again each time it reopens."""
    tempo_unmatched_after_s: Annotated[int, Field(ge=1)] = 60
    """From this age on, money at an address nobody knows is worth a look."""

    tempo_issued_tokens: str = ""
    """Those of the tokens that we issue ourselves: `ALPHAUSD,..`; their supply is watched."""
    reserve_observe_s: Annotated[float, Field(gt=0, le=3600)] = 15.0
    """Seconds between two looks at what is held."""
    tempo_treasury_key_file: Path | None = None
    """File of the key that sends refunds and payouts, hexadecimal; without it nothing goes out."""
    tempo_max_fee_per_gas: Annotated[int, Field(ge=1)] = 100_000_000_000
    """The most a unit of gas of ours may cost, in 1e-18 of a dollar; the chain asks for 2e10."""
    evm_chains: tuple[EvmChain, ...] = ()
    """EVM chains that deposits are taken on, beside Tempo; a JSON list."""

    @field_validator("tempo_master_address")
    @classmethod
    def _is_address(cls, value: str) -> str:
        _address(value)
        return value

    @field_validator("tempo_tokens")
    @classmethod
    def _are_tokens(cls, value: str) -> str:
        _tokens(value)
        return value

    @model_validator(mode="after")
    def _guard_needs_master_id(self) -> "OrchestratorSettings":
        if self.tempo_master_id and not re.fullmatch(r"[0-9a-fA-F]{8}", self.tempo_master_id):
            message = "tempo_master_id has eight hexadecimal digits"
            raise ValueError(message)
        if self.tempo_guard_address:
            _address(self.tempo_guard_address)
            if not self.tempo_master_id:
                message = "tempo_guard_address needs tempo_master_id, to know our addresses by"
                raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _issued_are_taken(self) -> "OrchestratorSettings":
        unknown = self.issued - set(self.tokens.values())
        if unknown:
            message = f"tempo_issued_tokens names {sorted(unknown)[0]}, tempo_tokens does not"
            raise ValueError(message)
        return self

    @property
    def issued(self) -> frozenset[str]:
        """Asset codes of the tokens that we issue."""
        return frozenset(filter(None, (c.strip() for c in self.tempo_issued_tokens.split(","))))

    @property
    def master(self) -> bytes:
        """The master's address."""
        return _address(self.tempo_master_address)

    @property
    def master_id(self) -> bytes:
        """How our virtual addresses begin; empty where not known."""
        return bytes.fromhex(self.tempo_master_id)

    @property
    def guard(self) -> bytes | None:
        """The guard's address."""
        return _address(self.tempo_guard_address) if self.tempo_guard_address else None

    @property
    def tokens(self) -> dict[bytes, str]:
        """Asset code by the token's address."""
        return _tokens(self.tempo_tokens)


def _tokens(text: str) -> dict[bytes, str]:
    """Raises `ValueError` for what is not a list of known assets and their addresses."""
    found: dict[bytes, str] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        code, _, address = entry.partition("=")
        if not asset(code).is_token:
            message = f"{code} is not a token"
            raise ValueError(message)
        found[_address(address)] = code
    if not found or len(set(found.values())) != len(text.strip(",").split(",")):
        message = "name each token once, with an address of its own, and at least one"
        raise ValueError(message)
    return found


def settings() -> OrchestratorSettings:
    """The settings of this process."""
    found: OrchestratorSettings = load(OrchestratorSettings)
    return found
