import json
from collections import Counter
from dataclasses import replace

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from specsched.errors import SetupError
from specsched.modelkit.draft import DraftShape
from specsched.modelkit.draft_job import DraftJob
from specsched.modelkit.language_model import load_language_model
from specsched.modelkit.lessons import lessons
from specsched.modelkit.make_draft import make_draft
from specsched.pool.compatibility import check_vocabulary
from specsched.pool.manifest import ModelSpec
from specsched.pool.weights import verify_weights


@pytest.fixture
def job(target_folder, corpus, tmp_path) -> DraftJob:
    return DraftJob(
        target=target_folder,
        out=tmp_path / "draft",
        prompts=corpus,
        per_class=40,
        max_new_tokens=24,
        tokens=12_000,
        shape=DraftShape(width=24, layers=1, mlp=48, heads=2, key_value_heads=1),
        objective="forward_kl",
    )


def test_a_draft_for_any_target_learns_and_loads_in_plain_transformers(job):
    measured = []
    acceptance = make_draft(job, lambda step: measured.append(step.acceptance) if step.acceptance else None)
    assert set(acceptance) == {(c, t) for c in ("chat", "math") for t in (0.0, 0.8)}
    assert sum(acceptance.values()) / 4 > sum(measured[0].values()) / 4 > 0.0
    assert min(acceptance["chat", 0.8], acceptance["math", 0.8]) > 0.15
    verify_weights(ModelSpec("draft", "model", job.out))
    check_vocabulary(job.target, job.out)
    network, tokenizer = AutoModelForCausalLM.from_pretrained(job.out), AutoTokenizer.from_pretrained(job.out)
    ids = tokenizer("Please say 4.", return_tensors="pt")
    assert network.generate(**ids, max_new_tokens=4, do_sample=False).shape[1] > ids.input_ids.shape[1]


def test_the_objective_is_chosen_by_measured_acceptance(job):
    seen = set()
    make_draft(replace(job, tokens=4_000, objective="auto"), lambda step: seen.add(step.objective))
    assert seen == {"forward_kl", "reverse_kl", "total_variation", "mixed"}


def test_a_draft_goes_on_from_another_one_class_at_a_time(job, tmp_path):
    first = make_draft(replace(job, tokens=4_000), lambda _: None)
    again = replace(job, start=job.out, out=tmp_path / "chat", classes=("chat",), tokens=8_000, per_class=60)
    second = make_draft(again, lambda _: None)
    assert {category for category, _ in second} == {"chat"}
    assert second["chat", 0.8] > first["chat", 0.8]
    assert load_language_model(again.out).network.config.hidden_size == 24


def test_generated_lessons_are_kept_for_the_next_draft(job, tmp_path):
    cached = replace(job, cache=tmp_path / "cache", tokens=500)
    said: list[str] = []
    make_draft(cached, lambda _: None, said.append)
    assert any("writes" in line for line in said)
    said.clear()
    make_draft(cached, lambda _: None, said.append)
    assert not any("writes" in line for line in said)


def test_a_draft_learns_on_answers_that_the_corpus_brings(job):
    without = make_draft(replace(job, per_class=4, tokens=8_000), lambda _: None)
    with_answers = make_draft(replace(job, per_class=4, answers=40, tokens=8_000), lambda _: None)
    assert sum(with_answers.values()) != sum(without.values())
    train, held_out = lessons(replace(job, per_class=4, answers=40), load_language_model(job.target), lambda _: None)
    read = [one.trace for one in train if one.trace.temperature == 1.0]
    assert len(read) == 2 * 40
    assert all(trace.completion_ids[-1] == 3 or len(trace.completion_ids) == job.max_new_tokens for trace in read)
    assert not [one for one in held_out if one.trace.temperature == 1.0]


def test_a_specialist_hears_of_other_classes_too(job):
    wanted = replace(job, classes=("chat",), others=0.25, per_class=30, answers=12)
    train, held_out = lessons(wanted, load_language_model(job.target), lambda _: None)
    assert Counter(one.trace.category for one in train) == {"chat": 42, "math": 14}
    assert {one.trace.category for one in held_out} == {"chat"}


def test_captured_text_is_learnt_class_by_class_and_held_out_answers_are_not(job, tmp_path):
    rows = [
        {"prompt": f"Please say {i}.", "completion": f"I say {i}.", "prompt_class": ("chat", "math")[i % 2]}
        for i in range(40)
    ]
    (tmp_path / "capture").mkdir()
    (tmp_path / "capture/capture-1.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    target = load_language_model(job.target)
    wanted = replace(job, prompts=tmp_path / "capture", answers=100)
    train, held_out = lessons(wanted, target, lambda _: None)
    assert {one.trace.category for one in train} == {"chat", "math"}
    assert not {one.trace.prompt_ids for one in held_out} & {one.trace.prompt_ids for one in train}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"others": 1.0}, "others: 1.0 is no share"),
        ({"objective": "magic"}, "'magic' is none of auto"),
        ({"classes": ("poetry",)}, "no prompts of class poetry; there are chat, math"),
        ({"max_prompt_tokens": 2}, "no prompt fits into 2 tokens"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(job, change, named):
    with pytest.raises(SetupError, match=named):
        make_draft(replace(job, **change), lambda _: None)
