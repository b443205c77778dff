import json
import math
from collections import Counter
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from typer.testing import CliRunner

from specsched.bench import identity
from specsched.bench.identity import RestlessController, compare, in_fp32, summarise
from specsched.bench.prompt_set import BenchPrompt, load_prompts
from specsched.bench.reference import Question, Reference, draw_questions
from specsched.classify.base import PROMPT_CLASSES
from specsched.cli.bench import everything
from specsched.cli.bench.app import app
from specsched.engine.load import load_engine
from specsched.engine.settings import EngineSettings
from specsched.errors import SetupError
from specsched.policy.base import RowView
from specsched.pool.manifest import ModelSpec, Pool
from specsched.records import Plan
from tests.helpers.text import byte_tokenizer, save_tokenizer
from tests.helpers.tiny import engine_of, perturbed, tiny_network

TOKENS = 12
QUESTIONS = [
    Question(str(i), PROMPT_CLASSES[i % 4], tuple((7 * i + 3 * j) % 64 for j in range(2 + 5 * i))) for i in range(9)
]
MANIFEST = """
target: {id: tiny, path: target}
drafts:
  - {id: near, path: near}
  - {id: ngram, kind: ngram}
"""

TARGET = tiny_network()
REFERENCE = Reference(deepcopy(TARGET))
EXPECTED = {question: REFERENCE.generate(question.prompt_ids, TOKENS) for question in QUESTIONS}


class Slip:
    """Fault: an engine that changes one token of one request on its way out."""

    def __init__(self, engine, request_id, position, change):
        self._engine, self._request_id, self._position, self._change = engine, request_id, position, change

    def submit(self, job, deliver):
        left = self._position

        def slip(chunk):
            nonlocal left
            tokens = list(chunk.token_ids)
            if 0 <= left < len(tokens):
                tokens[left] = self._change(tokens[left])
            left -= len(tokens)
            deliver(replace(chunk, token_ids=tuple(tokens)))

        self._engine.submit(job, slip if job.request_id == self._request_id else deliver)

    def step(self):
        return self._engine.step()


def restless(target, batch=8, eos=()):
    drafts = {"near": perturbed(target, 0.03, seed=1), "far": perturbed(target, 0.1, seed=2)}
    controller = RestlessController([*drafts, "ngram"], seed=0)
    return engine_of(target, drafts, controller, settings=EngineSettings(max_rows=batch), eos=eos)


@pytest.mark.parametrize("batch", [1, 8])
def test_the_engine_under_restless_arms_says_what_transformers_says(batch):
    outcomes = compare(restless(TARGET, batch), batch, REFERENCE, EXPECTED, TOKENS)
    assert [outcome.flips for outcome in outcomes] == [()] * len(QUESTIONS)
    assert sum(outcome.num_accepted for outcome in outcomes) > 0, "the drafts never agreed: the test shows nothing"
    lines = summarise(outcomes)
    assert [(line.prompt_class, line.prompts) for line in lines] == [
        ("chat", 3),
        ("code", 2),
        ("creative", 2),
        ("extraction", 2),
        ("all", 9),
    ]
    assert (lines[-1].equal, lines[-1].ties, lines[-1].differing, lines[-1].batch) == (9, 0, 0, batch)


def test_both_end_at_the_models_eos():
    question, eos = QUESTIONS[0], EXPECTED[QUESTIONS[0]][5]
    network = deepcopy(TARGET)
    network.generation_config.eos_token_id = eos
    reference = Reference(network)
    expected = {question: reference.generate(question.prompt_ids, TOKENS)}
    assert len(expected[question]) <= 6
    (outcome,) = compare(restless(TARGET, eos=(eos,)), 8, reference, expected, TOKENS)
    assert outcome.flips == ()
    assert reference.resume(question.prompt_ids, (1, eos), TOKENS) == (1, eos)


@pytest.mark.parametrize("position", [0, 7, TOKENS - 1])
def test_one_changed_token_is_caught(position):
    engine = Slip(restless(TARGET), "4", position, lambda token: (token + 1) % 64)
    outcomes = compare(engine, 8, REFERENCE, EXPECTED, TOKENS)
    assert [outcome.question.id for outcome in outcomes if outcome.differs] == ["4"]
    (flip,) = outcomes[4].flips
    truth = EXPECTED[QUESTIONS[4]][position]
    assert (flip.position, flip.got, flip.expected) == (position, (truth + 1) % 64, truth)
    assert flip.gap > identity.TIE_GAP
    assert summarise(outcomes)[-1].differing == 1


def test_a_tie_is_listed_and_the_rest_is_still_checked():
    question, at = QUESTIONS[1], 3
    twin = max(set(range(64)) - {*question.prompt_ids, *EXPECTED[question]})
    target = deepcopy(TARGET)
    with torch.no_grad():  # the same token by another name
        for weight in (target.get_input_embeddings().weight, target.get_output_embeddings().weight):
            weight[twin] = weight[EXPECTED[question][at]]
    reference = Reference(deepcopy(target))
    expected = {question: reference.generate(question.prompt_ids, TOKENS)}
    assert expected[question] == EXPECTED[question]
    engine = Slip(restless(target), question.id, at, lambda _: twin)
    (tied,) = compare(engine, 8, reference, expected, TOKENS)
    assert [(flip.position, flip.got, flip.tie) for flip in tied.flips] == [(at, twin, True)]
    assert [(line.ties, line.differing) for line in summarise([tied])] == [(1, 0), (1, 0)]
    engine = Slip(engine, question.id, at + 2, lambda token: (token + 1) % 63)
    (caught,) = compare(engine, 8, reference, expected, TOKENS)
    assert [(flip.position, flip.tie) for flip in caught.flips] == [(at, True), (at + 2, False)]
    assert caught.differs


def test_a_completion_that_ends_too_early_differs():
    question = QUESTIONS[0]
    (outcome,) = compare(restless(TARGET), 8, REFERENCE, {question: EXPECTED[question]}, TOKENS - 2)
    (flip,) = outcome.flips
    assert (flip.position, flip.got, flip.gap) == (TOKENS - 2, None, math.inf)
    assert outcome.differs


def test_a_restless_row_never_keeps_its_gamma_or_its_draft():
    drafts = ["a", "b", "c"]
    controller, again = RestlessController(drafts, seed=3), RestlessController(drafts, seed=3)
    rows = [RowView("x", 10, 90), RowView("y", 10, 90)]
    for row in rows:
        controller.begin(row.request_id, Plan(), sampled=False)
    rounds = [controller.choose(rows) for _ in range(200)]
    assert rounds == [again.choose(rows) for _ in range(200)]
    for before, after in pairwise(rounds):
        for old, new in zip(before, after, strict=True):
            assert old.gamma != new.gamma
            assert old.draft_model != new.draft_model
    seen = Counter(arm for arms in rounds for arm in arms)
    assert {arm.draft_model for arm in seen} == {"none", *drafts}
    assert {arm.gamma for arm in seen} == set(range(identity.MAX_GAMMA + 1))


def test_questions_take_classes_in_turn_and_pass_long_prompts_over():
    questions = draw_questions(byte_tokenizer(), load_prompts(), 20, room_tokens=150)
    assert [question.prompt_class for question in questions[:8]] == list(PROMPT_CLASSES)
    assert set(Counter(question.prompt_class for question in questions).values()) <= {2, 3}
    assert all(len(question.prompt_ids) <= 150 for question in questions)
    with pytest.raises(SetupError, match="no benchmark prompt fits"):
        draw_questions(byte_tokenizer(), [BenchPrompt("qa-1", "qa", "Why?", ("short",))], 1, room_tokens=2)


def test_identity_is_shown_in_fp32_whatever_the_manifest_says(tmp_path):
    target = ModelSpec("big", "model", tmp_path, dtype="bfloat16", quantization="int8")
    pool = in_fp32(Pool(tmp_path, target, (replace(target, id="small"),), None))
    assert {(spec.dtype, spec.quantization) for spec in (pool.target, *pool.drafts)} == {("float32", "none")}


# ------------------------------------------------------------------------------------------------- the command


@pytest.fixture
def manifest(tmp_path):
    target = tiny_network(vocab=byte_tokenizer().vocab_size)
    for name, network in (("target", target), ("near", perturbed(target, 0.03))):
        network.save_pretrained(save_tokenizer(tmp_path / name))
    (tmp_path / "pool.yaml").write_text(MANIFEST, encoding="utf-8")
    return tmp_path / "pool.yaml"


def run_command(manifest, *arguments):
    few = ["--pool", str(manifest), "--prompts", "8", "--max-tokens", "4"]
    return CliRunner().invoke(app, ["identity", *few, *arguments])


def test_the_command_writes_tables_and_checks(manifest, tmp_path):
    done = run_command(manifest, "--json", str(tmp_path / "out.json"))
    assert done.exit_code == 0, done.output
    tree = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert [check["name"] for check in tree["checks"]] == ["greedy_identity_batch_1", "greedy_identity_batch_8"]
    assert all(check["holds"] for check in tree["checks"])
    assert len(tree["tables"]["identity"]) == 2 * (len(PROMPT_CLASSES) + 1)


@pytest.fixture
def _slipping(monkeypatch):
    asked = draw_questions(byte_tokenizer(), load_prompts(), 8, room_tokens=256 - 4)[4]

    def faulty(*arguments):
        return Slip(load_engine(*arguments), asked.id, 2, lambda token: token ^ 1)

    monkeypatch.setattr(identity, "load_engine", faulty)  # the fault is in the engine that the command loads


@pytest.mark.usefixtures("_slipping")
def test_the_command_exits_with_1_where_a_token_differs(manifest, tmp_path):
    done = run_command(manifest, "--json", str(tmp_path / "out.json"))
    assert done.exit_code == 1, done.output
    tree = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert not any(check["holds"] for check in tree["checks"])
    found = [(flip["batch"], flip["position"], flip["verdict"]) for flip in tree["tables"]["flips"]]
    assert found == [(1, 2, "differs"), (8, 2, "differs")]


@pytest.mark.usefixtures("_slipping")
def test_all_goes_no_further_where_a_token_differs(manifest, tmp_path, monkeypatch):
    monkeypatch.setattr(everything, "QUICK", everything.Sizes(identity_prompts=8, identity_tokens=4))
    done = CliRunner().invoke(app, ["all", "--quick", "--pool", str(manifest), "--out", str(tmp_path / "out")])
    assert done.exit_code == 1, done.output
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["identity.json"]
