"""The planted faults still fit the product, and only a test that failed counts as a catch."""

import ast
import json
import tomllib
from pathlib import Path

import pytest
from tests.mutations import report, verdict
from tests.mutations.catalogue import MUTATIONS
from tests.mutations.mutation import Mutation, NoLongerApplies
from tests.mutations.report import BEGIN, DOCUMENT, END, Kill
from tests.mutations.verdict import Run, Verdict, failures_in
from tests.mutations.workbench import ROOT

MUTATIONS_MIN = 40
PRODUCT = ("contracts/", "deploy/", "libs/", "services/")
each = pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)


def test_there_are_enough_and_each_has_a_name_of_its_own() -> None:
    assert len(MUTATIONS) >= MUTATIONS_MIN
    for column in ("name", "sentence"):
        values = [getattr(mutation, column) for mutation in MUTATIONS]
        assert len(set(values)) == len(values)


@each
def test_it_can_be_planted_in_a_product_file_that_stays_readable(mutation: Mutation) -> None:
    assert mutation.file.startswith(PRODUCT)
    whole = (ROOT / mutation.file).read_text()
    changed = mutation.planted_in(whole)
    assert changed != whole
    if mutation.file.endswith(".toml"):
        tomllib.loads(changed)
    elif not mutation.changes_schema:
        ast.parse(changed)


@each
def test_its_suite_is_there(mutation: Mutation) -> None:
    for argument in () if mutation.is_simulated else mutation.arguments:
        file, _, name = argument.partition("::")
        tree = ast.parse((ROOT / file).read_text())
        functions = ast.FunctionDef | ast.AsyncFunctionDef
        assert name in {node.name for node in tree.body if isinstance(node, functions)}


def test_the_published_table_names_every_mutation() -> None:
    _, _, rest = DOCUMENT.read_text().partition(BEGIN)
    table, marked, _ = rest.partition(END)
    assert marked
    rows = [row for row in table.splitlines() if row.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == [mutation.name for mutation in MUTATIONS]
    assert not [row for row in rows if "**" in row], "one was not caught"


def a_report(result: str) -> str:
    case = f'<testcase classname="tests.a.test_b" name="test_c[1]">{result}</testcase>'
    return f"<testsuites><testsuite>{case}</testsuite></testsuites>"


@pytest.mark.parametrize(
    ("code", "result", "expected"),
    [
        (1, '<failure message="AssertionError: 1 == 2"/>', Verdict.CAUGHT),
        (1, '<failure message="TimeoutError"/>', Verdict.CAUGHT),
        (0, "", Verdict.SURVIVED),
        (1, '<failure message="NameError: x"/>', Verdict.BROKEN),
        (1, '<failure message="ImportError: cannot import"/>', Verdict.BROKEN),
        (1, '<error message="failed on setup"/>', Verdict.BROKEN),
        (2, '<error message="collection failure"/>', Verdict.BROKEN),
        (4, "", Verdict.BROKEN),
        (5, "", Verdict.BROKEN),
        (None, "", Verdict.TOO_SLOW),
    ],
)
def test_only_a_test_that_ran_and_failed_has_caught_anything(
    code: int | None, result: str, expected: Verdict
) -> None:
    assert verdict.of(Run(code, 1.0, failures_in(a_report(result)))) is expected


def test_a_failed_test_is_named_as_pytest_names_it() -> None:
    (failure,) = failures_in(a_report('<failure message="m"/>'))
    assert (failure.test, failure.message) == ("tests/a/test_b.py::test_c[1]", "m")


@pytest.mark.parametrize("text", ["nothing of it", "old and old again"])
def test_a_mutation_that_fits_not_exactly_once_says_so(text: str) -> None:
    mutation = Mutation("n", "s", "libs/a.py", "old", "new", "tests/a.py")
    assert mutation.planted_in("an old text") == "an new text"
    with pytest.raises(NoLongerApplies, match=r"libs/a\.py"):
        mutation.planted_in(text)


def test_a_run_of_some_keeps_what_is_known_of_the_others(tmp_path: Path) -> None:
    first, second, gone = MUTATIONS[0], MUTATIONS[1], Mutation("gone", "", "", "", "", "x")
    target = tmp_path / "mutations.json"
    names = [first.name, second.name]
    report.save(target, [Kill(second, Verdict.SURVIVED), Kill(gone, Verdict.CAUGHT)], names)
    report.save(target, [Kill(first, Verdict.CAUGHT, "tests/a.py::test")], names)
    kept = json.loads(target.read_text())["mutations"]
    assert [(name, kill["verdict"]) for name, kill in kept.items()] == [
        (first.name, "caught"),
        (second.name, "survived"),
    ]
    assert "**survived**" in report.table(kept)
