"""The jars of Kafka: pinned by `kafka.checksums`, fetched by jgo, verified before they are kept.

`python -m invoiceos_local.kafka --write-checksums` resolves them anew after a change of version.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from invoiceos_local.cache import cached
from invoiceos_local.errors import Unavailable

KAFKA_VERSION = "4.1.2"
# Resolved one at a time: a second coordinate beside Kafka pulls older versions of its parts in.
_ROOTS = (
    ("org.apache.kafka", "kafka_2.13", KAFKA_VERSION),
    ("org.slf4j", "slf4j-simple", "1.7.36"),
)
_CHECKSUMS = Path(__file__).with_name("kafka.checksums")
_DOWNLOADS_AT_ONCE = 8
_ATTEMPTS = 3


@dataclass(frozen=True, order=True)
class Jar:
    """A Maven artifact."""

    group: str
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.group}:{self.name}:{self.version}"

    @property
    def file_name(self) -> str:
        return f"{self.name}-{self.version}.jar"


def pinned_jars() -> dict[Jar, str]:
    """Every jar of the class path with its SHA-256, as checked in."""
    lines = _CHECKSUMS.read_text().splitlines()
    pairs = (line.split() for line in lines if line and not line.startswith("#"))
    return {Jar(*coordinate.split(":")): digest for digest, coordinate in pairs}


def kafka_jars() -> list[Path]:
    """The verified jars, from the cache or fetched now."""
    pinned = pinned_jars()
    name = f"kafka-{KAFKA_VERSION}-{hashlib.sha256(_CHECKSUMS.read_bytes()).hexdigest()[:12]}"
    folder = cached(name, lambda staging: _fetch_all(pinned, staging))
    return [folder / jar.file_name for jar in sorted(pinned)]


def _fetch_all(pinned: dict[Jar, str], target: Path) -> None:
    with TemporaryDirectory() as scratch, ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
        fetched = pool.map(lambda jar: _fetch(jar, Path(scratch)), pinned)
        for (jar, digest), content in zip(pinned.items(), fetched, strict=True):
            if hashlib.sha256(content).hexdigest() != digest:
                raise Unavailable(f"{jar} as downloaded is not the one in {_CHECKSUMS.name}")
            (target / jar.file_name).write_bytes(content)


def _fetch(jar: Jar, repository: Path) -> bytes:
    from jgo.maven import MavenContext

    artifact = MavenContext(repo_cache=repository, timeout=60).project(jar.group, jar.name)
    failure: Exception | None = None
    for _ in range(_ATTEMPTS):
        try:
            return artifact.at_version(jar.version).artifact().resolve().read_bytes()
        except Exception as error:
            failure = error
    raise Unavailable(
        f"Kafka cannot be downloaded ({jar}: {failure}); check the network to the Maven "
        "repository, or set INVOICEOS_KAFKA_BOOTSTRAP to a running broker"
    )


def write_checksums() -> int:
    """Resolves the closure of the pinned roots and writes the list; returns the number of jars."""
    from jgo.maven import MavenContext
    from jgo.parse import Coordinate

    with TemporaryDirectory() as scratch:
        context = MavenContext(repo_cache=Path(scratch), timeout=60)
        digests: dict[Jar, str] = {}
        for group, name, version in _ROOTS:
            wanted = context.create_dependency(Coordinate(group, name, version, scope="compile"))
            inputs, transitive = context.resolver.resolve([wanted])
            for found in (*inputs, *(d for d in transitive if d.scope in {"compile", "runtime"})):
                jar = Jar(found.groupId, found.artifactId, found.version)
                content = found.artifact.resolve().read_bytes()
                digests[jar] = hashlib.sha256(content).hexdigest()
    header = f"# Kafka {KAFKA_VERSION}: SHA-256 and coordinate of every jar\n"
    lines = (f"{digests[jar]}  {jar}\n" for jar in sorted(digests))
    _CHECKSUMS.write_text(header + "".join(lines))
    return len(digests)
