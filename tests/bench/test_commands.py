import json

import pytest
from typer.testing import CliRunner

from specsched.cli.bench.app import app
from specsched.engine.int8 import int8_is_offered
from tests.helpers.text import byte_tokenizer, save_tokenizer
from tests.helpers.tiny import perturbed, tiny_network

pytestmark = pytest.mark.skipif(not int8_is_offered(), reason="this PyTorch has no INT8 kernels for this CPU")


@pytest.fixture
def manifest(tmp_path):
    target = tiny_network(vocab=byte_tokenizer().vocab_size, max_positions=1024)
    for name, network in (("target", target), ("near", perturbed(target, 0.03))):
        network.save_pretrained(save_tokenizer(tmp_path / name))
    file = tmp_path / "pool.yaml"
    drafts = "[{id: near, path: near}, {id: ngram, kind: ngram}]"
    file.write_text(f"target: {{id: tiny, path: target}}\ndrafts: {drafts}\n", encoding="utf-8")
    return file


def written(command, manifest, *options):
    file = manifest.with_name("out.json")
    done = CliRunner().invoke(app, [command, "--pool", str(manifest), "--json", str(file), *options])
    assert done.exit_code == 0, done.output
    return json.loads(file.read_text(encoding="utf-8"))


def test_quantization_tells_perplexity_and_divergence(manifest):
    tree = written("quantization", manifest, "--tokens", "128", "--prompts", "2", "--max-tokens", "4")
    assert [check["name"] for check in tree["checks"]] == ["int8_perplexity_over_fp32", "int8_divergences_per_token"]
    assert {row["mode"] for row in tree["tables"]["divergence"]} == {"near γ=4", "ngram γ=4"}
    assert len(tree["tables"]["perplexity"]) == 8


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_engine_is_measured_against_transformers_class_by_class(manifest):
    few = ("--per-class", "1", "--max-tokens", "4", "--repeats", "1")
    tree = written("engine", manifest, *few, "--plots", str(manifest.parent / "plots"))
    asked = {"plain_over_transformers_plain", "int8_plain_over_transformers_plain", "verify_cost_8_over_1"}
    asked |= {"speculation_over_plain_mean", "speculation_over_plain_copying", "concurrency_8_over_1"}
    assert asked | {"over_transformers_best"} <= {check["name"] for check in tree["checks"]}
    fp32 = [row for row in tree["tables"]["engine"] if row["contender"] == "fp32"]
    assert {row["same_as_plain"] for row in fp32} == {row["equal_to_transformers"] for row in fp32} == {1.0}
    assert {file.name for file in (manifest.parent / "plots").iterdir()} == {"engine.png", "acceptance.png"}


def test_a_peer_that_nobody_knows_is_refused(manifest):
    done = CliRunner().invoke(app, ["peers", "--pool", str(manifest), "--peer", "nobody"])
    assert done.exit_code == 2
    assert "transformers, llamacpp, openvino" in done.output


def test_a_peer_that_is_not_installed_is_skipped_with_a_line(manifest, tmp_path):
    options = ["--environments", str(tmp_path), "--peer", "llamacpp"]
    done = CliRunner().invoke(app, ["peers", "--pool", str(manifest), *options])
    assert done.exit_code == 0, done.output
    assert "llamacpp: skipped" in done.output
