"""Every kind of policy that a configuration may name can be wired, and says which draft it misses."""

from pathlib import Path
from typing import get_args

import pytest

from specsched.classify.fake import FixedClassifier
from specsched.cli.wiring import make_controller, make_snapshot
from specsched.config.sections.policy import Kind, Policy
from specsched.config.tree import Config
from specsched.errors import ConfigError
from specsched.policy.base import DecisionContext, RowView
from specsched.policy.kinds import KINDS
from specsched.pool.manifest import ModelSpec, Pool
from specsched.records import NO_DRAFT
from tests.policy.grids import grid

DRAFTS = (ModelSpec("good", "model", None), ModelSpec("bad", "ngram", None))
POOL = Pool(Path(), ModelSpec("target", "model", None), DRAFTS, classifier=None)
NEEDY = [name for name, kind in KINDS.items() if kind.needs_draft]


def config(kind, draft_model="good"):
    return Config(policy=Policy(kind=kind, draft_model=draft_model))


def test_the_configuration_names_the_kinds_that_there_are():
    assert set(get_args(Kind)) == set(KINDS)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_kind_decides_and_plays_its_plan(kind):
    classifier = FixedClassifier()
    policy = make_snapshot(config(kind), POOL, classifier.classes).policy
    controller = make_controller(config(kind))(grid())
    pi = classifier.classify("")
    plan = policy.decide(DecisionContext(pi, sampled=False, coupled=True, drafts=("good", "bad"), costs=grid()))
    controller.begin("a", plan, sampled=False)
    [arm] = controller.choose([RowView("a", 100, 100)])
    assert arm.draft_model in {"good", "bad", NO_DRAFT}
    assert plan.policy == kind
    assert (arm.draft_model != NO_DRAFT) == (arm.gamma > 0)
    controller.end("a")


@pytest.mark.parametrize("kind", NEEDY)
@pytest.mark.parametrize(("draft", "told"), [(None, "needs one of good, bad"), ("ugly", "'ugly' is none of good, bad")])
def test_a_missing_draft_is_refused_by_its_field(kind, draft, told):
    with pytest.raises(ConfigError, match=r"^policy\.draft_model: ") as refused:
        make_snapshot(config(kind, draft), POOL, FixedClassifier().classes)
    assert told in str(refused.value)


def test_kinds_that_choose_among_all_drafts_need_none_named():
    assert set(KINDS) - set(NEEDY) == {"adaptive", "plain", "ucbspec", "exp3spec", "metasd", "hedgespec"}
    for kind in set(KINDS) - set(NEEDY):
        make_snapshot(config(kind, None), POOL, FixedClassifier().classes)
