"""From a model's folder to a network."""

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from specsched.engine.int8 import int8_is_offered, quantize_linears
from specsched.errors import PoolError
from specsched.pool.manifest import ModelSpec

_CPU = torch.device("cpu")


def load_network(spec: ModelSpec, device: torch.device = _CPU) -> PreTrainedModel:
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
    network.to(device)  # type: ignore[arg-type]  # transformers' overload knows no torch.device
    return network


def eos_token_ids(network: PreTrainedModel) -> tuple[int, ...]:
    """EOS of the model's generation config, else of its config; nothing else of either leaks in."""
    generation = getattr(network, "generation_config", None)
    eos = getattr(generation, "eos_token_id", None) or network.config.eos_token_id
    return tuple(eos) if isinstance(eos, list) else () if eos is None else (int(eos),)


def _check_int8(spec: ModelSpec) -> None:
    if spec.dtype != "float32":
        raise PoolError(f"{spec.id}: quantization int8 computes in dtype float32, not {spec.dtype}")
    if not int8_is_offered():
        raise PoolError(f"{spec.id}: quantization int8 needs an x86 CPU with AVX2 and a PyTorch with FBGEMM")
