"""A partner reads what it was granted and writes to its own topic, from its first secret on."""

import re
import uuid
from collections.abc import Iterator

import pytest
from tests.kafka_security.attempts import (
    a_group,
    first_place,
    join,
    joined,
    log_in,
    producing,
    read,
    reading,
    write,
)
from tests.kafka_security.register import Register, running_register

from access import partners
from access.administration import Administration
from access.partners import Wish
from invoiceos_contracts import encode, topics
from invoiceos_contracts.registry import topics_of
from messaging import KafkaAccess

NOT_ALLOWED = "TopicAuthorizationFailedError"
SHARED = "invoiceos.invoice.v1"
TENANT = encode("ten", uuid.UUID(int=7))


@pytest.fixture(scope="module")
def register() -> Iterator[Register]:
    with running_register() as running:
        yield running


def printed(text: str) -> dict[str, str]:
    """The environment lines of what a command printed."""
    return dict(re.findall(r"^(KAFKA_\w+)=(.*)$", text, re.MULTILINE))


def access_of(said: dict[str, str]) -> KafkaAccess:
    assert said["KAFKA_SASL_MECHANISM"] == "SCRAM-SHA-512"
    return KafkaAccess(
        said["KAFKA_BOOTSTRAP"],
        said["KAFKA_SECURITY_PROTOCOL"],
        said["KAFKA_USERNAME"],
        said["KAFKA_PASSWORD"],
    )


@pytest.fixture(scope="module")
def acme(run, register) -> dict[str, str]:
    made = run("partner", "create", "acme", "--tenant", TENANT, **register.settings())
    return printed(made.stdout)


async def test_a_partner_reads_its_own_topics_and_nothing_else(acme, broker):
    mine = {acme["KAFKA_TOPIC_OUTCOMES"], acme["KAFKA_TOPIC_EVENTS"]}
    partners.create(broker, Wish("other"))
    others = {spec.name for spec in topics_of("other")}
    everything = {*(spec.name for spec in topics()), *(t.name for t in topics_of("acme"))}
    async with reading(access_of(acme)) as consumer:
        answers = {topic: await read(consumer, topic) for topic in everything | others}
    assert {topic for topic, answer in answers.items() if answer == "read"} == mine
    assert {answer for topic, answer in answers.items() if topic not in mine} == {NOT_ALLOWED}


async def test_a_partner_writes_to_its_own_topic_of_requests_alone(acme, broker):
    partners.create(broker, Wish("other"))
    mine = acme["KAFKA_TOPIC_REQUESTS"]
    everything = {spec.name for spec in (*topics(), *topics_of("acme"))}
    everything |= {spec.name for spec in topics_of("other")}
    async with producing(access_of(acme)) as producer:
        answers = {topic: await write(producer, topic) for topic in everything}
    assert answers == {t: "written" if t == mine else NOT_ALLOWED for t in everything}


async def test_a_partner_reads_as_groups_under_its_prefix_alone(acme):
    who, topic, prefix = access_of(acme), acme["KAFKA_TOPIC_EVENTS"], acme["KAFKA_GROUP_PREFIX"]
    assert await join(who, a_group(prefix), topic) == "joined"
    for foreign in ("gateway", "gateway.partners", "partner.acme", "partner.other.x", "invoice"):
        assert await join(who, foreign, topic) == "GroupAuthorizationFailedError"


async def test_a_shared_topic_is_granted_by_name_and_with_a_warning(run, register):
    arguments = ("partner", "create", "ours", "--tenant", TENANT, "--read", SHARED)
    made = run(*arguments, **register.settings())
    assert "ALL tenants" in made.stderr
    said = printed(made.stdout)
    assert said["KAFKA_TOPICS_SHARED"] == SHARED
    async with reading(access_of(said)) as consumer:
        assert await read(consumer, SHARED) == "read"
        assert await read(consumer, "invoiceos.ledger.v1") == NOT_ALLOWED


def test_a_topic_that_no_contract_declares_is_not_granted(run, register):
    arguments = ("partner", "create", "odd", "--tenant", TENANT, "--read", "__consumer_offsets")
    assert "no contract" in run(*arguments, code=2, **register.settings()).stderr


@pytest.mark.parametrize("name", ["a", "Acme", "a.b", "a_b", "a" * 41])
def test_a_name_is_short_and_plain(run, register, name):
    run("partner", "create", name, "--tenant", TENANT, code=2, **register.settings())


def test_a_partner_is_shown_with_rights_limits_and_state(acme, run, register):
    shown = run("partner", "show", "acme", **register.settings()).stdout
    lines = [line.split() for line in shown.splitlines()]
    assert ["principal", "partner-acme"] in lines
    assert ["tenant", TENANT] in lines
    assert ["state", "active"] in lines
    assert ["limit", "producer_byte_rate", str(partners.PRODUCER_LIMIT)] in lines
    assert ["limit", "consumer_byte_rate", str(partners.CONSUMER_LIMIT)] in lines
    assert ["grant", "write", "topic", acme["KAFKA_TOPIC_REQUESTS"]] in lines
    assert ["grant", "read", "group", "partner.acme.*"] in lines
    assert acme["KAFKA_PASSWORD"] not in shown


async def test_lag_is_told_by_group_and_partition(acme, run, kafka):
    topic, group = acme["KAFKA_TOPIC_EVENTS"], acme["KAFKA_GROUP_PREFIX"] + "slow"
    async with producing(kafka.operator) as producer:
        first = await producer.send_and_wait(topic, b"1", partition=0)
    async with joined(access_of(acme), topic, group) as consumer:
        await consumer.commit({first_place(topic): first.offset + 1})
    async with producing(kafka.operator) as producer:
        for number in range(3):
            await producer.send_and_wait(topic, b"%d" % number, partition=0)
    told = run("partner", "lag", "acme").stdout
    assert f"{group}  3 records behind" in told
    assert f"{topic}/0  read {first.offset + 1} of {first.offset + 4}, lag 3" in told


async def test_a_new_secret_lets_in_and_the_old_one_no_more(run, register, broker):
    old = printed(
        run("partner", "create", "turning", "--tenant", TENANT, **register.settings()).stdout
    )
    assert await log_in(access_of(old)) == "in"
    new = {**old, **printed(run("partner", "rotate", "turning").stdout)}
    assert new["KAFKA_PASSWORD"] != old["KAFKA_PASSWORD"]
    assert await log_in(access_of(new)) == "in"
    assert await log_in(access_of(old)) == "KafkaConnectionError"


async def test_a_revoked_partner_is_cut_off_even_where_it_is_connected(
    run, register, broker: Administration
):
    said = printed(
        run("partner", "create", "leaving", "--tenant", TENANT, **register.settings()).stdout
    )
    topic = said["KAFKA_TOPIC_REQUESTS"]
    async with producing(access_of(said)) as producer:
        assert await write(producer, topic) == "written"
        run("partner", "revoke", "leaving", **register.settings())
        assert await write(producer, topic) == NOT_ALLOWED
    assert await log_in(access_of(said)) == "KafkaConnectionError"
    assert register.partners["leaving"]["state"] == "revoked"
    found = partners.look(broker, "leaving")
    assert (found.has_secret, found.grants, found.limits) == (False, [], {})
    assert topic in found.topics
    run("partner", "revoke", "leaving", **register.settings())
    run("partner", "rotate", "leaving", code=1)
    again = run("partner", "create", "leaving", "--tenant", TENANT, code=1, **register.settings())
    assert "partner_name_taken" in again.stderr
    assert not partners.look(broker, "leaving").exists


def test_a_partner_the_gateway_does_not_take_gets_nothing(run, register, broker):
    register.broken = True
    try:
        arguments = ("partner", "create", "unlucky", "--tenant", TENANT)
        assert "overloaded" in run(*arguments, code=1, **register.settings()).stderr
    finally:
        register.broken = False
    assert not partners.look(broker, "unlucky").exists
    assert "KAFKA_PASSWORD" in run(*arguments, **register.settings()).stdout


STEPS = ("create_topics", "set_quota", "give", "take", "users", "set_password")


@pytest.mark.parametrize("step", STEPS)
async def test_making_a_partner_goes_on_where_it_died(step, kafka, broker, monkeypatch):
    wish = Wish(f"dies-{step.replace('_', '-')}")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Administration, step, die)
        partners.create(broker, wish)
    secret = partners.create(broker, wish)
    assert secret is not None
    async with producing(kafka.access(wish.principal, secret)) as producer:
        assert await write(producer, topics_of(wish.name)[0].name) == "written"
    assert partners.create(broker, wish) is None
