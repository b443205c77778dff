"""What drafts would have brought to a completion that they did not draft (POLICY.md, "Counterfactuals")."""

from collections.abc import Callable, Mapping

from specsched.engine.proposers.base import LooksBack
from specsched.engine.proposers.past import Past
from specsched.engine.row import Row
from specsched.policy.base import Retrospective, RoundController
from specsched.records import Counterfactual


def look_back(
    row: Row, controller: RoundController, proposers: Mapping[str, object], clock: Callable[[], float]
) -> tuple[Counterfactual, ...]:
    """Hold against a completion what its round controller asks for; before the row ends."""
    candidates = row.job.plan.candidates
    if not isinstance(controller, Retrospective) or not candidates:
        return ()
    past = Past(row, len(candidates[0].hazards))
    found: list[Counterfactual] = []
    for draft in controller.rivals(row.job.request_id, len(row.tokens)) if past.begins else ():
        proposer = proposers.get(draft)
        if isinstance(proposer, LooksBack):
            started = clock()
            retraced = proposer.look_back(past)
            if retraced is not None:
                found.append(retraced.outcome(draft))
                controller.looked_back(row.job.request_id, len(row.tokens), clock() - started, found[-1])
    return tuple(found)
