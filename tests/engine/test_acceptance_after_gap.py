"""The regression that losslessness hides: a draft that never catches up still gives the right tokens, slowly."""

import pytest

from specsched.engine.proposers.draft_model import DraftModelProposer
from specsched.policy.base import Arm
from tests.helpers.tiny import ScriptedController, engine_of, job, perturbed, run, tiny_network

TARGET = tiny_network(seed=1)
DRAFT = perturbed(TARGET, 0.003)
ROUNDS = 8


def phases(_request: str, round_index: int) -> Arm:
    """γ = 4, then plain, then γ = 4 again."""
    return Arm("none", 0) if ROUNDS <= round_index < 3 * ROUNDS else Arm("d", 4)


def acceptance(proposer: type[DraftModelProposer]) -> tuple[float, float]:
    """Mean accepted tokens a round, before and after the gap."""
    model = engine_of(TARGET, {"d": DRAFT})._proposers["d"].model
    controller = ScriptedController(phases)
    engine = engine_of(TARGET, {}, controller, extra={"d": proposer("d", model)})
    run(engine, [job([1, 2, 3, 4, 5], max_tokens=140)])
    spoken = [r.num_accepted for r in controller.observed["r"] if r.planned_gamma == 4]
    return sum(spoken[:ROUNDS]) / ROUNDS, sum(spoken[ROUNDS:]) / len(spoken[ROUNDS:])


def test_acceptance_survives_a_phase_of_plain_decoding() -> None:
    before, after = acceptance(DraftModelProposer)
    assert before > 2.5
    assert after > 2.5


class Stale(DraftModelProposer):
    """Fault: believes that its cache holds what it does not: tokens are skipped instead of caught up."""

    def propose(self, rows, gammas):
        for row in rows:
            if row in self._kv:
                self._kv[row].length = len(row.tokens) - 1
        self.model.kv._ensure(1, 256)
        return super().propose(rows, gammas)


def test_a_stale_draft_cache_is_caught() -> None:
    before, after = acceptance(Stale)
    assert after < 2.5 < before or before < 2.5


@pytest.mark.parametrize("other", ["ngram", "e"])
def test_a_draft_catches_up_after_another_one_ran(other: str) -> None:
    controller = ScriptedController(lambda _r, n: Arm(other, 3) if ROUNDS <= n < 3 * ROUNDS else Arm("d", 4))
    engine = engine_of(TARGET, {"d": DRAFT, "e": perturbed(TARGET, 0.3, seed=5)}, controller)
    run(engine, [job([1, 2, 3, 4, 5], max_tokens=140)])
    last = [r.num_accepted for r in controller.observed["r"] if r.draft_model == "d"][ROUNDS:]
    assert sum(last) / len(last) > 2.5
