"""Has Spin search a model through: every order of its steps, every death, every lost message."""

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
TOOLS = ("spin", "cc")
SECONDS_MAX = 900
MEGABYTES_MAX = 4000
DEPTH_MAX = 1_000_000
GOOD = "as built"


@dataclass(frozen=True, slots=True)
class Model:
    """A model, what it says of the product, and how it is broken on purpose."""

    name: str
    holds: str
    known_bad: Mapping[str, str] = field(hash=False)
    """By the name that is defined: what goes wrong, and must be found."""


_ALL = (
    Model(
        "relay",
        "two relays, leases lost and deaths anywhere: each effect once, in order, none missing",
        {
            "NO_INBOX": "a record that is read again has its effect again",
            "DELETE_BEFORE_ACK": "a relay that dies after deleting loses what it had not sent",
            "SKIP_LOCKED": "relays that take the next free row overtake each other",
            "HEAD_NOT_LOCKED": "a later version that commits first is sent first",
        },
    ),
    Model(
        "charge",
        "an unknown outcome and late webhooks: money is taken once at most, and what we say is true",
        {
            "FAILOVER_ON_UNKNOWN": "the second provider takes what the first one took unheard",
            "NEW_KEY": "an unknown outcome that is tried again under a new key is taken twice",
            "ABSENCE_BELIEVED": "a request that was not found yet arrives after the failover",
            "WEBHOOK_BELIEVED": "a late word of failure undoes money that was taken",
        },
    ),
    Model(
        "destroy",
        "signing and paying go on meanwhile: no signature after the end, no key lost with funds",
        {
            "CHECK_THEN_SIGN": "a key that was looked up before its destruction signs after it",
            "BALANCE_FROM_BEFORE": "money that came after the balance was read is locked in",
            "NO_BALANCE": "the key goes while money is there of which nobody had heard",
            "STATED_BEFORE_DELETED": "the end is stated while the key still signs",
            "WATCH_ENDS": "money that comes after the end is announced to nobody",
        },
    ),
)
MODELS: Mapping[str, Model] = {model.name: model for model in _ALL}


@dataclass(frozen=True, slots=True)
class Result:
    """What a search found."""

    model: Model
    variant: str
    """`GOOD`, or what was defined to break it."""
    states: int
    violated: str
    """The assertion that does not hold; empty when all do."""
    complete: bool
    """Every state was visited and the end of the story was reached, or a violation was found."""
    seconds: float

    @property
    def is_expected(self) -> bool:
        """The model as built holds; broken on purpose it does not."""
        return self.complete and bool(self.violated) == (self.variant != GOOD)


def missing() -> str:
    """One sentence that names what to install; empty when nothing is missing."""
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    if not absent:
        return ""
    return (
        f"{' and '.join(absent)} not found: install the Spin model checker and a C compiler "
        "(Debian and Ubuntu: apt-get install spin gcc; macOS: port install spin)."
    )


def verify(model: Model, variant: str = GOOD, defined: Sequence[str] = ()) -> Result:
    """Search one variant; raises `subprocess.CalledProcessError` where a tool gives up."""
    flags = [f"-D{name}" for name in (*defined, *(() if variant == GOOD else (variant,)))]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="invoiceos-model-") as place:
        _run(place, "spin", "-a", *flags, str(HERE / f"{model.name}.pml"))
        # Without reduction: every order of the steps is gone through, not one for many.
        how = ["-DSAFETY", "-DNOREDUCE", f"-DMEMLIM={MEGABYTES_MAX}"]
        _run(place, "cc", "-w", *how, "-o", "pan", "pan.c")
        # Ends are judged by the models' auditors, not by labels.
        found = _run(place, f"{place}/pan", "-E", f"-m{DEPTH_MAX}")
    return _result(model, variant, found, time.monotonic() - began)


def _run(place: str, *command: str) -> str:
    done = subprocess.run(
        command, cwd=place, capture_output=True, text=True, check=True, timeout=SECONDS_MAX
    )
    return done.stdout


def _result(model: Model, variant: str, found: str, seconds: float) -> Result:
    states = re.search(r"(\d+) states, stored", found)
    errors = re.search(r"errors: (\d+)", found)
    violated = re.search(r"assertion violated \((.*)\) \(at depth", found)
    cut_short = re.search(r"max search depth too small|out of memory|reached -DMEMLIM", found)
    audited = re.search(r"unreached in proctype Auditor\s+\(0 of", found)
    searched = states is not None and errors is not None and cut_short is None
    whole = violated is not None or (
        audited is not None and errors is not None and errors[1] == "0"
    )
    return Result(
        model=model,
        variant=variant,
        states=int(states[1]) if states else 0,
        violated=violated[1] if violated else "",
        complete=searched and whole,
        seconds=seconds,
    )
