"""Orders in bulk over the gateway: progress as it happens, the file, and what is called off."""

import csv
import io
import json

from testkit.platform import a_key

BULK = "/api/v1/wallets/ephemeral/bulk"


def rows(name: str, count: int) -> list[dict[str, object]]:
    amount = {"amount_minor": 1_250, "asset": "USD"}
    return [{"reference": f"{name}-{n}", "amount": amount} for n in range(count)]


async def test_an_order_tells_its_progress_until_each_row_has_an_address(platform):
    client = platform.client
    body, key = {"rows": rows("first", 40)}, a_key()
    status, ordered, _ = await client.call("POST", BULK, body, Idempotency_Key=key)
    assert status == 202, ordered
    again = await client.call("POST", BULK, body, Idempotency_Key=key)
    assert again[1]["job_id"] == ordered["job_id"]
    path = f"{BULK}/{ordered['job_id']}"
    told = await events(client, f"{path}/events")
    assert [name for name, _ in told][-1] == "over"
    finished = [seen["finished"] for _, seen in told]
    assert finished == sorted(finished)
    assert told[-1][1]["counts"]["ready"] == 40
    table = list(csv.DictReader(io.StringIO(await text(client, f"{path}/results?format=csv"))))
    assert len({line["address"] for line in table}) == 40
    assert {line["state"] for line in table} == {"ready"}
    lines = [json.loads(line) for line in (await text(client, f"{path}/results")).splitlines()]
    assert [line["address"] for line in lines] == [line["address"] for line in table]
    invoice = await client.get(f"/api/v1/invoices/{table[0]['invoice_id']}")
    assert invoice["status"]["document"] == "open"


async def test_what_is_called_off_is_never_made(platform):
    client = platform.client
    ordered = await client.post(BULK, {"rows": rows("off", 3_000)})
    path = f"{BULK}/{ordered['job_id']}"
    await client.post(f"{path}/cancel")
    over = await client.eventually(path, lambda job: job["state"] == "cancelled", seconds=60)
    assert over["counts"]["cancelled"] + over["counts"]["ready"] == 3_000
    assert over["counts"]["cancelled"] > 0
    made = await text(client, f"{path}/results?format=csv")
    assert made.count(",ready,") == over["counts"]["ready"]


async def text(client, path: str) -> str:
    headers = {"Authorization": f"Bearer {client.api_key}"}
    async with client.http.get(client.url + path, headers=headers) as answer:
        assert answer.status == 200
        return await answer.text()


async def events(client, path: str) -> list[tuple[str, dict[str, object]]]:
    """What a listener hears until the stream ends."""
    heard = [block.splitlines() for block in (await text(client, path)).split("\n\n") if block]
    return [
        (block[1].removeprefix("event: "), json.loads(block[2].removeprefix("data: ")))
        for block in heard
        if block[0].startswith("id: ")
    ]
