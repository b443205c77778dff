"""A round up to its commit: the drafts propose, the target scores, `verify` judges. The engine commits."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

from torch import Tensor

from specsched.engine.model import LanguageModel
from specsched.engine.proposers.base import NOTHING, Draft, Proposer
from specsched.engine.row import Row
from specsched.engine.synthetic import Told
from specsched.engine.verify import Verdict
from specsched.policy.base import Arm
from specsched.records import RoundRecord

Verify = Callable[[Tensor, Sequence[Row], Sequence[Draft]], Sequence[Verdict]]
"""Judges every row's draft by the target's raw logits (`verify`)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a round came to, row by row; nothing of it is committed yet."""

    verdicts: Sequence[Verdict]
    records: Sequence[RoundRecord]
    logits: Tensor
    """The target's raw ones, [B, ≥ γ_i + 1, V]; valid until its next forward."""


class Rounds(Protocol):
    """Runs rounds: on the host (`HostRounds`), or on the device with one read (`gpu.rounds`)."""

    def play(self, rows: Sequence[Row], arms: Sequence[Arm]) -> Outcome:
        """Propose, verify and accept for every row under its arm."""
        ...

    def verify(self, rows: Sequence[Row], drafts: Sequence[Draft]) -> object:
        """Score and judge given drafts, to the end: what a profile times."""
        ...


class HostRounds:
    """Rounds whose every decision is made on the host."""

    def __init__(
        self,
        target: LanguageModel,
        proposers: Mapping[str, Proposer],
        verify: Verify,
        told: Told,
        clock: Callable[[], float],
    ) -> None:
        """Take what takes part.

        Args:
            target: Scores.
            proposers: By draft.
            verify: Judges.
            told: Has the last word on what is accepted.
            clock: Monotonic seconds.
        """
        self._target = target
        self._proposers = proposers
        self._verify = verify
        self._told = told
        self._clock = clock

    def play(self, rows: Sequence[Row], arms: Sequence[Arm]) -> Outcome:
        """Propose, verify and accept."""
        drafts, proposing = propose(rows, arms, self._proposers, self._clock)
        drafted = [draft.tokens for draft in drafts]
        started = self._clock()
        logits, judged = self.verify(rows, drafts)
        verdicts = self._told(rows, drafted, judged)
        verifying = self._clock() - started
        records = [
            record_of(arm, len(tokens), verdict, len(rows), proposing, verifying)
            for arm, tokens, verdict in zip(arms, drafted, verdicts, strict=True)
        ]
        return Outcome(verdicts, records, logits)

    def verify(self, rows: Sequence[Row], drafts: Sequence[Draft]) -> tuple[Tensor, Sequence[Verdict]]:
        """Score and judge."""
        logits = score(self._target, rows, drafts)
        return logits, self._verify(logits, rows, drafts)


def groups(arms: Sequence[Arm]) -> Iterator[tuple[str, list[int]]]:
    """Sort the rows that speculate by their draft: drafts run one after the other, each for all its rows."""
    speculating = sorted((i for i, arm in enumerate(arms) if arm.gamma), key=lambda i: arms[i].draft_model)
    for draft_model, members in groupby(speculating, key=lambda i: arms[i].draft_model):
        yield draft_model, list(members)


def propose(
    rows: Sequence[Row], arms: Sequence[Arm], proposers: Mapping[str, Proposer], clock: Callable[[], float]
) -> tuple[list[Draft], dict[str, float]]:
    """Let every draft propose for its rows; returns what each row got, and the seconds of each draft."""
    drafts = [NOTHING] * len(rows)
    seconds: dict[str, float] = {}
    for draft_model, members in groups(arms):
        started = clock()
        proposed = proposers[draft_model].propose([rows[i] for i in members], [arms[i].gamma for i in members])
        seconds[draft_model] = clock() - started
        for i, draft in zip(members, proposed, strict=True):
            drafts[i] = draft
    return drafts, seconds


def record_of(
    arm: Arm, gamma: int, verdict: Verdict, rows: int, proposing: Mapping[str, float], verifying: float
) -> RoundRecord:
    """Return the round's record of one row, `gamma` the tokens that were in fact drafted."""
    return RoundRecord(
        draft_model=arm.draft_model,
        gamma=gamma,
        num_accepted=verdict.num_accepted,
        batch_size=rows,
        propose_seconds=proposing.get(arm.draft_model, 0.0),
        verify_seconds=verifying,
        overlaps=verdict.overlaps,
        planned_gamma=arm.gamma,
    )


def score(target: LanguageModel, rows: Sequence[Row], drafts: Sequence[Draft]) -> Tensor:
    """Run the target once over every row's last token and its draft.

    Returns:
        Raw logits, [B, max γ + 1, V]: position j of a row is the law of the token after j drafted ones.
    """
    tokens = [[row.tokens[-1], *draft.tokens] for row, draft in zip(rows, drafts, strict=True)]
    return target.forward([row.kv for row in rows], tokens)
