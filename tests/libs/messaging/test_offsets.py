"""Offsets follow what is committed: a batch that failed, however it failed, is read again."""

import pytest
from aiokafka import TopicPartition

from invoiceos_contracts.identity_v1 import TenantCreated
from messaging.consumer import Offsets
from messaging.processing import GaveUp
from testkit.service import a_tenant, record_of

PLACE = TopicPartition(TenantCreated.TOPIC, 0)


class Assigned:
    """What the broker's client would be told."""

    def __init__(self):
        self.sought = {}
        self.committed = {}

    def assignment(self):
        return {PLACE}

    def seek(self, place, offset):
        self.sought[place] = offset

    async def commit(self, offsets):
        self.committed.update(offsets)


def records(count=3):
    return [record_of(TenantCreated(tenant_id=a_tenant(), name="n")) for _ in range(count)]


@pytest.mark.parametrize("failure", [GaveUp(), RuntimeError("a bug"), KeyError("x")])
async def test_a_batch_that_could_not_be_committed_is_sought_back_and_not_passed_by(
    toy, monkeypatch, failure
):
    async def failing(_):
        raise failure

    offsets = Offsets(toy.processor)
    offsets.consumer = Assigned()
    batch = records()
    monkeypatch.setattr(toy.processor, "process", failing)
    await offsets.handle(batch)
    await offsets.commit()
    assert offsets.consumer.sought == {PLACE: batch[0].offset}
    assert offsets.consumer.committed == {}


async def test_a_batch_that_was_committed_moves_the_offset_behind_its_last_record(toy):
    offsets = Offsets(toy.processor)
    offsets.consumer = Assigned()
    batch = records()
    await offsets.handle(batch)
    await offsets.commit()
    assert offsets.consumer.committed == {PLACE: batch[-1].offset + 1}
    assert offsets.consumer.sought == {}
