"""A local Tempo chain: anvil in Tempo mode, its first account registered as a virtual master."""

from __future__ import annotations

from invoiceos_local.anvil import ANVIL_VERSION
from invoiceos_local.anvil_node import AnvilNode, Refused, answers, call, wait_for
from invoiceos_local.tempo_facts import (
    CHAIN_ID,
    MASTER_ADDRESS,
    MASTER_ID,
    MASTER_SALT,
    VIRTUAL_MARK,
    VIRTUAL_REGISTRY,
)

__all__ = ["ANVIL_VERSION", "Tempo", "answers", "register_master"]

_REGISTRATION_GAS = 1_000_000
# registerVirtualMaster(bytes32) and resolveRecipient(address)
_REGISTER, _RESOLVE = "0x5c559d20", "0xfbea9d67"


class Tempo(AnvilNode):
    """The chain Tempo, with a virtual master."""

    NAME = "tempo"
    TITLE = "The Tempo chain"
    MODE = ("--network", "tempo", "--hardfork", "t4", "--chain-id", str(CHAIN_ID))

    def prepare(self) -> None:
        register_master(self.rpc_url)


def register_master(rpc_url: str) -> None:
    """Makes the first account a virtual master unless it is one; anvil holds that account's key."""
    if _is_registered(rpc_url):
        return
    transaction = {
        "from": MASTER_ADDRESS,
        "to": VIRTUAL_REGISTRY,
        "gas": hex(_REGISTRATION_GAS),
        "data": _REGISTER + MASTER_SALT.hex(),
    }
    call(rpc_url, "eth_sendTransaction", transaction)
    wait_for(lambda: _is_registered(rpc_url), "The virtual master")


def _is_registered(rpc_url: str) -> bool:
    probe = MASTER_ID + VIRTUAL_MARK.hex() + "00" * 6
    question = {"to": VIRTUAL_REGISTRY, "data": _RESOLVE + probe.rjust(64, "0")}
    try:
        answer = str(call(rpc_url, "eth_call", question, "latest"))
    except Refused:
        return False
    return answer[-40:].lower() == MASTER_ADDRESS.removeprefix("0x").lower()
