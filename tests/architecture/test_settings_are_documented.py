"""`.env.example` names every setting the code reads, and none that nothing reads."""

import re
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import yaml
from pydantic_core import PydanticUndefined

from chassis.runtime import Service
from chassis.settings import Settings
from provider_orchestrator.providers.configuration import ProviderSettings
from provider_sandbox.settings import SandboxSettings

ROOT = Path(__file__).resolve().parents[2]
LINE = re.compile(r"^(#?)(INVOICEOS_[A-Z0-9_]+)=(.*)$", re.MULTILINE)
DOCUMENTED = {
    name: (not mark, value)
    for mark, name, value in LINE.findall((ROOT / ".env.example").read_text())
}
NAMES = sorted(point.name for point in entry_points(group="invoiceos.services"))
each_service = pytest.mark.parametrize("name", NAMES)


SANDBOX = {f"INVOICEOS_{name.upper()}" for name in SandboxSettings.model_fields}
"""The provider sandbox is no service; what it reads is documented all the same."""


PROVIDERS = ROOT / "services/provider-orchestrator/src/provider_orchestrator/providers"


def settings_of_providers() -> list[type[ProviderSettings]]:
    """Each provider's folder has its own."""
    for path in sorted(PROVIDERS.glob("*/settings.py")):
        import_module(f"provider_orchestrator.providers.{path.parent.name}.settings")
    return ProviderSettings.__subclasses__()


def settings_of(name: str) -> type[Settings]:
    (point,) = entry_points(group="invoiceos.services", name=name)
    service: Service = point.load()
    return service.settings


def variable(field: str) -> str:
    return f"INVOICEOS_{field.upper()}"


def required(kind: type[Settings]) -> set[str]:
    return {variable(name) for name, field in kind.model_fields.items() if field.is_required()}


def read_outside_settings() -> set[str]:
    """Names that commands, the local stack, tests' tools and compose take from the environment."""
    literal = re.compile(r"[\"']((?:INVOICEOS_)[A-Z0-9_]+)[\"']")
    found: set[str] = set(SANDBOX)
    for kind in settings_of_providers():
        found |= {variable(field) for field in kind.model_fields}
    for folder in ("libs", "deploy", "services"):
        for path in (ROOT / folder).rglob("*.py"):
            found |= set(literal.findall(path.read_text()))
    compose = (ROOT / "docker-compose.yml").read_text()
    return found | set(re.findall(r"\$\{(INVOICEOS_[A-Z0-9_]+)", compose))


@each_service
def test_every_setting_of_a_service_is_in_the_example(name: str) -> None:
    missing = {variable(field) for field in settings_of(name).model_fields} - set(DOCUMENTED)
    assert not missing, f"add to .env.example, with a comment: {sorted(missing)}"


@each_service
def test_the_example_says_which_settings_a_service_cannot_start_without(name: str) -> None:
    kind = settings_of(name)
    hidden = {setting for setting in required(kind) if not DOCUMENTED[setting][0]}
    assert not hidden, f"take the # from the line of {sorted(hidden)}: there is no default"


@each_service
def test_the_defaults_in_the_example_are_the_defaults(name: str) -> None:
    for field_name, field in settings_of(name).model_fields.items():
        needed, text = DOCUMENTED[variable(field_name)]
        if needed or field.default in (PydanticUndefined, None):
            continue
        shown = field.default
        if isinstance(shown, tuple):
            shown = ",".join(str(item) for item in shown)
        elif isinstance(shown, frozenset):
            assert sorted(text.split(",")) == sorted(shown) or not shown
            continue
        elif hasattr(shown, "get_secret_value"):
            shown = shown.get_secret_value()
        elif isinstance(shown, bool):
            shown = str(shown).lower()
        assert text == str(shown), f"{variable(field_name)} in .env.example shows another default"


def test_the_defaults_of_providers_in_the_example_are_the_defaults() -> None:
    for kind in settings_of_providers():
        for name, field in kind.model_fields.items():
            default = field.default
            if isinstance(default, tuple):
                default = ",".join(default)
            elif hasattr(default, "get_secret_value"):
                default = default.get_secret_value()
            _, text = DOCUMENTED[variable(name)]
            assert name == "environment" or text == str(default), variable(name)


def test_everything_else_that_is_read_is_in_the_example() -> None:
    missing = read_outside_settings() - set(DOCUMENTED)
    assert not missing, f"add to .env.example, with a comment: {sorted(missing)}"


def test_the_example_names_nothing_that_nothing_reads() -> None:
    known = {variable(field) for name in NAMES for field in settings_of(name).model_fields}
    unread = set(DOCUMENTED) - known - read_outside_settings()
    assert not unread, f"remove from .env.example: {sorted(unread)}"


@each_service
def test_compose_gives_a_service_all_it_cannot_start_without(name: str) -> None:
    entries = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    missing = required(settings_of(name)) - set(entries[name]["environment"])
    assert not missing, f"set in docker-compose.yml under {name}: {sorted(missing)}"


@each_service
def test_the_manifests_name_all_a_service_cannot_start_without(name: str) -> None:
    text = (ROOT / "k8s" / "base" / name / "configmap.yaml").read_text()
    missing = {setting for setting in required(settings_of(name)) if setting not in text}
    assert not missing, f"set or name in k8s/base/{name}/configmap.yaml: {sorted(missing)}"
