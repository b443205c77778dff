"""`simulate` and `replay` among the benchmarks of `bench all`."""

from specsched.cli.bench.worlds import measure_replay, measure_simulation
from specsched.cli.evaluation import Evaluation
from specsched.pool.manifest import load_pool

NAMED = {
    "percent_of_oracle",
    "percent_of_reported_oracle",
    "over_best_static_phase_shift",
    "requests_to_95_percent",
    "requests_to_recover",
    "worst_prefix_slowdown",
    "headroom_class_over_global",
}
SMALL = Evaluation(scenario=["stationary", "phase_shift"], seeds=1, requests=30)


def test_simulation_reports_every_number_that_is_asked_for():
    said = []
    assert {check.name for check in measure_simulation(SMALL, said.append).checks} == NAMED
    assert said == ["stationary, seed 0", "phase_shift, seed 0"]


def test_replay_records_a_pool_and_reports_the_same_numbers(tiny_pool):
    said = []
    report = measure_replay(load_pool(tiny_pool), (2, 16, 0.5), SMALL, said.append)
    assert {check.name.removesuffix("_int8") for check in report.checks} == NAMED
    assert len(report.tables["headroom"].rows) > 2
    assert [row["scenario"] for row in report.tables["scores"].records()] == ["stationary", "phase_shift"]
    assert said[0].startswith("loading")
    assert said[-1] == "phase_shift, seed 0"
