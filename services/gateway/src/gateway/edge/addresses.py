"""Which client a request is of, as far as that is known."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from chassis.telemetry import Scope
from gateway.settings import Network

Address = IPv4Address | IPv6Address
_IPV6_BITS = 64
"""Whoever has one address of IPv6 has as many as these leave."""
_HOPS_MAX = 20
_CACHED = 10_000


class Clients:
    """Tells clients apart, behind proxies of ours too."""

    def __init__(self, trusted: Sequence[Network]) -> None:
        """Only what these networks say of where a request comes from is believed."""
        self._trusted = tuple(trusted)

    def of(self, scope: Scope) -> str:
        """The address that counts: of the nearest hop that is no proxy of ours."""
        client = scope.get("client")
        peer = client[0] if client else ""
        if not self._trusted or not self._is_trusted(peer):
            return bucket_of(peer)
        nearest = peer
        for hop in _forwarded(scope["headers"]):
            if _parsed(hop) is None:
                # Whatever stands further away was written by somebody we cannot tell.
                break
            nearest = hop
            if not self._is_trusted(hop):
                break
        return bucket_of(nearest)

    def _is_trusted(self, text: str) -> bool:
        address = _parsed(text)
        return address is not None and any(address in network for network in self._trusted)


def bucket_of(text: str) -> str:
    """Under which name an address is counted."""
    address = _parsed(text)
    if isinstance(address, IPv6Address):
        network = ip_network((address, _IPV6_BITS), strict=False)
        assert isinstance(network, IPv6Network)
        return str(network)
    return text if address is None else str(address)


def _forwarded(headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """The hops that proxies wrote down, the nearest first."""
    hops: list[str] = []
    for name, value in headers:
        if name == b"x-forwarded-for":
            hops += value.decode("latin-1").split(",")
    return [hop.strip() for hop in reversed(hops[-_HOPS_MAX:])]


@lru_cache(_CACHED)
def _parsed(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
