"""From a pool's manifest to an engine that can run."""

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import structlog
import torch
import transformers
from transformers import AutoModelForCausalLM, PreTrainedModel

from specsched.engine.device import MakeKV, choose_device, choose_storage
from specsched.engine.drafts import Drafts, LoadedDraft, unknown_draft
from specsched.engine.engine import Engine
from specsched.engine.gpu.choose import Style, choose_style
from specsched.engine.gpu.paging import follows_tables
from specsched.engine.int8 import int8_is_offered, quantize_linears
from specsched.engine.kv.base import BLOCK_TOKENS
from specsched.engine.kv.blocks import BlockKV
from specsched.engine.layout import LAYOUT
from specsched.engine.memory import check_target_fits, head_dim_of, needed_bytes
from specsched.engine.model import LanguageModel
from specsched.engine.profile import Profiler
from specsched.engine.proposers.composite import CompositeProposer
from specsched.engine.proposers.ngram import NgramProposer
from specsched.engine.settings import EngineSettings
from specsched.engine.synthetic import last_word
from specsched.engine.threads import settle_threads
from specsched.errors import PoolError
from specsched.policy.base import RoundController
from specsched.pool.compatibility import check_vocabulary
from specsched.pool.manifest import ModelSpec, Pool, load_pool
from specsched.pool.weights import Weights, verify_weights
from specsched.records import NO_DRAFT, SYNTHETIC_PREFIX, CostGrid, ModelInfo, WorkerInfo

log = structlog.get_logger()

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
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    progress(f"loading target {pool.target.id}")
    weights = verify_weights(pool.target)
    needed = needed_bytes(pool.target, weights, settings.kv_capacity_tokens)
    check_target_fits(pool.target, needed, settings.memory_bytes)
    device = choose_device(settings.device)
    make_kv, style = _choose(settings, device)
    network = _on(load_network(pool.target), device)
    target = LanguageModel(
        network, pool.target.id, max_rows=settings.max_rows, make_kv=_sized(make_kv, settings, network)
    )
    settle_threads(settings.threads, target, settings.max_rows)
    drafts = _load_drafts(pool, settings, target.vocab_size, settings.memory_bytes - needed, progress)
    rounds = style.rounds(target, drafts.proposers, last_word(settings.synthetic_acceptance))
    progress("profiling")
    seconds = settings.profile_seconds

    def profiler() -> Profiler:
        return Profiler(target, drafts.proposers, rounds, max_rows=settings.max_rows, seconds=seconds)

    costs = profiler().grid()
    info = WorkerInfo(
        worker_id=settings.worker_id,
        target=_model_info(pool.target, "target", target, weights),
        drafts=drafts.infos(),
        vocab_size=target.vocab_size,
        max_context_tokens=target.max_context_tokens,
        max_rows=settings.max_rows,
        kv_capacity_tokens=settings.kv_capacity_tokens,
        eos_token_ids=_eos_token_ids(network),
        numerics_id=_marked(_numerics_id(pool.target, target, weights, style.name), settings),
        costs=costs,
    )
    return Engine(
        info,
        target,
        drafts,
        make_controller(costs),
        settings,
        rounds=rounds,
        measure=lambda version, halt: profiler().regrid(version, halt),
    )


def _load_drafts(pool: Pool, settings: EngineSettings, vocab_size: int, room: int, progress: Progress) -> Drafts:
    """Load drafts in the manifest's order while memory lasts; the others come when they would earn their place."""
    specs = [spec for spec in pool.drafts if spec.kind != NO_DRAFT]  # plain decoding is always available
    load = partial(load_draft, pool, settings, vocab_size)
    resident: list[LoadedDraft] = []
    if not settings.memory_bytes:
        for spec in specs:
            progress(f"loading draft {spec.id}")
            resident.append(_load_draft(spec, pool, settings, vocab_size))
        return Drafts(resident, load)
    evicted: list[ModelInfo] = []
    sizes: dict[str, int] = {}
    left = room
    for spec in specs:
        weights = verify_weights(spec) if spec.path is not None else None
        sizes[spec.id] = needed_bytes(spec, weights, settings.kv_capacity_tokens) if weights is not None else 0
        if sizes[spec.id] <= left:
            progress(f"loading draft {spec.id}")
            resident.append(_load_draft(spec, pool, settings, vocab_size))
            left -= sizes[spec.id]
        elif weights is not None:
            evicted.append(_info_on_disk(spec, weights))
    return Drafts(resident, load, evicted=evicted, limit_bytes=max(1, room), sizes=sizes)


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
    """Load a causal language model from its folder, in the manifest's dtype and quantization.

    Raises:
        PoolError: one line that names the model and what is wrong with it.
    """
    assert spec.path is not None, "only models have weights"
    if spec.quantization == "int8":
        _check_int8(spec)
    try:
        dtype = getattr(torch, spec.dtype)
        network: PreTrainedModel = AutoModelForCausalLM.from_pretrained(spec.path, dtype=dtype, local_files_only=True)
    except Exception as error:  # transformers, safetensors and torch each raise their own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise PoolError(f"{spec.id}: cannot load {spec.path}: {reason}") from error
    if spec.quantization == "int8":
        quantize_linears(network)
    network.eval()
    return network


def _check_int8(spec: ModelSpec) -> None:
    if spec.dtype != "float32":
        raise PoolError(f"{spec.id}: quantization int8 computes in dtype float32, not {spec.dtype}")
    if not int8_is_offered():
        raise PoolError(f"{spec.id}: quantization int8 needs an x86 CPU with AVX2 and a PyTorch with FBGEMM")


def _load_draft(spec: ModelSpec, pool: Pool, settings: EngineSettings, vocab_size: int) -> LoadedDraft:
    if spec.kind == "ngram":
        return LoadedDraft(ModelInfo(spec.id, "ngram"), NgramProposer(spec.id))
    assert spec.path is not None, "draft models have a path"
    assert pool.target.path is not None, "targets have a path"
    weights = verify_weights(spec)
    check_vocabulary(pool.target.path, spec.path)
    device = choose_device(settings.device)
    make_kv, style = _choose(settings, device)
    network = _on(load_network(spec), device)
    model = LanguageModel(
        network,
        spec.id,
        max_rows=settings.max_rows,
        vocab_size=vocab_size,
        weights=f"{weights.sha256} {spec.dtype} {spec.quantization}",
        make_kv=_sized(make_kv, settings, network),
    )
    proposer = style.proposer(spec.id, model, spec.stop_below_share)
    if not spec.copy_match_tokens:
        return LoadedDraft(_model_info(spec, "model", model, weights), proposer)
    composite = CompositeProposer(spec.id, [NgramProposer(spec.id, spec.copy_match_tokens), proposer])
    return LoadedDraft(_model_info(spec, "composite", model, weights), composite)


def _choose(settings: EngineSettings, device: torch.device) -> tuple[MakeKV, Style]:
    make_kv = choose_storage(settings.kv_storage, device, settings.rounds)
    return make_kv, choose_style(settings.rounds, device, make_kv)


def _sized(make_kv: MakeKV, settings: EngineSettings, network: PreTrainedModel) -> MakeKV:
    """Give a GPU's blocks their final number, as growing takes twice the memory, and their reader."""
    if make_kv is not BlockKV or network.device.type == "cpu":
        return make_kv
    blocks = settings.kv_capacity_tokens // BLOCK_TOKENS + 3 * settings.max_rows + 1
    head_dim = head_dim_of(network.config.get_text_config())
    return partial(BlockKV, blocks=blocks, in_place=follows_tables(network.device, network.dtype, head_dim))


def _on(network: PreTrainedModel, device: torch.device) -> PreTrainedModel:
    network.to(device)  # type: ignore[arg-type]  # transformers' overload knows no torch.device
    return network


def _model_info(spec: ModelSpec, kind: str, model: LanguageModel, weights: Weights) -> ModelInfo:
    return ModelInfo(
        id=spec.id,
        kind=kind,
        parameters=model.num_parameters(),
        memory_bytes=model.memory_bytes(),
        dtype=spec.dtype,
        quantization=spec.quantization,
        version=weights.version + spec.manner,
    )


def _info_on_disk(spec: ModelSpec, weights: Weights) -> ModelInfo:
    """Describe a draft that is not loaded."""
    return ModelInfo(
        id=spec.id,
        kind="composite" if spec.copy_match_tokens else "model",
        parameters=weights.parameters,
        memory_bytes=needed_bytes(spec, weights, kv_tokens=0),
        dtype=spec.dtype,
        quantization=spec.quantization,
        version=weights.version + spec.manner,
    )


def _marked(numerics_id: str, settings: EngineSettings) -> str:
    """Say in its name that a worker's output is invalid, where it is."""
    if not settings.synthetic_acceptance:
        return numerics_id
    log.warning("synthetic_acceptance", rates=settings.synthetic_acceptance, output="invalid, for load tests only")
    return SYNTHETIC_PREFIX + numerics_id


def _eos_token_ids(network: PreTrainedModel) -> tuple[int, ...]:
    """EOS of the model's generation config, else of its config; nothing else of either leaks in."""
    generation = getattr(network, "generation_config", None)
    eos = getattr(generation, "eos_token_id", None) or network.config.eos_token_id
    return tuple(eos) if isinstance(eos, list) else () if eos is None else (int(eos),)


def _numerics_id(spec: ModelSpec, target: LanguageModel, weights: Weights, rounds: str) -> str:
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
