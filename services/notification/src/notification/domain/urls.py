"""Which URLs may be called: read strictly, so that no two parsers can see two hosts in one URL."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

from notification.domain.addresses import classify

URL_LENGTH_MAX: Final = 2000
_HTTPS_PORT: Final = 443
_PORT_MAX: Final = 65_535
_NAME_LENGTH_MAX: Final = 253
_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<rest>[/?][!$&-;=?@A-Z_a-z~%]*)?"
)
_LABEL: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
# A last label that is a number would be read as an IPv4 address by lenient resolvers.
_LAST_LABEL: Final = re.compile(r"[a-z]{2,63}|xn--[a-z0-9-]{1,59}")
_QUAD: Final = re.compile(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}")
_INSIDE: Final = frozenset(
    {
        *("localhost", "local", "internal", "intranet", "lan", "home", "corp", "private"),
        *("arpa", "svc", "invalid", "test", "example", "onion", "localdomain", "alt"),
    }
)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads."""

    host: str
    """Lower case, without brackets."""
    port: int


def inspect(url: str, allow_hosts: Collection[str]) -> Target | str:
    """Where a URL leads, or why it must not be called.

    A host of the allow-list (development only) may be inside, on any port and without TLS.
    """
    match = _URL.fullmatch(url) if len(url) <= URL_LENGTH_MAX else None
    if match is None:
        return "malformed"
    scheme, host = match["scheme"], match["host"].lower().strip("[]")
    port = int(match["port"] or (_HTTPS_PORT if scheme == "https" else 80))
    if not 0 < port <= _PORT_MAX:
        return "malformed"
    if host in allow_hosts:
        return Target(host, port)
    if scheme != "https":
        return "not_https"
    if port != _HTTPS_PORT:
        return "port_not_443"
    bracketed = match["host"].startswith("[")
    refusal = _of_literal_v6(host) if bracketed else _of_host(host)
    return refusal or Target(host, port)


def _of_literal_v6(host: str) -> str | None:
    try:
        return classify(str(IPv6Address(host)))
    except AddressValueError:
        return "malformed"


def _of_host(host: str) -> str | None:
    if _QUAD.fullmatch(host):
        try:
            return classify(str(IPv4Address(host)))
        except AddressValueError:
            return "malformed"
    labels = host.split(".")
    if len(host) > _NAME_LENGTH_MAX or not all(_LABEL.fullmatch(label) for label in labels):
        return "malformed"
    if not _LAST_LABEL.fullmatch(labels[-1]):
        return "not_a_name"
    if labels[-1] in _INSIDE:
        return "inside_name"
    return None if len(labels) > 1 else "not_a_name"
