from dataclasses import dataclass, field, replace
from itertools import count

import pytest

from specsched.bench.engine.acceptance import measure_acceptance, summarise
from specsched.bench.engine.batches import batch_speeds, concurrency, play
from specsched.bench.engine.contender import GAMMAS, PLAIN, Answer, EngineContender, Mode
from specsched.bench.engine.costs import verify_ratio
from specsched.bench.engine.random_target import random_pool
from specsched.bench.engine.tournament import (
    Choice,
    Match,
    agreement,
    choose_mode,
    mean_over,
    plain_over,
    play_classes,
    without_loops,
)
from specsched.bench.reference import Question
from specsched.engine.network import load_network
from specsched.policy.controller import PlannedController
from specsched.pool.manifest import load_pool
from specsched.records import CostGrid, CostPoint, ModelInfo, RoundRecord, WorkerInfo
from tests.helpers.text import byte_tokenizer, save_tokenizer
from tests.helpers.tiny import engine_of, perturbed, tiny_network

ASKED = [Question(f"q{i}", "code", (1, 2, 3 + i)) for i in range(4)]
NEAR = Mode("draft", "d", 3)
FAR = Mode("draft", "e", 3)


def ticking(step: float = 1.0):
    ticks = count()
    return lambda: next(ticks) * step


def tiny_engine():
    target = tiny_network()
    return engine_of(target, {"d": perturbed(target, 0.02)}, PlannedController())


@dataclass(eq=False)
class Scripted:
    """A contender that takes so many seconds a token in each mode, and notes what it was asked."""

    name: str
    seconds: dict[Mode, float]
    tokens: dict[Mode, tuple[int, ...]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    @property
    def modes(self):
        return tuple(self.seconds)

    def answer(self, question, max_tokens, mode=PLAIN):
        self.log.append(f"{self.name} {question.id} {mode}")
        tokens = self.tokens.get(mode, tuple(range(max_tokens)))
        return Answer(tokens, self.seconds[mode] * (len(tokens) - 1), 1, self.seconds[mode] * len(tokens))


def test_requests_play_together_and_give_what_they_give_alone():
    engine = tiny_engine()
    together = play(engine, ASKED, PLAIN, 12, ticking())
    alone = [play(engine, [each], NEAR, 12, ticking()).tokens[0] for each in ASKED]
    assert list(together.tokens) == alone
    assert together.tokens_per_second == pytest.approx(48)


def test_batches_are_faster_by_a_clock_that_ticks_once_a_batch():
    engine = tiny_engine()
    assert concurrency(engine, ASKED, 12, 1, ticking()) == pytest.approx(4.0)
    speeds = batch_speeds(engine, {"code": ASKED}, {"code": NEAR}, 12, clock=ticking())
    assert [(s.batch, s.plain, s.speculative) for s in speeds] == [(1, 12, 12), (4, 48, 48), (8, 96, 96)]


def test_the_engine_offers_what_its_drafts_can_and_says_the_same_in_every_mode():
    contender = EngineContender(tiny_engine(), clock=ticking())
    assert contender.modes[0] == PLAIN
    assert {mode.draft for mode in contender.modes[1:]} == {"d", "ngram"}
    answers = [contender.answer(ASKED[0], 12, mode) for mode in contender.modes]
    assert len({answer.tokens for answer in answers}) == 1
    assert (answers[0].decoded, answers[0].decode_seconds, answers[0].seconds) == (11, 11, 12)
    sure = answers[1]
    assert sure.decoded == 12 - sure.first_tokens
    assert sum(record.num_accepted + 1 for record in sure.rounds) == 12


def test_a_mode_is_chosen_by_its_time_on_the_first_prompts_and_reported_on_the_others():
    contender = Scripted("a", {PLAIN: 2.0, NEAR: 1.0, FAR: 4.0})
    (result,) = play_classes([contender], {"code": ASKED}, Match(2, 8, 1))
    assert result.best["a"].entry.mode == NEAR
    assert result.over_plain("a") == pytest.approx(2.0)
    assert result.plain["a"].whole_rate == pytest.approx(0.5)
    reported = contender.log[-10:]
    assert {line.split()[1] for line in reported} == {"q2", "q3"}


def test_all_entries_take_turns_forwards_and_backwards_after_a_warm_up():
    log: list[str] = []
    one, other = (Scripted(name, {PLAIN: 1.0, NEAR: 1.0}, log=log) for name in "ab")
    play_classes([one, other], {"code": ASKED[:2]}, Match(1, 8, 1))
    turn = [f"{name} q1 {mode}" for name in "ab" for mode in (PLAIN, NEAR)]
    assert log[-12:] == [*turn, *turn, *reversed(turn)]


class Fickle(Scripted):
    """Speculation pays on the first prompts, and on no other."""

    def answer(self, question, max_tokens, mode=PLAIN):
        lucky = mode == PLAIN or question.id in ("q0", "q1")
        answer = super().answer(question, max_tokens, mode)
        return answer if lucky else replace(answer, decode_seconds=9 * answer.decode_seconds)


def test_plain_or_speculative_is_not_chosen_on_what_is_reported():
    ours, theirs = Fickle("ours", {PLAIN: 2.0, NEAR: 1.0}), Scripted("theirs", {PLAIN: 2.0})
    results = play_classes([ours, theirs], {"code": ASKED}, Match(2, 8, 1))
    assert mean_over(results, "ours", "theirs") == pytest.approx(2 / 9)


def test_whoever_has_plain_decoding_alone_competes_with_it():
    ours, theirs = Scripted("ours", {PLAIN: 1.0, NEAR: 4.0}), Scripted("theirs", {PLAIN: 3.0})
    results = play_classes([ours, theirs], {"code": ASKED}, Match(2, 8, 1))
    assert choose_mode(ours, ASKED, 8) == Choice(speculative=NEAR, fastest=PLAIN)
    assert choose_mode(theirs, ASKED, 8) == Choice(PLAIN, PLAIN)
    assert plain_over(results, "ours", "theirs") == pytest.approx(3.0)
    assert mean_over(results, "ours", "theirs") == pytest.approx(3.0)  # speculation does not pay: plain it is


def test_other_tokens_are_told_and_loops_left_out():
    contender = Scripted("a", {PLAIN: 1.0, NEAR: 1.0}, {NEAR: (0, 1, 2, 9, 9, 9, 9, 9)})
    results = play_classes([contender], {"code": ASKED}, Match(2, 8, 1))
    assert not results[0].identical("a")
    assert agreement(results[0].best["a"].tokens, results[0].plain["a"].tokens) == pytest.approx(3 / 8)
    assert without_loops(results, "a")
    looping = Scripted("a", {PLAIN: 1.0}, {PLAIN: (1, 2) * 20})
    assert not without_loops(play_classes([looping], {"code": ASKED}, Match(2, 8, 1)), "a")


def test_acceptance_counts_what_was_judged():
    def played(gamma, accepted, *, censored=False):
        return RoundRecord("d", gamma, accepted, 1, 0.0, 0.0, censored)

    rounds = [played(3, 3), played(3, 1), played(3, 0), played(3, 2, censored=True), replace(played(0, 0))]
    cell = summarise("code", "d", 4, rounds)
    assert cell.hazards == (3 / 4, 2 / 3, 1.0, None)
    assert cell.accepted == pytest.approx(6 / 8)
    assert cell.length == pytest.approx(10 / 4)


def test_every_draft_is_measured_with_its_longest_lookahead():
    cells = measure_acceptance(EngineContender(tiny_engine()), {"code": ASKED[:1]}, 24)
    assert {cell.draft: len(cell.hazards) for cell in cells} == {"d": max(GAMMAS), "ngram": max(GAMMAS)}


def test_verification_s_cost_is_read_from_the_nearest_context_of_one_row():
    points = (CostPoint(1, 64, 2.0), CostPoint(8, 64, 2.6), CostPoint(8, 64, 9.0), CostPoint(1, 512, 1.0))
    model = ModelInfo("t", "target")
    info = WorkerInfo("w", model, (), 8, 64, 8, 64, (), "", CostGrid(1, points, ()))
    assert verify_ratio(info) == pytest.approx(1.3)
    assert verify_ratio(info, 7) == float("inf")


def test_a_random_target_speaks_the_pool_s_vocabulary(tmp_path):
    target = tiny_network(vocab=byte_tokenizer().vocab_size)
    target.save_pretrained(save_tokenizer(tmp_path / "target"))
    manifest = tmp_path / "pool.yaml"
    drafts = "[{id: near, path: target}, {id: far, path: target}, {id: ngram, kind: ngram}]"
    manifest.write_text(f"target: {{id: tiny, path: target}}\ndrafts: {drafts}\n", encoding="utf-8")
    pool = load_pool(manifest)
    shape = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    made = random_pool(pool, tmp_path / "random", shape)
    network = load_network(made.target)
    assert network.config.vocab_size == target.config.vocab_size
    assert [draft.id for draft in made.drafts] == ["near", "ngram"]
    assert (tmp_path / "random" / "tokenizer.json").read_bytes() == (
        tmp_path / "target" / "tokenizer.json"
    ).read_bytes()
