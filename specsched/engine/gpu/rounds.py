"""A round on the device: propose and verify are queued without waiting, then the host reads what they came to, once."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from specsched.engine.gpu.forward import StaticForward, padded
from specsched.engine.gpu.judge import Guesses, Judgement, judge
from specsched.engine.marks import Marks
from specsched.engine.proposers.base import Draft, Proposer
from specsched.engine.proposers.composite import CompositeProposer
from specsched.engine.rounds import Outcome, groups, record_of
from specsched.engine.row import Row
from specsched.engine.synthetic import Told
from specsched.engine.transfer import to_device
from specsched.policy.base import Arm


@runtime_checkable
class Guesser(Protocol):
    """A proposer whose drafts stay on the device."""

    def guess(self, rows: Sequence[Row], gammas: Sequence[int]) -> Guesses:
        """Draft up to gammas[i] ≥ 1 tokens for rows[i]."""
        ...


class DeviceRounds:
    """`Rounds` with one wait for the device."""

    def __init__(self, target: StaticForward, proposers: Mapping[str, Proposer], told: Told, marks: Marks) -> None:
        """Take what takes part.

        Args:
            target: The target's forward.
            proposers: By draft: guessers, and others whose drafts come from the host.
            told: Has the last word on what is accepted.
            marks: Times what the device does.
        """
        self._target = target
        self._proposers = proposers
        self._told = told
        self._marks = marks

    def play(self, rows: Sequence[Row], arms: Sequence[Arm]) -> Outcome:
        """Propose, verify and accept."""
        sheet = _Sheet(rows, self._target.model.device)
        mark = self._marks.now()
        spent = {}
        for name, members in groups(arms):
            _ask(self._proposers[name], members, rows, arms, sheet)
            began, mark = mark, self._marks.now()
            spent[name] = (began, mark)
        logits, judged = self._verified(rows, sheet)
        end = self._marks.now()
        verdicts = self._told(rows, [each.drafted for each in judged], [each.verdict for each in judged])
        proposing = {name: self._marks.between(*marks) for name, marks in spent.items()}
        verifying = self._marks.between(mark, end)
        records = [
            record_of(arm, len(each.drafted), verdict, len(rows), proposing, verifying)
            for arm, each, verdict in zip(arms, judged, verdicts, strict=True)
        ]
        return Outcome(verdicts, records, logits)

    def verify(self, rows: Sequence[Row], drafts: Sequence[Draft]) -> list[Judgement]:
        """Verify drafts that the host knows: for the profile."""
        sheet = _Sheet(rows, self._target.model.device)
        sheet.take(range(len(rows)), drafts)
        return self._verified(rows, sheet)[1]

    def _verified(self, rows: Sequence[Row], sheet: "_Sheet") -> tuple[Tensor, list[Judgement]]:
        ids, guesses = sheet.filled()
        lines = self._target.place([row.kv for row in rows], [most + 1 for most in guesses.most])
        logits = self._target(lines, ids, guesses.counts + 1)  # [B, W, V]
        return logits, judge(logits, rows, guesses)


class _Sheet:
    """Every row's last token and its draft, put together from the host's and the device's."""

    def __init__(self, rows: Sequence[Row], device: torch.device) -> None:
        self._device = device
        self._known = [[row.tokens[-1]] for row in rows]
        self._most = [0] * len(rows)
        self._laws: list[Tensor | None] = [None] * len(rows)
        self._guessed: list[tuple[Sequence[int], Guesses]] = []

    def take(self, members: Sequence[int], drafts: Sequence[Draft]) -> None:
        """Note what the host knows of some rows."""
        for i, draft in zip(members, drafts, strict=True):
            self._known[i] += draft.tokens
            self._most[i], self._laws[i] = len(draft.tokens), draft.law

    def take_guesses(self, members: Sequence[int], guesses: Guesses) -> None:
        """Note what the device has for some rows."""
        self._guessed.append((members, guesses))
        for i, most, law in zip(members, guesses.most, guesses.laws, strict=True):
            self._most[i], self._laws[i] = most, law

    def filled(self) -> tuple[Tensor, Guesses]:
        """Return the target's input, [B, W], and the drafts in it."""
        width = 1 + max(self._most)
        ids = to_device(padded(self._known, width), self._device)
        counts = to_device(self._most, self._device)
        for members, guesses in self._guessed:
            index = to_device(members, self._device)
            own = guesses.tokens[:, : width - 1]
            ids[:, 1 : 1 + own.shape[1]].index_copy_(0, index, own)
            counts.index_copy_(0, index, guesses.counts)
        return ids, Guesses(ids[:, 1:], counts, self._most, self._laws)


def _ask(proposer: Proposer, members: Sequence[int], rows: Sequence[Row], arms: Sequence[Arm], sheet: _Sheet) -> None:
    """Let a proposer draft for some rows; of a composite, each for the rows that nobody had something for."""
    left = list(members)
    for each in proposer.proposers if isinstance(proposer, CompositeProposer) else (proposer,):
        if not left:
            return None
        own, gammas = [rows[i] for i in left], [arms[i].gamma for i in left]
        if isinstance(each, Guesser):  # the last one: nobody knows yet what it has
            return sheet.take_guesses(left, each.guess(own, gammas))
        drafts = each.propose(own, gammas)
        sheet.take(left, drafts)
        left = [i for i, draft in zip(left, drafts, strict=True) if not draft.tokens]
    return None
