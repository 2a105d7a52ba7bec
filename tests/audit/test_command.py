"""`invoiceos audit`: what it prints and how it ends."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from chassis.cli import app

BREACH = "insert into invoice.timer values ('no.such.kind', 'x', gen_random_uuid(), now(), '{}', 0)"
MENDED = "delete from invoice.timer where kind = 'no.such.kind'"


@pytest.fixture
def invoke(auditor_url, world):
    """Runs the command as an operator would."""

    def call(*arguments: str, **environment: str):
        settings = {"INVOICEOS_AUDIT_DATABASE_URL": auditor_url} | environment
        return CliRunner().invoke(app, ["audit", *arguments], env=settings)

    return call


def test_all_well_ends_with_0(invoke) -> None:
    done = invoke("--no-topics", "--settled")
    assert done.exit_code == 0, done.output
    assert "hold; topics not read; grace 0 s" in done.output
    assert "ledger.entries_balanced" in done.output


def test_a_breach_ends_with_1_and_says_what_to_do(invoke, for_real) -> None:
    with for_real(BREACH, MENDED):
        done = invoke("--no-topics")
    assert done.exit_code == 1
    assert "BREACH timers.have_handlers" in done.output
    assert "docs/runbooks/audit-breach.md#timers" in done.output


def test_programs_get_json(invoke, for_real) -> None:
    with for_real(BREACH, MENDED):
        done = invoke("--no-topics", "--json")
    assert done.exit_code == 1
    found = json.loads(done.output)
    assert [i["name"] for i in found["invariants"] if not i["holds"]] == ["timers.have_handlers"]


@pytest.mark.parametrize(
    "settings",
    [
        {"INVOICEOS_AUDIT_DATABASE_URL": ""},
        {"INVOICEOS_AUDIT_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"},
        {"INVOICEOS_KAFKA_BOOTSTRAP": ""},
        {"INVOICEOS_KAFKA_BOOTSTRAP": "127.0.0.1:1"},
    ],
    ids=["no database named", "no database there", "no broker named", "no broker there"],
)
def test_an_audit_that_cannot_be_made_ends_with_2(invoke, settings) -> None:
    done = invoke(**settings)
    assert done.exit_code == 2


def test_the_auditor_is_loaded_when_it_is_asked_for_and_not_before() -> None:
    program = "import sys, chassis.cli; sys.exit('audit' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    assert "audit" in CliRunner().invoke(app, ["--help"]).output
