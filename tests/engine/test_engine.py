"""What the engine does around its rounds: limits, stops, pauses, disabled drafts, bad jobs."""

import time
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, MambaConfig

from specsched.engine.model import LanguageModel
from specsched.engine.profile import Profiler, stopwatch_for
from specsched.engine.proposers.composite import CompositeProposer
from specsched.engine.proposers.draft_model import DraftModelProposer
from specsched.engine.proposers.ngram import NgramProposer
from specsched.engine.settings import EngineSettings
from specsched.errors import DuplicateRequest, InvalidRequest, UnsupportedModel
from specsched.policy.controller import AdaptiveController
from specsched.policy.settings import PolicySettings
from specsched.records import Candidate, CostGrid, CostPoint, FinishReason, Plan, Sampling
from tests.helpers.tiny import Collected, always, engine_of, job, perturbed, run, tiny_network

TARGET = tiny_network()


def test_stop_tokens_end_a_completion_but_not_before_min_tokens() -> None:
    free = run(engine_of(TARGET), [job([1, 2], max_tokens=30)])["r"].tokens
    stop = free[4]
    out = run(engine_of(TARGET), [job([1, 2], max_tokens=30, stop_token_ids=(stop,))])["r"]
    assert out.tokens == free[: free.index(stop) + 1]
    assert (out.last.finish, out.last.matched_token_id) == (FinishReason.STOP, stop)
    held = run(engine_of(TARGET), [job([1, 2], max_tokens=30, stop_token_ids=(stop,), min_tokens=12)])["r"]
    assert stop not in held.tokens[:12]
    assert len(held.tokens) >= 12


def test_a_worker_tells_what_each_tenant_may_still_lose() -> None:
    guarded = AdaptiveController(PolicySettings(), CostGrid(0, (), ()), seed=0)
    engine = engine_of(TARGET, controller=guarded)
    run(engine, [replace(job([1, 2], max_tokens=30), tenant="acme")])
    load = engine.load()
    assert load.guard_budgets == guarded.credits
    assert list(load.guard_budgets) == ["acme"]
    assert load.guard_budget_tokens == load.guard_budgets["acme"] > 0


def test_eos_can_be_ignored() -> None:
    free = run(engine_of(TARGET), [job([1, 2], max_tokens=30)])["r"].tokens
    engine = engine_of(TARGET, eos=(free[3],))
    assert len(run(engine, [job([1, 2], max_tokens=30, ignore_eos=True)])["r"].tokens) == 30


def test_logprobs_are_the_targets_own_whatever_the_sampling() -> None:
    out = run(
        engine_of(TARGET, {"d": TARGET}, always("d", 3)),
        [job([1, 2], max_tokens=9, logprobs=2, sampling=Sampling(temperature=0.7, top_k=3, seed=1), noise_seed=1)],
    )["r"]
    with torch.inference_mode():
        reference = TARGET(torch.tensor([[1, 2, *out.tokens]])).logits[0, 1:-1].log_softmax(-1)
    records = [record for chunk in out.chunks for record in chunk.logprobs]
    assert [record.token_id for record in records] == out.tokens
    for record, expected in zip(records, reference, strict=True):
        assert record.logprob == pytest.approx(float(expected[record.token_id]), abs=1e-4)
        assert [token for token, _ in record.top] == expected.topk(2).indices.tolist()


def test_a_paused_row_waits_and_the_others_go_on() -> None:
    engine = engine_of(TARGET)
    slow, quick = Collected(), Collected()
    engine.submit(job([1, 2], request_id="slow", max_tokens=10), slow.chunks.append)
    engine.submit(job([3, 4], request_id="quick", max_tokens=10), quick.chunks.append)
    engine.step()
    engine.pause("slow")
    while engine.step():
        pass
    assert (len(slow.tokens), len(quick.tokens)) == (1, 10)
    engine.resume("slow")
    while engine.step():
        pass
    assert slow.tokens == run(engine_of(TARGET), [job([1, 2], max_tokens=10)])["r"].tokens


def test_cancel_frees_the_row_at_once_and_says_so() -> None:
    engine = engine_of(TARGET, {"d": TARGET}, always("d", 3), settings=EngineSettings(max_rows=1))
    running, waiting = Collected(), Collected()
    engine.submit(job([1], request_id="a", max_tokens=50), running.chunks.append)
    engine.submit(job([2], request_id="b", max_tokens=50), waiting.chunks.append)
    engine.step()
    for request_id in ("b", "a", "unknown"):
        engine.cancel(request_id)
    assert running.last.finish is waiting.last.finish is FinishReason.ABORTED
    assert not engine.step()
    engine.check_integrity()


def test_a_disabled_draft_is_not_used_from_the_next_round_on() -> None:
    controller = always("d", 3)
    engine = engine_of(TARGET, {"d": TARGET}, controller)
    engine.submit(job([1], max_tokens=40), Collected().chunks.append)
    engine.step()
    engine.set_draft_state("d", active=False)
    engine.step()
    engine.set_draft_state("d", active=True)
    engine.step()
    assert [r.draft_model for r in controller.observed["r"]] == ["d", "none", "d"]


def test_time_limits_end_a_completion_between_rounds() -> None:
    out = run(engine_of(TARGET), [job([1], max_tokens=100, time_limit_seconds=0.0)])["r"]
    assert (len(out.tokens), out.last.finish) == (1, FinishReason.TIME_LIMIT)


def test_a_bad_job_is_refused_with_every_violation() -> None:
    plan = Plan(draft_model="ghost", gamma=2, candidates=(Candidate("ghost", ()),))
    bad = job([1, 99], sampling=Sampling(logit_bias={-1: 1.0}), stop_token_ids=(64,))
    bad = type(bad)(**{name: getattr(bad, name) for name in bad.__slots__} | {"plan": plan})
    with pytest.raises(InvalidRequest) as refused:
        engine_of(TARGET).submit(bad, lambda _chunk: None)
    assert {v.field for v in refused.value.violations} == {
        "prompt.token_ids",
        "sampling.logit_bias",
        "stopping.stop_token_ids",
        "speculation.draft_model",
    }
    with pytest.raises(InvalidRequest, match="context"):
        engine_of(TARGET).submit(job([1] * 256), lambda _chunk: None)
    with pytest.raises(InvalidRequest, match="empty"):
        engine_of(TARGET).submit(job([]), lambda _chunk: None)


def test_an_id_runs_once_at_a_time() -> None:
    engine = engine_of(TARGET)
    engine.submit(job([1], max_tokens=2), lambda _chunk: None)
    with pytest.raises(DuplicateRequest):
        engine.submit(job([1], max_tokens=2), lambda _chunk: None)


def test_recurrent_state_is_refused_by_name() -> None:
    mamba = AutoModelForCausalLM.from_config(MambaConfig(vocab_size=16, hidden_size=8, num_hidden_layers=1))
    with pytest.raises(UnsupportedModel, match=r"m1: mamba keeps recurrent state"):
        LanguageModel(mamba, "m1", max_rows=1)


def test_a_draft_with_a_shorter_context_stops_proposing() -> None:
    short = tiny_network(max_positions=32)
    controller = always("d", 4)
    out = run(engine_of(TARGET, {"d": short}, controller), [job([1, 2], max_tokens=60)])["r"]
    assert out.tokens == run(engine_of(TARGET), [job([1, 2], max_tokens=60)])["r"].tokens
    assert controller.observed["r"][0].gamma == 4
    assert controller.observed["r"][-1].gamma == 0


class Disturbed:
    """A clock of a machine on which something else takes four seconds of some runs' times, many runs in a row."""

    def __init__(self) -> None:
        self.now, self.calls = 0.0, 0

    def __call__(self) -> float:
        self.calls += 1
        self.now += 1.0 + 4.0 * (self.calls % 150 < 100)
        return self.now


def test_a_disturbed_profile_finds_the_undisturbed_times() -> None:
    engine = engine_of(TARGET)
    grid = Profiler(engine._target, {}, engine._rounds, max_rows=4, seconds=1e6, stopwatch=Disturbed()).grid()
    assert {point.seconds for point in grid.verify} == {1.0}


def test_a_disturbed_profile_finds_the_undisturbed_times_of_drafts() -> None:
    engine = engine_of(TARGET, {"d": perturbed(TARGET, 0.1)})
    profiler = Profiler(
        engine._target, engine._proposers, engine._rounds, max_rows=4, seconds=1e6, stopwatch=Disturbed()
    )
    for draft in profiler.grid().drafts:  # every proposal takes one second, however much it drafts
        assert draft.overhead_seconds == 1.0
        assert draft.prefill_seconds_per_token == 0.0
        assert {step.seconds for step in draft.steps} == {0.0}


@pytest.mark.parametrize(
    ("device", "threads", "expected"),
    [
        ("cpu", 1, time.thread_time),
        ("cpu", 2, time.perf_counter),
        ("cuda", 1, time.perf_counter),
    ],
)
def test_one_thread_s_costs_leave_out_what_others_take(device: str, threads: int, expected: object) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    assert stopwatch_for(torch.device(device)) is expected
    torch.set_num_threads(before)


def test_a_profile_ends_with_its_time() -> None:
    engine = engine_of(TARGET)
    grid = Profiler(engine._target, {}, engine._rounds, max_rows=4, seconds=20.0, clock=Disturbed()).grid()
    assert [point.positions for point in grid.verify] == [1, 2, 3]  # five seconds each, of half the time


class Steps(LanguageModel):
    """A model that counts its steps."""

    taken = 0

    def step(self, rows, ids):
        self.taken += 1
        return super().step(rows, ids)

    def follow(self, rows, tokens, steps):
        self.taken += steps
        return super().follow(rows, tokens, steps)


def test_an_engine_without_rows_measures_its_costs_anew_and_its_controller_goes_by_them() -> None:
    controller = AdaptiveController(PolicySettings(), CostGrid(1, (CostPoint(1, 64, 1.0),), ()), seed=0)
    measured = CostGrid(2, (CostPoint(1, 64, 3.0),), ())
    engine = engine_of(TARGET, controller=controller, measure=lambda version, _halt: replace(measured, version=version))
    engine.submit(job([1, 2], max_tokens=3), lambda _chunk: None)
    before = engine.describe().costs.version
    assert not engine.profile(lambda: False)
    while engine.step():
        pass
    assert engine.profile(lambda: False)
    assert engine.describe().costs == replace(measured, version=before + 1)
    assert controller.costs.verifying(1, 0, 64) == pytest.approx(3.0)


def test_a_profile_that_is_halted_measures_nothing_and_leaves_nothing_behind() -> None:
    engine = engine_of(TARGET, {"d": perturbed(TARGET, 0.1)})
    for after in (0, 3, 40):
        calls = iter(range(100))
        profiler = Profiler(engine._target, engine._proposers, engine._rounds, max_rows=2, seconds=60.0)
        assert profiler.regrid(2, lambda calls=calls, after=after: next(calls) >= after) is None
        engine.check_integrity()
    assert engine._measure(2, lambda: False) is None  # nothing to measure with


def test_a_draft_s_step_is_timed_also_where_it_would_stop_or_copy() -> None:
    model = Steps(perturbed(TARGET, 0.1), "m", max_rows=4)
    stopping = DraftModelProposer("m", model, 0.999)
    copying = CompositeProposer("m", [NgramProposer("m", 3), stopping])
    engine = engine_of(TARGET)
    proposers = {"stopping": stopping, "copying": copying}
    profiler = Profiler(
        engine._target, proposers, engine._rounds, max_rows=1, seconds=5.0, stopwatch=lambda: float(model.taken)
    )
    assert [draft.steps[0].seconds for draft in profiler.grid().drafts] == [1.0, 1.0]
    model.kv.check_integrity()
    assert not model.kv.open_rows


def test_the_profile_covers_what_the_policy_needs() -> None:
    engine = engine_of(TARGET, {"d": perturbed(TARGET, 0.1)})
    grid = Profiler(engine._target, engine._proposers, engine._rounds, max_rows=4, seconds=5.0).grid()
    assert {draft.draft_model for draft in grid.drafts} == {"ngram", "d"}
    assert {1, 5, 9, 20} <= {point.positions for point in grid.verify}
    assert all(point.seconds > 0 for point in grid.verify)
    assert next(d for d in grid.drafts if d.draft_model == "d").steps[0].seconds > 0
    engine.check_integrity()
