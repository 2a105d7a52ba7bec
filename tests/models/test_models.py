"""The models hold and their broken variants do not; where Spin is not there the command says so."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.models.verify import GOOD, MODELS, Model, _result, missing

ROOT = Path(__file__).resolve().parents[2]
MODEL = Model("toy", "it holds", {"BROKEN": "it does not"})
REACHED = (
    "State-vector 60 byte, errors: 0\n 7 states, stored\nunreached in proctype Auditor\n\t(0 of 3"
)


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.models", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_model_holds_and_each_of_its_known_bad_variants_is_found(model: Model) -> None:
    done = command(model.name)
    said = done.stdout + done.stderr
    if missing():
        assert (done.returncode, said.strip()) == (2, missing())
    else:
        assert done.returncode == 0, said
        assert said.count("| yes |") == 1 + len(model.known_bad)


def test_without_spin_one_sentence_says_what_to_install() -> None:
    done = command(PATH="")
    assert done.returncode == 2
    assert done.stdout == ""
    (sentence,) = done.stderr.splitlines()
    assert "spin" in sentence
    assert sentence.endswith(".")


def test_a_search_is_believed_only_when_it_went_to_the_end() -> None:
    broken = "pan:1: assertion violated (a==b) (at depth 5)\nerrors: 1\n 3 states, stored\n"
    assert _result(MODEL, GOOD, REACHED, 0).is_expected
    assert _result(MODEL, "BROKEN", broken, 0).is_expected
    for variant, found in (
        (GOOD, broken),
        ("BROKEN", REACHED),
        (GOOD, REACHED.replace("(0 of", "(1 of")),
        (GOOD, REACHED + "\npan: reached -DMEMLIM bound"),
        (GOOD, "error: max search depth too small\n" + REACHED),
        (GOOD, ""),
        ("BROKEN", "errors: 1\n 3 states, stored\npan:1: invalid end state (at depth 2)"),
    ):
        assert not _result(MODEL, variant, found, 0).is_expected
