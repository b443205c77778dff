"""What is told of a model, and what makes two workers' tokens equal."""

import hashlib
import json
from pathlib import Path

import torch

from specsched.engine.layout import LAYOUT
from specsched.engine.memory import needed_bytes
from specsched.engine.model import LanguageModel
from specsched.pool.manifest import ModelSpec
from specsched.pool.weights import Weights
from specsched.records import ModelInfo


def model_info(spec: ModelSpec, kind: str, model: LanguageModel, weights: Weights) -> ModelInfo:
    """Describe a model that is loaded."""
    return _info(spec, kind, weights, parameters=model.num_parameters(), memory_bytes=model.memory_bytes())


def info_on_disk(spec: ModelSpec, weights: Weights) -> ModelInfo:
    """Describe a draft that is not loaded."""
    kind = "composite" if spec.copy_match_tokens else "model"
    needed = needed_bytes(spec, weights, kv_tokens=0)
    return _info(spec, kind, weights, parameters=weights.parameters, memory_bytes=needed)


def _info(spec: ModelSpec, kind: str, weights: Weights, *, parameters: int, memory_bytes: int) -> ModelInfo:
    return ModelInfo(
        id=spec.id,
        kind=kind,
        parameters=parameters,
        memory_bytes=memory_bytes,
        dtype=spec.dtype,
        quantization=spec.quantization,
        version=weights.version + spec.manner,
    )


def numerics_id(spec: ModelSpec, target: LanguageModel, weights: Weights, rounds: str) -> str:
    """Workers with equal ids give equal tokens: same weights, same arithmetic, same kernels."""
    config = Path(spec.path or "") / "config.json"
    parts = {
        "config": hashlib.sha256(config.read_bytes()).hexdigest(),
        "weights": weights.sha256,
        "quantization": spec.quantization,
        "dtype": str(target.dtype),
        "layout": LAYOUT,
        "device": target.device.type,
        "kv": target.kv.kind,
        "forward": target.forward_kind,
        "rounds": rounds,
        "torch": torch.__version__,
        "kernels": torch.backends.cpu.get_cpu_capability() if target.device.type == "cpu" else "",
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
