"""Faults at the doors: libs/chassis and the gateway."""

from tests.mutations.mutation import Mutation

_CHASSIS = "libs/chassis/src/chassis"
_CHASSIS_TESTS = "tests/libs/chassis"
_GATEWAY = "services/gateway/src/gateway"
_GATEWAY_TESTS = "tests/gateway"

_SEALED = """\
        sealed = AESGCM(data_key).encrypt(nonce, text.encode(), subject.encode())
        return Sealed(
            key_id=self.key_id,
            wrapped_key=base64.b64encode(self.wrap(data_key)).decode(),
            nonce=base64.b64encode(nonce).decode(),
            ciphertext=base64.b64encode(sealed).decode(),
        )

    def open(self, sealed: Sealed, *, subject: str) -> str:
        \"\"\"The text; raises `Unreadable`.\"\"\"
        try:
            data_key = aes_key_unwrap(self._key, base64.b64decode(sealed.wrapped_key))
            opened = AESGCM(data_key).decrypt(
                base64.b64decode(sealed.nonce),
                base64.b64decode(sealed.ciphertext),
                subject.encode(),
            )
"""

_BOXED = """\
        sealed = nonce + self._cipher.encrypt(nonce, secret.encode(), key_id.encode())
        return base64.b64encode(sealed).decode()

    def open(self, sealed: str, *, key_id: str) -> str:
        \"\"\"The secret; raises `InvalidTag` when it was sealed for another key.\"\"\"
        raw = base64.b64decode(sealed)
        return self._cipher.decrypt(raw[:12], raw[12:], key_id.encode()).decode()
"""

CHASSIS = (
    Mutation(
        name="expired-token-accepted",
        sentence="An internal token is good for ever.",
        file=f"{_CHASSIS}/auth.py",
        old="        if not known.nbf <= now < known.exp:",
        new="        if not known.nbf <= now:",
        suite=f"{_CHASSIS_TESTS}/test_auth.py::test_a_token_is_good_for_its_time_alone",
    ),
    Mutation(
        name="remembered-token-never-expires",
        sentence="A token that was read once is believed without another look.",
        file=f"{_CHASSIS}/auth.py",
        old="        if caller is not None and now < until:",
        new="        if caller is not None:",
        suite=f"{_CHASSIS_TESTS}/test_auth.py::test_a_token_is_good_for_its_time_alone",
    ),
    Mutation(
        name="any-issuer-accepted",
        sentence="A token counts whoever it says it is from.",
        file=f"{_CHASSIS}/auth.py",
        old='    iss: Literal["invoiceos/gateway"]',
        new="    iss: str",
        suite=f"{_CHASSIS_TESTS}/test_auth.py::test_a_token_of_another_issuer_is_refused",
    ),
    Mutation(
        name="tenant-from-a-header",
        sentence="The tenant is the one a header names, not the token's.",
        file=f"{_CHASSIS}/auth.py",
        old="    return reader.read(token)\n",
        new="    caller = reader.read(token)\n"
        '    named = request.headers.get("x-tenant")\n'
        "    if named is None:\n"
        "        return caller\n"
        "    from invoiceos_contracts.ids import decode\n\n"
        '    return Caller(decode("ten", named), caller.actor, caller.scopes)\n',
        suite=f"{_CHASSIS_TESTS}/test_auth.py::test_the_tenant_is_the_tokens_whatever_headers_say",
    ),
    Mutation(
        name="scope-not-asked-for",
        sentence="A service serves whoever has a token, whatever its scopes.",
        file=f"{_CHASSIS}/auth.py",
        old='        if scope not in self.scopes and "*" not in self.scopes:',
        new="        if False:",
        suite="tests/invoice/test_api.py::test_every_route_asks_for_its_scope",
    ),
    Mutation(
        name="problem-tells-the-cause",
        sentence="The answer to a bug of ours shows the exception's text.",
        file=f"{_CHASSIS}/problems.py",
        old='    return problem(500, "internal_error", "Something went wrong on our side; '
        'nothing was changed")',
        new='    return problem(500, "internal_error", "Something went wrong", repr(error))',
        suite=f"{_CHASSIS_TESTS}/test_problems.py"
        "::test_an_unexpected_failure_tells_nothing_of_its_cause",
    ),
    Mutation(
        name="etag-ignored",
        sentence="If-Match is read and forgotten.",
        file=f"{_CHASSIS}/http.py",
        old="    return int(digits)\n",
        new="    return None\n",
        suite="tests/invoice/test_api.py::test_a_draft_is_edited_only_by_who_knows_its_version",
    ),
    Mutation(
        name="key-forgets-the-body",
        sentence="Two requests with one Idempotency-Key are the same whatever they say.",
        file=f"{_CHASSIS}/http.py",
        old="            self._caller.tenant_id, route, key, url.query.encode(), "
        "match.encode(), body",
        new="            self._caller.tenant_id, route, key, url.query.encode(), match.encode()",
        suite="tests/invoice/test_api.py::test_a_repeated_key_gives_the_same_bytes_and_one_effect",
    ),
    Mutation(
        name="sealed-for-anybody",
        sentence="A sealed value is not bound to its subject.",
        file=f"{_CHASSIS}/sealing.py",
        old=_SEALED,
        new=_SEALED.replace("subject.encode()", 'b""'),
        suite="tests/notification/test_mails.py"
        "::test_a_recipient_sealed_for_another_is_never_mailed",
    ),
    Mutation(
        name="last-of-two-keys-wins",
        sentence="JSON that gives a key twice is read as if it gave the last alone.",
        file="contracts/src/invoiceos_contracts/strict_json.py",
        old="    if len(found) != len(pairs):",
        new="    if False:",
        suite=f"{_CHASSIS_TESTS}/test_strict_json.py::test_what_is_not_strict_json_is_refused",
    ),
    Mutation(
        name="unknown-fields-pass",
        sentence="A body may hold fields that mean nothing to us.",
        file=f"{_CHASSIS}/inputs.py",
        old='extra="forbid", frozen=True',
        new='extra="ignore", frozen=True',
        suite="tests/invoice/test_api.py"
        "::test_what_is_not_an_invoice_is_refused_and_leaves_nothing",
    ),
)

GATEWAY = (
    Mutation(
        name="revoked-key-accepted",
        sentence="A key that was revoked goes on working.",
        file=f"{_GATEWAY}/queries.py",
        old='    if row["revoked"]:',
        new="    if False:",
        suite=f"{_GATEWAY_TESTS}/test_api.py::test_a_revoked_key_stops_at_once",
    ),
    Mutation(
        name="revocation-not-noticed",
        sentence="A key that was looked up before its revocation is believed for a while longer.",
        file=f"{_GATEWAY}/queries.py",
        old="        self._known = {d: known for d, known in self._known.items() "
        "if known.key_id != key_id}\n",
        new="        del key_id\n",
        suite=f"{_GATEWAY_TESTS}/test_api.py::test_a_revoked_key_stops_at_once",
    ),
    Mutation(
        name="expired-key-accepted",
        sentence="A key works beyond its end.",
        file=f"{_GATEWAY}/queries.py",
        old="        if now >= known.expires_at:",
        new="        if False:",
        suite=f"{_GATEWAY_TESTS}/test_api.py::test_an_expired_key_is_refused",
    ),
    Mutation(
        name="suspended-tenant-let-in",
        sentence="The keys of a suspended tenant go on working.",
        file=f"{_GATEWAY}/queries.py",
        old='    elif row["state"] != "active":',
        new="    elif False:",
        suite=f"{_GATEWAY_TESTS}/test_api.py::test_a_suspended_tenant_is_kept_out",
    ),
    Mutation(
        name="grant-beyond-what-is-held",
        sentence="A key makes keys that may do more than itself.",
        file=f"{_GATEWAY}/domain/keys.py",
        old="        if scope not in held and EVERYTHING not in held:",
        new="        if False:",
        suite=f"{_GATEWAY_TESTS}/test_api.py::test_a_key_grants_no_more_than_its_maker_has",
    ),
    Mutation(
        name="tenant-header-passed-on",
        sentence="The gateway hands on a header that names a tenant.",
        file=f"{_GATEWAY}/edge/headers.py",
        old='        b"user-agent",\n    }\n)\n_PASSED_TO',
        new='        b"user-agent",\n        b"x-tenant",\n    }\n)\n_PASSED_TO',
        suite=f"{_GATEWAY_TESTS}/test_forwarding.py::test_only_known_headers_go_on",
    ),
    Mutation(
        name="two-lengths-accepted",
        sentence="A request that gives the length of its body in two ways is let through.",
        file=f"{_GATEWAY}/edge/headers.py",
        old='        if b"content-length" in seen:',
        new="        if False:",
        suite=f"{_GATEWAY_TESTS}/test_entrance.py"
        "::test_the_edge_itself_refuses_what_servers_before_it_may_let_through",
    ),
    Mutation(
        name="unanswered-write-called-failed",
        sentence="A write that may have happened is called not done.",
        file=f"{_GATEWAY}/edge/forwarding.py",
        old="            raise _unknown(service) from error",
        new="            raise _unreachable(service, refused=False) from error",
        suite=f"{_GATEWAY_TESTS}/test_forwarding.py"
        "::test_a_write_without_an_answer_is_not_called_failed",
    ),
    Mutation(
        name="secret-box-opens-for-any-key",
        sentence="A sealed secret is not bound to the key it belongs to.",
        file=f"{_GATEWAY}/domain/keys.py",
        old=_BOXED,
        new=_BOXED.replace("key_id.encode()", 'b""'),
        suite=f"{_GATEWAY_TESTS}/test_domain.py"
        "::test_a_sealed_secret_opens_for_its_own_key_and_box_alone",
    ),
)

PLANTED = (*CHASSIS, *GATEWAY)
