"""The first half of a round: the drafts propose, the target scores. `verify` judges, the engine commits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from specsched.engine.model import LanguageModel
from specsched.engine.proposers.base import NOTHING, Draft, Proposer
from specsched.engine.row import Row
from specsched.engine.verify import Verdict
from specsched.policy.base import Arm
from specsched.records import RoundRecord


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the drafts guess for every row of a round."""

    arms: Sequence[Arm]
    drafts: Sequence[Draft]
    seconds: Mapping[str, float]
    """By draft: drafts run one after the other, each for all its rows."""

    def record(self, index: int, verdict: Verdict, verify_seconds: float) -> RoundRecord:
        """Return the round's record of one row."""
        arm, draft = self.arms[index], self.drafts[index]
        return RoundRecord(
            draft_model=arm.draft_model,
            gamma=len(draft.tokens),
            num_accepted=verdict.num_accepted,
            batch_size=len(self.arms),
            propose_seconds=self.seconds.get(arm.draft_model, 0.0),
            verify_seconds=verify_seconds,
            overlaps=verdict.overlaps,
            planned_gamma=arm.gamma,
        )


def propose(
    rows: Sequence[Row], arms: Sequence[Arm], proposers: Mapping[str, Proposer], clock: Callable[[], float]
) -> Proposal:
    """Let every draft propose for its rows, one draft after the other."""
    drafts = [NOTHING] * len(rows)
    seconds: dict[str, float] = {}
    speculating = sorted((i for i, arm in enumerate(arms) if arm.gamma), key=lambda i: arms[i].draft_model)
    for draft_model, group in groupby(speculating, key=lambda i: arms[i].draft_model):
        members = list(group)
        started = clock()
        proposed = proposers[draft_model].propose([rows[i] for i in members], [arms[i].gamma for i in members])
        seconds[draft_model] = clock() - started
        for i, draft in zip(members, proposed, strict=True):
            drafts[i] = draft
    return Proposal(arms, drafts, seconds)


def score(target: LanguageModel, rows: Sequence[Row], drafts: Sequence[Draft]) -> list[Tensor]:
    """Run the target once over every row's last token and its draft.

    Returns:
        Raw logits per row, [γ_i + 1, V]: entry j is the law of the token after j drafted ones.
    """
    tokens = [[row.tokens[-1], *draft.tokens] for row, draft in zip(rows, drafts, strict=True)]
    logits = target.forward([row.kv for row in rows], tokens)  # [B, max γ + 1, V]
    return [of_row[: len(new)] for of_row, new in zip(torch.unbind(logits), tokens, strict=True)]
