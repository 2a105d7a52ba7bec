"""Every answer of the running gateway is one that its own OpenAPI document promises.

Schemathesis makes requests of the document, valid and broken ones, and follows the links between
operations. `INVOICEOS_FUZZ_EXAMPLES=1000` tries for longer and every border of every field,
`INVOICEOS_FUZZ_SEED=8` other requests.
"""

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest
from tests.bad_input.conftest import new_tenant

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
)
LONGER = os.environ.get("INVOICEOS_FUZZ_EXAMPLES", "")
CONFIG = Path(__file__).with_name("schemathesis.toml")


def command(url, key):
    """How Schemathesis is called: shortly as the file says, or every phase for longer."""
    phases = ("--phases", "coverage,fuzzing,stateful", "--max-time", "3000")
    longer = (*phases, "--max-examples", LONGER) if LONGER else ()
    seed = os.environ.get("INVOICEOS_FUZZ_SEED", "")
    return (
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG)),
        *("run", f"{url}/openapi.json", "--url", url),
        *("--header", f"Authorization: Bearer {key}", "--checks", ",".join(CHECKS)),
        *("--warnings", "off", "--no-color", *longer, *(("--seed", seed) if seed else ())),
    )


@pytest.mark.timeout(3600 if LONGER else 300)
async def test_no_answer_is_an_error_of_the_server_or_undocumented(stack, world, http):
    tenant = new_tenant(stack, "Curious Ltd")
    process = await asyncio.create_subprocess_exec(
        *command(world.url, tenant["api_key"]),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told = (await process.communicate())[0].decode()
    assert process.returncode == 0, told
    assert int(re.search(r"([0-9]+) generated, \1 passed", told)[1]) > 100, told
    credentials = {"Authorization": f"Bearer {tenant['api_key']}"}
    async with http.get(f"{world.url}/api/v1/tenants/current", headers=credentials) as answer:
        assert answer.status == 200, "the requests were those of a tenant until the end"
