"""How a network's forward is computed: compiled, lean, or by transformers' own code."""

from collections.abc import Callable, Sequence
from typing import Protocol, cast

from torch import Tensor
from transformers import Cache, PreTrainedModel

from specsched.engine.attention import NAME
from specsched.engine.fused.decoder import fused_decoder
from specsched.engine.int8 import packed_bytes
from specsched.engine.kv import RaggedKV, Window
from specsched.engine.layout import lay_out_by_column
from specsched.engine.lean import lean_decoder
from specsched.engine.masks import MaskedDecoder, MaskedForward, Masks


class Decoder(Protocol):
    """A network's forward over ragged rows."""

    kind: str
    """Which way it is computed: part of what makes two workers' numbers equal."""

    @property
    def memory_bytes(self) -> int:
        """Bytes of the weights."""
        ...

    def __call__(self, ids: Tensor, window: Window, *, keep_last: bool) -> Tensor:
        """Return logits, [B, q or 1, V], of tokens [B, q] that go where the window says."""


class TransformersDecoder:
    """Any network, through its own code."""

    kind = "transformers"

    def __init__(self, network: PreTrainedModel) -> None:
        lay_out_by_column(network)
        self._network = network

    @property
    def memory_bytes(self) -> int:
        """Bytes of the weights, packed ones included."""
        return int(self._network.get_memory_footprint()) + packed_bytes(self._network)

    def __call__(self, ids: Tensor, positions: Tensor, masks: Masks, kv: Cache, *, end: int, keep_last: bool) -> Tensor:
        """Return logits, [B, q or 1, V]."""
        del end
        out = self._network(
            input_ids=ids,
            attention_mask=masks,
            position_ids=positions,
            past_key_values=kv,
            use_cache=True,
            logits_to_keep=1 if keep_last else 0,
        )
        return cast("Tensor", out.logits)


Way = Callable[[PreTrainedModel, RaggedKV], Decoder | None]
"""Offers a forward of a network over a storage; None where it knows no such network, machine or storage."""


def by_lean(network: PreTrainedModel, kv: RaggedKV) -> Decoder | None:
    """Offer `LeanDecoder`."""
    forward = None if kv.in_place else lean_decoder(network)
    return None if forward is None else _masked(forward, network, kv)


def by_transformers(network: PreTrainedModel, kv: RaggedKV) -> Decoder:
    """Offer the network's own code."""
    return _masked(TransformersDecoder(network), network, kv)


WAYS: Sequence[Way] = (fused_decoder, by_lean, by_transformers)
"""The best first."""


def choose_decoder(network: PreTrainedModel, kv: RaggedKV, ways: Sequence[Way]) -> Decoder:
    """Return what the first way that knows the network offers. The network's attention becomes ours."""
    network.set_attn_implementation(NAME if _takes_our_attention(network) else "eager")
    return next(decoder for way in ways if (decoder := way(network, kv)) is not None)


def _masked(forward: MaskedForward, network: PreTrainedModel, kv: RaggedKV) -> MaskedDecoder:
    config = network.config.get_text_config()
    return MaskedDecoder(forward, config, kv, network.dtype, own_attention=_takes_our_attention(network))


def _takes_our_attention(network: PreTrainedModel) -> bool:
    softcapped = getattr(network.config.get_text_config(), "attn_logit_softcapping", None)
    return bool(network._supports_sdpa or softcapped)  # noqa: SLF001 - transformers' flag
