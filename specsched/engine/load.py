"""From a pool's manifest to an engine that can run."""

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, PreTrainedModel

from specsched.engine.drafts import Drafts, LoadedDraft, unknown_draft
from specsched.engine.engine import Engine
from specsched.engine.layout import LAYOUT
from specsched.engine.model import LanguageModel
from specsched.engine.profile import Profiler
from specsched.engine.proposers.draft_model import DraftModelProposer
from specsched.engine.proposers.ngram import NgramProposer
from specsched.engine.settings import EngineSettings
from specsched.errors import PoolError
from specsched.policy.base import RoundController
from specsched.pool.compatibility import check_vocabulary
from specsched.pool.manifest import ModelSpec, Pool, load_pool
from specsched.pool.weights import Weights, verify_weights
from specsched.records import NO_DRAFT, CostGrid, ModelInfo, WorkerInfo

Progress = Callable[[str], None]
"""Takes one line per stage of loading."""


def load_engine(
    pool: Pool,
    settings: EngineSettings,
    make_controller: Callable[[CostGrid], RoundController],
    progress: Progress = lambda _stage: None,
) -> Engine:
    """Load target and drafts, profile them, and put an engine around them.

    Args:
        pool: The manifest.
        settings: Limits and threads.
        make_controller: Given the profiled costs.
        progress: Told what is loaded next.

    Raises:
        PoolError: a model cannot be read, run or paired with the target; one line that names it.
    """
    if settings.threads:
        torch.set_num_threads(settings.threads)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    progress(f"loading target {pool.target.id}")
    weights = verify_weights(pool.target)
    network = load_network(pool.target)
    target = LanguageModel(network, pool.target.id, max_rows=settings.max_rows)
    resident: list[LoadedDraft] = []
    for spec in pool.drafts:
        if spec.kind == NO_DRAFT:  # always available
            continue
        progress(f"loading draft {spec.id}")
        resident.append(_load_draft(spec, pool, settings, target.vocab_size))
    drafts = Drafts(resident, partial(load_draft, pool, settings, target.vocab_size))
    progress("profiling")
    costs = Profiler(target, drafts.proposers, max_rows=settings.max_rows, seconds=settings.profile_seconds).grid()
    info = WorkerInfo(
        worker_id=settings.worker_id,
        target=_model_info(pool.target, "target", target, weights),
        drafts=drafts.infos(),
        vocab_size=target.vocab_size,
        max_context_tokens=target.max_context_tokens,
        max_rows=settings.max_rows,
        kv_capacity_tokens=settings.kv_capacity_tokens,
        eos_token_ids=_eos_token_ids(network),
        numerics_id=_numerics_id(pool.target, target, weights),
        costs=costs,
    )
    return Engine(info, target, drafts, make_controller(costs), settings)


def load_draft(pool: Pool, settings: EngineSettings, vocab_size: int, name: str) -> LoadedDraft:
    """Load a draft as the manifest names it now.

    Args:
        pool: What the engine was loaded from; its target stands.
        settings: Limits.
        vocab_size: The target's.
        name: The draft's id.

    Raises:
        InvalidRequest: the manifest names no such draft.
        PoolError: it cannot be read, run or paired with the target.
    """
    spec = next((draft for draft in load_pool(pool.manifest).drafts if draft.id == name), None)
    if spec is None or spec.kind == NO_DRAFT:
        raise unknown_draft(name)
    return _load_draft(spec, pool, settings, vocab_size)


def load_network(spec: ModelSpec) -> PreTrainedModel:
    """Load a causal language model from its folder, in the manifest's dtype.

    Raises:
        PoolError: one line that names the model and what is wrong with it.
    """
    assert spec.path is not None, "only models have weights"
    if spec.quantization != "none":
        raise PoolError(f"{spec.id}: quantization {spec.quantization} is not offered yet")
    try:
        dtype = getattr(torch, spec.dtype)
        return AutoModelForCausalLM.from_pretrained(spec.path, dtype=dtype, local_files_only=True).eval()  # type: ignore[no-any-return]
    except Exception as error:  # transformers, safetensors and torch each raise their own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise PoolError(f"{spec.id}: cannot load {spec.path}: {reason}") from error


def _load_draft(spec: ModelSpec, pool: Pool, settings: EngineSettings, vocab_size: int) -> LoadedDraft:
    if spec.kind == "ngram":
        return LoadedDraft(ModelInfo(spec.id, "ngram"), NgramProposer(spec.id))
    assert spec.path is not None, "draft models have a path"
    assert pool.target.path is not None, "targets have a path"
    weights = verify_weights(spec)
    check_vocabulary(pool.target.path, spec.path)
    model = LanguageModel(load_network(spec), spec.id, max_rows=settings.max_rows, vocab_size=vocab_size)
    return LoadedDraft(_model_info(spec, "model", model, weights), DraftModelProposer(spec.id, model))


def _model_info(spec: ModelSpec, kind: str, model: LanguageModel, weights: Weights) -> ModelInfo:
    return ModelInfo(
        id=spec.id,
        kind=kind,
        parameters=model.num_parameters(),
        memory_bytes=model.memory_bytes(),
        dtype=spec.dtype,
        quantization=spec.quantization,
        version=weights.version,
    )


def _eos_token_ids(network: PreTrainedModel) -> tuple[int, ...]:
    """EOS of the model's generation config, else of its config; nothing else of either leaks in."""
    generation = getattr(network, "generation_config", None)
    eos = getattr(generation, "eos_token_id", None) or network.config.eos_token_id
    return tuple(eos) if isinstance(eos, list) else () if eos is None else (int(eos),)


def _numerics_id(spec: ModelSpec, target: LanguageModel, weights: Weights) -> str:
    """Workers with equal ids give equal tokens: same weights, same arithmetic, same kernels."""
    config = Path(spec.path or "") / "config.json"
    parts = {
        "config": hashlib.sha256(config.read_bytes()).hexdigest(),
        "weights": weights.sha256,
        "quantization": spec.quantization,
        "dtype": str(target.dtype),
        "layout": LAYOUT,
        "device": target.device.type,
        "torch": torch.__version__,
        "kernels": torch.backends.cpu.get_cpu_capability() if target.device.type == "cpu" else "",
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
