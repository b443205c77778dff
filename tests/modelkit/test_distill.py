"""A distillation that is killed goes on where it was."""

import itertools
from dataclasses import replace

import pytest
import torch

from specsched.modelkit.distill import DistillSettings, distill
from specsched.modelkit.draft import DraftShape, build_draft
from specsched.modelkit.draft_job import DraftJob
from specsched.modelkit.language_model import load_language_model
from specsched.modelkit.lessons import lessons

SETTINGS = DistillSettings(tokens=3_000, batch_tokens=256, save_every=3)


class Killed(Exception):
    """A kill, as far as a run can tell."""


@pytest.fixture(scope="module")
def target(target_folder):
    return load_language_model(target_folder)


@pytest.fixture(scope="module")
def taught(target, corpus, tmp_path_factory):
    job = DraftJob(target.path, tmp_path_factory.mktemp("draft"), corpus, per_class=10, max_new_tokens=16)
    return lessons(job, target, lambda _: None)


@pytest.fixture
def run(target, taught, tmp_path):
    """What distils into a folder, is killed after some steps, and gives the weights and the steps that it took."""

    def made(name, settings, kill_after=None):
        draft = build_draft(target, DraftShape(width=16, layers=1, mlp=24, heads=2), seed=0)
        steps = itertools.count(1)

        def report(progress):
            if not progress.acceptance and next(steps) == kill_after:
                raise Killed

        distill(target, draft, *taught, settings, report, tmp_path / name)
        return draft.network.state_dict(), next(steps)

    return made


@pytest.mark.parametrize(("objective", "kills"), [("forward_kl", [7, 2, 5]), ("auto", [2, 9, 4, 8, 3, 9])])
def test_a_killed_run_ends_with_the_weights_of_an_undisturbed_one(run, objective, kills):
    settings = replace(SETTINGS, objective=objective)
    whole, steps = run("whole", settings)
    for kill_after in kills:
        with pytest.raises(Killed):
            run("cut", settings, kill_after)
    resumed, left = run("cut", settings)
    assert left < steps - 5
    assert all(torch.equal(weight, whole[name]) for name, weight in resumed.items())


def test_a_run_that_is_asked_for_something_else_begins_anew(run):
    _, steps = run("same", SETTINGS)
    assert run("same", SETTINGS)[1] < steps
    assert run("same", replace(SETTINGS, seed=1))[1] == pytest.approx(steps, abs=3)


def test_colder_laws_teach_greedy_text_better(target, taught, tmp_path):
    train, _ = taught
    greedy = {}
    for heat in (1.0, 0.3):
        draft = build_draft(target, DraftShape(width=16, layers=1, mlp=24, heads=2), seed=0)
        settings = replace(SETTINGS, tokens=6_000, objective="forward_kl", greedy_temperature=heat)
        acceptance = distill(target, draft, train, train, settings, lambda _: None, tmp_path)
        greedy[heat] = [accepted for (_, temperature), accepted in acceptance.items() if temperature == 0]
    assert all(cold > warm for cold, warm in zip(greedy[0.3], greedy[1.0], strict=True))
