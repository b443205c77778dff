"""What was kept is taken up only where it is of the very same job."""

import pytest

from specsched.bench.evaluation.experiment import Job, run
from specsched.bench.evaluation.kept import NOTHING, KeptFolder
from specsched.bench.evaluation.scores import score
from specsched.bench.simulation.scenarios import SCENARIOS, Drawn
from tests.bench.test_simulation import parse


def job(kept, requests=30, machine="gpu", policies=("plain", "fixed:small:4")):
    drawn = Drawn(SCENARIOS["phase_shift"], machine, requests)
    return Job((drawn,), tuple(map(parse, policies)), range(2), kept=kept)


@pytest.fixture
def folder(tmp_path):
    return KeptFolder(tmp_path / "kept")


def scores(done):
    return {name: score(trials) for name, trials in done["phase_shift"].items()}


def stamps(folder):
    return {file.name: file.stat().st_mtime_ns for file in folder.folder.iterdir()}


def test_a_job_that_is_run_again_makes_nothing_and_says_the_same(folder):
    anew, first = run(job(NOTHING)), run(job(folder))
    kept = stamps(folder)
    assert scores(first) == scores(anew) == scores(run(job(folder)))
    assert stamps(folder) == kept
    assert len(kept) == 2


@pytest.mark.parametrize(
    "other",
    [{"requests": 40}, {"machine": "cpu"}, {"policies": ("plain", "fixed:small:5")}],
    ids=lambda each: next(iter(each)),
)
def test_what_another_job_kept_is_left_alone(folder, other):
    run(job(folder))
    assert scores(run(job(folder, **other))) == scores(run(job(NOTHING, **other)))
    assert len(stamps(folder)) == 4
