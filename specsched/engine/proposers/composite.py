"""Several proposers under one name: copy where the text repeats itself, ask a draft model elsewhere."""

from collections.abc import Sequence
from functools import reduce

from specsched.engine.proposers.base import NOTHING, Draft, LooksBack, Proposer, at_length
from specsched.engine.proposers.past import Past
from specsched.engine.row import Row
from specsched.policy.counterfactual import Retraced


class CompositeProposer:
    """Drafts with the first proposer that has something for a row.

    Who drafts is known before a token is drawn, as all but the last are deterministic: what they have depends on
    committed tokens alone. Choosing by what was drawn would bias the output.
    """

    def __init__(self, draft_id: str, proposers: Sequence[Proposer]) -> None:
        """Take proposers in their order; they are this one's own."""
        self.id = draft_id
        self.proposers = tuple(proposers)

    def propose(self, rows: Sequence[Row], gammas: Sequence[int]) -> list[Draft]:
        """Ask one after the other for the rows that nobody had something for."""
        drafts = [NOTHING] * len(rows)
        for proposer in self.proposers:
            left = [i for i, draft in enumerate(drafts) if not draft.tokens]
            if left:
                proposed = proposer.propose([rows[i] for i in left], [gammas[i] for i in left])
                for i, draft in zip(left, proposed, strict=True):
                    drafts[i] = draft
        return drafts

    def at_length(self) -> Proposer:
        """Return the last proposer alone, at length (`MayEndEarly`): copies cost next to nothing."""
        return at_length(self.proposers[-1])

    def look_back(self, past: Past) -> Retraced | None:
        """Let each stand where those before it have nothing, as in `propose` (`LooksBack`)."""
        retraced = [each.look_back(past) for each in self.proposers if isinstance(each, LooksBack)]
        known = [one for one in retraced if one is not None]
        return reduce(Retraced.instead, known) if len(known) == len(self.proposers) else None

    def commit(self, row: Row, valid_tokens: int) -> None:
        """Let every one roll back to what stands."""
        for proposer in self.proposers:
            proposer.commit(row, valid_tokens)

    def forget(self, row: Row) -> None:
        """Let every one free what it keeps."""
        for proposer in self.proposers:
            proposer.forget(row)
