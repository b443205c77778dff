"""What is true of drafts: hazards by class, draft, position and request (POLICY.md, "Acceptance")."""

from dataclasses import dataclass, replace

import numpy as np

from specsched.bench.evaluation.world import Array
from specsched.bench.simulation.costs import DRAFTS
from specsched.classify.base import PROMPT_CLASSES

MAX_GAMMA = 8

_LEVELS = (0.2, 0.8, 1.4, -0.8)
"""Logit of the first hazard by draft: .55, .69, .80, .31."""
_COPYING = (("summarization", 2.0), ("extraction", 3.0))
"""Logits that the n-gram proposer gains where completions repeat their prompt."""
_CLASS_SPREAD = 0.4
_CELL_SPREAD = 0.6
_REQUEST_SPREAD = 0.5**0.5
"""Requests of one class differ by ½ in logits²; drafts share `_REQUEST_SHARE` of it."""
_REQUEST_SHARE = 0.6
_RISE = 0.25
"""Hazards rise with ln j, on top of what easy requests alone would show."""
_BAD_LEVEL = -2.2
"""A draft that accepts one token in ten."""


@dataclass(frozen=True, slots=True)
class Truth:
    """Logits of first hazards, [K, D]."""

    logits: Array

    def hazards(self, prompt_class: str, offsets: Array) -> Array:
        """One request's, [D, J]; `offsets` are its own, in logits, by draft."""
        level = self.logits[PROMPT_CLASSES.index(prompt_class)] + offsets  # [D]
        rise = _RISE * np.log(np.arange(1, MAX_GAMMA + 1))  # [J]
        return np.asarray(1 / (1 + np.exp(-(level[:, None] + rise))), dtype=float)

    def with_bad(self, drafts: tuple[str, ...]) -> "Truth":
        """The same, but for drafts that hardly ever hit."""
        logits = self.logits.copy()
        logits[:, [DRAFTS.index(draft) for draft in drafts]] = _BAD_LEVEL
        return replace(self, logits=logits)


def draw_truth(random: np.random.Generator) -> Truth:
    """Draw a truth: drafts have levels, classes are easy or hard, and cells differ."""
    shape = (len(PROMPT_CLASSES), len(DRAFTS))
    logits = np.array(_LEVELS) + _CLASS_SPREAD * random.standard_normal((len(PROMPT_CLASSES), 1))
    logits = logits + _CELL_SPREAD * random.standard_normal(shape)
    for name, gain in _COPYING:
        logits[PROMPT_CLASSES.index(name), DRAFTS.index("ngram")] += gain
    return Truth(logits)


def draw_offsets(random: np.random.Generator) -> Array:
    """Draw a request's own ease, [D] in logits."""
    shared, own = random.standard_normal(), random.standard_normal(len(DRAFTS))
    mixed = _REQUEST_SHARE**0.5 * shared + (1 - _REQUEST_SHARE) ** 0.5 * own
    return np.asarray(_REQUEST_SPREAD * mixed, dtype=float)
