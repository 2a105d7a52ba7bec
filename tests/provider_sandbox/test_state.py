"""What the sandbox keeps: over a restart, over a kill; what it refuses; what it states."""

import csv
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from invoiceos_local.ports import LOOPBACK, accepts_connections, free_port

from .conftest import Make, Receiver, Sandbox

PAYMENT = {
    "amount": 10_000,
    "currency": "usd",
    "payment_method": "pm_card_visa",
    "confirm": True,
}


def pay(sandbox: Sandbox, *references: str) -> list[str]:
    client = sandbox.stripe()
    return [
        client.v1.payment_intents.create(PAYMENT | {"metadata": {"reference": name}}).id
        for name in references
    ]


def test_a_restart_keeps_everything(make_sandbox: Make, receiver: Receiver, tmp_path) -> None:
    sandbox = make_sandbox(str(tmp_path / "state.sqlite"))
    client = sandbox.stripe()
    client.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["payout.paid"]})
    intent = client.v1.payment_intents.create(PAYMENT, {"idempotency_key": "k"})
    sandbox.advance(3 * 86_400)
    client.v1.payouts.create({"amount": 5_000, "currency": "usd"})
    sandbox.faults("stripe", refunds__create={"throttled": 1})
    before = [
        sandbox.ok("GET", path)
        for path in ("/sandbox/truth", "/sandbox/faults", "/sandbox/clock", "/sandbox/deliveries")
    ]
    sandbox.restart()
    after = [
        sandbox.ok("GET", path)
        for path in ("/sandbox/truth", "/sandbox/faults", "/sandbox/clock", "/sandbox/deliveries")
    ]
    assert after == before
    client = sandbox.stripe()
    assert client.v1.payment_intents.retrieve(intent.id).status == "succeeded"
    with pytest.raises(Exception, match="rate limit"):
        client.v1.refunds.create({"payment_intent": intent.id})
    sandbox.advance(3 * 86_400)
    assert len(receiver.taken) == 1
    assert client.v1.payment_intents.create(PAYMENT).id != intent.id


def test_a_repeat_after_a_restart_gets_the_first_answer(make_sandbox: Make, tmp_path) -> None:
    sandbox = make_sandbox(str(tmp_path / "state.sqlite"))
    key = {"idempotency_key": "k"}
    first = sandbox.stripe().v1.payment_intents.create(PAYMENT, key)
    sandbox.restart()
    assert sandbox.stripe().v1.payment_intents.create(PAYMENT, key).id == first.id
    assert sandbox.truth()["count"] == 1


def process(folder: Path, port: int, **more: str | None) -> subprocess.Popen[bytes]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("INVOICEOS_")}
    settings = {
        "INVOICEOS_ENVIRONMENT": "test",
        "INVOICEOS_SANDBOX_PORT": str(port),
        "INVOICEOS_SANDBOX_FILE": str(folder / "state.sqlite"),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "provider_sandbox"],
        env={k: v for k, v in {**clean, **settings, **more}.items() if v is not None},
        stderr=subprocess.PIPE,
    )


def answers(url: str, running: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    port = int(url.rpartition(":")[2])
    while not accepts_connections(port):
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_kill_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    data = {
        "amount": "5000",
        "currency": "usd",
        "payment_method": "pm_card_visa",
        "confirm": "true",
    }
    headers = {"Authorization": "Bearer sk_test_1"}
    running = process(tmp_path, port)
    try:
        answers(url, running)
        path = f"{url}/stripe/v1/payment_intents"
        made = [httpx.post(path, data=data, headers=headers).json()["id"] for _ in range(5)]
        running.send_signal(signal.SIGKILL)
        running.communicate(timeout=60)
        running = process(tmp_path, port)
        answers(url, running)
        facts = httpx.get(f"{url}/sandbox/truth").json()["facts"]
        assert [fact["payment"] for fact in facts] == made
        assert httpx.get(f"{path}/{made[-1]}", headers=headers).json()["status"] == "succeeded"
    finally:
        running.terminate()
        running.communicate(timeout=60)


@pytest.mark.parametrize("environment", ["production", None])
def test_production_refuses_it_and_so_does_a_machine_that_says_nothing(
    tmp_path: Path, environment: str | None
) -> None:
    refused = process(tmp_path, free_port(), INVOICEOS_ENVIRONMENT=environment)
    _, said = refused.communicate(timeout=60)
    assert refused.returncode == 2
    assert b"never runs in production" in said
    assert not (tmp_path / "state.sqlite").exists()


def statement(sandbox: Sandbox, provider: str = "stripe", **window: str) -> list[dict[str, str]]:
    answer = sandbox.http.get(f"/sandbox/statements/{provider}", params={"format": "csv"} | window)
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.text)))


def told(lines: list[dict[str, str]]) -> list[tuple[str, str, str]]:
    return [(one["payment_metadata[reference]"], one["gross"], one["fee"]) for one in lines]


def test_a_statement_tells_the_truth_until_a_break_is_planted(sandbox: Sandbox) -> None:
    pay(sandbox, "A", "B", "C", "D", "E")
    honest = told(statement(sandbox))
    assert honest == [(name, "100.00", "3.20") for name in "ABCDE"]
    planted = [
        {"kind": "missing", "line": "A"},
        {"kind": "doubled", "line": "B"},
        {"kind": "amount", "line": "C", "by_minor": -1},
        {"kind": "fee", "line": "D", "by_minor": 5},
        {"kind": "late", "line": "E", "by_s": 86_400},
    ]
    sandbox.ok("PUT", "/sandbox/breaks/stripe", json={"planted": planted})
    day = {"from": "2030-01-01T00:00:00Z", "to": "2030-01-02T00:00:00Z"}
    assert told(statement(sandbox, **day)) == [
        ("B", "100.00", "3.20"),
        ("B", "100.00", "3.20"),
        ("C", "99.99", "3.20"),
        ("D", "100.00", "3.25"),
    ]
    next_day = {"from": "2030-01-02T00:00:00Z", "to": "2030-01-03T00:00:00Z"}
    assert told(statement(sandbox, **next_day)) == [("E", "100.00", "3.20")]
    sums = {name: one["captured_minor"] for name, one in sandbox.truth()["references"].items()}
    assert sums == dict.fromkeys("ABCDE", 10_000)
    sandbox.ok("PUT", "/sandbox/breaks/stripe", json={})
    assert told(statement(sandbox)) == honest


def test_breaks_by_share_are_the_same_each_time_the_statement_is_read(sandbox: Sandbox) -> None:
    pay(sandbox, *(f"INV-{place}" for place in range(20)))
    sandbox.ok("PUT", "/sandbox/breaks/stripe", json={"rates": {"missing": 0.3, "doubled": 0.3}})
    first = statement(sandbox)
    assert statement(sandbox) == first
    names = [one["balance_transaction_id"] for one in first]
    assert len(set(names)) < 20
    assert len(set(names)) < len(names)


def test_paypals_transaction_search_tells_the_same_lies_as_its_statement(sandbox) -> None:
    client = sandbox.paypal()
    for name in ("A", "B"):
        unit = {"amount": {"currency_code": "USD", "value": "10.00"}, "custom_id": name}
        body = {"intent": "CAPTURE", "purchase_units": [unit]}
        order = client.post("/v2/checkout/orders", json=body).json()["id"]
        sandbox.simulate("paypal", "approve", order=order)
        client.post(f"/v2/checkout/orders/{order}/capture")
    planted = {"planted": [{"kind": "missing", "line": "A"}]}
    sandbox.ok("PUT", "/sandbox/breaks/paypal", json=planted)
    window = {"start_date": "2030-01-01T00:00:00Z", "end_date": "2030-01-02T00:00:00Z"}
    found = client.get("/v1/reporting/transactions", params=window).json()
    info = [one["transaction_info"] for one in found["transaction_details"]]
    assert [one["custom_field"] for one in info] == ["B"]
    assert [one["Custom Field"] for one in statement(sandbox, "paypal")] == ["B"]


def test_time_never_goes_back(sandbox: Sandbox) -> None:
    back = {"mode": "standing", "now": "2029-12-31T00:00:00Z"}
    assert sandbox.http.put("/sandbox/clock", json=back).status_code == 409
    sandbox.ok("PUT", "/sandbox/clock", json={"mode": "running"})
    first, second = (sandbox.ok("GET", "/sandbox/clock")["seconds"] for _ in range(2))
    assert second > first


def test_a_charge_at_two_providers_for_one_reference_is_a_double_capture(sandbox) -> None:
    pay(sandbox, "INV-1", "INV-2")
    assert sandbox.truth()["double_captures"] == []
    client = sandbox.paypal()
    unit = {"amount": {"currency_code": "USD", "value": "100.00"}, "custom_id": "INV-1"}
    body = {"intent": "CAPTURE", "purchase_units": [unit]}
    order = client.post("/v2/checkout/orders", json=body).json()["id"]
    sandbox.simulate("paypal", "approve", order=order)
    client.post(f"/v2/checkout/orders/{order}/capture")
    assert sandbox.truth()["double_captures"] == ["INV-1"]
