"""The proofs again where they matter: on a GPU, with captured graphs. Never run yet; elsewhere they are skipped."""

import warnings

import pytest
import torch

from specsched.engine.device import choose_device
from specsched.engine.gpu.choose import BUFFERED, CAPTURED
from specsched.engine.gpu.paging import disagreement, follows_tables
from specsched.engine.load import load_engine
from specsched.engine.noise import Keys, Purpose, gumbel, uniform
from specsched.engine.settings import EngineSettings
from specsched.engine.transfer import READS
from specsched.policy.base import Arm
from specsched.pool.manifest import load_pool
from specsched.records import Sampling
from tests.helpers.laws import p_value, reference_law, total_variation
from tests.helpers.pools import save_pool
from tests.helpers.tiny import ARCHITECTURES, ScriptedController, always, engine_of, job, perturbed, run, tiny_network

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is here"),
    pytest.mark.filterwarnings("default"),  # compilers warn of themselves
]

PROMPTS = [[1, 2, 3, 4, 5], [7], [9] * 13, list(range(40)), [3, 1] * 9, [60, 2, 33], list(range(50, 20, -1)), [5, 5]]
ARMS = (Arm("d", 4), Arm("none", 0), Arm("ngram", 3), Arm("other", 2), Arm("d", 1), Arm("other", 6))


def restless(request_id, round_index):
    return ARMS[(int(request_id) + 5 * round_index) % len(ARMS)]


def drafts_of(target):
    return {"d": perturbed(target, 0.03, seed=1), "other": perturbed(target, 0.1, seed=2)}


def engine_on_gpu(target, controller, style, **settings):
    settings = EngineSettings(prefix_cache_tokens=0, **settings)
    return engine_of(target, drafts_of(target), controller, settings=settings, style=style, device="cuda")


def said(engine, jobs):
    return {name: each.tokens for name, each in run(engine, jobs).items()}


def test_noise_falls_on_the_device_bit_for_bit():
    places = [(5, 0), (2**64 - 1, 7), (-3, 2**31)]
    keys = Keys.of([seed for seed, _ in places], [at for _, at in places], torch.device("cuda"))
    for purpose in Purpose:
        assert keys.uniform(purpose).tolist() == [uniform(*place, purpose) for place in places]
    for place in places:
        ours, theirs = (gumbel(*place, 1000, torch.device(where)).cpu() for where in ("cuda", "cpu"))
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)  # logarithms may round differently


@pytest.mark.parametrize(("span", "softcap"), [(None, None), (7, None), (None, 3.0)])
def test_attention_follows_tables(span, softcap):
    assert follows_tables(torch.device("cuda"), torch.bfloat16, 64)
    assert not follows_tables(torch.device("cuda"), torch.bfloat16, 8), "kernels want 16 at least: then it gathers"
    assert disagreement(torch.device("cuda"), torch.bfloat16, span, softcap) < 2e-2


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_captured_buffered_and_plain_rounds_say_the_same_greedy_tokens(kind):
    target = tiny_network(kind)
    jobs = [job(prompt, request_id=str(i), max_tokens=24 + i) for i, prompt in enumerate(PROMPTS)]
    plain = said(engine_of(target), jobs)
    for style in (CAPTURED, BUFFERED, None):
        assert said(engine_on_gpu(target, ScriptedController(restless), style), jobs) == plain


SAMPLERS = {
    "temperature": Sampling(temperature=1.3),
    "everything": Sampling(temperature=0.8, top_k=3, top_p=0.95, repetition_penalty=1.2, logit_bias={0: 0.7}),
}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_completions_have_the_targets_law(sampler):
    """False alarms: 1 in 1,000 over fresh seeds."""
    target, prompt, rows = tiny_network(vocab=4, seed=3, spread=0.25), (1, 2, 1, 2, 1), 128
    law = reference_law(target, prompt, SAMPLERS[sampler], 3)
    engine = engine_on_gpu(target, ScriptedController(restless), CAPTURED, max_rows=rows)
    jobs = [
        job(prompt, request_id=str(i), sampling=SAMPLERS[sampler], noise_seed=i, max_tokens=3, ignore_eos=True)
        for i in range(4_000)
    ]
    drawn = [tuple(tokens) for tokens in said(engine, jobs).values()]
    assert p_value(law, drawn) > 1e-3
    assert total_variation(law, drawn) < 0.06


def test_the_host_waits_once_a_round():
    """torch itself reports every operation that waits; the first run captures, which waits too."""
    engine = engine_on_gpu(tiny_network(max_positions=2048), ScriptedController(restless), CAPTURED)
    samplings = [Sampling(temperature=0.0), Sampling(), Sampling(top_p=0.9, repetition_penalty=1.2), Sampling(seed=4)]
    jobs = [
        job(prompt, request_id=str(i), sampling=samplings[i % 4], noise_seed=i, max_tokens=90)
        for i, prompt in enumerate(PROMPTS)
    ]
    said(engine, jobs)
    for each in jobs:
        engine.submit(each, lambda _chunk: None)
    while not engine._roster.rows or any(row.unread > 1 for row in engine._roster.rows.values()):
        engine.step()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        for _ in range(8):
            before = READS.count
            with warnings.catch_warnings(record=True) as waited:
                warnings.simplefilter("always")
                engine.step()
            assert READS.count == before + 1
            assert len([each for each in waited if "synchroniz" in str(each.message)]) == 1
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_thousand_rounds_allocate_nothing_that_stays():
    engine = engine_on_gpu(tiny_network(), always("d", 3), CAPTURED, prefill_chunk_tokens=4096)
    prompts = [prompt for prompt in PROMPTS if len(prompt) > 1]  # nobody decodes yet: all are read in one step
    jobs = [job(prompt, request_id=str(i), max_tokens=120) for i, prompt in enumerate(prompts)]
    said(engine, jobs)  # meets every shape
    torch.cuda.synchronize()
    before, rounds = torch.cuda.memory_allocated(), 0
    while rounds < 1_000:
        rounds += max(len(each.chunks) for each in run(engine, jobs).values())
    torch.cuda.synchronize()
    assert torch.cuda.memory_allocated() <= before


def test_a_pool_is_served_captured_by_default(tmp_path):
    pool = load_pool(save_pool(tmp_path))
    settings = EngineSettings(profile_seconds=0.5, device=str(choose_device("cuda")))
    engine = load_engine(pool, settings, lambda _costs: always("draft", 3))
    on_cpu = load_engine(pool, EngineSettings(profile_seconds=0, device="cpu"), lambda _costs: always("draft", 3))
    jobs = [job([i, 7, i + 3], request_id=str(i), max_tokens=30) for i in range(1, 4)]
    assert said(engine, jobs) == said(on_cpu, jobs)
