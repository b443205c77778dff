import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from specsched.bench.engine.contender import PLAIN
from specsched.bench.peers.process import LLAMACPP, OPENVINO, TRANSFORMERS, PeerProcess, find_python, instructions
from specsched.bench.reference import Question, load_reference
from specsched.cli.bench.app import app
from specsched.errors import SetupError
from specsched.pool.manifest import load_pool
from tests.helpers.text import byte_tokenizer, save_tokenizer
from tests.helpers.tiny import perturbed, tiny_network

QUESTION = Question("q", "code", (1, 2, 3))
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


@pytest.fixture
def pool(tmp_path):
    target = tiny_network(vocab=byte_tokenizer().vocab_size)
    for name, network in (("target", target), ("near", perturbed(target, 0.03))):
        network.save_pretrained(save_tokenizer(tmp_path / name))
    manifest = tmp_path / "pool.yaml"
    manifest.write_text("target: {id: tiny, path: target}\ndrafts: [{id: near, path: near}]\n", encoding="utf-8")
    return load_pool(manifest)


def test_transformers_answers_from_a_process_of_its_own_the_same_in_every_mode(pool, tmp_path):
    started = PeerProcess(
        TRANSFORMERS, Path(sys.executable), pool, tmp_path / "work", threads=1, environment=ENVIRONMENT
    )
    with started as peer:
        assert {mode.kind for mode in peer.modes} == {"plain", "draft", "lookup"}
        assert {mode.schedule for mode in peer.modes if mode.kind == "draft"} == {"constant", "heuristic"}
        answers = {mode: peer.answer(QUESTION, 12, mode) for mode in peer.modes}
    expected = load_reference(pool.target).generate(QUESTION.prompt_ids, 12)
    assert {answer.tokens for answer in answers.values()} == {expected}
    assert all(answer.seconds >= answer.decode_seconds > 0 for answer in answers.values())
    assert answers[PLAIN].decoded == 11


def test_a_peer_that_ends_leaves_its_last_words(pool, tmp_path):
    with pytest.raises(SetupError, match=r"llamacpp ended: .*llama_cpp"):
        PeerProcess(LLAMACPP, Path(sys.executable), pool, tmp_path, threads=1, environment=ENVIRONMENT)


def test_environments_are_found_by_name_and_can_be_given(tmp_path):
    python = tmp_path / "openvino" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    assert find_python(OPENVINO, tmp_path, {}) == python
    assert find_python(OPENVINO, tmp_path, {"openvino": Path("there")}) == Path("there")
    assert find_python(LLAMACPP, tmp_path, {}) is None
    assert find_python(TRANSFORMERS, tmp_path, {}) == Path(sys.executable)


def test_the_command_tells_how_environments_are_made(tmp_path):
    told = CliRunner().invoke(app, ["peers", "--how", "--environments", str(tmp_path)])
    assert told.exit_code == 0, told.output
    assert all(line in told.output for line in instructions(tmp_path))
