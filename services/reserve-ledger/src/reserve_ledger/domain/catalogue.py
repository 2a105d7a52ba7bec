"""The posting templates as data: read once, each proven to balance for all amounts."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

from reserve_ledger.domain.addresses import code_of
from reserve_ledger.domain.chart import CHART

NO_NAMES: Final[Mapping[str, str]] = MappingProxyType({})
_LINE: Final = re.compile(
    r"(debit|credit) (\S+) ([a-z_]+(?: [+-] [a-z_]+)*)(?: in ([a-z_]+))?", re.ASCII
)
_NAME: Final = re.compile(r"\{([a-z]+)\}")
_TERM: Final = re.compile(r"(?:^|([+-]) )([a-z_]+)")


class BadTemplate(ValueError):
    """A posting template that says nothing sound."""


@dataclass(frozen=True, slots=True)
class Template:
    """Name and version of a posting template; its text is `invoice_paid.v1`."""

    name: str
    version: int

    def __str__(self) -> str:
        return f"{self.name}.v{self.version}"


@dataclass(frozen=True, slots=True)
class Leg:
    """One posting to be: minor units of an asset, positive for a debit, negative for a credit."""

    account: str
    asset: str
    amount_minor: int
    address: str | None = None
    """Refines the account; None is the account's own address."""


Legs = tuple[Leg, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a template."""

    sign: int
    """1 is a debit, -1 a credit."""
    account: str
    """Code, or an address with names in braces."""
    amount: Mapping[str, int]
    """How often each variable counts."""
    asset: str
    """Name of the asset's variable."""

    @property
    def is_address(self) -> bool:
        """Whether the account is named by an address."""
        return self.account not in CHART


@dataclass(frozen=True, slots=True)
class PostingTemplate:
    """One version of one template."""

    id: Template
    says: str
    lines: tuple[Line, ...]

    @property
    def variables(self) -> frozenset[str]:
        """Amounts that must be given."""
        return frozenset(name for line in self.lines for name in line.amount)

    @property
    def names(self) -> frozenset[str]:
        """What the addresses must be filled in with."""
        return frozenset(name for line in self.lines for name in _NAME.findall(line.account))

    @property
    def assets(self) -> frozenset[str]:
        """Assets that must be given."""
        return frozenset(line.asset for line in self.lines)


def fill(
    name: str,
    assets: str | Mapping[str, str],
    amounts: Mapping[str, int],
    names: Mapping[str, str] = NO_NAMES,
) -> tuple[Template, Legs]:
    """The legs of a template's latest version; lines of nothing are left out.

    `assets` is one code where the template knows one asset. Raises `BadTemplate` when what is
    given is not what the template asks for.
    """
    template = latest(name)
    of = {"asset": assets} if isinstance(assets, str) else assets
    given = (frozenset(amounts), frozenset(of), frozenset(names))
    if given != (template.variables, template.assets, template.names):
        message = f"{template.id} asks for {sorted(template.variables | template.names)}"
        raise BadTemplate(message)
    return template.id, tuple(
        _leg(line, of[line.asset], line.sign * minor, names)
        for line in template.lines
        if (minor := _sum(line, amounts))
    )


def _leg(line: Line, asset: str, amount_minor: int, names: Mapping[str, str]) -> Leg:
    if not line.is_address:
        return Leg(line.account, asset, amount_minor)
    address = line.account.format_map(names)
    code = code_of(address)
    if code is None:
        message = f"{address[:80]!r} is no address"
        raise BadTemplate(message)
    return Leg(code, asset, amount_minor, address)


def _sum(line: Line, amounts: Mapping[str, int]) -> int:
    return sum(times * amounts[name] for name, times in line.amount.items())


@cache
def latest(name: str) -> PostingTemplate:
    """The version that new entries are made with; raises `BadTemplate` for a name nobody knows."""
    versions = [found for found in catalogue().values() if found.id.name == name]
    if not versions:
        message = f"there is no template {name[:60]}"
        raise BadTemplate(message)
    return max(versions, key=lambda found: found.id.version)


@cache
def catalogue() -> Mapping[Template, PostingTemplate]:
    """Every template of the product, by name and version."""
    text = (files("reserve_ledger.domain") / "templates.toml").read_text()
    return read(text)


def read(text: str) -> Mapping[Template, PostingTemplate]:
    """Read templates; raises `BadTemplate` for one that is unclear or does not balance."""
    found: dict[Template, PostingTemplate] = {}
    for raw in tomllib.loads(text).get("template", []):
        template = _read_one(raw)
        if template.id in found:
            message = f"{template.id} is there twice"
            raise BadTemplate(message)
        found[template.id] = template
    return MappingProxyType(found)


def _read_one(raw: Mapping[str, Any]) -> PostingTemplate:
    template = PostingTemplate(
        Template(raw["name"], raw["version"]),
        raw["says"],
        tuple(_read_line(line) for line in raw["lines"]),
    )
    for asset in template.assets:
        left: dict[str, int] = {}
        for line in template.lines:
            if line.asset == asset:
                for name, times in line.amount.items():
                    left[name] = left.get(name, 0) + line.sign * times
        if any(left.values()):
            message = f"{template.id} does not balance: {left}"
            raise BadTemplate(message)
    return template


def _read_line(text: str) -> Line:
    match = _LINE.fullmatch(text)
    if match is None:
        message = f"{text!r} is no line of a template"
        raise BadTemplate(message)
    side, account, amount, asset = match.groups()
    sample = _NAME.sub("a", account)
    if account not in CHART and code_of(sample) is None:
        message = f"{account!r} is neither a code of the chart nor an address"
        raise BadTemplate(message)
    terms: dict[str, int] = {}
    for sign, name in _TERM.findall(amount):
        terms[name] = terms.get(name, 0) + (-1 if sign == "-" else 1)
    return Line(1 if side == "debit" else -1, account, MappingProxyType(terms), asset or "asset")
