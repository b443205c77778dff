import json

import pytest
from typer.testing import CliRunner

from specsched.classify.base import PROMPT_CLASSES
from specsched.classify.fake import FixedClassifier
from specsched.cli.models import app
from specsched.cli.stores import arm_versions, make_store
from specsched.config.tree import Config
from specsched.errors import ConfigError
from specsched.pool.manifest import default_manifest, load_pool

RUNNER = CliRunner()
PROMPTS = '{"id": "1", "prompt": "Please say 4.", "category": "chat"}\n' * 20


@pytest.fixture
def target(tmp_path):
    """A tiny target, made by the command that makes targets."""
    corpus = tmp_path / "corpus" / "chat"
    corpus.mkdir(parents=True)
    for split in ("train", "valid"):
        lines = [{"prompt": f"Say {i}.", "completion": f"It is {i}."} for i in range(40)]
        (corpus / f"{split}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    out = tmp_path / "run"
    small = ["--vocabulary", "300", "--width", "64", "--layers", "1", "--batch-tokens", "256", "--context", "128"]
    arguments = ["train", "--corpus", str(corpus.parent), "--out", str(out), "--tokens", "4000", *small]
    done = RUNNER.invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert (out / "loss.png").is_file()
    return out / "model"


def test_from_a_corpus_to_a_recommended_pool(target, tmp_path):
    (tmp_path / "chat.jsonl").write_text(PROMPTS, encoding="utf-8")
    data, draft = ["--data", str(tmp_path / "chat.jsonl")], tmp_path / "draft"
    small = ["--width", "16", "--heads", "2", "--mlp", "32", "--max-new-tokens", "12", "--objective", "forward_kl"]
    arguments = ["distill", "--target", str(target), "--out", str(draft), *data, "--tokens", "2000", *small, "--json"]
    distilled = RUNNER.invoke(app, arguments)
    assert distilled.exit_code == 0, distilled.output
    assert {row["class"] for row in json.loads(distilled.output[distilled.output.index("[\n") :])} == {"chat"}
    pool = tmp_path / "pool.yaml"
    pool.write_text(
        f"target: {{id: big, path: {target}}}\ndrafts: [{{id: small, path: {draft}}}, {{id: ngram, kind: ngram}}]\n",
        encoding="utf-8",
    )
    few = ["--pool", str(pool), *data, "--per-class", "2", "--max-new-tokens", "12"]
    files = ["--json", str(tmp_path / "out.json"), "--priors", str(tmp_path / "priors.json")]
    evaluated = RUNNER.invoke(app, ["evaluate", *few, *files])
    assert evaluated.exit_code == 0, evaluated.output
    assert "headroom_class_over_global" in (tmp_path / "out.json").read_text(encoding="utf-8")
    check_priors(pool, tmp_path)
    recommended = RUNNER.invoke(app, ["recommend", *few, "--json"])
    assert recommended.exit_code == 0, recommended.output
    assert '"max_gamma"' in recommended.output
    listed = json.loads(RUNNER.invoke(app, ["list", "--pool", str(pool), "--json"]).output)
    assert [row["id"] for row in listed] == ["big", "small", "ngram"]


def check_priors(pool, folder):
    """A service with this file begins with what was evaluated."""
    members = load_pool(pool)
    config = Config(store={"priors_file": str(folder / "priors.json")})
    cells = make_store(config, members, FixedClassifier()).load()
    assert {cell.draft_model for cell in cells} == {"small", "ngram"}
    assert {cell.draft_version for cell in cells} == set(arm_versions(members).values())


FIELDS = ["dtype: bfloat16", "quantization: int8", "copy_match_tokens: 4", "stop_below_share: .3"]


@pytest.mark.parametrize("field", [f"sha256: {'a' * 64}", *FIELDS])
def test_a_draft_whose_entry_changes_is_of_another_version(tmp_path, field):
    def version(more):
        pool = tmp_path / "pool.yaml"
        pool.write_text(f"target: {{id: t, path: t}}\ndrafts: [{{id: d, path: d{more}}}]")
        return arm_versions(load_pool(pool))["d"]

    assert version("") == version(", kind: model") != version(f", {field}")


def test_the_reference_pool_comes_with_priors_of_its_models_as_they_are():
    """Where this fails, models were exchanged: record the pool again, and let `specsched replay priors` write them."""
    pool = load_pool(default_manifest())
    cells = make_store(Config(), pool, FixedClassifier()).load()
    told = {(cell.draft_model, cell.prompt_class, cell.sampled) for cell in cells}
    assert told == {(d.id, c, sampled) for d in pool.drafts for c in PROMPT_CLASSES for sampled in (False, True)}


def test_priors_that_cannot_be_read_are_one_line(tmp_path):
    (tmp_path / "priors.json").write_text("{}", encoding="utf-8")
    config = Config(store={"priors_file": str(tmp_path / "priors.json")})
    with pytest.raises(ConfigError, match=r"priors.json: no export of a policy"):
        make_store(config, load_pool(default_manifest()), FixedClassifier())


def test_checking_a_pool_with_problems_exits_with_1(tmp_path):
    (tmp_path / "pool.yaml").write_text("target: {id: big, path: nowhere}", encoding="utf-8")
    done = RUNNER.invoke(app, ["check", "--pool", str(tmp_path / "pool.yaml"), "--json"])
    assert done.exit_code == 1
    assert "nowhere is no folder" in json.loads(done.output)[0]["problem"]


def test_a_missing_manifest_is_one_line(tmp_path):
    done = RUNNER.invoke(app, ["list", "--pool", str(tmp_path / "none.yaml")])
    assert done.exit_code == 2
    assert done.output.startswith("error: ")
    assert len(done.output.splitlines()) == 1
