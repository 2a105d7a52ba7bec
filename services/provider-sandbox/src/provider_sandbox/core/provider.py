"""What a played provider is: routes, rules of idempotency, signatures, pages, statements."""

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from provider_sandbox.core.faults import Decision
from provider_sandbox.core.store import Document

if TYPE_CHECKING:
    from provider_sandbox.core.statements import Line
    from provider_sandbox.core.world import World


@dataclass(frozen=True)
class Answer:
    """What is sent back. `keep` says whether an idempotency key remembers it."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    keep: bool = True
    resource: tuple[str, str] | None = None
    """Kind and id of the document it is about, for providers that answer a repeat anew."""


class Refused(Exception):
    """A request the provider says no to, with its own words."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.body)
        self.answer = answer


@dataclass
class Call:
    """One request, as a provider's operation sees it."""

    world: "World"
    operation: str
    method: str
    path: str
    ids: Mapping[str, str]
    query: Sequence[tuple[str, str]]
    headers: Mapping[str, str]
    raw: bytes
    base_url: str
    """Where this provider's API begins, as the client sees it."""
    decision: Decision
    params: dict[str, Any] = field(default_factory=dict)
    reset: Callable[[], None] | None = None
    """Cuts the connection; not there where there is none."""

    def one(self, name: str, default: str = "") -> str:
        """A query parameter."""
        return next((value for key, value in self.query if key == name), default)


@dataclass(frozen=True)
class Route:
    """One operation of an API."""

    method: str
    path: str
    operation: str
    perform: Callable[[Call], Answer]
    public: bool = False
    """Needs no credentials and no idempotency: keys, certificates, tokens."""


@dataclass(frozen=True)
class Guard:
    """An idempotency key and what it stands for."""

    key: str
    fingerprint: str
    lifetime_s: float


@dataclass(frozen=True)
class Choice:
    """Something a person may do on a page; `fields` are name, label and proposed value."""

    value: str
    label: str
    fields: Sequence[tuple[str, str, str]] = ()
    good: bool = True


@dataclass(frozen=True)
class Page:
    """A page where a person pays, or does not."""

    title: str
    amount: str
    rows: Sequence[tuple[str, str]]
    choices: Sequence[Choice] = ()
    note: str = ""
    error: str = ""


class Provider(ABC):
    """A provider. Its folder under `providers` holds one instance named `provider`."""

    name: str
    title: str
    routes: Sequence[Route]
    keeps_failures: bool = False
    """Whether a key remembers a 500 that came after the effect."""
    retries_s: Sequence[float] = ()
    """Seconds between attempts of a delivery that was not answered with success."""

    @abstractmethod
    def admit(self, call: Call) -> None:
        """Check credentials and read the body into `params`; raises `Refused`."""

    @abstractmethod
    def guard(self, call: Call) -> Guard | None:
        """The idempotency key of a request; raises `Refused` for one that is not allowed."""

    @abstractmethod
    def repeat(self, call: Call, guard: Guard, record: Document) -> Answer:
        """The answer to a key that was used before."""

    @abstractmethod
    def failure(self, call: Call, status: int) -> Answer:
        """The words for 409 (the key is in use now), 429, 500 and 503."""

    @abstractmethod
    def endpoints(self, world: "World", event: Document) -> list[Document]:
        """Who is told of an event: documents with `id` and `url`."""

    @abstractmethod
    def message(self, world: "World", endpoint: Document, event: Document) -> bytes:
        """The body of a delivery, the same in each attempt."""

    @abstractmethod
    def sign(self, world: "World", endpoint: Document, event: Document, body: bytes) -> "Headers":
        """The headers of one attempt."""

    @abstractmethod
    def page(self, world: "World", key: str) -> Page | None:
        """The page of an object, if it has one."""

    @abstractmethod
    def choose(self, world: "World", key: str, form: Mapping[str, str]) -> "str | Page":
        """Do what the person chose; the address to go to, or the page again."""

    @abstractmethod
    def row(self, line: "Line") -> dict[str, str]:
        """A line of the statement under the provider's own column names."""

    def actions(self) -> Mapping[str, Callable[["World", Document], None]]:
        """What timers do, by name."""
        return {}

    def simulations(self) -> Mapping[str, Callable[["World", Document], Document]]:
        """What the world outside may do, by name: `POST /sandbox/simulate/<provider>/<name>`."""
        return {}


Headers = Mapping[str, str]


def discover() -> dict[str, Provider]:
    """Every provider that has a folder."""
    package = importlib.import_module("provider_sandbox.providers")
    names = sorted(found.name for found in pkgutil.iter_modules(package.__path__) if found.ispkg)
    modules = [importlib.import_module(f"{package.__name__}.{name}") for name in names]
    providers: list[Provider] = [module.provider for module in modules]
    return {provider.name: provider for provider in providers}
