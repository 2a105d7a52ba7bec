"""Which IP addresses are the public internet: an own deny list, for the standard library's differ.

`is_private` misses carrier-grade NAT, `is_global` passes loopback wrapped in NAT64 and 6to4
(measured, reliability.md section 3).
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

_V4: Final = tuple(
    (IPv4Network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier_grade_nat"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "cloud_platform"),
        ("169.254.0.0/16", "link_local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "protocol_assignments"),
        ("192.0.2.0/24", "documentation"),
        ("192.31.196.0/24", "reserved"),
        ("192.52.193.0/24", "reserved"),
        ("192.88.99.0/24", "six_to_four"),
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "reserved"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)
_V6: Final = tuple(
    (IPv6Network(network), reason)
    for network, reason in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::ffff:0:0/96", "ipv4_mapped"),
        ("::/96", "ipv4_compatible"),
        ("::ffff:0:0:0/96", "ipv4_translated"),
        ("64:ff9b::/96", "nat64"),
        ("64:ff9b:1::/48", "nat64"),
        ("100::/64", "discard"),
        ("2001::/32", "teredo"),
        ("2001:2::/48", "benchmarking"),
        ("2001:10::/28", "orchid"),
        ("2001:20::/28", "orchid"),
        ("2001::/23", "protocol_assignments"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "six_to_four"),
        ("2620:4f:8000::/48", "reserved"),
        ("3fff::/20", "documentation"),
        ("5f00::/16", "segment_routing"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link_local"),
        ("fec0::/10", "site_local"),
        ("ff00::/8", "multicast"),
    )
)
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})


def classify(address: str) -> str | None:
    """Why this address must not be called; None when it is on the public internet."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "not_an_address"
    if isinstance(parsed, IPv4Address):
        return _of_v4(parsed)
    return _of_v6(parsed)


def _of_v4(address: IPv4Address) -> str | None:
    return next((reason for network, reason in _V4 if address in network), None)


def _of_v6(address: IPv6Address) -> str | None:
    if address.scope_id is not None:
        return "scoped"
    found = next((reason for network, reason in _V6 if address in network), None)
    if found is not None:
        return found
    if address not in _GLOBAL_UNICAST:
        return "reserved"
    return "isatap" if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP else None
