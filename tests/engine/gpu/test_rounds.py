"""Rounds on the device say what rounds on the host say, and the host waits once."""

from copy import deepcopy

import pytest
import torch
from torch.overrides import TorchFunctionMode

from specsched.engine.device import choose_storage
from specsched.engine.gpu.choose import BUFFERED, CAPTURED, DeviceStyle, HostStyle, choose_style
from specsched.engine.gpu.graphs import BufferedCapture, Replayed
from specsched.engine.kv.blocks import BlockKV
from specsched.engine.kv.rectangles import RectangularKV
from specsched.engine.load import load_engine
from specsched.engine.model import LanguageModel
from specsched.engine.proposers.composite import CompositeProposer
from specsched.engine.proposers.ngram import NgramProposer
from specsched.engine.settings import EngineSettings
from specsched.engine.transfer import READS
from specsched.errors import PoolError
from specsched.policy.base import Arm
from specsched.pool.manifest import load_pool
from specsched.records import FinishReason, Sampling
from tests.helpers.laws import p_value, reference_law, total_variation
from tests.helpers.pools import save_pool
from tests.helpers.tiny import ARCHITECTURES, ScriptedController, always, engine_of, job, perturbed, run, tiny_network

PROMPTS = [[1, 2, 3, 4, 5], [7], [9] * 13, list(range(40)), [3, 1] * 9, [60, 2, 33], list(range(50, 20, -1)), [5, 5]]
TOGETHER = [prompt for prompt in PROMPTS if len(prompt) > 1]
"""Nobody decodes at once: all can be read in one step, and rounds are the same whatever the clock says."""
ARMS = (Arm("d", 4), Arm("none", 0), Arm("ngram", 3), Arm("other", 2), Arm("d", 1), Arm("other", 6))
CPU = torch.device("cpu")


def restless(request_id: str, round_index: int) -> Arm:
    """Another draft and another gamma from row to row and from round to round."""
    return ARMS[(int(request_id) + 5 * round_index) % len(ARMS)]


def drafts_of(target):
    return {"d": perturbed(target, 0.03, seed=1), "other": perturbed(target, 0.1, seed=2)}


def said(target, jobs, controller, style=None, **settings):
    engine = engine_of(target, drafts_of(target), controller, settings=EngineSettings(**settings), style=style)
    out = {name: each.tokens for name, each in run(engine, jobs).items()}
    engine.check_integrity()
    return out


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_greedy_tokens_are_the_hosts(kind):
    target = tiny_network(kind)
    jobs = [job(prompt, request_id=str(i), max_tokens=24 + i) for i, prompt in enumerate(PROMPTS)]
    plain = said(target, jobs, always("none", 0))
    assert said(target, jobs, ScriptedController(restless), BUFFERED) == plain
    assert said(target, jobs, always("none", 0), BUFFERED) == plain


SEEDED = [
    Sampling(temperature=0.9, seed=5),
    Sampling(temperature=1.5, top_p=0.9, seed=9),
    Sampling(temperature=1.1, top_k=9, repetition_penalty=1.3, presence_penalty=0.4, seed=2),
    Sampling(temperature=0.0, frequency_penalty=0.7),
]


@pytest.mark.parametrize("sampling", SEEDED)
def test_so_are_seeded_ones_because_the_noise_is_the_same_bit_for_bit(sampling):
    target = tiny_network()
    jobs = [
        job(prompt, request_id=str(i), sampling=sampling, noise_seed=sampling.seed or 0, max_tokens=30)
        for i, prompt in enumerate(PROMPTS)
    ]
    plain = said(target, jobs, always("none", 0))
    assert said(target, jobs, ScriptedController(restless), BUFFERED) == plain


def test_rows_join_and_leave_in_chunks_beside_rounds():
    target = tiny_network()
    jobs = [job(prompt, request_id=str(i), max_tokens=9 + 5 * (i % 4)) for i, prompt in enumerate(PROMPTS * 2)]
    plain = said(target, jobs, always("none", 0))
    tight = {"max_rows": 3, "prefill_chunk_tokens": 9, "kv_capacity_tokens": 200}
    assert said(target, jobs, ScriptedController(restless), BUFFERED, **tight) == plain


def test_a_row_stops_at_the_end_of_both_contexts():
    target = tiny_network()
    draft = tiny_network(max_positions=254)
    engine = engine_of(target, {"d": draft, "other": target}, ScriptedController(restless), style=BUFFERED)
    prompt = [i % 60 for i in range(250)]
    out = run(engine, [job(prompt, request_id=str(i), max_tokens=40) for i in range(4)])
    plain = run(engine_of(target), [job(prompt, max_tokens=40)])["r"].tokens
    assert [each.tokens for each in out.values()] == [plain] * 4
    assert {each.last.finish for each in out.values()} == {FinishReason.LENGTH}


def unsure(style, network, rows=8):
    """A draft that stops when unsure, and one that copies first and then does."""

    def made(name):
        make_kv = BlockKV if style is BUFFERED else RectangularKV
        model = LanguageModel(deepcopy(network), name, max_rows=rows, make_kv=make_kv)
        return style.proposer(name, model, 0.3)

    return {
        "stopping": made("stopping"),
        "composite": CompositeProposer("composite", [NgramProposer("n", 3), made("m")]),
    }


UNSURE_ARMS = (Arm("stopping", 6), Arm("composite", 5), Arm("none", 0), Arm("d", 3), Arm("composite", 2))


def hesitant(request_id: str, round_index: int) -> Arm:
    return UNSURE_ARMS[(int(request_id) + 3 * round_index) % len(UNSURE_ARMS)]


@pytest.mark.parametrize("sampling", [Sampling(temperature=0.0), Sampling(temperature=0.9, seed=5)])
def test_drafts_stop_where_they_are_unsure_as_on_the_host(sampling):
    target = tiny_network()
    jobs = [
        job(prompt, request_id=str(i), sampling=sampling, noise_seed=sampling.seed or 0, max_tokens=40)
        for i, prompt in enumerate(PROMPTS)
    ]
    told = []
    for style in (BUFFERED, HostStyle()):
        extra = unsure(style, perturbed(target, 0.05))
        engine = engine_of(target, drafts_of(target), ScriptedController(hesitant), style=style, extra=extra)
        out = run(engine, jobs)
        told.append(out)
    ours, theirs = ([[(c.round.gamma, c.token_ids) for c in each.chunks] for each in out.values()] for out in told)
    assert [each.tokens for each in told[0].values()] == [each.tokens for each in told[1].values()]
    assert sum(a == b for a, b in zip(ours, theirs, strict=True)) >= 7, "a tie in the draft may part one row's rounds"
    assert {gamma for of_row in ours for gamma, _ in of_row} >= {0, 1, 2, 3, 4}, "some stopped early"


# ------------------------------------------------------------------------------------------- distribution

VOCAB, LENGTH, ROWS = 4, 3, 128
PROMPT = (1, 2, 1, 2, 1)
TRIALS = 4_000
SMALL = tiny_network(vocab=VOCAB, seed=3, spread=0.25)
SMALL_DRAFT = perturbed(SMALL, 0.8)
SAMPLERS = {
    "temperature": Sampling(temperature=1.3),
    "top_k": Sampling(top_k=2),
    "everything": Sampling(temperature=0.8, top_k=3, top_p=0.95, repetition_penalty=1.2, logit_bias={0: 0.7}),
}


def mixed(request_id: str, round_index: int) -> Arm:
    return (Arm("d", 3), Arm("ngram", 2), Arm("none", 0), Arm("d", 1))[(int(request_id) + 3 * round_index) % 4]


CONTROLLERS = {
    "draft": lambda: always("d", 3),
    "mixed": lambda: ScriptedController(mixed),
    "stopping": lambda: always("stopping", 3),
    "composite": lambda: always("composite", 3),
}


@pytest.mark.parametrize(
    ("controller", "sampler"),
    [
        ("draft", "temperature"),
        ("draft", "top_k"),
        ("draft", "everything"),
        ("mixed", "everything"),
        ("stopping", "temperature"),
        ("stopping", "everything"),
        ("composite", "temperature"),
    ],
)
def test_completions_have_the_targets_law(controller, sampler):
    """False alarms: with fixed seeds none; over fresh seeds 1 in 1,000 each."""
    law = reference_law(SMALL, PROMPT, SAMPLERS[sampler], LENGTH)
    settings = EngineSettings(max_rows=ROWS, prefill_chunk_tokens=ROWS * len(PROMPT))
    extra = unsure(BUFFERED, SMALL_DRAFT, ROWS)
    engine = engine_of(
        SMALL, {"d": SMALL_DRAFT}, CONTROLLERS[controller](), settings=settings, style=BUFFERED, extra=extra
    )
    jobs = [
        job(PROMPT, request_id=str(i), sampling=SAMPLERS[sampler], noise_seed=i, max_tokens=LENGTH, ignore_eos=True)
        for i in range(TRIALS)
    ]
    drawn = [tuple(out.tokens) for out in run(engine, jobs).values()]
    assert p_value(law, drawn) > 1e-3
    assert total_variation(law, drawn) < 0.06


# ------------------------------------------------------------------------------------------- one read a round


class HostReads(TorchFunctionMode):
    """Counts whatever would make a host wait for its device."""

    WAITING = ("item", "tolist", "cpu", "numpy", "nonzero", "__bool__", "__int__", "__float__", "__index__")

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        if name in self.WAITING:
            self.seen.append(name)
        return func(*args, **(kwargs or {}))


class Counted(Replayed):
    """Notes the shape of every forward."""

    def __init__(self, shapes):
        super().__init__("counted", BufferedCapture())
        self.shapes = shapes

    def run(self, batch, work):
        self.shapes.append(batch.shape)
        return super().run(batch, work)


SAMPLINGS = [Sampling(temperature=0.0), Sampling(), Sampling(top_p=0.9, repetition_penalty=1.2), Sampling(seed=4)]


def either(request_id: str, round_index: int) -> Arm:
    return (restless if round_index % 2 else hesitant)(request_id, round_index)


@pytest.mark.parametrize("kind", ["llama", "gemma3_text"])
def test_the_host_waits_once_a_round_whatever_is_drafted_and_sampled(kind):
    target = tiny_network(kind).to(torch.bfloat16)  # else a Llama takes the lean forward, which no GPU takes
    drafts = {name: draft.to(torch.bfloat16) for name, draft in drafts_of(target).items()}
    extra = unsure(BUFFERED, drafts["d"])
    settings = EngineSettings(prefix_cache_tokens=0, prefill_chunk_tokens=4096)
    engine = engine_of(target, drafts, ScriptedController(either), settings=settings, style=BUFFERED, extra=extra)
    jobs = [
        job(prompt, request_id=str(i), sampling=SAMPLINGS[i % 4], noise_seed=i, max_tokens=60)
        for i, prompt in enumerate(TOGETHER)
    ]
    for _ in range(2):  # the pools grow, then every shape is met: a capture proves itself, which the host reads
        run(engine, jobs)
        engine._controller.rounds.clear()
    for each in jobs:
        engine.submit(each, lambda _chunk: None)
    engine.step()
    for _ in range(6):
        before = READS.count
        with HostReads() as reads:
            engine.step()
        assert READS.count == before + 1
        assert reads.seen == ["cpu", "tolist"], "the one read, and what it brought"


def test_rounds_that_were_run_before_meet_no_new_shape():
    target = tiny_network()
    shapes = []
    style = DeviceStyle("counted", lambda _model: Counted(shapes))
    settings = EngineSettings(prefix_cache_tokens=0, prefill_chunk_tokens=4096)
    engine = engine_of(target, drafts_of(target), ScriptedController(restless), settings=settings, style=style)
    jobs = [job(prompt, request_id=str(i), max_tokens=90 + i) for i, prompt in enumerate(TOGETHER)]
    run(engine, jobs)
    met = set(shapes)
    engine._controller.rounds.clear()
    blocks = engine._target.kv.num_blocks
    shapes.clear()
    run(engine, jobs)
    assert set(shapes) <= met
    assert engine._target.kv.num_blocks == blocks
    assert len(shapes) > 2 * len(met), "a shape is captured once and replayed many times"


# ------------------------------------------------------------------------------------------- the rest of a round


def test_made_up_acceptance_has_the_last_word_here_too():
    target = tiny_network()
    controller = always("d", 3)
    settings = EngineSettings(synthetic_acceptance=(0.8, 0.5))
    engine = engine_of(target, {"d": perturbed(target, 3.0)}, controller, settings=settings, style=BUFFERED)
    run(engine, [job([i], request_id=str(i), noise_seed=i, max_tokens=90) for i in range(8)])
    rounds = [r for of_row in controller.observed.values() for r in of_row if r.gamma == 3 and not r.censored]
    assert sum(r.num_accepted >= 1 for r in rounds) / len(rounds) == pytest.approx(0.8, abs=0.08)


def test_a_draft_equal_to_the_target_is_accepted_whole_and_keeps_up_over_a_gap():
    target = tiny_network()
    controller = ScriptedController(lambda _request, n: Arm("d", 4) if n % 3 else Arm("none", 0))
    engine = engine_of(target, {"d": target}, controller, style=BUFFERED)
    out = run(engine, [job(PROMPTS[0], max_tokens=60)])["r"]
    assert {c.round.num_accepted for c in out.chunks if c.round.gamma == 4} == {4}


def test_logprobs_are_the_targets():
    target = tiny_network()
    jobs = [job(PROMPTS[0], max_tokens=12, logprobs=2)]
    ours, theirs = (
        [p for c in run(engine_of(deepcopy(target), drafts_of(target), always("d", 3), style=style), jobs)["r"].chunks
         for p in c.logprobs]
        for style in (BUFFERED, None)
    )  # fmt: skip
    assert [p.token_id for p in ours] == [p.token_id for p in theirs]
    assert [p.logprob for p in ours] == pytest.approx([p.logprob for p in theirs], abs=1e-4)


def test_the_style_follows_device_and_storage_unless_it_is_named():
    assert isinstance(choose_style("auto", CPU, RectangularKV), HostStyle)
    assert isinstance(choose_style("auto", CPU, BlockKV), HostStyle)
    assert choose_style("auto", torch.device("cuda"), BlockKV) is CAPTURED
    assert isinstance(choose_style("auto", torch.device("cuda"), RectangularKV), HostStyle)
    assert choose_style("buffered", CPU, choose_storage("auto", CPU, "buffered")) is BUFFERED
    with pytest.raises(PoolError, match="needs a CUDA device"):
        choose_style("captured", CPU, BlockKV)
    with pytest.raises(PoolError, match="kv_storage: blocks"):
        choose_style("buffered", CPU, RectangularKV)


def test_an_engine_is_loaded_and_profiled_in_the_style_that_is_configured(tmp_path):
    pool = load_pool(save_pool(tmp_path))
    engines = [
        load_engine(
            pool, EngineSettings(profile_seconds=0.1, device="cpu", rounds=rounds), lambda _c: always("draft", 3)
        )
        for rounds in ("host", "buffered")
    ]
    jobs = [job([i, 7, i + 3], request_id=str(i), max_tokens=30) for i in range(1, 4)]
    first, second = ({name: out.tokens for name, out in run(engine, jobs).items()} for engine in engines)
    assert first == second
    assert engines[1].describe().costs.verify
    assert len({engine.describe().numerics_id for engine in engines}) == 2
