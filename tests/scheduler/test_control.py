"""What an operator may ask of a scheduler: the table of arms, forgetting, evidence from elsewhere."""

from dataclasses import replace

import pytest

from specsched.dispatch.fake import FAKE_WORKER, FakeDispatcher
from specsched.errors import InvalidRequest
from specsched.policy.adaptive import AdaptivePolicy
from specsched.policy.settings import PolicySettings
from specsched.records import Chunk, CostGrid, CostPoint, DraftCost, FinishReason, RoundRecord, Sampling
from specsched.scheduler.control import Control
from tests.helpers.service import ask, scheduler_over, snapshot_of

CLASSES = ("chat", "code")
STEPS = (CostPoint(1, 64, 0.001), CostPoint(8, 64, 0.002))
COSTS = CostGrid(1, (CostPoint(1, 64, 0.01), CostPoint(9, 64, 0.012)), (DraftCost("draft", 0.0005, STEPS),))
WORKER = replace(FAKE_WORKER, costs=COSTS, drafts=FAKE_WORKER.drafts[:1])


def script(_job):
    for index in range(20):
        finish = FinishReason.LENGTH if index == 19 else None
        yield Chunk((9, 10, 11), (), RoundRecord("draft", 2, 2, 1, 0.002, 0.01, planned_gamma=2), finish)


@pytest.fixture
def dispatcher():
    return FakeDispatcher(script, workers=(WORKER,))


@pytest.fixture
async def service(dispatcher):
    """A scheduler that has served one greedy and one sampled request of class code."""

    def fresh():
        return AdaptivePolicy(PolicySettings(max_gamma=4), CLASSES, 0, dispatcher.versions)

    scheduler = scheduler_over(dispatcher)
    scheduler.steering.adopt(replace(snapshot_of(fresh(), prompt_classes=CLASSES), make_policy=fresh, kind="adaptive"))
    for name, sampling in (("a", Sampling(temperature=0.0)), ("b", Sampling())):
        async for _ in scheduler.generate(ask(name, prompt_class="code", sampling=sampling)):
            pass
    return scheduler


@pytest.fixture
def control(service):
    return Control(service, ["draft"])


async def test_the_table_tells_what_is_known_of_every_arm_that_was_seen(control):
    view = await control.policy()
    assert view.policy == "adaptive"
    greedy, sampled = view.rows
    assert [(row.prompt_class, row.draft_model, row.mode) for row in view.rows] == [
        ("code", "draft", "greedy"),
        ("code", "draft", "sampled"),
    ]
    assert 10 < greedy.rounds <= 20  # rounds of one request count for less than rounds of several
    assert greedy.hazards[0].mean > 0.8
    assert greedy.goodput_tokens_per_second > 1 / COSTS.verify[0].seconds
    assert 0 < greedy.traffic_share <= 1
    assert sampled.rounds > 0


async def test_looking_changes_nothing(control):
    before = control.learnt()
    first, second = await control.policy(), await control.policy()
    assert (first, control.learnt()) == (second, before)


async def test_forgetting_is_by_class_and_draft(control):
    known = len(control.learnt())
    assert control.forget("chat", None) == 0
    assert control.forget(None, "draft") == known
    assert control.learnt() == ()
    with pytest.raises(InvalidRequest) as caught:
        control.forget("poetry", "nobody")
    assert {violation.field for violation in caught.value.violations} == {"prompt_class", "draft_model"}


async def test_evidence_from_elsewhere_is_added_or_takes_the_place(control):
    cells = control.learnt()
    control.learn(cells, replace_all=False)
    assert sum(c.accepted for c in control.learnt()) == pytest.approx(2 * sum(c.accepted for c in cells))
    control.learn(cells, replace_all=True)
    assert control.learnt() == cells


def check_kin(before, after):
    """What was learnt of the old version is a hint on the new one."""
    assert {cell.draft_version for cell in after} == {"new"}
    kin = PolicySettings().kin_strength
    for old, new in zip(before, after, strict=True):
        assert new.accepted + new.rejected == pytest.approx(min(kin, old.accepted + old.rejected))
        assert new.accepted / (new.accepted + new.rejected) == pytest.approx(
            old.accepted / (old.accepted + old.rejected)
        )


async def test_a_draft_that_is_loaded_in_a_new_version_begins_as_its_kin(control, dispatcher):
    before = control.learnt()
    await control.load_draft("draft")
    assert control.learnt() == before, "the same weights again"
    dispatcher.versions["draft"] = "new"
    await control.load_draft("draft")
    check_kin(before, control.learnt())


async def test_so_does_one_that_a_worker_comes_back_with(service, control, dispatcher):
    before = control.learnt()
    dispatcher.restart()
    await service.decide(ask("same", prompt_class="code"))
    assert control.learnt() == before, "the same weights again"
    dispatcher.versions["draft"] = "new"
    dispatcher.restart()
    await service.decide(ask("new", prompt_class="code"))
    check_kin(before, control.learnt())
    await service.decide(ask("again", prompt_class="code"))
    dispatcher.versions["draft"] = ""
    dispatcher.restart()
    await service.decide(ask("back", prompt_class="code"))
    assert {cell.draft_version for cell in control.learnt()} == {""}, "a version that is taken back is told, too"
