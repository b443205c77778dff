import itertools
import json
from copy import deepcopy
from dataclasses import dataclass, field

import pytest
from typer.testing import CliRunner

from specsched.bench.engine.contender import Answer, EngineContender
from specsched.bench.plain import MIN_PROMPTS, TransformersContender, Trial, bootstrap, race, summarise
from specsched.bench.reference import Question, Reference
from specsched.cli.bench.app import app
from tests.helpers.text import byte_tokenizer, save_tokenizer
from tests.helpers.tiny import engine_of, perturbed, tiny_network

QUESTIONS = [Question(str(i), ("chat", "code")[i % 2], (1 + i, 2, 3)) for i in range(4)]


@dataclass
class Scripted:
    """A contender that takes as long as told, and notes its name in a common log."""

    name: str
    log: list[str]
    seconds: float
    tokens: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def answer(self, question, max_tokens):
        self.log.append(self.name + question.id)
        return Answer(self.tokens.get(question.id, (5,) * max_tokens), self.seconds * (1 + int(question.id)))


class Faulty(EngineContender):
    """Fault: the second token is another."""

    def answer(self, question, max_tokens):
        answer = super().answer(question, max_tokens)
        first, second, *rest = answer.tokens
        return Answer((first, second ^ 1, *rest), answer.decode_seconds)


def contenders(kind=EngineContender):
    """Both on one target, each with a clock that moves by a second whenever it is read."""
    target = tiny_network()
    ours = kind(engine_of(target), clock=itertools.count().__next__)
    theirs = TransformersContender(Reference(deepcopy(target)), clock=itertools.count().__next__)
    return ours, theirs


def trial(ours, theirs, prompt_class="qa"):
    return Trial(prompt_class, tokens=11, same=True, our_seconds=ours, their_seconds=theirs)


def test_both_say_the_same_and_are_timed_from_first_token_to_last():
    trials = race(*contenders(), QUESTIONS, 9)
    assert all(each.same for each in trials)
    assert [(each.tokens, each.our_seconds, each.their_seconds) for each in trials] == [(9, 2 * 8, 2 * 8)] * 4
    overall = summarise(trials)[-1]
    assert (overall.ratio, overall.our_seconds_per_token, overall.their_seconds_per_token) == (1.0, 1.0, 1.0)


def test_a_run_with_another_token_is_no_result():
    trials = race(*contenders(Faulty), QUESTIONS, 5)
    assert not any(each.same for each in trials)
    overall = summarise(trials)[-1]
    assert (overall.prompts, overall.counted, overall.ratio) == (4, 0, 0.0)


def test_both_warm_up_and_then_take_turns():
    log: list[str] = []
    race(Scripted("a", log, 1.0), Scripted("b", log, 1.0), QUESTIONS[:2], 4)
    assert log == ["a0", "b0", *("a0", "b0", "b0", "a0"), *("b1", "a1", "a1", "b1")]


def test_the_ratio_is_of_summed_times_over_prompts_that_count():
    log: list[str] = []
    others = {"1": (5, 5, 5, 6), "2": (5,)}
    trials = race(Scripted("a", log, 2.0, {"2": (5,)}), Scripted("b", log, 3.0, others), QUESTIONS, 4)
    chat, code, overall = summarise(trials)
    assert [(line.prompt_class, line.prompts, line.counted) for line in (chat, code, overall)] == [
        ("chat", 2, 1),
        ("code", 2, 1),
        ("all", 4, 2),
    ]
    assert overall.ratio == pytest.approx(1.5)
    assert overall.our_seconds_per_token == pytest.approx((2 * 1 + 2 * 4) / 6)
    assert overall.their_seconds_per_token == pytest.approx((3 * 1 + 3 * 4) / 6)


def test_the_interval_holds_the_ratio_and_stays_out_for_few_prompts():
    trials = [trial(1.0, 1.0 + 0.05 * (i % 5)) for i in range(MIN_PROMPTS)]
    line = summarise(trials)[-1]
    assert line.interval == bootstrap(trials)
    low, high = line.interval
    assert 1.0 < low < line.ratio < high < 1.2
    assert bootstrap([trial(1.0, 2.0)] * 9) == (2.0, 2.0)
    assert summarise(trials[:-1])[-1].interval is None


def test_the_command_writes_its_table_and_its_check(tmp_path):
    target = tiny_network(vocab=byte_tokenizer().vocab_size)
    for name, network in (("target", target), ("near", perturbed(target, 0.03))):
        network.save_pretrained(save_tokenizer(tmp_path / name))
    manifest = tmp_path / "pool.yaml"
    manifest.write_text("target: {id: tiny, path: target}\ndrafts: [{id: near, path: near}]\n", encoding="utf-8")
    few = ["--pool", str(manifest), "--prompts", "8", "--max-tokens", "4", "--json", str(tmp_path / "out.json")]
    done = CliRunner().invoke(app, ["plain", *few])
    assert done.exit_code == 0, done.output
    tree = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert [check["name"] for check in tree["checks"]] == ["plain_over_transformers_plain"]
    overall = tree["tables"]["plain"][-1]
    assert (overall["class"], overall["prompts"], overall["same"]) == ("all", 8, 8)
    assert overall["low"] <= overall["ratio"] <= overall["high"]
