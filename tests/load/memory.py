"""Memory of each service, idle and after flows, against a bare import of what it imports."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping

from tests.load.cases import Run
from tests.load.loadgen import post_for
from tests.load.measure import Measure, Outcome, Ratio, pss_mib
from tests.load.place import Platform
from tests.load.quiet import until_quiet
from tests.load.report import ROOT
from tests.load.tenants import INVOICES, Requests, make_tenants

_LISTING = """
import importlib, json, sys
ours = ("{package}", "chassis", "messaging", "money", "invoiceos_contracts", "__main__")
importlib.import_module("{package}.app")
import chassis.application
names = [n for n in sys.modules if n.partition(".")[0] not in ours]
print(json.dumps(names))
"""
_IMPORTING = """
import importlib, json, sys
for name in json.loads(sys.stdin.readline()):
    try:
        importlib.import_module(name)
    except Exception:
        pass
print("done", flush=True)
sys.stdin.readline()
"""


async def run(run: Run) -> Outcome:
    """The whole case."""
    platform, outcome = run.place.platform(), Outcome()
    idle = platform.idle_mib
    if platform.flows == 0:
        run.say("no flow has run yet: issuing for a few seconds")
        idle = platform.memory()
        await _some_flows(platform)
    await until_quiet(platform, 10)
    after = platform.memory()
    chosen = sorted(platform.pids, key=lambda name: after[name], reverse=True)
    for service in chosen[:3] if run.quick else chosen:
        run.say(service)
        bare = await asyncio.to_thread(bare_import_mib, service.replace("-", "_"))
        _compare(outcome, service, bare, idle, after)
    total = sum(after.values())
    outcome.measures.append(Measure("all services, after the flows", "MiB", [total]))
    if idle:
        outcome.ratios.append(_worst("idle", outcome, "P20", 1.6))
    outcome.ratios.append(_worst("after", outcome, "P20", 2.0))
    outcome.notes.append(f"After {platform.flows} invoices issued, not the 100 000 of the goal.")
    return outcome


def _compare(
    outcome: Outcome,
    service: str,
    bare: float,
    idle: Mapping[str, float],
    after: Mapping[str, float],
) -> None:
    shown = {"bare": bare, "after": after[service]}
    if service in idle:
        shown["idle"] = idle[service]
    outcome.measures += [
        Measure(f"{service}, {name}", "MiB PSS", [value]) for name, value in shown.items()
    ]


def _worst(state: str, outcome: Outcome, goal: str, at_most: float) -> Ratio:
    """The largest ratio of any service; the range is over the services."""
    values = {measure.name: measure.value for measure in outcome.measures}
    shares = [
        value / values[name.rpartition(",")[0] + ", bare"]
        for name, value in values.items()
        if name.endswith(f", {state}")
    ]
    name = "idle" if state == "idle" else "after the flows"
    return Ratio(f"service {name} / bare imports, over the services", shares, goal, at_most=at_most)


def bare_import_mib(package: str) -> float:
    """PSS of a process that imports what the service imports from others, and does nothing."""
    listing = [sys.executable, "-c", _LISTING.format(package=package)]
    names = subprocess.run(listing, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    process = subprocess.Popen(
        [sys.executable, "-c", _IMPORTING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(json.loads(names.splitlines()[-1])) + "\n")
        process.stdin.flush()
        process.stdout.readline()
        return pss_mib([process.pid])
    finally:
        process.kill()
        process.wait()


async def _some_flows(platform: Platform) -> None:
    tenants = await asyncio.to_thread(make_tenants, platform, 4)
    make = Requests(tenants, issue=True)
    url = platform.urls["gateway"]
    load = await post_for(url, INVOICES, make, clients=32, seconds=3)
    platform.flows += load.accepted
    await until_quiet(platform, 30)
