"""`make up` starts the sandbox as a process of its own and brings it back when it dies."""

import signal
import time
from pathlib import Path

import httpx

from invoiceos_local.environment import SANDBOX
from invoiceos_local.resolver import Choices
from invoiceos_local.stack import Plan, running_stack


def test_the_local_stack_runs_it_tells_its_address_and_starts_it_again(tmp_path: Path) -> None:
    choices = Choices(own=True, embedded=True)
    plan = Plan(services=(), needs=frozenset(), choices=choices, sandbox=True, restart_dead=True)
    with running_stack(tmp_path, plan) as stack, httpx.Client(trust_env=False) as client:
        url = stack.urls[SANDBOX]
        assert set(client.get(f"{url}/sandbox").json()["providers"]) >= {"stripe", "paypal"}
        client.put(f"{url}/sandbox/faults", json={"providers": {"circle": {}}}).raise_for_status()
        first = stack.pid(SANDBOX)
        stack.kill(SANDBOX, signal.SIGKILL)
        deadline = time.monotonic() + 90
        while stack.pid(SANDBOX) == first or not stack.overview()[SANDBOX]["ready"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert client.get(f"{url}/sandbox/faults").json()["providers"].keys() == {"circle"}
