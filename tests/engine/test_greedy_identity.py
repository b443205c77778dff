"""Proof 1: greedy output is the target's alone, token by token. The reference is transformers' generate()."""

from collections.abc import Callable, Sequence
from copy import deepcopy

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import PreTrainedModel

from specsched.engine import engine as engine_module
from specsched.engine.drafts import LoadedDraft
from specsched.engine.engine import Engine
from specsched.engine.gpu.choose import BUFFERED, HostStyle, Style
from specsched.engine.kv import RaggedKV
from specsched.engine.kv.blocks import BlockKV
from specsched.engine.kv.rectangles import RectangularKV
from specsched.engine.model import LanguageModel
from specsched.engine.proposers.base import Proposer
from specsched.engine.proposers.composite import CompositeProposer
from specsched.engine.proposers.draft_model import DraftModelProposer
from specsched.engine.proposers.ngram import NgramProposer
from specsched.engine.settings import EngineSettings
from specsched.engine.verify import Verdict, verify
from specsched.policy.base import Arm
from specsched.records import FinishReason, ModelInfo, Sampling
from tests.helpers.tiny import (
    ARCHITECTURES,
    Collected,
    ScriptedController,
    always,
    engine_of,
    job,
    perturbed,
    run,
    tiny_network,
)

TIE = 1e-4
PROMPTS = [[1, 2, 3, 4, 5], [7], [9] * 13, list(range(40)), [3, 1] * 9, [60, 2, 33], list(range(50, 20, -1)), [5, 5]]
ARMS = (
    Arm("d", 4),
    Arm("none", 0),
    Arm("ngram", 3),
    Arm("other", 2),
    Arm("composite", 5),
    Arm("d", 1),
    Arm("stopping", 6),
    Arm("other", 6),
)


def restless(request_id: str, round_index: int) -> Arm:
    """Ragged: another draft and another gamma in every row and every round."""
    return ARMS[(5 * round_index + int(request_id)) % len(ARMS)]


def generate(network: PreTrainedModel, prompt: Sequence[int], tokens: int, eos: int | None = None) -> list[int]:
    """What the target alone says."""
    ids = torch.tensor([list(prompt)])
    out = network.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=tokens,
        eos_token_id=eos,
        pad_token_id=0,
        renormalize_logits=False,
    )
    return out[0, len(prompt) :].tolist()


def assert_same(network: PreTrainedModel, prompt: Sequence[int], got: list[int], expected: list[int]) -> None:
    """Equal token by token; at a tie of the two best logits (printed) the rest may differ."""
    if got == expected:
        return
    at = next((i for i, pair in enumerate(zip(got, expected, strict=False)) if pair[0] != pair[1]), None)
    assert at is not None, f"one is a prefix of the other: {len(got)} and {len(expected)} tokens"
    with torch.inference_mode():
        best = network(torch.tensor([[*prompt, *expected[:at]]])).logits[0, -1].topk(2)
    gap = float(best.values[0] - best.values[1])
    print(f"tie at token {at}: gap {gap:.2e}")
    assert gap < TIE, f"token {at} is {got[at]}, the target says {expected[at]} by {gap:.3f}"


def drafts_of(network: PreTrainedModel) -> dict[str, PreTrainedModel]:
    return {"d": perturbed(network, 0.03, seed=1), "other": perturbed(network, 0.1, seed=2)}


def wrapped(networks: dict[str, PreTrainedModel], make_kv: Callable[[int, int], RaggedKV]) -> dict[str, Proposer]:
    """A draft that copies first, and one that stops when unsure."""
    models = (LanguageModel(deepcopy(networks["d"]), "m", max_rows=8, make_kv=make_kv) for _ in range(2))
    return {
        "composite": CompositeProposer("composite", [NgramProposer("n", 3), DraftModelProposer("m", next(models))]),
        "stopping": DraftModelProposer("stopping", next(models), 0.3),
    }


@pytest.mark.parametrize("make_kv", [RectangularKV, BlockKV])
@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_every_architecture_batch_of_eight_with_restless_arms(
    kind: str, make_kv: Callable[[int, int], RaggedKV]
) -> None:
    target = tiny_network(kind)
    out = run(
        engine_of(
            target,
            drafts_of(target),
            controller := ScriptedController(restless),
            make_kv=make_kv,
            extra=wrapped(drafts_of(target), make_kv),
        ),
        [job(prompt, request_id=str(i), max_tokens=24 + i) for i, prompt in enumerate(PROMPTS)],
    )
    for i, prompt in enumerate(PROMPTS):
        assert_same(target, prompt, out[str(i)].tokens, generate(target, prompt, 24 + i))
    accepted = [c.round.num_accepted for each in out.values() for c in each.chunks]
    assert sum(accepted) > 0, "the drafts never agreed: the test shows nothing"
    used = {record.draft_model for records in controller.observed.values() for record in records if record.num_accepted}
    assert {"composite", "stopping"} & used


@pytest.mark.parametrize("gamma", [0, 1, 5])
def test_one_row_at_a_fixed_gamma(gamma: int) -> None:
    target = tiny_network()
    for prompt in PROMPTS[:4]:
        out = run(engine_of(target, drafts_of(target), always("d", gamma)), [job(prompt, max_tokens=40)])["r"]
        assert_same(target, prompt, out.tokens, generate(target, prompt, 40))


def test_a_draft_equal_to_the_target_is_accepted_whole() -> None:
    target = tiny_network()
    out = run(engine_of(target, {"d": target}, always("d", 4)), [job(PROMPTS[0], max_tokens=50)])["r"]
    assert [c.round.num_accepted for c in out.chunks] == [4] * 10


def test_long_prompts_are_prefilled_in_stretches_beside_running_rows() -> None:
    target = tiny_network()
    engine = engine_of(
        target, drafts_of(target), ScriptedController(restless), settings=EngineSettings(prefill_chunk_tokens=7)
    )
    prompts = [*PROMPTS, list(range(60)) * 2]
    out = run(engine, [job(prompt, request_id=str(i), max_tokens=20) for i, prompt in enumerate(prompts)])
    for i, prompt in enumerate(prompts):
        assert_same(target, prompt, out[str(i)].tokens, generate(target, prompt, 20))


def test_eos_inside_an_accepted_block_trims_tokens_and_record() -> None:
    target = tiny_network()
    free = generate(target, PROMPTS[0], 40)
    eos = free[9]
    end = free.index(eos) + 1
    out = run(engine_of(target, {"d": target}, always("d", 6), eos=(eos,)), [job(PROMPTS[0], max_tokens=40)])["r"]
    assert out.tokens == generate(target, PROMPTS[0], 40, eos=eos) == free[:end]
    assert (out.last.finish, out.last.matched_token_id) == (FinishReason.STOP, eos)
    assert sum(c.round.num_accepted for c in out.chunks[:-1]) == 6 * (len(out.chunks) - 1)
    assert out.last.round.num_accepted == len(out.last.token_ids) - (0 if out.last.round.censored else 1)


def test_a_row_stops_at_the_end_of_the_context() -> None:
    target = tiny_network()
    prompt = [i % 60 for i in range(250)]
    out = run(engine_of(target, drafts_of(target), always("d", 6)), [job(prompt, max_tokens=40)])["r"]
    assert out.last.finish is FinishReason.LENGTH
    assert len(out.tokens) == 6
    assert_same(target, prompt, out.tokens, generate(target, prompt, 6))


@pytest.mark.parametrize("sampling", [Sampling(temperature=0.9, seed=5), Sampling(temperature=1.5, top_p=0.9, seed=9)])
def test_seeded_requests_give_the_same_tokens_whatever_serves_them(sampling: Sampling) -> None:
    target = tiny_network()
    jobs = [
        job(prompt, request_id=str(i), sampling=sampling, noise_seed=sampling.seed, max_tokens=30)
        for i, prompt in enumerate(PROMPTS)
    ]
    plain = [run(engine_of(target), [each])[each.request_id].tokens for each in jobs]
    batched = run(engine_of(target, drafts_of(target), ScriptedController(restless)), jobs)
    assert [batched[each.request_id].tokens for each in jobs] == plain
    assert len({tuple(tokens) for tokens in plain}) == len(plain)


def test_a_resumed_request_goes_on_as_if_nothing_had_happened() -> None:
    target = tiny_network()
    sampling = Sampling(temperature=0.9, seed=5, frequency_penalty=0.3, repetition_penalty=1.1)
    whole = run(engine_of(target), [job(PROMPTS[0], sampling=sampling, noise_seed=5, max_tokens=30)])["r"].tokens
    head = tuple(whole[:11])
    rest = run(
        engine_of(target, drafts_of(target), always("d", 3)),
        [job(PROMPTS[0], sampling=sampling, noise_seed=5, max_tokens=30, generated_ids=head)],
    )["r"]
    assert [*head, *rest.tokens] == whole


# ------------------------------------------------------------------------------------------- any schedule at all

EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("join"), st.integers(0, len(PROMPTS) - 1), st.integers(1, 24)),
        st.tuples(st.sampled_from(["cancel", "pause", "resume"]), st.integers(0, 12), st.just(0)),
        st.tuples(st.just("steps"), st.integers(1, 4), st.just(0)),
        st.tuples(st.sampled_from(["unload", "load"]), st.just(0), st.just(0)),
    ),
    min_size=4,
    max_size=24,
)

SCHEDULE_TARGET = tiny_network(seed=4)
SCHEDULE_DRAFTS = drafts_of(SCHEDULE_TARGET)
EXPECTED = [generate(SCHEDULE_TARGET, prompt, 24) for prompt in PROMPTS]


Way = tuple[Callable[[int, int], RaggedKV], Style | None]
WAYS: dict[str, Way] = {
    "rectangles": (RectangularKV, None),
    "blocks": (BlockKV, None),
    "on the device": (BlockKV, BUFFERED),
}
"""Storage and who decides rounds, the host by default."""


def loaded_again(name: str, way: Way) -> LoadedDraft:
    """The draft that comes back: its weights as before, its KV empty."""
    make_kv, style = way
    network = deepcopy(SCHEDULE_DRAFTS[name])
    model = LanguageModel(network, name, max_rows=3, vocab_size=network.config.vocab_size, make_kv=make_kv)
    return LoadedDraft(ModelInfo(name, "model"), (style or HostStyle()).proposer(name, model))


def play(
    events: list[tuple[str, int, int]], arms: list[Arm], way: Way
) -> tuple[Engine, dict[str, Collected], dict[str, int]]:
    """Run a schedule of joins, leaves and pauses against changing arms, then let everything come to its end."""
    controller = ScriptedController(lambda request, n: arms[(7 * n + int(request)) % len(arms)])
    engine = engine_of(
        SCHEDULE_TARGET,
        SCHEDULE_DRAFTS,
        controller,
        settings=EngineSettings(max_rows=3, prefill_chunk_tokens=9, kv_capacity_tokens=120),
        make_kv=way[0],
        style=way[1],
        extra=wrapped(SCHEDULE_DRAFTS, way[0]),
        load=lambda name: loaded_again(name, way),
    )
    out: dict[str, Collected] = {}
    prompts: dict[str, int] = {}
    for kind, value, tokens in events:
        if kind == "join":
            name = str(len(out))
            out[name], prompts[name] = Collected(), value
            engine.submit(job(PROMPTS[value], request_id=name, max_tokens=tokens), out[name].chunks.append)
        elif kind == "steps":
            for _ in range(value):
                engine.step()
        elif kind == "unload":
            engine.unload_draft("d")
        elif kind == "load":
            engine.load_draft("d").result(10)
        else:
            getattr(engine, kind)(str(value))
        engine.check_integrity()
    for name in out:
        engine.resume(name)
    for _ in range(2_000):
        if not engine.step():
            break
    return engine, out, prompts


def holds_for(events: list[tuple[str, int, int]], arms: list[Arm], way: Way) -> None:
    engine, out, prompts = play(events, arms, way)
    for name, each in out.items():
        assert each.last.finish is not None
        expected = EXPECTED[prompts[name]][: len(each.tokens)]
        assert_same(SCHEDULE_TARGET, PROMPTS[prompts[name]], each.tokens, expected)
        assert [chunk.finish for chunk in each.chunks[:-1]] == [None] * (len(each.chunks) - 1)
    engine.check_integrity()
    assert engine.load().running_rows == engine.load().waiting_rows == engine.load().kv_used_tokens == 0
    assert not engine._target.kv.open_rows
    parts = [part for p in engine._proposers.values() for part in getattr(p, "proposers", [p])]
    assert not any(part.model.kv.open_rows for part in parts if isinstance(part, DraftModelProposer))
    assert not engine._controller.live


SCHEDULES = given(EVENTS, st.lists(st.sampled_from(ARMS), min_size=1, max_size=6))
QUIET = {"deadline": None, "derandomize": True, "suppress_health_check": list(HealthCheck)}


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=30, **QUIET)
@SCHEDULES
def test_any_schedule_of_joins_leaves_pauses_and_arms(way, events, arms) -> None:
    holds_for(events, arms, WAYS[way])


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=1_000, **QUIET)
@SCHEDULES
def test_a_thousand_schedules(way, events, arms) -> None:
    holds_for(events, arms, WAYS[way])


# ----------------------------------------------------------------------------------- the check of the checker


def bonus_from_wrong_position(logits, rows, drafts) -> list[Verdict]:
    """Fault: the token after a full acceptance comes from the position before."""
    width = logits.shape[1]
    return verify(logits[:, [*range(width - 1), max(0, width - 2)]], rows, drafts)


def accept_off_by_one(logits, rows, drafts) -> list[Verdict]:
    """Fault: the rejected token itself is committed."""
    return [
        v if v.num_accepted == len(d.tokens) else Verdict([*v.tokens[:-1], d.tokens[v.num_accepted]], v.num_accepted)
        for v, d in zip(verify(logits, rows, drafts), drafts, strict=True)
    ]


class LateRollback(Engine):
    """Fault: the first token after a rejection is scored over a stale key."""

    def _commit(self, row, verdict, record):
        stale = row.kv.length
        ending = super()._commit(row, verdict, record)
        if record.gamma > record.num_accepted:
            self._target.kv._layers[0].keys[row.kv.index, :, stale] *= -1
        return ending


@pytest.mark.parametrize("fault", [bonus_from_wrong_position, accept_off_by_one])
def test_a_verifier_that_errs_is_caught(fault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "verify", fault)  # the one place for a patch: the fault is in the loop itself
    target = tiny_network()
    out = run(engine_of(target, drafts_of(target), always("d", 4)), [job(PROMPTS[0], max_tokens=40)])["r"]
    with pytest.raises(AssertionError):
        assert_same(target, PROMPTS[0], out.tokens, generate(target, PROMPTS[0], 40))


def test_a_stale_target_cache_is_caught() -> None:
    target = tiny_network()
    engine = engine_of(target, drafts_of(target), always("d", 4))
    engine.__class__ = LateRollback
    out = run(engine, [job(PROMPTS[0], max_tokens=40)])["r"]
    with pytest.raises(AssertionError):
        assert_same(target, PROMPTS[0], out.tokens, generate(target, PROMPTS[0], 40))
