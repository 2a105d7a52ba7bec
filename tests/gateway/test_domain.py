"""Keys, without I/O."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.keys import (
    SCOPES,
    SecretBox,
    hash_of,
    looks_like_key,
    refusal_of_grant,
    secret_of,
)

NOW = datetime(2027, 1, 1, tzinfo=UTC)


@given(st.binary(min_size=5, max_size=5), st.sampled_from(["production", "test", "development"]))
def test_every_key_has_the_form_of_one(prefix: bytes, environment: str) -> None:
    secret = secret_of(environment, prefix, "A-_" + "x" * 40)
    assert looks_like_key(secret.text)
    assert secret.text.startswith(f"iok_{environment[0]}_")
    assert len(secret.prefix) == 14
    assert secret.hash == hash_of(secret.text)


@given(st.text(max_size=80))
def test_other_texts_have_not(text: str) -> None:
    assert not looks_like_key(text)


@given(
    st.sets(st.sampled_from(sorted(SCOPES)), min_size=1), st.sets(st.sampled_from(sorted(SCOPES)))
)
def test_a_grant_is_allowed_exactly_when_all_of_it_is_held(
    wanted: set[str], held: set[str]
) -> None:
    refusal = refusal_of_grant(wanted, frozenset(held), expires_at=None, now=NOW)
    assert (refusal is None) == (wanted <= held)
    assert refusal_of_grant(wanted, frozenset("*"), expires_at=None, now=NOW) is None


def test_everything_is_granted_by_everything_alone() -> None:
    assert refusal_of_grant(["*"], frozenset(SCOPES), expires_at=None, now=NOW) is not None
    assert refusal_of_grant(["*"], frozenset({"*"}), expires_at=None, now=NOW) is None


def test_a_key_must_live_for_a_moment() -> None:
    for expires_at in (NOW, NOW - timedelta(days=1)):
        assert refusal_of_grant(["*"], frozenset("*"), expires_at=expires_at, now=NOW) is not None


def test_a_sealed_secret_opens_for_its_own_key_and_box_alone() -> None:
    box = SecretBox("seed")
    sealed = box.seal("iok_secret", key_id="key_1", nonce=os.urandom(12))
    assert "iok" not in sealed
    assert box.open(sealed, key_id="key_1") == "iok_secret"
    with pytest.raises(InvalidTag):
        box.open(sealed, key_id="key_2")
    with pytest.raises(InvalidTag):
        SecretBox("other").open(sealed, key_id="key_1")
