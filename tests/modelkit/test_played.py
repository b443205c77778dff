"""What a played draft does on a sampled completion has the law that teacher forcing tells."""

import numpy as np
import pytest

from specsched.modelkit.generation import GenerationSettings, Sample
from specsched.modelkit.language_model import load_language_model
from specsched.modelkit.paths import score_paths
from specsched.modelkit.played import Player
from specsched.modelkit.traces import teach
from specsched.pool.manifest import ModelSpec
from tests.helpers.pools import VOCABULARY, save_pool

TIMES, TOKENS, GAMMA = 400, 12, 3


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = save_pool(tmp_path_factory.mktemp("pool")).parent
    return load_language_model(folder / "target"), folder / "draft"


@pytest.fixture(scope="module")
def scored(models):
    """One sampled completion, teacher-forced, and played many times."""
    target, draft = models
    samples = [("chat", Sample((20, 21, 22, 23), 0.8))]
    settings = GenerationSettings(TOKENS, seed=3)
    (forced,) = score_paths(target, {"draft": load_language_model(draft)}, samples, settings, GAMMA)
    taught = teach(target, [forced.trace]) * TIMES
    played = Player(ModelSpec("draft", "model", draft), VOCABULARY).play(target, taught, GAMMA, TOKENS, seed=0)
    return forced.drafts["draft"], played


def test_tokens_stand_as_often_as_they_should(scored):
    forced, played = scored
    first = np.mean([one.accepted > 0 for one in played], axis=0)
    wanted = forced.ratios[:-1]  # nothing is drafted where only one token is left
    tolerance = 4 * np.sqrt(wanted * (1 - wanted) / TIMES) + 1e-3
    assert 0.02 < wanted.min() < 0.9
    assert np.all(np.abs(first[:-1] - wanted) < tolerance)
    second = np.mean([one.accepted > 1 for one in played], axis=0)[:-2]
    assert np.all(np.abs(second - wanted[:-1] * wanted[1:]) < 4 * 0.5 / TIMES**0.5)


def test_overlaps_are_told_up_to_the_first_that_falls(scored):
    forced, played = scored
    for one in played[:20]:
        assert one.overlaps[:-1, 0] == pytest.approx(forced.overlaps[:-1], abs=1e-3)
        fell = one.accepted[:-1] == 0
        assert not one.overlaps[:-1][fell, 1:].any()


def test_a_draft_that_stops_takes_fewer_steps(models, scored):
    target, draft = models
    _, played = scored
    taught = teach(
        target, [score_paths(target, {}, [("chat", Sample((20, 21), 0.8))], GenerationSettings(TOKENS), 1)[0].trace]
    )
    spec = ModelSpec("draft", "model", draft, stop_below_share=0.9)
    (stopping,) = Player(spec, VOCABULARY).play(target, taught, GAMMA, TOKENS, seed=0)
    assert stopping.offered.tolist() == stopping.steps.tolist()
    assert stopping.offered.min() == 1
    assert played[0].offered.max() == GAMMA
