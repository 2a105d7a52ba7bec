"""How the model learns: one label after the other, the same log always to the same model.

Each label first judges (what did the model say, what the rules' own rate?), then teaches. The model
goes live when it has seen enough labels and was better than the rules over a week; it goes back
into the shadow when its losses drift upwards, and has to earn its place anew.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from wallet_factory.domain.selector import MICRO, Model, Standing

LEARNING_RATE, L2 = 0.02, 1e-4
LABELS_MIN = 500
WEEK = timedelta(days=7)
DAYS = 7
DRIFT_SLACK, DRIFT_LIMIT = 0.05, 25.0
"""Page-Hinkley: how much a loss may lie above its mean, and how much of that in sum is drift."""
LOSS_MAX = 10.0


@dataclass(frozen=True, slots=True)
class Label:
    """A decision of which it is known now whether a persistent wallet was right."""

    rule: str
    features: Mapping[str, int]
    persistent_was_right: bool
    at: datetime


@dataclass(slots=True)
class Learned:
    """Everything the next label needs; plain values, so that it can be stored and compared."""

    labels: int = 0
    standing: str = Standing.SHADOW.value
    since: str | None = None
    """When the model began to earn its place."""
    intercept: float = 0.0
    weights: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    means: dict[str, float] = field(default_factory=dict)
    variances: dict[str, float] = field(default_factory=dict)
    rules: dict[str, list[int]] = field(default_factory=dict)
    """Of each rule: labels, and those that say persistent."""
    days: dict[str, list[float]] = field(default_factory=dict)
    """Of each of the last days: labels, the model's loss, the rules' loss."""
    drift: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0, 0.0])
    """Labels, mean loss, sum above it, its minimum."""
    reverted: int = 0
    """How often it lost its place."""

    def plain(self) -> dict[str, Any]:
        """As it is stored."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @property
    def hash(self) -> str:
        """Names the state: two that are equal in every bit have the same."""
        text = json.dumps(self.plain(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def model(self, version: int) -> Model:
        """What decisions are made by."""
        return Model(
            version=version,
            standing=Standing(self.standing),
            hash=self.hash,
            intercept=self.intercept,
            weights=dict(self.weights),
            means=dict(self.means),
            deviations={name: value**0.5 for name, value in self.variances.items()},
        )

    def losses(self) -> tuple[int, float, float]:
        """Labels of the last days, and the mean loss of model and rules."""
        labels = int(sum(day[0] for day in self.days.values()))
        model, rules = (sum(day[place] for day in self.days.values()) for place in (1, 2))
        return labels, model / max(labels, 1), rules / max(labels, 1)


def learn(state: Learned, labels: Iterable[Label]) -> Learned:
    """The state after these labels, in this order; the given one is used up."""
    # Loaded where something is learned: 60 MB that deciding does not need.
    from river import linear_model, optim, preprocessing
    from river.utils import VectorDict

    # Not typed there.
    scaler: Any = preprocessing.StandardScaler._from_state(
        counts=state.counts, means=state.means, vars=state.variances
    )
    model: Any = linear_model.LogisticRegression(optimizer=optim.SGD(LEARNING_RATE), l2=L2)
    model.intercept = state.intercept
    model._weights = VectorDict(dict(state.weights))
    for label in labels:
        values = {name: value / MICRO for name, value in sorted(label.features.items())}
        said = model.predict_proba_one(scaler.transform_one(values)).get(True, 0.5)
        _judge(state, label, float(said))
        scaler.learn_one(values)
        model.learn_one(scaler.transform_one(values), label.persistent_was_right)
        state.labels += 1
        _promote(state, label.at)
    state.intercept = float(model.intercept)
    state.weights = {name: float(value) for name, value in sorted(model.weights.items())}
    state.counts = {name: int(value) for name, value in sorted(scaler.counts.items())}
    state.means = {name: float(value) for name, value in sorted(scaler.means.items())}
    state.variances = {name: float(value) for name, value in sorted(scaler.vars.items())}
    return state


def _judge(state: Learned, label: Label, said: float) -> None:
    """What model and rules would have lost by this label, before either knows it."""
    seen, persistent = state.rules.get(label.rule, [0, 0])
    right = label.persistent_was_right
    model_loss = _loss(said, right=right)
    rules_loss = _loss((persistent + 0.5) / (seen + 1), right=right)
    state.rules[label.rule] = [seen + 1, persistent + right]
    day = label.at.date().isoformat()
    count, model, rules = state.days.get(day, [0, 0.0, 0.0])
    state.days[day] = [count + 1, model + model_loss, rules + rules_loss]
    for old in sorted(state.days)[:-DAYS]:
        del state.days[old]
    _watch_drift(state, model_loss, label.at)


def _loss(probability: float, *, right: bool) -> float:
    likely = probability if right else 1 - probability
    return min(LOSS_MAX, -math.log(max(likely, 1e-9)))


def _watch_drift(state: Learned, loss: float, at: datetime) -> None:
    count, mean, above, lowest = state.drift
    count += 1
    mean += (loss - mean) / count
    above += loss - mean - DRIFT_SLACK
    state.drift = [count, mean, above, min(lowest, above)]
    if above - state.drift[3] > DRIFT_LIMIT:
        state.drift = [0.0, 0.0, 0.0, 0.0]
        if state.standing == Standing.LIVE:
            state.standing, state.since = Standing.SHADOW.value, at.isoformat()
            state.reverted += 1
            state.days = {}


def _promote(state: Learned, at: datetime) -> None:
    state.since = state.since or at.isoformat()
    if state.standing == Standing.LIVE or state.labels < LABELS_MIN:
        return
    _, model, rules = state.losses()
    if at - datetime.fromisoformat(state.since) >= WEEK and model < rules:
        state.standing = Standing.LIVE.value
