"""Every answer of the running gateway is one that its own OpenAPI document promises.

Schemathesis makes requests of the document, valid and broken ones, and follows the links between
operations. `INVOICEOS_FUZZ_EXAMPLES=1000` tries for longer, `INVOICEOS_FUZZ_SEED` other requests.
"""

import asyncio
import os
import sys

from tests.bad_input.conftest import new_tenant

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
)
EXAMPLES = os.environ.get("INVOICEOS_FUZZ_EXAMPLES", "4")
SEED = os.environ.get("INVOICEOS_FUZZ_SEED", "7")


async def test_no_answer_is_an_error_of_the_server_or_undocumented(stack, world, http):
    tenant = new_tenant(stack, "Curious Ltd")
    credentials = {"Authorization": f"Bearer {tenant['api_key']}"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "schemathesis.cli", "run", f"{world.url}/openapi.json"),
        *("--url", world.url, "--header", f"Authorization: {credentials['Authorization']}"),
        *("--checks", ",".join(CHECKS), "--phases", "coverage,fuzzing,stateful"),
        *("--max-examples", EXAMPLES, "--seed", SEED, "--no-shrink", "--continue-on-failure"),
        *("--generation-database", "none", "--warnings", "off", "--no-color"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await process.communicate()
    print(told.decode()[-3000:])
    assert process.returncode == 0, told.decode()
    async with http.get(f"{world.url}/api/v1/tenants/current", headers=credentials) as answer:
        assert answer.status == 200, "the requests were those of a tenant until the end"
