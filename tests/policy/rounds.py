"""Rounds with a script, for whatever controller."""

from specsched.policy.base import DecisionContext, RowView
from specsched.records import ClassProbabilities, Plan, RoundRecord, SpeculationHint
from tests.policy.grids import grid

FREE = Plan("good", 5, 20, pinned=False)


def context(drafts=("good", "bad"), **hint):
    pi = ClassProbabilities(("chat",), (1.0,))
    return DecisionContext(pi, sampled=False, coupled=True, drafts=drafts, costs=grid(), hint=SpeculationHint(**hint))


def views(*names, remaining=1000):
    return [RowView(name, 100, remaining) for name in names]


def record(arm, accepted, rows=1, seconds=(0.1, 1.0)):
    propose = seconds[0] * arm.gamma
    return RoundRecord(arm.draft_model, arm.gamma, accepted, rows, propose, seconds[1], planned_gamma=arm.gamma)


def play(controller, accepted, rows=("a",)):
    """Run one round; `accepted` says what of a row's arm is accepted. Returns the arms."""
    arms = controller.choose(views(*rows))
    for name, arm in zip(rows, arms, strict=True):
        controller.observe(name, record(arm, accepted(arm), len(rows)))
    return arms


def everything(arm):
    return arm.gamma


def nothing(_arm):
    return 0


def begun(controller, *plans):
    for name, plan in zip("abcdefghijklmnopqrstuvwxyz", plans, strict=False):
        controller.begin(name, plan, sampled=False)
    return controller
