"""What the database itself holds up, whoever writes the SQL."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from invoiceos_contracts import decode


@pytest.fixture
async def api(gateway: Any) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(
        gateway.place.url("api"), server_settings={"search_path": "gateway"}
    )
    yield connection
    await connection.close()


async def test_the_api_role_sees_nothing_without_a_tenant(
    gateway: Any, acme: Any, api: Any
) -> None:
    assert await api.fetchval("select count(*) from api_key") == 0
    assert await api.fetchval("select count(*) from tenant") == 0
    assert await api.fetchval("select count(*) from outbox") == 0


async def test_the_api_role_sees_its_tenant_alone(gateway: Any, acme: Any, api: Any) -> None:
    other = await gateway.tenant("Other")
    mine = decode("ten", acme["tenant_id"])
    await api.execute("select set_config('app.tenants', $1, false)", str(mine))
    assert await api.fetchval("select array_agg(distinct tenant_id) from api_key") == [mine]
    assert await api.fetchval("select array_agg(tenant_id) from tenant") == [mine]
    foreign = decode("ten", other["tenant_id"])
    tag = await api.execute("update api_key set revoked_at = now() where tenant_id = $1", foreign)
    assert tag == "UPDATE 0"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await api.execute(
            "insert into api_key (tenant_id, id, name, prefix, secret_hash, scopes, created_by)"
            " values ($1, gen_random_uuid(), 'n', 'iok_t_00000000', $2, '{*}', 'x')",
            foreign,
            b"x" * 32,
        )


@pytest.mark.parametrize(
    "statement",
    [
        "update api_key set scopes = '{*}'",
        "update api_key set secret_hash = '\\x00'",
        "delete from api_key",
        "update tenant set state = 'active'",
        "delete from tenant",
        "alter table api_key disable row level security",
        "set role gateway_worker",
    ],
)
async def test_the_api_role_may_not(acme: Any, api: Any, statement: str) -> None:
    tenant = str(decode("ten", acme["tenant_id"]))
    await api.execute("select set_config('app.tenants', $1, false)", tenant)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await api.execute(statement)
