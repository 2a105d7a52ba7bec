"""The providers' own published descriptions, where this machine has them."""

import base64
import hashlib
import json
import os
import subprocess
import tarfile
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from jsonschema import Draft4Validator
from openapi_core import Config, OpenAPI
from openapi_core.testing import MockRequest, MockResponse

from invoiceos_local.anvil import _npm
from invoiceos_local.cache import cached
from invoiceos_local.errors import Unavailable

ROOT = Path(__file__).resolve().parents[2]
_CIRCLE = "@circle-fin/circle-sdk@2.9.0"
_CIRCLE_INTEGRITY = (
    "STgg+XKhg9O77aU9wi6Dqpa9mA003FxvI1lFzOPF2Vw8XJVgS+7ZJxYlqNIMT8FM0ucwBzh7exTMbKtV0hjlMg=="
)
_HOST = "https://api-m.sandbox.paypal.com"


def folder() -> Path | None:
    """`INVOICEOS_PROVIDER_SPECS`, else `../shared/specs` from the project's root."""
    chosen = os.environ.get("INVOICEOS_PROVIDER_SPECS")
    found = Path(chosen) if chosen else ROOT.parent / "shared" / "specs"
    return found if (found / "paypal").is_dir() else None


def missing() -> list[str]:
    """One line for each provider whose description this machine does not have."""
    found = []
    if folder() is None:
        found.append("PayPal's descriptions are not here; INVOICEOS_PROVIDER_SPECS names a folder.")
    if circle() is None:
        found.append(f"Circle's description cannot be had: npm gives no {_CIRCLE}.")
    return found


def _fetch_circle(target: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        quiet = ("--ignore-scripts", "--loglevel=error", "--fetch-retries=1")
        subprocess.run(
            [*_npm(), "pack", _CIRCLE, *quiet, "--cache", f"{scratch}/npm"],
            check=True,
            capture_output=True,
            cwd=scratch,
            env={**os.environ, "npm_config_update_notifier": "false"},
        )
        (archive,) = Path(scratch).glob("*.tgz")
        digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        assert digest == _CIRCLE_INTEGRITY, "not the pinned package"
        with tarfile.open(archive) as package:
            member = package.extractfile("package/sdk.json")
            assert member is not None
            (target / "sdk.json").write_bytes(member.read())


@cache
def circle() -> dict[str, Any] | None:
    """Circle's description of version 1, from its npm package; kept in the project's cache."""
    try:
        place = cached("circle-sdk-2.9.0", _fetch_circle)
    except (Unavailable, subprocess.CalledProcessError):
        return None
    described: dict[str, Any] = json.loads((place / "sdk.json").read_text())
    return described


def circle_conforms(answer: httpx.Response, path: str) -> Any:
    """What is under `data`, once request and answer fit Circle's description of `path`."""
    described = circle()
    if described is not None:
        operation = described["paths"][path][answer.request.method.lower()]
        if answer.is_success and answer.request.content:
            body = operation["requestBody"]["content"]["application/json"]["schema"]
            _fits(described, body, json.loads(answer.request.content))
        told = at(described, operation["responses"][str(answer.status_code)])
        _fits(described, told["content"]["application/json"]["schema"], answer.json())
    return answer.json().get("data")


def at(described: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in part:
        place: Any = described
        for name in part["$ref"].removeprefix("#/").split("/"):
            place = place[name]
        part = place
    return part


def _fits(described: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    whole = {**schema, "components": described["components"]}
    errors = [
        f"{list(one.path)}: {one.message}"
        for one in Draft4Validator(
            whole, format_checker=Draft4Validator.FORMAT_CHECKER
        ).iter_errors(value)
    ]
    assert not errors, errors


@cache
def paypal(name: str) -> OpenAPI | None:
    """PayPal's description of this name."""
    place = folder()
    if place is None:
        return None
    described = json.loads((place / "paypal" / f"{name}.json").read_text())
    # The documents hold a pattern that the checker of descriptions does not take; theirs it is.
    return OpenAPI.from_dict(_relaxed(described), config=Config(spec_validator_cls=None))


_NOT_OURS = {"security", "readOnly"}


def _relaxed(part: Any) -> Any:
    """Without what is not ours: PayPal's own sentences, its OAuth server, who writes what."""
    if isinstance(part, list):
        return [_relaxed(one) for one in part]
    if not isinstance(part, dict):
        return part
    made = {name: _relaxed(one) for name, one in part.items() if name not in _NOT_OURS}
    properties = made.get("properties", {})
    if "issue" in properties and "description" in properties:
        properties["description"] = {"type": "string"}
    return made


def conforms(name: str, answer: httpx.Response, *, asked: bool = True) -> Any:
    """The body of an answer of PayPal, once it fits PayPal's description; the request too."""
    described = paypal(name)
    request = answer.request
    if described is not None:
        path = request.url.path.removeprefix("/paypal")
        sent = MockRequest(
            _HOST,
            request.method.lower(),
            path,
            args=dict(request.url.params),
            headers=dict(request.headers),
            data=request.content or None,
            content_type=request.headers.get("content-type", "application/json"),
        )
        given = MockResponse(
            answer.content,
            status_code=answer.status_code,
            headers=dict(answer.headers),
            content_type=answer.headers.get("content-type", "application/json"),
        )
        described.validate_response(sent, given)
        if asked and answer.is_success:
            described.validate_request(sent)
    return answer.json() if answer.content else None
