"""What drafts would have brought to a completion that they did not draft (POLICY.md, "Counterfactuals").

For greedy rows alone: there a draft's token stands where it is the target's, and that is all there is to know. For
sampled ones the target's law of every committed token would have to be kept.
"""

from collections.abc import Callable, Mapping

from specsched.engine.proposers.base import LooksBack
from specsched.engine.row import Row
from specsched.policy.base import Retrospective, RoundController
from specsched.policy.counterfactual import outcome_of
from specsched.records import Counterfactual


def look_back(
    row: Row, controller: RoundController, proposers: Mapping[str, object], clock: Callable[[], float]
) -> tuple[Counterfactual, ...]:
    """Hold against a completion what its round controller asks for; before the row ends."""
    if not isinstance(controller, Retrospective) or not row.plain or not row.job.plan.candidates:
        return ()
    depth = len(row.job.plan.candidates[0].hazards)
    found: list[Counterfactual] = []
    for draft in controller.rivals(row.job.request_id, len(row.tokens)):
        proposer = proposers.get(draft)
        if isinstance(proposer, LooksBack):
            started = clock()
            stands = proposer.stands(row, depth)
            controller.looked_back(row.job.request_id, len(row.tokens), clock() - started)
            found.append(outcome_of(draft, stands, depth))
    return tuple(outcome for outcome in found if outcome.rounds)
