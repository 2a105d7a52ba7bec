"""What a machine can see is not left to review (docs/adr/0016-limits-held-by-a-test.md).

Each rule is a function from one source file to the places that break it; each has a planted breach
below, so that a rule that stopped biting is noticed.
"""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[2]
FUNCTION_LINES = 70
FILE_LINES = 400
COLUMNS = 100
Breach = tuple[int, str]


@dataclass(frozen=True)
class Source:
    """One file, and the way from the root to it."""

    path: PurePosixPath
    text: str
    tree: ast.Module

    @classmethod
    def of(cls, path: str, text: str) -> "Source":
        """Parse a text as if it stood at a path."""
        tree = ast.parse(text if path.endswith(".py") else "")
        return cls(PurePosixPath(path), text, tree)

    def under(self, *folders: str) -> bool:
        """Whether the file lies in one of these folders; `*` stands for one name."""
        return any(_is_under(self.path.parts, PurePosixPath(folder).parts) for folder in folders)


def _is_under(parts: tuple[str, ...], folder: tuple[str, ...]) -> bool:
    return len(parts) >= len(folder) and all(
        wanted in ("*", part, part.removesuffix(".py"))
        for part, wanted in zip(parts, folder, strict=False)
    )


def _read(pattern: str, *folders: str) -> list[Source]:
    paths = sorted(
        path
        for folder in folders
        for path in (ROOT / folder).rglob(pattern)
        if "__pycache__" not in path.parts and ".venv" not in path.parts
    )
    return [Source.of(path.relative_to(ROOT).as_posix(), path.read_text()) for path in paths]


@cache
def product() -> list[Source]:
    """Read when a test asks: whoever only collects tests does not wait for 900 files."""
    return _read("*.py", "services", "libs", "contracts", "deploy", "k8s")


@cache
def everything() -> list[Source]:
    """The product, its tests and documents, and the SQL."""
    return product() + _read("*.py", "tests", "docs") + _read("*.sql", "services", "libs")


MONEY = ("libs/money", "services/reserve-ledger/src", "services/invoice/src/invoice/domain")
DECIDING = tuple(f"services/*/src/*/{part}" for part in ("domain", "commands", "store"))


def long_functions(source: Source) -> Iterator[Breach]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                advice = f"of at most {FUNCTION_LINES}: name its steps as functions (ADR 0016)"
                yield node.lineno, f"{node.name} has {lines} lines {advice}"


def long_files(source: Source) -> Iterator[Breach]:
    lines = source.text.count("\n")
    if lines > FILE_LINES:
        yield 1, f"{lines} lines of at most {FILE_LINES}: split it by verb (ADR 0016)"


def wide_lines(source: Source) -> Iterator[Breach]:
    for number, line in enumerate(source.text.splitlines(), 1):
        if len(line) > COLUMNS:
            yield number, f"{len(line)} columns of at most {COLUMNS}: break the line (ADR 0016)"


def floats_near_money(source: Source) -> Iterator[Breach]:
    if not source.under(*MONEY):
        return
    for node in ast.walk(source.tree):
        called = isinstance(node, ast.Call) and _name(node.func) == "float"
        if called or (isinstance(node, ast.Constant) and isinstance(node.value, float)):
            yield (
                node.lineno,
                "a float near money: use integers of minor units or `money` (ADR 0007)",
            )


def _name(node: ast.expr) -> str:
    """`a.b.c` of an expression, as far as it is made of names."""
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    if isinstance(node, ast.Call):
        return _name(node.func)
    return node.id if isinstance(node, ast.Name) else ""


def naive_times(source: Source) -> Iterator[Breach]:
    """Naive everywhere; the machine's clock also where decisions are made."""
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call):
            continue
        called = _name(node.func).removeprefix("datetime.datetime.").removeprefix("datetime.")
        if called in {"utcnow", "utcfromtimestamp"}:
            yield node.lineno, f"{called} has no time zone: use datetime.now(UTC) (ADR 0016)"
        elif called == "now" and not node.args and not node.keywords:
            yield node.lineno, "datetime.now() has no time zone: use datetime.now(UTC) (ADR 0016)"
        elif source.under(*DECIDING) and called in {"time.time", "time.monotonic", "now", "today"}:
            yield node.lineno, "a clock of its own: take `tx.now` or be given the time (ADR 0005)"


def bare_excepts(source: Source) -> Iterator[Breach]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield node.lineno, "a bare except also catches cancellation: name what is expected"


_STAR = re.compile(r"select\s+(\w+\.)?\*(?!(\s*,\s*\$\d+)*\s+from\s+unnest\b)", re.IGNORECASE)


def select_stars(source: Source) -> Iterator[Breach]:
    if not source.under("services"):
        return
    for number, text in _texts(source):
        if _STAR.search(text):
            yield number, "select *: name the columns, for a new one must not reach old code"


def _texts(source: Source) -> Iterator[tuple[int, str]]:
    if source.path.suffix == ".sql":
        yield 1, source.text
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def publishing_elsewhere(source: Source) -> Iterator[Breach]:
    if source.under("libs/messaging", "tests", "docs"):
        return
    for node in ast.walk(source.tree):
        name = _name(node) if isinstance(node, ast.Attribute | ast.Name) else ""
        if isinstance(node, ast.ImportFrom):
            name = next((a.name for a in node.names if a.name == "AIOKafkaProducer"), "")
        if name.endswith("AIOKafkaProducer") or re.search(
            r"broker\.(publish|publish_batch|publisher|request)$", name
        ):
            yield (
                getattr(node, "lineno", 1),
                "a message sent past the outbox: state the fact with tx.stage (ADR 0002)",
            )


FOREIGN_WAIT = (
    "something else is awaited while a transaction is open: record the intent, call outside, "
    "record the outcome (ADR 0008)"
)
CALL_IN_TRANSACTION = """
async def f(runtime):
    async with runtime.worker.transaction() as tx:
        async with runtime.http.post(url) as answer:
            await tx.execute(answer)
"""


def foreign_waits(source: Source) -> Iterator[Breach]:
    """In an open transaction of a service only the transaction is awaited."""
    if not source.under("services"):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.AsyncWith):
            names = {
                item.optional_vars.id
                for item in node.items
                if _name(item.context_expr).endswith(".transaction")
                and isinstance(item.optional_vars, ast.Name)
            }
        elif isinstance(node, ast.AsyncFunctionDef):
            names = {a.arg for a in node.args.args if _is_tx(a.annotation)}
        else:
            continue
        if names:
            yield from _waits_for_others(node.body, names)


def _is_tx(annotation: ast.expr | None) -> bool:
    """Endpoints' `Reading` is a transaction too."""
    return isinstance(annotation, ast.Name) and annotation.id in {"Tx", "Reading"}


def _waits_for_others(body: list[ast.stmt], names: set[str]) -> Iterator[Breach]:
    for node in (inner for statement in body for inner in ast.walk(statement)):
        waited: list[ast.expr] = []
        if isinstance(node, ast.Await):
            waited = [node.value]
        elif isinstance(node, ast.AsyncWith):
            waited = [item.context_expr for item in node.items]
        elif isinstance(node, ast.AsyncFor):
            waited = [node.iter]
        for expression in waited:
            if not _concerns(expression, names):
                yield node.lineno, FOREIGN_WAIT


def _concerns(expression: ast.expr, names: set[str]) -> bool:
    if not isinstance(expression, ast.Call):
        return False
    receiver = _name(expression.func).split(".", maxsplit=1)[0]
    passed = [*expression.args, *(keyword.value for keyword in expression.keywords)]
    return receiver in names or any(isinstance(a, ast.Name) and a.id in names for a in passed)


def prints(source: Source) -> Iterator[Breach]:
    if not source.under("services", "libs"):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and _name(node.func) == "print":
            yield node.lineno, "print: log an event with structlog, `<noun>.<past verb>`"


def skipped_tests(source: Source) -> Iterator[Breach]:
    if not source.under("tests"):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and node.attr in {
            *("skip", "skipif", "xfail", "importorskip"),
        }:
            yield node.lineno, f"{node.attr}: a test runs or fails, so provide what it needs"


_LEFT_OVER = re.compile(r"#.*\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b|--.*\b(?:TO" + r"DO)\b")


def left_overs(source: Source) -> Iterator[Breach]:
    for number, line in enumerate(source.text.splitlines(), 1):
        if _LEFT_OVER.search(line):
            yield number, "a note to oneself: do it, or open an issue (ADR 0016)"


RULES: dict[Callable[[Source], Iterator[Breach]], Callable[[], list[Source]]] = {
    long_functions: product,
    long_files: product,
    wide_lines: product,
    floats_near_money: product,
    naive_times: product,
    bare_excepts: everything,
    select_stars: everything,
    publishing_elsewhere: product,
    foreign_waits: product,
    prints: product,
    skipped_tests: everything,
    left_overs: everything,
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_no_file_breaks_the_rule(rule: Callable[[Source], Iterator[Breach]]) -> None:
    found = [
        f"{source.path}:{line}: {message}"
        for source in RULES[rule]()
        for line, message in rule(source)
    ]
    assert not found, "\n" + "\n".join(found)


def test_there_is_something_to_look_at() -> None:
    services = {source.path.parts[1] for source in product() if source.under("services/*")}
    assert services >= {"gateway", "invoice", "reserve-ledger"}
    assert any(source.path.suffix == ".sql" for source in everything())


COMMAND = "services/invoice/src/invoice/commands/pay.py"
PLANTED: list[tuple[Callable[[Source], Iterator[Breach]], str, str]] = [
    (long_functions, COMMAND, "def f():\n" + "    x = 1\n" * 70),
    (long_files, COMMAND, "x = 1\n" * 401),
    (wide_lines, COMMAND, f'x = "{"a" * 100}"\n'),
    (floats_near_money, "libs/money/src/money/money.py", "x = float(1)\n"),
    (floats_near_money, "services/invoice/src/invoice/domain/tax.py", "rate = 0.19\n"),
    (floats_near_money, "services/invoice/src/invoice/domain.py", "rate = 0.19\n"),
    (naive_times, "libs/chassis/src/chassis/a.py", "x = datetime.now()\n"),
    (naive_times, "libs/chassis/src/chassis/a.py", "x = datetime.datetime.utcnow()\n"),
    (naive_times, COMMAND, "x = datetime.now(UTC)\n"),
    (naive_times, "services/invoice/src/invoice/store.py", "x = time.time()\n"),
    (bare_excepts, COMMAND, "try:\n    f()\nexcept:\n    pass\n"),
    (select_stars, "services/invoice/src/invoice/store.py", 'SQL = "select * from invoice"\n'),
    (select_stars, "services/invoice/migrations/0002.sql", "insert into a select b.* from b;"),
    (publishing_elsewhere, COMMAND, "from aiokafka import AIOKafkaProducer\n"),
    (publishing_elsewhere, COMMAND, "async def f(): await self._broker.publish(1)\n"),
    (
        foreign_waits,
        "services/notification/src/notification/providers/a.py",
        CALL_IN_TRANSACTION,
    ),
    (foreign_waits, COMMAND, "async def f(tx: Tx):\n    await asyncio.sleep(1)\n"),
    (prints, COMMAND, "print(1)\n"),
    (skipped_tests, "tests/invoice/test_a.py", "@pytest.mark.skip\ndef test(): ...\n"),
    (left_overs, COMMAND, "x = 1  # TO" + "DO: later\n"),
]


@pytest.mark.parametrize(("rule", "path", "text"), PLANTED)
def test_a_planted_breach_is_found(
    rule: Callable[[Source], Iterator[Breach]], path: str, text: str
) -> None:
    assert list(rule(Source.of(path, text)))


def test_each_rule_has_a_planted_breach() -> None:
    assert {rule for rule, _, _ in PLANTED} == set(RULES)


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (select_stars, "services/a/src/a/store.py", 'S = "select * from unnest($1::uuid[])"\n'),
        (select_stars, "services/a/src/a/store.py", 'S = "select count(*) from invoice"\n'),
        (
            foreign_waits,
            COMMAND,
            "async def f(tx: Tx):\n    async with tx.savepoint():\n        await store.g(tx, 1)\n",
        ),
        (naive_times, "libs/chassis/src/chassis/a.py", "x = datetime.now(UTC)\n"),
    ],
)
def test_what_is_right_passes(
    rule: Callable[[Source], Iterator[Breach]], path: str, text: str
) -> None:
    assert not list(rule(Source.of(path, text)))
