"""The source of the package: no machine fractions, standard library only, small."""

import ast
import sys
from pathlib import Path

import pytest

import money

SOURCES = sorted(Path(money.__file__).parent.glob("*.py"))
FORBIDDEN_NAMES = {"float", "Decimal", "decimal", "round", "math", "complex"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_source_holds_no_float_and_no_true_division(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        assert not isinstance(node, ast.Div), "use money.divide with a rounding mode"
        if isinstance(node, ast.Constant):
            assert type(node.value) not in {float, complex}
        if isinstance(node, ast.Name):
            assert node.id not in FORBIDDEN_NAMES


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_source_imports_the_standard_library_only(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
        else:
            continue
        for module in modules:
            top = module.partition(".")[0]
            assert top == "money" or top in sys.stdlib_module_names
            assert top not in FORBIDDEN_NAMES


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_functions_and_files_are_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno + 1 <= 40, node.name


def test_every_public_name_exists() -> None:
    assert all(hasattr(money, name) for name in money.__all__)
    assert len(set(money.__all__)) == len(money.__all__)
