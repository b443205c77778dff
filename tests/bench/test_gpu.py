"""Table 6's whole code on a CPU, at shapes that fit there."""

import json

import pytest
import torch
from typer.testing import CliRunner

from specsched.bench.gpu.measure import GpuJob, copy_bandwidth
from specsched.bench.gpu.shapes import SHAPES
from specsched.cli.bench.gpu import NO_GPU
from specsched.cli.main import app


def test_the_command_measures_tiny_shapes_on_a_cpu(tmp_path):
    file, picture = tmp_path / "gpu.json", tmp_path / "gpu.png"
    small = ["--shapes", "tiny", "--device", "cpu", "--context-tokens", "16", "--max-tokens", "12", "--repeats", "1"]
    told = CliRunner().invoke(app, ["bench", "gpu", *small, "--json", str(file), "--plot", str(picture)])
    assert told.exit_code == 0, told.output
    assert picture.stat().st_size > 1_000
    written = json.loads(file.read_text())
    assert written["command"] == "specsched bench gpu"
    assert [line["rows"] for line in written["tables"]["speed"]] == [1, 8, 32]
    assert [line["positions"] for line in written["tables"]["verify"]] == [1, 5] * 3
    checks = {check["name"]: check for check in written["checks"]}
    timed = {"gpu_verify_over_copy_bound", "gpu_uncaptured_over_captured", "gpu_speculation_over_plain"}
    assert set(checks) == timed | {"gpu_reads_per_round"}
    assert checks["gpu_reads_per_round"]["value"] == 1.0, "the host waits once a round"
    assert checks["gpu_reads_per_round"]["holds"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_without_a_gpu_it_says_so_in_one_line_and_is_content():
    told = CliRunner().invoke(app, ["bench", "gpu"])
    assert told.exit_code == 0
    assert " ".join(told.output.split()) == NO_GPU


def test_unknown_shapes_are_named():
    told = CliRunner().invoke(app, ["bench", "gpu", "--shapes", "70b", "--device", "cpu"])
    assert told.exit_code == 2
    assert "'70b' is none of 8b-1b, tiny" in told.output


def test_a_forward_reads_its_weights_once_and_all_keys_and_values():
    shape = SHAPES["8b-1b"].target
    assert shape.read_numbers(8_030_261_248, 0) == 8_030_261_248 - 128_256 * 4096
    assert shape.read_numbers(0, 10) - shape.read_numbers(0, 0) == 10 * 2 * 32 * 8 * 128


def test_a_copy_moves_its_bytes_twice():
    ticks = iter(range(100))
    job = GpuJob(repeats=3, copy_bytes=1000)
    assert copy_bandwidth(torch.device("cpu"), job, lambda: float(next(ticks))) == 2000
