from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from specsched.errors import PoolError
from specsched.pool.manifest import ModelSpec
from specsched.pool.weights import sha256_of, verify_weights


@pytest.fixture
def spec(tmp_path: Path) -> ModelSpec:
    save_file({"a": np.zeros((2, 3), np.float32), "b": np.zeros(5, np.float16)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    return ModelSpec("small", "model", tmp_path)


def weights_of(spec: ModelSpec) -> Path:
    assert spec.path is not None
    return spec.path / "model.safetensors"


def test_headers_are_summed_up(spec):
    found = verify_weights(spec)
    assert (found.parameters, found.dtypes) == (11, ("F16", "F32"))
    assert found.sha256 == sha256_of(weights_of(spec))
    assert found.sha256.startswith(found.version)


def test_the_right_hash_passes_and_a_wrong_one_is_refused(spec):
    right = sha256_of(weights_of(spec))
    verify_weights(replace(spec, sha256=right))
    with pytest.raises(PoolError, match="the manifest says 0000"):
        verify_weights(replace(spec, sha256="0" * 64))


@pytest.mark.parametrize("kept", [0, 5, 40, -1])
def test_a_truncated_file_is_refused_whatever_is_left(spec, kept):
    file = weights_of(spec)
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(PoolError, match=r"model\.safetensors"):
        verify_weights(spec)


def test_a_file_that_is_no_safetensors_is_refused(spec):
    weights_of(spec).write_bytes(b"\x10" + b"\0" * 7 + b"not json at all!")
    with pytest.raises(PoolError, match="header cannot be read"):
        verify_weights(spec)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_named(spec, name):
    (weights_of(spec).parent / name).unlink()
    with pytest.raises(PoolError, match=name):
        verify_weights(spec)


def test_shards_are_found_through_their_index(spec):
    folder = weights_of(spec).parent
    weights_of(spec).rename(folder / "one.safetensors")
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "one.safetensors"}}', encoding="utf-8")
    assert verify_weights(spec).parameters == 11
