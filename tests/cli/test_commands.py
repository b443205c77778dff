"""What an operator types, and what comes back: answers on standard output, one line for what is wrong."""

import json
import os
import shutil
import socket
import subprocess
import sys

import pytest
import yaml
from typer.testing import CliRunner

from specsched.cli.main import app

RUNNER = CliRunner()
QUICK = {"SPECSCHED__WORKERS__PROFILE_SECONDS": "0.2", "SPECSCHED__LOG__FORMAT": "json"}


def invoke(*arguments):
    return RUNNER.invoke(app, [str(argument) for argument in arguments], env=QUICK)


def refused(done):
    """The one line that a refused command prints."""
    assert done.exit_code == 2, done.output
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    assert "Traceback" not in done.output
    return lines[0]


def broken_pool(tiny_pool, folder, breakage):
    """A copy of the pool with something wrong in it."""
    shutil.copytree(tiny_pool.parent, folder, dirs_exist_ok=True)
    breakage(folder)
    return folder / "pool.yaml"


def test_generate_answers_in_process_and_says_how(tiny_pool):
    done = invoke("generate", "the cat", "--pool", tiny_pool, "--max-tokens", 12, "--json")
    assert done.exit_code == 0, done.output
    completion = json.loads(done.stdout)
    assert completion["usage"]["completion_tokens"] == len(completion["token_ids"]) == 12
    assert completion["decision"]["plan"]["policy"] == "adaptive"


def test_speculation_changes_nothing_that_is_said(tiny_pool):
    ways = [("--plain",), ("--draft", "draft", "--gamma", 4), ("--draft", "ngram", "--gamma", 3)]
    said = [
        json.loads(invoke("generate", "the cat", "--pool", tiny_pool, "--max-tokens", 16, *way, "--json").stdout)
        for way in ways
    ]
    assert said[0]["token_ids"] == said[1]["token_ids"] == said[2]["token_ids"]
    assert said[1]["speculation"]["num_spec_steps"] > 0 == said[0]["speculation"]["num_spec_steps"]


def test_generate_streams_text_for_people(tiny_pool):
    done = invoke("generate", "the cat", "--pool", tiny_pool, "--max-tokens", 8, "--raw")
    assert done.exit_code == 0, done.output
    assert " rounds · " in done.stdout or "no round drafted" in done.stdout
    assert "tokens/s" in done.stdout


def test_decide_explains_every_arm(tiny_pool):
    done = invoke("decide", "the cat", "--pool", tiny_pool, "--json")
    assert done.exit_code == 0, done.output
    decision = json.loads(done.stdout)
    assert {score["draft_model"] for score in decision["plan"]["scores"]} == {"none", "draft", "ngram"}
    table = invoke("decide", "the cat", "--pool", tiny_pool)
    assert "tokens/s" in table.stdout


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("",), "messages"),
        (("x", "--temperature", "-1"), "sampling.temperature"),
        (("x", "--temperature", "nan"), "sampling.temperature"),
        (("x", "--max-tokens", "0"), "stopping.max_tokens"),
        (("x", "--top-k", str(2**40)), "request"),
        (("x", "--draft", "nobody"), "speculation.draft_model"),
        (("x", "--class", "poetry"), "prompt_class"),
        (("the cat " * 500,), "prompt"),
    ],
)
def test_bad_requests_are_told_by_field(tiny_pool, arguments, field):
    assert refused(invoke("generate", *arguments, "--pool", tiny_pool)).startswith(f"error: {field}")


def _cut(folder):
    path = folder / "target" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _other_vocabulary(folder):
    path = folder / "draft" / "tokenizer.json"
    tree = json.loads(path.read_text())
    vocabulary = tree["model"]["vocab"]
    first, second = list(vocabulary)[40:42]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    path.write_text(json.dumps(tree))


def _quantised_in_half(folder):
    path = folder / "pool.yaml"
    path.write_text(path.read_text().replace("dtype: float32", "dtype: bfloat16, quantization: int8"))


@pytest.mark.parametrize(
    ("breakage", "said"),
    [
        (_cut, "cut short"),
        (lambda folder: (folder / "target" / "model.safetensors").unlink(), "model.safetensors"),
        (lambda folder: (folder / "draft" / "config.json").unlink(), "config.json is missing"),
        (lambda folder: (folder / "pool.yaml").write_text("target: ["), "no valid YAML"),
        (lambda folder: (folder / "pool.yaml").unlink(), "No such file"),
        (_other_vocabulary, "draft"),
        (_quantised_in_half, "quantization int8 computes in dtype float32, not bfloat16"),
    ],
)
def test_a_broken_pool_is_one_line(tiny_pool, tmp_path, breakage, said):
    manifest = broken_pool(tiny_pool, tmp_path / "pool", breakage)
    assert said in refused(invoke("generate", "the cat", "--pool", manifest))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("server: {addres: x}", ":1: server.addres: "),
        ("policy:\n  gamma: lots\n", ":2: policy.gamma: "),
        ("policy: {kind: fixed, draft_model: nobody}", "policy.draft_model: 'nobody' is none of"),
        ("pool: {manifest: /nowhere/pool.yaml}", "/nowhere/pool.yaml"),
        ("a: [", "no valid YAML"),
    ],
)
def test_config_check_names_the_line(tmp_path, text, said):
    path = tmp_path / "specsched.yaml"
    path.write_text(text)
    assert said in refused(invoke("config", "check", path))


def test_a_manifest_is_relative_to_the_configuration_that_names_it(tmp_path, tiny_pool):
    path = tiny_pool.parent / "specsched.yaml"
    path.write_text("pool: {manifest: pool.yaml}")
    assert invoke("config", "check", path).exit_code == 0


def test_config_check_accepts_what_serves(tmp_path, tiny_pool):
    path = tmp_path / "specsched.yaml"
    path.write_text(yaml.safe_dump({"pool": {"manifest": str(tiny_pool)}, "workers": {"count": 2}}))
    done = invoke("config", "check", path)
    assert done.exit_code == 0, done.output
    assert "valid" in done.stdout
    assert json.loads(invoke("config", "check", path, "--json").stdout)["workers"]["count"] == 2


def test_a_port_in_use_is_one_line(tiny_pool):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert address in refused(invoke("serve", "--pool", tiny_pool, "--listen", address))


def test_an_operators_port_in_use_is_one_line_that_names_the_field(tiny_pool):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        env = {**QUICK, "SPECSCHED__ADMIN__ADDRESS": address}
        done = RUNNER.invoke(app, ["serve", "--pool", str(tiny_pool), "--listen", "127.0.0.1:0"], env=env)
    assert refused(done) == f"error: admin.address: cannot listen on {address}: Address already in use"


def test_a_socket_in_use_is_one_line(tiny_pool, tmp_path):
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(tmp_path / "s.sock"))
        taken.listen()
        assert "s.sock" in refused(invoke("worker", "--pool", tiny_pool, "--listen", f"unix:{tmp_path}/s.sock"))


def test_serve_gives_up_when_its_pool_cannot_be_read(tiny_pool, tmp_path):
    """The worker finds out, and the service says so instead of starting it for ever."""
    manifest = broken_pool(tiny_pool, tmp_path / "pool", _cut)
    command = [sys.executable, "-m", "specsched", "serve", "--pool", str(manifest), "--listen", "127.0.0.1:0"]
    done = subprocess.run(command, env={**os.environ, **QUICK}, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "cut short" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_and_version_come_without_torch():
    code = (
        "import sys; from specsched.cli.main import app; sys.exit('torch' in sys.modules or 'sklearn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert invoke("--version").stdout.startswith("specsched ")
    for command in ("serve", "worker", "generate", "decide", "demo", "config", "models", "classify", "bench"):
        assert invoke(command, "--help").exit_code == 0
