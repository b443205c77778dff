"""What hides keys from queries where attention takes masks: networks that run through torch's operators."""

from collections.abc import Mapping
from typing import Protocol, cast

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask
from transformers import Cache

from specsched.engine.kv import RaggedKV, Window

Masks = Tensor | Mapping[str, Tensor | None] | None
"""Additive [B, 1, q, k], None where every query sees every key; by kind of layer where there are several."""


class MaskedForward(Protocol):
    """A forward that is told positions and masks; `LeanDecoder` has its contract."""

    kind: str

    @property
    def memory_bytes(self) -> int:
        """Bytes of the weights."""
        ...

    def __call__(self, ids: Tensor, positions: Tensor, masks: Masks, kv: Cache, *, end: int, keep_last: bool) -> Tensor:
        """Return logits, [B, q or 1, V]."""


class MaskedDecoder:
    """Tells a forward the positions and masks of a window."""

    def __init__(
        self, forward: MaskedForward, config: object, kv: RaggedKV, dtype: torch.dtype, *, own_attention: bool
    ) -> None:
        """Put it around a forward.

        Args:
            forward: Runs the network.
            config: The network's.
            kv: Where keys and values lie.
            dtype: Of the scores.
            own_attention: Whether attention is ours, which takes None for a mask that hides nothing.
        """
        self.kind = forward.kind
        self._forward = forward
        self._kv = kv
        self._dtype = dtype
        self._own_attention = own_attention
        self._windows = sliding_windows(config)
        self._longest: int = config.max_position_embeddings  # type: ignore[attr-defined]

    @property
    def memory_bytes(self) -> int:
        """Bytes of the weights."""
        return self._forward.memory_bytes

    def __call__(self, ids: Tensor, window: Window, *, keep_last: bool) -> Tensor:
        """Return logits, [B, q or 1, V], of tokens [B, q] that go where the window says."""
        end = min(window.end, self._longest)
        positions = window.positions.clamp(max=self._longest - 1)
        return self._forward(ids, positions, self._masks(window), self._kv, end=end, keep_last=keep_last)

    def _masks(self, window: Window) -> Masks:
        """Build one mask, or one per kind of layer."""
        masks = {kind: self._mask_of_kind(window, span) for kind, span in self._windows.items()}
        return cast("Masks", masks if len(masks) > 1 else masks["full_attention"])  # block masks pass for tensors

    def _mask_of_kind(self, window: Window, span: int | None) -> Tensor | BlockMask | None:
        """None where every query sees every key: one new token a row, rows equally long, no window exceeded."""
        sees_all = window.width == 1 and window.uniform and (span is None or window.end <= span)
        if sees_all and self._own_attention:
            return None
        return window.mask(self._dtype, span)


def sliding_windows(config: object) -> dict[str, int | None]:
    """Kind of layer → its sliding window, None where it sees everything."""
    span = getattr(config, "sliding_window", None)
    kinds = set(getattr(config, "layer_types", None) or [])
    if "sliding_attention" in kinds:
        return {"full_attention": None, "sliding_attention": span}
    if not kinds and span is not None and getattr(config, "use_sliding_window", True):
        return {"full_attention": span}  # every layer slides, as in Mistral
    return {"full_attention": None}
