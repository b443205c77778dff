"""Hugging Face folders of the Llama family as GGUF. Token ids go in and out, so no tokenizer is written."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np

_LAYER = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
_TOP = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def write_gguf(folder: Path, file: Path, *, quantized: bool) -> frozenset[int]:
    """Convert, matrices to Q8_0 or F32, norms to F32; returns the ids that end a completion."""
    config = json.loads((folder / "config.json").read_text())
    if config["model_type"] != "llama":
        raise ValueError(f"{folder}: only models of type llama are converted, not {config['model_type']}")
    writer = gguf.GGUFWriter(file, "llama")
    _describe(writer, config)
    for name, tensor in _read(folder / "model.safetensors"):
        data = _laid_out(name, tensor, config)
        kind = _kind(data) if quantized else gguf.GGMLQuantizationType.F32
        writer.add_tensor(_renamed(name), gguf.quants.quantize(data, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    eos = config["eos_token_id"]
    return frozenset(eos if isinstance(eos, list) else [] if eos is None else [eos])


def _kind(data: np.ndarray[Any, Any]) -> gguf.GGMLQuantizationType:
    """Q8_0 has blocks of 32 numbers; rows that do not end with one are F16, as llama.cpp's own quantizer does it."""
    if data.ndim != 2:
        return gguf.GGMLQuantizationType.F32
    return gguf.GGMLQuantizationType.F16 if data.shape[1] % 32 else gguf.GGMLQuantizationType.Q8_0


def _describe(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    heads = config["num_attention_heads"]
    head_dim = config.get("head_dim") or config["hidden_size"] // heads
    rope = config.get("rope_parameters") or config
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(rope.get("rope_theta", 10_000.0))
    writer.add_rope_dimension_count(head_dim)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("no_vocab")


def _read(file: Path) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """Tensors of a safetensors file as float32; numpy knows no bfloat16, which is a float32's upper half."""
    with file.open("rb") as source:
        size = int.from_bytes(source.read(8), "little")
        entries = json.loads(source.read(size))
        entries.pop("__metadata__", None)
        for name, entry in entries.items():
            start, end = entry["data_offsets"]
            source.seek(8 + size + start)
            raw = source.read(end - start)
            yield name, _float32(raw, entry["dtype"]).reshape(entry["shape"])


def _float32(raw: bytes, dtype: str) -> np.ndarray[Any, Any]:
    if dtype == "BF16":
        return (np.frombuffer(raw, np.uint16).astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(raw, {"F32": np.float32, "F16": np.float16}[dtype]).astype(np.float32)


def _laid_out(name: str, tensor: np.ndarray[Any, Any], config: dict[str, Any]) -> np.ndarray[Any, Any]:
    """llama.cpp turns neighbouring pairs where transformers turns halves: q and k heads are interleaved."""
    heads = {"q_proj": "num_attention_heads", "k_proj": "num_key_value_heads"}
    part = name.split(".")[-2]
    if part not in heads:
        return tensor
    count = config[heads[part]]
    return tensor.reshape(count, 2, -1, tensor.shape[1]).swapaxes(1, 2).reshape(tensor.shape)


def _renamed(name: str) -> str:
    stem = name.removesuffix(".weight")
    if stem in _TOP:
        return f"{_TOP[stem]}.weight"
    _, _, layer, part = stem.split(".", 3)
    return f"blk.{layer}.{_LAYER[part]}.weight"
