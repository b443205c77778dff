"""What a model takes in memory, told before it is loaded."""

from typing import Any

from transformers import AutoConfig

from specsched.errors import PoolError
from specsched.pool.manifest import ModelSpec
from specsched.pool.weights import Weights

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


def needed_bytes(spec: ModelSpec, weights: Weights, kv_tokens: int) -> int:
    """Weights in their compute dtype, and keys and values of so many tokens.

    Raises:
        PoolError: its configuration cannot be read.
    """
    per_weight = 1 if spec.quantization == "int8" else _BYTES[spec.dtype]
    return weights.parameters * per_weight + kv_tokens * kv_bytes_per_token(spec)


def kv_bytes_per_token(spec: ModelSpec) -> int:
    """Keys and values of one token over all layers."""
    assert spec.path is not None, "only models have keys and values"
    try:
        config = AutoConfig.from_pretrained(spec.path, local_files_only=True).get_text_config()
    except (OSError, ValueError, KeyError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise PoolError(f"{spec.id}: cannot read {spec.path}: {reason}") from error
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * head_dim_of(config) * _BYTES[spec.dtype])


def head_dim_of(config: Any) -> int:
    """Numbers in a key, by a model's text config."""
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def check_target_fits(spec: ModelSpec, needed: int, limit_bytes: int) -> None:
    """Refuse a target that does not fit; 0 has no limit.

    Raises:
        PoolError: one line with what it takes and what there is.
    """
    if limit_bytes and needed > limit_bytes:
        raise PoolError(
            f"{spec.id}: weights and KV take {needed:,} bytes, workers.memory_bytes is {limit_bytes:,};"
            " raise it or lower workers.kv_capacity_tokens"
        )
