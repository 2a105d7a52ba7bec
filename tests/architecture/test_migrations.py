"""Migrations only add (F128, F156): what was published stays, old code runs on the new schema."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MIGRATIONS = [
    *sorted((ROOT / "services").glob("*/migrations/*.sql")),
    *sorted((ROOT / "libs/messaging").rglob("migrations/*.sql")),
]
TAKES_AWAY = re.compile(
    r"\bdrop\s+(table|column|schema|type)\b|\balter\s+column\s+\w+\s+type\b|\brename\s+(to|column)\b"
    r"|\btruncate\b",
    re.IGNORECASE,
)
NAME = re.compile(r"^\d{4}_(pre|post)_[a-z0-9_]+\.sql$")


def without_comments(sql: str) -> str:
    return re.sub(r"--[^\n]*", "", sql)


def test_there_are_migrations_of_every_service():
    assert len(MIGRATIONS) >= 8


@pytest.mark.parametrize("path", MIGRATIONS, ids=lambda path: f"{path.parts[-3]}/{path.name}")
def test_a_migration_takes_nothing_away_and_says_when_it_runs(path):
    found = TAKES_AWAY.search(without_comments(path.read_text()))
    assert found is None, f"{path.name}: '{found and found[0]}': add beside it instead (ADR 0006)"
    assert NAME.match(path.name), (
        f"{path.name}: name it 0002_pre_<what>.sql or 0002_post_<what>.sql"
    )


@pytest.mark.parametrize("folder", sorted((ROOT / "services").glob("*/migrations")))
def test_a_services_wheel_carries_its_migrations(folder):
    """An image installs wheels, not the checkout: without this line it has nothing to migrate."""
    project = tomllib.loads((folder.parent / "pyproject.toml").read_text())
    carried = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    package = folder.parent.name.replace("-", "_")
    assert carried == {"migrations": f"{package}/migrations"}


@pytest.mark.parametrize(
    "sql", ["drop table x", "ALTER TABLE a DROP COLUMN b", "alter column a type int", "rename to c"]
)
def test_the_rule_bites(sql):
    assert TAKES_AWAY.search(sql)
