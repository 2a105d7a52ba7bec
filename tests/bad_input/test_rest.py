"""Every case of the doors that people and programs send requests to."""

import pytest
from tests.bad_input.catalogue import cases
from tests.bad_input.rest import try_all
from tests.bad_input.state import rows_of

from invoiceos_contracts import decode


@pytest.mark.parametrize("door", ["rest", "webhook"])
async def test_bad_input_gets_its_problem_and_changes_nothing(platform, http, world, tenant, door):
    refused = [case for case in cases(door) if not case.expected.endswith(" kept")]
    before = await rows_of(platform, decode("ten", tenant["tenant_id"]))
    await try_all(http, world, refused)
    assert await rows_of(platform, decode("ten", tenant["tenant_id"])) == before


async def test_text_that_looks_like_an_attack_is_kept_as_it_was_sent(http, world):
    kept = [case for case in cases("rest") if case.expected.endswith(" kept")]
    assert len(kept) > 40
    await try_all(http, world, kept)
