import json
import shutil
from pathlib import Path

import pytest

from specsched.errors import PoolError
from specsched.modelkit.check import check_pool
from specsched.modelkit.draft import DraftShape, build_draft
from specsched.modelkit.evaluate import Cell, Evaluation
from specsched.modelkit.evaluate_pool import EvaluationJob, PoolEvaluation, evaluate_pool, homes_of
from specsched.modelkit.export import export
from specsched.modelkit.language_model import load_language_model
from specsched.modelkit.listing import list_pool
from specsched.modelkit.plots import plot_evaluation
from specsched.modelkit.recommend import recommend
from specsched.modelkit.report import make_report
from specsched.modelkit.traces import Trace
from specsched.pool.manifest import Pool, load_pool

MANIFEST = """
target: {id: big, path: target}
drafts:
  - {id: twin, path: twin}
  - {id: chat, path: stranger}
  - {id: ngram, kind: ngram}
"""


@pytest.fixture(scope="module")
def pool(target_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Pool:
    """A target, its twin (which agrees all but everywhere), a random draft, and n-gram."""
    folder = tmp_path_factory.mktemp("pool")
    for name in ("target", "twin"):
        shutil.copytree(target_folder, folder / name)
    stranger = build_draft(load_language_model(target_folder), DraftShape(width=8, heads=1), seed=3)
    export(stranger.network, target_folder, folder / "stranger")
    (folder / "twin" / "README.md").write_text("---\nlicense: apache-2.0\n---\n", encoding="utf-8")
    (folder / "pool.yaml").write_text(MANIFEST, encoding="utf-8")
    return load_pool(folder / "pool.yaml")


@pytest.fixture(scope="module")
def evaluated(pool: Pool, corpus: Path) -> PoolEvaluation:
    return evaluate_pool(pool, EvaluationJob(corpus, per_class=4, max_new_tokens=20, measured=1, corpus=corpus))


@pytest.fixture
def evaluation(evaluated: PoolEvaluation) -> Evaluation:
    return evaluated.evaluation


def test_the_twin_is_accepted_and_the_stranger_is_not(evaluation):
    for key, cell in evaluation.cells.items():
        assert cell.acceptance("twin") > 0.95
        assert cell.acceptance("chat") < 0.6
        assert evaluation.best(key)[0] == "twin"
        assert cell.hazards("twin")[0] == pytest.approx(1, abs=0.05)


def test_the_report_is_json_with_every_check_named(pool, evaluation, evaluated):
    report = make_report(evaluation, homes_of(pool, evaluation.classes), evaluated.speedups, evaluated.losses)
    tree = json.loads(json.dumps(report.as_json("specsched models evaluate")))
    assert set(tree) == {"command", "environment", "tables", "checks"}
    checks = {check["name"]: check for check in tree["checks"]}
    assert {"headroom_class_over_global", "classes_accepting_70_percent_greedy", "chat_over_twin_at_home"} <= set(
        checks
    )
    assert checks["chat_over_twin_at_home"]["holds"] is False
    assert [row["class"] for row in tree["tables"]["speedup"]] == ["chat", "math"]
    losses = {row["class"]: row for row in tree["tables"]["held_out_loss"]}
    assert losses["chat"]["big"] == pytest.approx(losses["chat"]["twin"])
    assert tree["tables"]["acceptance"][0]["best"] == "twin"
    assert all(row["milliseconds"] >= 0 for row in tree["tables"]["costs"])


def test_text_from_the_prompt_is_told_from_text_that_repeats_itself():
    text = (1, 2, 3, 4, 5, 6)
    copied, looping = Cell([Trace("code", 0.0, text, text)], {}), Cell([Trace("code", 0.0, (9,), text * 3)], {})
    assert (copied.copied, copied.repeated) == (1.0, 0.0)
    assert looping.copied == 0.0 < looping.repeated


def test_a_draft_that_helps_nowhere_is_dropped(evaluation):
    found = recommend(evaluation)
    assert "chat" in found.dropped
    assert all(arm.draft_model in found.drafts for arm in found.arms.values())


def test_plots_are_drawn(evaluation, tmp_path):
    files = plot_evaluation(evaluation, tmp_path / "plots")
    assert [file.read_bytes()[:4] for file in files] == [b"\x89PNG"] * 2


def test_a_pool_is_listed_and_checked(pool):
    assert [row[0] for row in list_pool(pool).rows] == ["big", "twin", "chat", "ngram"]
    findings = {(f.model, f.field): f for f in check_pool(pool)}
    assert findings["twin", "licence"].value == "apache-2.0"
    assert "no `license:`" in findings["big", "licence"].problem
    assert findings["chat", "vocabulary"].problem == ""


def test_checking_names_every_problem_at_once(pool, tmp_path):
    shutil.copytree(pool.manifest.parent, tmp_path / "pool")
    (tmp_path / "pool/twin/model.safetensors").write_bytes(b"cut")
    tokenizer = tmp_path / "pool/stranger/tokenizer.json"
    tree = json.loads(tokenizer.read_text(encoding="utf-8"))
    tree["added_tokens"][0]["content"] = "<other>"
    tokenizer.write_text(json.dumps(tree), encoding="utf-8")
    problems = {
        f.model: f.problem
        for f in check_pool(load_pool(tmp_path / "pool/pool.yaml"))
        if f.field != "licence" and f.problem
    }
    assert "cut short" in problems["twin"]
    assert "1 tokens differ" in problems["chat"]
    with pytest.raises(PoolError, match="cut short"):
        evaluate_pool(load_pool(tmp_path / "pool/pool.yaml"), EvaluationJob(tmp_path))
