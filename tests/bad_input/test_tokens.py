"""A service behind the gateway believes the gateway's tokens and nobody else's."""

import asyncio

from tests.bad_input.tokens import TABLE, Forger


async def ask(http, stack, token):
    url = stack.urls["invoice"] + "/api/v1/invoices"
    async with http.get(url, headers={"Authorization": f"Bearer {token}"}) as answer:
        return answer.status, await answer.json(content_type=None)


async def test_no_forged_token_is_believed(stack, tenant, http):
    seed = stack.env_for("gateway")["INVOICEOS_INTERNAL_TOKEN_PRIVATE_KEY"]
    forger = Forger(seed, tenant["tenant_id"])
    status, _ = await ask(http, stack, forger.token({}))
    assert status == 200, "the same token is good as long as nothing is changed in it"
    tokens = {name: forger.token(given) for name, given in TABLE.items()}
    answers = await asyncio.gather(*(ask(http, stack, token) for token in tokens.values()))
    failed = [
        f"{name}: {status} {problem}"
        for name, (status, problem) in zip(tokens, answers, strict=True)
        if (status, problem.get("code")) != (401, "unauthenticated")
    ]
    assert not failed, "\n".join(failed)
