import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from specsched.bench.evaluation.contenders import Contender, Contestants
from specsched.bench.evaluation.drive import Drive, Run
from specsched.bench.evaluation.experiment import Job
from specsched.bench.evaluation.experiment import run as run_all
from specsched.bench.evaluation.oracles import Oracles, ScriptedPolicy, oracles, play
from specsched.bench.evaluation.scores import NEVER, Trial, bootstrap, over, score
from specsched.bench.evaluation.static import PLAIN, StaticTimes, static_arms
from specsched.bench.simulation.costs import DRAFTS, MACHINES, profiled
from specsched.bench.simulation.scenarios import SCENARIOS, Drawn, path_of
from specsched.bench.simulation.truth import MAX_GAMMA
from specsched.cli.simulate import simulate
from specsched.errors import SetupError
from specsched.policy.base import Arm
from specsched.policy.beliefs import expected_tokens
from specsched.policy.controller import PlannedController

FEW = 20
parse = Contestants(DRAFTS, MAX_GAMMA).parse


@cache
def world_of(name="stationary", machine="gpu", seed=0, requests=FEW):
    return SCENARIOS[name].world(machine, seed, requests)


@cache
def oracles_of(name="stationary", machine="gpu"):
    return oracles(world_of(name, machine))


def trial(run, name="stationary"):
    return Trial(run, oracles_of(name), DRAFTS, world_of(name).drift)


class Watched(PlannedController):
    """Notes every round."""

    def __init__(self):
        super().__init__()
        self.records = []

    def observe(self, request_id, round_record):
        self.records.append(round_record)


def taking(seconds):
    """A run that took so long for every request."""
    return Run(seconds, np.ones_like(seconds), np.ones((len(seconds), 5)), np.ones_like(seconds), 1.0)


def watched(world, arm):
    controller = Watched()
    run = Drive(world, ScriptedPolicy([arm] * len(world.requests)), controller).run()
    return run, controller.records


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_says_all_its_tokens(name):
    world = world_of(name)
    run = Contender("plain").run(world)
    assert run.request_tokens.tolist() == [request.completion_tokens for request in world.requests]
    assert score([Trial(run, oracles_of(name), DRAFTS, world.drift)]).over_plain.value == pytest.approx(1.0, abs=1e-12)
    assert run.worst_prefix == pytest.approx(1.0, abs=1e-12)


def test_an_oracle_scores_all_and_the_finer_one_never_less():
    best = oracles_of("phase_shift")
    shares = ("over_plain", "over_static", "over_class", "over_phase", "over_request")
    grains = (best.plain, best.static, best.per_class, best.per_class_and_phase, best.per_request)
    for share, seconds in zip(shares, grains, strict=True):
        assert getattr(score([trial(taking(seconds), "phase_shift")]), share).value == 1.0
    assert sorted((each.sum() for each in grains), reverse=True) == [each.sum() for each in grains]


def test_an_oracle_of_reported_classes_knows_as_little_as_the_classifier():
    right, wrong = oracles_of("phase_shift"), oracles(world_of("misclassified_40", requests=60))
    assert right.per_reported.tolist() == right.per_class_and_phase.tolist()
    assert wrong.per_class_and_phase.sum() < wrong.per_reported.sum() <= wrong.static.sum()
    assert score([trial(taking(right.per_reported), "phase_shift")]).over_reported.value == 1.0


def test_the_oracle_reaches_95_percent_at_once_and_plain_never():
    assert score([trial(taking(oracles_of().per_class_and_phase))]).requests_to_enough == 0
    assert score([trial(taking(oracles_of().plain))]).requests_to_enough == NEVER
    assert score([trial(taking(oracles_of("phase_shift").plain), "phase_shift")]).requests_to_recover == NEVER


@pytest.mark.parametrize(
    ("slow", "drift", "enough", "recovered"),
    [
        ((30, 40), None, 40, None),  # the first window is enough
        ((50, 100), None, NEVER, None),
        ((50, 60), 50, 0, 10),
        ((90, 100), 50, 0, NEVER),
        ((20, 22), 50, 22, 0),
    ],
)
def test_being_at_95_percent_means_to_stay_there(slow, drift, enough, recovered):
    seconds, even = np.ones(100), np.ones(100)
    seconds[slice(*slow)] = 3.0
    best = Oracles(*[even] * 6)
    scored = score([Trial(taking(seconds), best, DRAFTS, drift)])
    assert (scored.requests_to_enough, scored.requests_to_recover) == (enough, recovered)


def test_the_static_oracle_beats_every_static_arm_that_is_played():
    best = oracles_of().static
    arms = [PLAIN, *(Arm(draft, gamma) for draft in DRAFTS for gamma in (2, 5))]
    assert all(play(world_of(), [arm] * FEW).seconds >= best.sum() / 1.02 for arm in arms)  # coins, not means


@pytest.mark.parametrize("arm", [PLAIN, Arm(DRAFTS[0], 5), Arm("small", 4), Arm("ngram", 8)])
def test_static_arms_take_what_they_take_when_they_are_played(arm):
    world = world_of(requests=30, machine="cpu")
    gappy = replace(world, requests=tuple(map(with_gaps, world.requests)))
    column = static_arms(gappy).index(arm)
    taken = play(gappy, [arm] * 30).request_seconds
    assert taken == pytest.approx(StaticTimes(gappy).played()[:, column], rel=1e-12)


def with_gaps(request):
    """The same, but at every third place the last draft has nothing to propose, and the first soon stops or copies."""
    offered, steps = request.path.offered.copy(), request.path.steps.copy()
    steps[0, ::2], steps[0, ::6] = 3, 0
    offered[-1, ::3] = 0
    offered[0, ::2] = 3
    return replace(request, path=replace(request.path, offered=offered, steps=steps))


def test_what_is_expected_of_an_arm_is_the_mean_over_coins():
    one = world_of().requests[0]
    world = replace(world_of(), requests=(replace(one, path=path_of(one.path.hazards[:, 0], 60)),) * 400)
    times = StaticTimes(world)
    taken, expected = times.played(), times.expected()[0]
    assert taken.mean(0) == pytest.approx(expected, abs=5 * taken.std(0).max() / 20)


def test_rounds_show_the_hazards_that_are_true():
    world = world_of(requests=100)
    hazards = world.requests[0].path.hazards[:, 0]
    request = replace(world.requests[0], path=path_of(hazards, 200))
    alike = replace(world, requests=(request,) * 40)
    _, records = watched(alike, Arm("large", 3))
    shown = [record.num_accepted for record in records if not record.censored]
    expected = expected_tokens(hazards[DRAFTS.index("large")][:3])[-1] - 1
    assert np.mean(shown) == pytest.approx(expected, abs=4 * np.std(shown) / len(shown) ** 0.5)


def test_adaptive_learns_the_truth_and_a_planted_bad_policy_ranks_below():
    world = world_of(requests=80)
    adaptive, bad = parse("adaptive").run(world), parse("fixed:large:8").run(world)
    assert adaptive.goodput > 1.5 * bad.goodput
    best = oracles(world)
    assert score([Trial(adaptive, best, DRAFTS, None)]).over_phase.value > 0.8
    assert over([Trial(adaptive, best, DRAFTS, None)], [Trial(bad, best, DRAFTS, None)]).low > 1


def test_equal_seeds_give_equal_runs_and_other_seeds_other_worlds():
    one, other = (parse("adaptive").run(SCENARIOS["new_class"].world("cpu", 3, FEW)) for _ in range(2))
    assert one.request_seconds.tolist() == other.request_seconds.tolist()
    assert world_of(seed=1).tokens != world_of(seed=2).tokens


def test_a_policy_sees_noise_and_its_score_none():
    run, records = watched(world_of(), Arm("tiny", 2))
    times = [record.verify_seconds / record.propose_seconds for record in records if not record.censored]
    assert np.std(times) > 0
    again, _ = watched(replace(world_of(), costs=world_of().costs), Arm("tiny", 2))
    assert run.seconds == again.seconds


def test_scenarios_are_what_they_say():
    assert world_of("phase_shift").drift == FEW // 2
    assert world_of("shuffled").drift is None
    assert {request.stage for request in world_of("shuffled").requests} == {0}
    assert max(request.path.hazards[:, 0, 0].mean() for request in world_of("bad_drafts").requests) < 0.5
    assert [request.rows for request in world_of("load_ramp").requests][:: FEW // 5] == [1, 2, 4, 8, 16]
    assert min(request.prompt_tokens for request in world_of("long_contexts").requests) >= 1_500


@pytest.mark.parametrize(("name", "share"), [("stationary", 0.0), ("misclassified_20", 0.2), ("misclassified_40", 0.4)])
def test_the_classifier_is_as_sure_as_it_is_right(name, share):
    requests = world_of(name, requests=600).requests
    wrong = np.mean([request.probabilities.best != request.prompt_class for request in requests])
    assert wrong == pytest.approx(share, abs=4 * (0.25 / 600) ** 0.5)
    assert max(requests[0].probabilities.probabilities) == pytest.approx(min(0.95, 1 - share))


def test_a_wrong_profile_is_wrong_by_what_was_asked():
    grid = MACHINES["gpu"].grid()
    seen = profiled(grid, np.random.default_rng(0), 1.3, 0.7)
    ratios = [s.seconds / t.seconds for s, t in zip(seen.verify, grid.verify, strict=True)]
    assert np.median(ratios) == pytest.approx(1.3, rel=0.02)
    assert seen.drafts[0].overhead_seconds == pytest.approx(0.7 * grid.drafts[0].overhead_seconds)


def test_intervals_are_paired():
    ours = np.array([1.0, 10.0, 100.0])
    estimate = bootstrap(ours, 2 * ours)
    assert (estimate.value, estimate.low, estimate.high) == (2.0, 2.0, 2.0)


@pytest.mark.parametrize("text", ["best", "fixed", "fixed:small", "fixed:none:3", "fixed:small:9", "adaptive:small"])
def test_a_policy_that_is_none_is_refused(text):
    with pytest.raises(SetupError, match=text):
        parse(text)


def test_every_policy_goes_through_every_world():
    drawn = Drawn(SCENARIOS["stationary"], "cpu", 20)
    job = Job((drawn,), (parse("plain"), parse("fixed:tiny:2")), seeds=range(5, 7))
    said: list[str] = []
    trials = run_all(job, said.append)
    assert len(said) == job.worlds == 2
    assert said[0] == "stationary, seed 5"
    assert {name: len(each) for name, each in trials["stationary"].items()} == {"plain": 2, "fixed:tiny:2": 2}


def test_worlds_side_by_side_are_the_same_worlds():
    job = Job((Drawn(SCENARIOS["phase_shift"], "gpu", 20),), (parse("adaptive"),), seeds=range(2))
    (one, other) = (run_all(each)["phase_shift"]["adaptive"] for each in (job, replace(job, processes=2)))
    assert [trial.run.seconds for trial in one] == [trial.run.seconds for trial in other]


def test_load_that_answers_to_speed_makes_the_slow_wait():
    world = world_of("answering_load", requests=60)
    slow, fast = (parse(text).run(world) for text in ("plain", "fixed:small:4"))
    assert slow.request_tokens.sum() == fast.request_tokens.sum()
    assert slow.seconds > 1.3 * fast.seconds


def test_baselines_come_with_every_draft_and_none_twice():
    names = [one.name for one in Contestants(("a", "b"), 8).chosen(["adaptive", "ema:b"], baselines=True)]
    assert names[:2] == ["adaptive", "ema:b"]
    assert {"plain", "fixed:a:4", "fixed:b:4", "ema:a", "ucbspec"} <= set(names)
    assert len(names) == len(set(names))


def test_the_command_writes_tables_checks_and_plots(tmp_path):
    app = typer.Typer()
    app.command()(simulate)
    few = ["--scenario", "phase_shift", "--seeds", "1", "--first-seed", "7", "--requests", "30", "--costs", "cpu"]
    files = ["--json", str(tmp_path / "out.json"), "--plots", str(tmp_path / "plots")]
    done = CliRunner().invoke(app, [*few, *files, "--policy", "adaptive", "--policy", "plain"])
    assert done.exit_code == 0, done.output
    tree = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert {check["name"] for check in tree["checks"]} == {
        "percent_of_oracle",
        "percent_of_reported_oracle",
        "over_best_static_phase_shift",
        "requests_to_95_percent",
        "requests_to_recover",
        "worst_prefix_slowdown",
        "duels_lost",
    }
    assert [row["policy"] for row in tree["tables"]["scores"]] == ["adaptive", "plain"]
    assert [file.name for file in (tmp_path / "plots").iterdir()] == ["phase_shift.png"]
