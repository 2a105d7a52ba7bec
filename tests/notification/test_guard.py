"""Connections to receivers: what a name resolves to is checked, whatever it resolved to before."""

import socket
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from chassis.sealing import Sealer
from invoiceos_contracts import encode
from notification.domain.deliveries import Claim
from notification.providers.guard import AddressRefused, GuardedResolver, open_session
from notification.providers.webhook import Sender

from .conftest import SECRET_KEY, Receiver


def answering(*addresses: str) -> Any:
    def lookup(host: str, port: int, family: int) -> list[tuple[int, str]]:
        del host, port, family
        return [(int(socket.AF_INET6 if ":" in one else socket.AF_INET), one) for one in addresses]

    return lookup


def a_claim(url: str) -> Claim:
    endpoint_id = uuid4()
    secret = Sealer(SECRET_KEY).seal(
        "whsec_" + "A" * 43 + "=",
        subject=encode("whe", endpoint_id),
        data_key=Sealer.new_data_key(),
    )
    return Claim(
        tenant_id=uuid4(),
        delivery_id=uuid4(),
        endpoint_id=endpoint_id,
        event_id=uuid4(),
        invoice_id=None,
        attempt=1,
        failing=False,
        url=url,
        secrets=(secret.model_dump(mode="json"),),
        body=b"{}",
    )


async def attempt(url: str, *addresses: str, allow: frozenset[str] = frozenset()) -> Any:
    resolver = GuardedResolver(allow, threads=1, lookup=answering(*addresses))
    async with open_session(resolver, connections=2, timeout_s=2) as session:
        outcome = await Sender(session, Sealer(SECRET_KEY), allow).attempt(a_claim(url))
    await resolver.close()
    return outcome.answer


@pytest.mark.parametrize(
    "addresses",
    [
        ("127.0.0.1",),
        ("169.254.169.254",),
        ("8.8.8.8", "10.0.0.1"),
        ("2606:4700::1", "::1"),
        ("::ffff:127.0.0.1",),
        ("64:ff9b::7f00:1",),
        ("100.64.0.1",),
        ("fe80::1%2",),
    ],
)
async def test_a_name_with_one_address_inside_is_not_connected_to(addresses: Any) -> None:
    resolver = GuardedResolver((), threads=1, lookup=answering(*addresses))
    with pytest.raises(AddressRefused):
        await resolver.resolve("rebinding.example.com", 443)
    await resolver.close()
    answer = await attempt("https://rebinding.example.com/", *addresses)
    assert (answer.status_code, answer.error) == (None, "refused_address")


async def test_public_addresses_are_handed_to_the_connector_as_they_are() -> None:
    resolver = GuardedResolver((), threads=1, lookup=answering("8.8.8.8", "2606:4700::1"))
    found = await resolver.resolve("example.com", 443)
    assert [one["host"] for one in found] == ["8.8.8.8", "2606:4700::1"]
    assert all(one["flags"] & socket.AI_NUMERICHOST for one in found)
    await resolver.close()


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/", "http://127.0.0.1:{port}/", "https://[::1]/"]
)
async def test_a_url_that_was_stored_when_it_was_allowed_is_checked_again(
    url: str, receiver: Receiver
) -> None:
    answer = await attempt(url.format(port=receiver.port))
    assert answer.error == "refused_address"
    assert receiver.arrived == []


async def test_a_host_of_the_allow_list_may_be_inside(receiver: Receiver) -> None:
    allow = frozenset({"dev.example.com"})
    url = f"http://dev.example.com:{receiver.port}/x"
    answer = await attempt(url, "127.0.0.1", allow=allow)
    assert answer.status_code == 204
    assert (
        datetime.now(UTC).timestamp() - int(receiver.arrived[0].headers["webhook-timestamp"]) < 60
    )


async def test_nobody_listening_is_an_outcome() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    answer = await attempt(f"http://127.0.0.1:{port}/", allow=frozenset({"127.0.0.1"}))
    assert answer.error == "connect"


async def test_a_name_without_an_address_is_an_outcome() -> None:
    assert (await attempt("https://nowhere.example.com/")).error == "dns"


async def test_a_secret_that_cannot_be_opened_is_an_outcome(receiver: Receiver) -> None:
    other = "b3RoZXJvdGhlcm90aGVyb3RoZXJvdGhlcm90aGVyLTE="
    resolver = GuardedResolver({"127.0.0.1"}, threads=1)
    async with open_session(resolver, connections=1, timeout_s=2) as session:
        outcome = await Sender(session, Sealer(other), {"127.0.0.1"}).attempt(
            a_claim(receiver.url())
        )
    await resolver.close()
    assert outcome.answer.error == "secret_unreadable"
    assert receiver.arrived == []
