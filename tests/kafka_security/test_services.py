"""Each service may do what it declares, and the broker refuses it everything else."""

import dataclasses

import pytest
from tests.kafka_security.attempts import join, log_in, producing, read, reading, write

from access.administration import Administration, entry_of
from access.grants import Grant
from chassis.cli import services
from invoiceos_contracts import EVENTS, topics
from testkit.processes import until

SERVICES = sorted(services())
LETTERS = ".dlq"
PLATFORM = [spec.name for spec in topics()]
OWNERS = {event.TOPIC: event.OWNER for event in EVENTS.values()}
NOT_ALLOWED = "TopicAuthorizationFailedError"


def read_by(service: str) -> set[str]:
    """Topics of what its subscriptions name."""
    return {
        event.TOPIC
        for subscription in services()[service].subscriptions
        for event in subscription.events
    }


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_writes_to_no_topic_that_is_not_its_own(service, kafka):
    letters = {f"{topic}{LETTERS}" for topic in read_by(service)}
    foreign = [t for t in PLATFORM if OWNERS.get(t) != service and t not in letters]
    assert foreign
    async with producing(kafka.access(service)) as producer:
        answers = {topic: await write(producer, topic) for topic in foreign}
    assert answers == dict.fromkeys(foreign, NOT_ALLOWED)


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_reads_its_own_topics_what_it_declares_and_no_other(service, kafka):
    declared = read_by(service) | {topic for topic, owner in OWNERS.items() if owner == service}
    async with reading(kafka.access(service)) as consumer:
        answers = {topic: await read(consumer, topic) for topic in PLATFORM}
    assert answers == {topic: "read" if topic in declared else NOT_ALLOWED for topic in PLATFORM}


@pytest.mark.parametrize("service", [name for name in SERVICES if read_by(name)])
async def test_a_service_reads_as_no_group_but_its_own(service, kafka):
    other = next(name for name in SERVICES if name != service)
    topic = min(read_by(service))
    for group in (other, f"{service}.more"):
        assert await join(kafka.access(service), group, topic) == "GroupAuthorizationFailedError"


async def test_the_auditor_reads_everything_and_writes_nothing(kafka):
    async with reading(kafka.access("auditor")) as consumer:
        assert {await read(consumer, topic) for topic in PLATFORM} == {"read"}
    async with producing(kafka.access("auditor")) as producer:
        assert {await write(producer, topic) for topic in PLATFORM} == {NOT_ALLOWED}
    topic = PLATFORM[0]
    assert await join(kafka.access("auditor"), "auditor", topic) == "GroupAuthorizationFailedError"


async def test_a_wrong_password_lets_nobody_in(kafka):
    assert await log_in(kafka.access("invoice")) == "in"
    assert await log_in(kafka.access("invoice", "wrong")) == "KafkaConnectionError"
    assert await log_in(kafka.access("nobody", "wrong")) == "KafkaConnectionError"


async def test_whoever_does_not_say_who_he_is_gets_nothing(kafka):
    nobody = dataclasses.replace(kafka.operator, protocol="PLAINTEXT")
    assert await log_in(nobody) == "KafkaConnectionError"


def test_what_is_declared_is_there_and_applying_it_again_changes_nothing(run):
    assert run("acls", "plan").stdout == "nothing to change\n"
    assert run("acls", "apply").stdout == "nothing to change\n"


async def test_a_right_that_is_missing_is_refused_shown_and_given_again(kafka, run, broker):
    """The other tests could not see a refusal that never comes: here it comes and goes."""
    right = Grant("reserve-ledger", "topic", "invoiceos.invoice.v1.dlq", "write")

    async def written() -> bool:
        async with producing(kafka.access("reserve-ledger")) as producer:
            return await write(producer, right.name) == "written"

    assert await written()
    broker.take([entry_of(right)])
    await until(lambda: _not(written))
    shown = run("acls", "plan", code=1).stdout
    assert shown.splitlines()[0].split() == ["+", right.principal, "write", "topic", right.name]
    run("acls", "apply")
    await until(written)


async def test_a_right_that_is_not_declared_is_shown_and_taken(kafka, run, broker: Administration):
    right = Grant("notification", "topic", "invoiceos.identity.v1", "write")
    broker.give([right])

    async def written() -> bool:
        async with producing(kafka.access("notification")) as producer:
            return await write(producer, right.name, b"") == "written"

    await until(written)
    shown = run("acls", "apply").stdout.splitlines()[0]
    assert shown.split() == ["-", right.principal, "write", "topic", right.name]
    await until(lambda: _not(written))
    assert entry_of(right) not in broker.rights("notification")


async def _not(condition) -> bool:
    return not await condition()
