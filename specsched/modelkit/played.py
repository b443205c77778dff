"""Proposers whose rounds depend on where they begin, asked at every place of a completion as an engine would ask them.

Prompt lookup, drafts that copy first and drafts that stop when unsure: teacher forcing alone cannot tell what they
draft. So the engine's own proposer drafts from every place. On a greedy completion that is the whole truth. On a
sampled one the draft's tokens are drawn given what the target committed: the committed token x with
w = min(1, q(x) / p(x)), else one of norm((q - p)₊), after which the draft goes on by itself (arXiv 2211.17192,
appendix A.1, read backwards). One such draw a place is recorded.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from specsched.engine.kv import KVRow
from specsched.engine.law import History
from specsched.engine.model import LanguageModel as EngineModel
from specsched.engine.network import load_network
from specsched.engine.proposers.base import Proposer
from specsched.engine.proposers.composite import CompositeProposer
from specsched.engine.proposers.draft_model import DraftModelProposer
from specsched.engine.proposers.drawing import Drawing
from specsched.engine.proposers.ngram import NgramProposer
from specsched.engine.row import Row
from specsched.modelkit.language_model import LanguageModel
from specsched.modelkit.traces import TaughtTrace
from specsched.modelkit.windows import agreeing
from specsched.pool.manifest import ModelSpec
from specsched.records import Job, Plan, Sampling

_TOGETHER = 16


@dataclass(frozen=True, slots=True)
class PlayedScores:
    """A proposer along one completion of L tokens, in rounds of at most J tokens that begin at each of its places."""

    offered: NDArray[np.int64]
    """Tokens drafted, [L]."""
    steps: NDArray[np.int64]
    """Steps of the draft model that this took, [L]; none where it copies."""
    accepted: NDArray[np.int64]
    """Drafted tokens that stand, [L]."""
    overlaps: NDArray[np.float64]
    """β = Σ min(p, q) up to the first token that does not stand; 0 beyond, [L, J]."""


class Player:
    """One draft of a pool, as its engine has it."""

    def __init__(self, spec: ModelSpec, vocabulary: int) -> None:
        """Load what it needs.

        Raises:
            PoolError: weights that cannot be read.
        """
        self._always = spec.kind == "ngram"
        """Looking up takes its time whether it finds something or not: its step cost says what."""
        self._vocabulary = vocabulary
        self._followed: dict[Row, _Followed] = {}
        self._proposer = self._load(spec)

    @torch.inference_mode()
    def play(
        self, target: LanguageModel, taught: Sequence[TaughtTrace], max_gamma: int, max_tokens: int, seed: int
    ) -> list[PlayedScores]:
        """Play all completions, which asked for `max_tokens`."""
        found: list[PlayedScores] = []
        for start in range(0, len(taught), _TOGETHER):
            few = taught[start : start + _TOGETHER]
            paths = [_Followed(target, one, (seed, start + i), max_gamma) for i, one in enumerate(few)]
            self._followed = {_row(path, self._vocabulary, max_tokens): path for path in paths}
            for place in range(max(path.length for path in paths)):
                self._round([row for row, path in self._followed.items() if place < path.length], max_gamma)
            for row in self._followed:
                self._proposer.forget(row)
            found += [path.scores() for path in paths]
        return found

    def _load(self, spec: ModelSpec) -> Proposer:
        if spec.kind == "ngram":
            return NgramProposer(spec.id)
        model = EngineModel(load_network(spec), spec.id, max_rows=_TOGETHER, vocab_size=self._vocabulary)
        copies = [NgramProposer(spec.id, spec.copy_match_tokens)] if spec.copy_match_tokens else []
        return CompositeProposer(
            spec.id, [*copies, DraftModelProposer(spec.id, model, spec.stop_below_share, self._begin)]
        )

    def _begin(self, rows: Sequence[Row], gammas: Sequence[int], stop_below: float) -> Drawing:
        followed = [self._followed[row] for row in rows]
        for path in followed:
            path.drawn = True
        return _Given(followed, rows, gammas, stop_below)

    def _round(self, rows: Sequence[Row], max_gamma: int) -> None:
        """Draft from where all rows stand, note it, take none of it, and go on to the next place."""
        gammas = [max(1, min(max_gamma, row.remaining - 1)) for row in rows]
        for row, draft in zip(rows, self._proposer.propose(rows, gammas), strict=True):
            path = self._followed[row]
            path.note(draft.tokens, max_gamma if self._always else len(draft.tokens) * path.drawn)
            self._proposer.commit(row, len(row.tokens))
            row.commit([path.token])
            path.go_on()


class _Followed:
    """A completion, followed place by place."""

    def __init__(self, target: LanguageModel, one: TaughtTrace, seed: tuple[int, int], max_gamma: int) -> None:
        self.trace = one.trace
        self.length = len(one.trace.completion_ids)
        self.place = 0
        self.drawn = False
        """Whether the draft model drew in this round."""
        self._random = np.random.default_rng(seed)
        self._laws = _laws(target, one)
        self._offered, self._steps, self._accepted = (np.zeros(self.length, np.int64) for _ in range(3))
        self._overlaps = np.zeros((self.length, max_gamma))

    @property
    def token(self) -> int:
        """The committed one at this place."""
        return self.trace.completion_ids[self.place]

    def given(self, drafted: Sequence[int], law: Tensor) -> int:
        """Draw from the draft's law [V] after `drafted`, given what was committed."""
        rest = self.trace.completion_ids[self.place :]
        if self.trace.temperature == 0:
            return int(law.argmax())
        on_path = len(drafted) < len(rest) and agreeing(drafted, rest) == len(drafted)
        if not on_path:
            return self._draw(law)
        p, x = self._laws[self.place + len(drafted)], rest[len(drafted)]
        self._overlaps[self.place, len(drafted)] = float(torch.minimum(p, law).sum())
        if self._random.random() * float(p[x]) < float(law[x]):
            return x
        return self._draw((law - p).clamp_min(0.0))

    def note(self, tokens: Sequence[int], steps: int) -> None:
        """Take down what a round drafted."""
        place, rest = self.place, self.trace.completion_ids[self.place :]
        self._offered[place], self._steps[place] = len(tokens), steps
        self._accepted[place] = agreeing(tokens, rest)
        if tokens and not self.drawn:  # copied: q is one-hot
            judged = min(int(self._accepted[place]) + 1, len(tokens), len(rest))
            law = self._laws[place : place + judged]
            self._overlaps[place, :judged] = law[range(judged), tokens[:judged]].tolist()

    def go_on(self) -> None:
        """Stand at the next place."""
        self.place += 1
        self.drawn = False

    def scores(self) -> PlayedScores:
        """All that was noted."""
        return PlayedScores(self._offered, self._steps, self._accepted, self._overlaps)

    def _draw(self, weights: Tensor) -> int:
        sums = weights.double().cumsum(-1)
        return min(int(torch.searchsorted(sums, self._random.random() * float(sums[-1]))), len(weights) - 1)


class _Given(Drawing):
    """A round's draws, given what was committed."""

    def __init__(
        self, followed: Sequence[_Followed], rows: Sequence[Row], gammas: Sequence[int], stop_below: float
    ) -> None:
        super().__init__(rows, gammas, stop_below)
        self._sampled = []  # nobody judges these draws: no laws are kept
        self._followed = followed

    def _draw(self, logits: Tensor) -> Tensor:
        cold = torch.tensor([path.trace.temperature or 1.0 for path in self._followed])
        shaped = logits.float().cpu() / cold[:, None]
        for path, drafted, law in zip(self._followed, self._tokens, shaped.softmax(-1), strict=True):
            drafted.append(path.given(drafted, law))
        return shaped


def _laws(target: LanguageModel, one: TaughtTrace) -> Tensor:
    """The target's law of every token, [L, V]."""
    logits = target.logits(one.hidden.to(target.network.device, target.network.dtype)).cpu()
    if one.trace.temperature == 0:
        return torch.nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).float()
    return torch.softmax(logits / one.trace.temperature, -1)


def _row(path: _Followed, vocabulary: int, max_tokens: int) -> Row:
    job = Job(
        "played", path.trace.prompt_ids, Sampling(temperature=path.trace.temperature), Plan(), 0, max_tokens=max_tokens
    )
    history = History(job, frozenset(), vocabulary, torch.device("cpu"))
    return Row(job, lambda _chunk: None, history, KVRow(0), max_tokens, frozenset(), 0.0)
