"""Connections to receivers: a name is resolved once, every address checked, then connected to."""

import asyncio
import socket
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from notification.domain.addresses import classify

Lookup = Callable[[str, int, int], list[tuple[int, str]]]
"""Blocking: (host, port, family) to (family, address) pairs."""
USER_AGENT = "InvoiceOS-Webhooks/1"


class AddressRefused(OSError):
    """A name leads inside the network."""


def system_lookup(host: str, port: int, family: int) -> list[tuple[int, str]]:
    """Ask the system's resolver."""
    found = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
    return [(int(entry[0]), str(entry[4][0])) for entry in found]


class GuardedResolver(AbstractResolver):
    """Answers with addresses on the public internet only, or not at all.

    The connector connects to what this returns, so a second answer (rebinding) is never asked for.
    Look-ups have threads of their own: a name server that hangs must not starve other work.
    """

    def __init__(
        self, allow_hosts: Collection[str], *, threads: int = 64, lookup: Lookup = system_lookup
    ) -> None:
        """Hosts of the allow-list (development only) may be anywhere."""
        self._allow_hosts = frozenset(allow_hosts)
        self._lookup = lookup
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="webhook-dns")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Addresses of a host; raises `AddressRefused` when one of them is not public."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, self._lookup, host, port, int(family))
        if not found:
            message = f"{host} has no address"
            raise OSError(message)
        if host.lower() not in self._allow_hosts:
            for _, address in found:
                reason = classify(address)
                if reason is not None:
                    raise AddressRefused(reason)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=kind,
                proto=0,
                flags=int(socket.AI_NUMERICHOST | socket.AI_NUMERICSERV),
            )
            for kind, address in dict.fromkeys(found)
        ]

    async def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def open_session(
    resolver: GuardedResolver, *, connections: int, timeout_s: int
) -> aiohttp.ClientSession:
    """A session for receivers: no cookies, no proxies, no cache of names, nothing unpacked."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=connections, resolver=resolver, use_dns_cache=False, keepalive_timeout=30
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        timeout=aiohttp.ClientTimeout(total=timeout_s),
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
    )
