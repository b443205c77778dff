"""A classifier that callers' labels correct, behind bounds.

A label is one step of logistic regression by gradient descent on the prompt's own features (the step that sklearn's
`partial_fit` takes), so like prompts follow. The intercepts stay: a correction never moves prompts that share no words
with the labelled ones. Bounds are in nats of a class's score after the temperature, for any prompt whatever: its
features have length `LENGTH`, so a change of the weights of Frobenius norm d moves no score by more than `LENGTH` · d.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256

import numpy as np
import structlog
from numpy.typing import NDArray

from specsched.classify.features import LENGTH, Features, extract
from specsched.classify.linear import LinearClassifier
from specsched.records import ClassProbabilities

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far labels may move a classifier."""

    step: float = 1.0
    """Nats by which a label moves its own prompt's scores, at most."""
    all_tenants: float = 6.0
    """Nats by which any score may be moved, ever."""
    one_tenant: float = 3.0
    """Nats by which one tenant's labels of one class may move any score, ever."""
    labels_per_minute: int = 30
    """Of one tenant; what is above is dropped."""
    agreeing_labels: int = 3
    """Labels of one class, of prompts that were taken for one other, before they take effect together."""
    tenants: int = 1_000
    """Tenants that may correct; later ones are not heard, so that nobody gains by inventing names."""
    undo: int = 4
    """Corrections that can be rolled back one by one."""


@dataclass(slots=True)
class _Account:
    """What a tenant has left."""

    minute: int = -1
    labels: int = 0
    spent: dict[int, float] = field(default_factory=dict)
    """Nats by column."""


@dataclass(frozen=True, slots=True)
class _Label:
    features: Features
    column: int
    account: _Account


@dataclass(slots=True)
class _Pending:
    """Labels by (guessed column, told column) that wait for others that agree."""

    labels: dict[tuple[int, int], list[_Label]] = field(default_factory=dict)

    def add(self, guessed: int, label: _Label, enough: int) -> list[_Label]:
        """Keep a label; returns all of its kind, and forgets them, once there are enough."""
        kind = (guessed, label.column)
        waiting = self.labels.setdefault(kind, [])
        waiting.append(label)
        return self.labels.pop(kind) if len(waiting) >= enough else []


class CorrectedClassifier:
    """Classifies by weights that are replaced as a whole: `classify` from any thread, all else from one.

    Nothing is written to disk, and what arms have learnt is kept: it belongs to the file, not to its corrections.
    `version` names the weights in force; `roll_back` undoes the last corrections one by one or all, a restart all.
    """

    def __init__(
        self, base: LinearClassifier, bounds: Bounds | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._base = self._current = base
        self._bounds = bounds or Bounds()
        self._clock = clock
        self._earlier: deque[LinearClassifier] = deque(maxlen=self._bounds.undo)
        self._accounts: dict[str, _Account] = {}
        self._pending = _Pending()

    @property
    def current(self) -> LinearClassifier:
        """The classifier in force; it never changes, another one takes its place."""
        return self._current

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes it knows, in the order of its probabilities."""
        return self._base.classes

    @property
    def version(self) -> str:
        """The base's, and a hash of the corrections since."""
        return self._current.version

    def classify(self, text: str) -> ClassProbabilities:
        """Return π by the weights in force."""
        return self._current.classify(text)

    def told(self, text: str, prompt_class: str, tenant: str) -> None:
        """Take a label; takes effect once enough agree. Classes of the policy's own are none of ours."""
        if prompt_class not in self.classes:
            return
        features, account = extract(text), self._account(tenant)
        if not len(features.buckets) or account is None or account.labels >= self._bounds.labels_per_minute:
            return
        account.labels += 1
        guessed = int(np.argmax(self._current.probabilities(features)))
        label = _Label(features, self.classes.index(prompt_class), account)
        agreeing = self._pending.add(guessed, label, self._bounds.agreeing_labels)
        if agreeing:
            self._publish(agreeing)

    def roll_back(self, *, everything: bool = False) -> bool:
        """Undo the last correction, or all, to the bit; returns whether there was one. Labels that wait are dropped.

        What tenants have spent stays spent: a flood that was undone cannot begin anew.
        """
        self._pending = _Pending()
        if self._current is self._base or not (everything or self._earlier):
            return False
        self._current = self._base if everything else self._earlier.pop()
        if everything:
            self._earlier.clear()
        log.info("classifier_rolled_back", version=self.version)
        return True

    def _account(self, tenant: str) -> _Account | None:
        account = self._accounts.get(tenant)
        if account is None:
            if len(self._accounts) >= self._bounds.tenants:
                return None
            account = self._accounts[tenant] = _Account()
        minute = int(self._clock() // 60)
        if account.minute != minute:
            account.minute, account.labels = minute, 0
        return account

    def _publish(self, labels: list[_Label]) -> None:
        weights = self._current.weights
        corrected = weights.coefficients.copy()  # [BUCKETS, K]
        digest = sha256(self.version.encode())
        for label in labels:
            step = self._step(label)
            corrected[label.features.buckets] += step
            digest.update(label.features.buckets.tobytes() + step.tobytes())
        limit = self._bounds.all_tenants * weights.temperature / LENGTH
        change = corrected - self._base.weights.coefficients
        size = float(np.linalg.norm(change))
        if size > limit:
            corrected = self._base.weights.coefficients + change * np.float32(limit / size)
        self._earlier.append(self._current)
        version = f"{self._base.version}+{digest.hexdigest()[:8]}"
        self._current = LinearClassifier(replace(weights, coefficients=corrected), version)
        log.info("classifier_corrected", version=version, prompt_class=self.classes[labels[0].column])

    def _step(self, label: _Label) -> NDArray[np.float32]:
        """Change (F, K) of a prompt's rows: the gradient of its log loss, as long as its tenant may afford."""
        missed = -np.array(self._current.probabilities(label.features))  # [K], told minus believed
        missed[label.column] += 1.0
        nats = self._bounds.step * float(np.linalg.norm(missed))
        spent = label.account.spent.get(label.column, 0.0)
        affordable = min(nats, self._bounds.one_tenant - spent)
        label.account.spent[label.column] = spent + affordable
        scale = self._bounds.step * affordable / nats  # a told class is never believed wholly: nats > 0
        # Features of this length turn this rate into a move of their own prompt's scores by `scale · missed`.
        rate = scale * self._current.weights.temperature / LENGTH**2
        return np.outer(label.features.values, rate * missed).astype(np.float32)
