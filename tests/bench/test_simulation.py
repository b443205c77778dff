import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from specsched.bench.simulation.contenders import Contender, parse
from specsched.bench.simulation.costs import MACHINES, profiled
from specsched.bench.simulation.experiment import Job
from specsched.bench.simulation.experiment import simulate as simulate_all
from specsched.bench.simulation.oracles import PLAIN, ScriptedPolicy, expected_seconds, oracles, play
from specsched.bench.simulation.run import Simulation
from specsched.bench.simulation.scenarios import SCENARIOS
from specsched.bench.simulation.scores import NEVER, Trial, bootstrap, over, score
from specsched.bench.simulation.world import DRAFTS
from specsched.cli.simulate import simulate
from specsched.errors import SetupError
from specsched.policy.acceptance import expected_tokens
from specsched.policy.base import Arm
from specsched.policy.controller import PlannedController

FEW = 20


@cache
def world_of(name="stationary", machine="gpu", seed=0, requests=FEW):
    return SCENARIOS[name].world(machine, seed, requests)


@cache
def oracles_of(name="stationary", machine="gpu"):
    return oracles(world_of(name, machine))


def trial(run, name="stationary"):
    return Trial(run, oracles_of(name), world_of(name).drift)


class Watched(PlannedController):
    """Notes every round."""

    def __init__(self):
        super().__init__()
        self.records = []

    def observe(self, request_id, round_record):
        self.records.append(round_record)


def watched(world, arm):
    controller = Watched()
    run = Simulation(world, ScriptedPolicy([arm] * len(world.requests)), controller).run()
    return run, controller.records


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_says_all_its_tokens(name):
    world = world_of(name)
    run = Contender("plain").run(world)
    assert run.request_tokens.tolist() == [request.completion_tokens for request in world.requests]
    assert score([Trial(run, oracles_of(name), world.drift)]).over_plain.value == pytest.approx(1.0, abs=1e-12)
    assert run.worst_prefix == pytest.approx(1.0, abs=1e-12)


def test_an_oracle_scores_all_and_the_finer_one_never_less():
    best = oracles_of("phase_shift")
    for grain in ("over_static", "over_class", "over_phase", "over_request"):
        runs = {"over_static": best.static, "over_class": best.per_class, "over_phase": best.per_class_and_phase}
        run = runs.get(grain, best.per_request)
        assert getattr(score([trial(run, "phase_shift")]), grain).value == 1.0
    speeds = [best.plain, best.static, best.per_class, best.per_class_and_phase, best.per_request]
    assert [run.goodput for run in speeds] == sorted(run.goodput for run in speeds)


def test_the_oracle_reaches_95_percent_at_once_and_plain_never():
    assert score([trial(oracles_of().per_class_and_phase)]).requests_to_enough == 0
    assert score([trial(oracles_of().plain)]).requests_to_enough == NEVER
    assert score([trial(oracles_of("phase_shift").plain, "phase_shift")]).requests_to_recover == NEVER


def test_the_static_oracle_beats_every_static_arm_that_is_played():
    best = oracles_of().static
    arms = [PLAIN, *(Arm(draft, gamma) for draft in DRAFTS for gamma in (2, 5))]
    assert all(play(world_of(), [arm] * FEW).goodput <= best.goodput * 1.02 for arm in arms)  # coins, not means


def test_what_is_expected_of_an_arm_is_what_it_takes():
    world = world_of(requests=100)
    column = 1 + 8 * DRAFTS.index("small") + 3
    taken = play(world, [Arm("small", 4)] * 100).seconds
    assert taken == pytest.approx(expected_seconds(world)[:, column].sum(), rel=0.05)


def test_rounds_show_the_hazards_that_are_true():
    world = world_of(requests=100)
    request = replace(world.requests[0], completion_tokens=200)
    alike = replace(world, requests=(request,) * 40)
    _, records = watched(alike, Arm("large", 3))
    shown = [record.num_accepted for record in records if not record.censored]
    expected = expected_tokens(request.hazards[DRAFTS.index("large")][:3])[-1] - 1
    assert np.mean(shown) == pytest.approx(expected, abs=4 * np.std(shown) / len(shown) ** 0.5)


def test_adaptive_learns_the_truth_and_a_planted_bad_policy_ranks_below():
    world = world_of(requests=80)
    adaptive, bad = parse("adaptive").run(world), parse("fixed:large:8").run(world)
    assert adaptive.goodput > 1.5 * bad.goodput
    best = oracles(world)
    assert score([Trial(adaptive, best, None)]).over_phase.value > 0.8
    assert over([Trial(adaptive, best, None)], [Trial(bad, best, None)]).low > 1


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
    assert max(request.hazards[:, 0].mean() for request in world_of("bad_drafts").requests) < 0.5
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
    job = Job((SCENARIOS["stationary"],), (parse("plain"), parse("fixed:tiny:2")), "cpu", seeds=2, requests=20)
    said: list[str] = []
    trials = simulate_all(job, said.append)
    assert len(said) == job.worlds == 2
    assert {name: len(each) for name, each in trials["stationary"].items()} == {"plain": 2, "fixed:tiny:2": 2}


def test_the_command_writes_tables_checks_and_plots(tmp_path):
    app = typer.Typer()
    app.command()(simulate)
    few = ["--scenario", "phase_shift", "--seeds", "1", "--requests", "30", "--costs", "cpu"]
    files = ["--json", str(tmp_path / "out.json"), "--plots", str(tmp_path / "plots")]
    done = CliRunner().invoke(app, [*few, *files, "--policy", "adaptive", "--policy", "plain"])
    assert done.exit_code == 0, done.output
    tree = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert {check["name"] for check in tree["checks"]} == {
        "percent_of_oracle",
        "over_best_static_phase_shift",
        "requests_to_95_percent",
        "requests_to_recover",
        "worst_prefix_slowdown",
    }
    assert [row["policy"] for row in tree["tables"]["simulation"]] == ["adaptive", "plain"]
    assert [file.name for file in (tmp_path / "plots").iterdir()] == ["phase_shift.png"]
