"""A causal language model over ragged rows: the models are transformers', the batching is ours."""

from collections.abc import Callable, Sequence
from typing import Protocol, cast

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask
from transformers import Cache, PreTrainedModel

from specsched.engine.attention import NAME
from specsched.engine.int8 import packed_bytes, packed_parameters
from specsched.engine.kv import KVRow, RaggedKV, Window
from specsched.engine.kv.rectangles import RectangularKV
from specsched.engine.layout import lay_out_by_column
from specsched.engine.lean import Masks, lean_decoder
from specsched.engine.support import check_supported
from specsched.engine.transfer import to_device

CATCH_UP_TOKENS = 512
"""Longest stretch of tokens that one forward takes in."""


class Decoder(Protocol):
    """A network's forward over ragged rows; `LeanDecoder` has its contract."""

    @property
    def memory_bytes(self) -> int:
        """Bytes of the weights."""
        ...

    def __call__(self, ids: Tensor, positions: Tensor, masks: Masks, kv: Cache, *, end: int, keep_last: bool) -> Tensor:
        """Return logits, [B, q or 1, V]."""


class TransformersDecoder:
    """Any network, through its own code."""

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


class LanguageModel:
    """Network and KV of one model. A forward writes KV but lengthens no row; `KVRow.length` belongs to the caller."""

    def __init__(
        self,
        network: PreTrainedModel,
        model_id: str,
        *,
        max_rows: int,
        vocab_size: int | None = None,
        make_kv: Callable[[int, int], RaggedKV] = RectangularKV,
    ) -> None:
        """Wrap a network.

        Args:
            network: Any causal language model of transformers with positional KV. It is taken over: its attention
                function and its weights' strides are changed.
            model_id: For error messages.
            max_rows: Rows that may be open at once.
            vocab_size: Width of the logits; the network's own is cut or filled with -inf to it.
            make_kv: Makes its storage from the numbers of layers and of rows.

        Raises:
            UnsupportedModel: its state cannot be rolled back.
        """
        check_supported(network, model_id)
        config = network.config.get_text_config()
        self._own_attention = bool(
            network._supports_sdpa or getattr(config, "attn_logit_softcapping", None)  # noqa: SLF001 - transformers' flag
        )
        network.set_attn_implementation(NAME if self._own_attention else "eager")
        self._parameters = int(network.num_parameters()) + packed_parameters(network)
        self.id = model_id
        self.kind: str = config.model_type
        self.vocab_size = vocab_size or config.vocab_size
        self.max_context_tokens: int = config.max_position_embeddings
        self.device: torch.device = network.device
        self.dtype: torch.dtype = network.dtype
        self.kv = make_kv(config.num_hidden_layers, max_rows)
        lean = None if self.kv.in_place else lean_decoder(network.eval())
        self._decode: Decoder = lean or TransformersDecoder(network.eval())
        self._windows = _sliding_windows(config)

    def memory_bytes(self) -> int:
        """Bytes of the weights."""
        return self._decode.memory_bytes

    def num_parameters(self) -> int:
        """Weights, tied ones counted once."""
        return self._parameters

    @torch.inference_mode()
    def forward(self, rows: Sequence[KVRow], tokens: Sequence[Sequence[int]], *, keep_last: bool = False) -> Tensor:
        """Run new tokens of each row; shorter rows are padded on the right.

        Args:
            rows: B distinct rows.
            tokens: New tokens of each, at least one, starting at the row's length.
            keep_last: Compute logits of the last column alone.

        Returns:
            Float logits [B, q, vocab_size], q the longest row's number of new tokens (1 with `keep_last`).
            Entries beyond a row's own tokens are rubbish.
        """
        width = max(map(len, tokens))
        ids = to_device([[*row, *([0] * (width - len(row)))] for row in tokens], self.device)  # [B, q]
        return self.run(ids, self.kv.prepare(rows, width, self.device), keep_last=keep_last)

    def run(self, ids: Tensor, window: Window, *, keep_last: bool = False) -> Tensor:
        """Run what stands on the device already, [B, q], on a window that is prepared; else as `forward`."""
        end = min(window.end, self.max_context_tokens)
        positions = window.positions.clamp(max=self.max_context_tokens - 1)
        logits = self._decode(ids, positions, self._mask(window), self.kv, end=end, keep_last=keep_last)
        return _fit(logits.float(), self.vocab_size)

    def step(self, rows: Sequence[KVRow], ids: Tensor) -> Tensor:
        """Run one token of each row, [B], lengthen the rows, and return the logits after it, [B, vocab_size]."""
        logits = self.run(ids[:, None], self.kv.prepare(rows, 1, self.device))
        for row in rows:
            row.length += 1
        return logits[:, 0]

    def catch_up(self, rows: Sequence[KVRow], tokens: Sequence[Sequence[int]]) -> Tensor:
        """Take in tokens that rows have fallen behind by, in stretches, and lengthen the rows.

        Args:
            rows: B distinct rows.
            tokens: What each misses, at least one token each; lengths may differ.

        Returns:
            Logits after each row's last token, [B, vocab_size].
        """
        done = [max(0, (len(row) - 1) // CATCH_UP_TOKENS * CATCH_UP_TOKENS) for row in tokens]
        for kv_row, row, upto in zip(rows, tokens, done, strict=True):
            for start in range(0, upto, CATCH_UP_TOKENS):
                self.forward([kv_row], [row[start : start + CATCH_UP_TOKENS]], keep_last=True)
                kv_row.length += CATCH_UP_TOKENS
        rest = [row[upto:] for row, upto in zip(tokens, done, strict=True)]
        even = len({len(row) for row in rest}) == 1  # then the last column is every row's last token
        logits = self.forward(rows, rest, keep_last=even)  # [B, 1 or q, V]
        for kv_row, row in zip(rows, rest, strict=True):
            kv_row.length += len(row)
        if even:
            return logits[:, -1]
        last = to_device([len(row) - 1 for row in rest], self.device)
        return logits[torch.arange(len(rest), device=self.device), last]

    def _mask(self, window: Window) -> Masks:
        """Build what the network takes as attention mask: one, or one per kind of layer."""
        masks = {kind: self._mask_of_kind(window, span) for kind, span in self._windows.items()}
        return cast("Masks", masks if len(masks) > 1 else masks["full_attention"])  # block masks pass for tensors

    def _mask_of_kind(self, window: Window, span: int | None) -> Tensor | BlockMask | None:
        """None where every query sees every key: one new token a row, rows equally long, no window exceeded."""
        sees_all = window.width == 1 and window.uniform and (span is None or window.end <= span)
        if sees_all and self._own_attention:
            return None
        return window.mask(self.dtype, span)


def _sliding_windows(config: object) -> dict[str, int | None]:
    """Kind of layer → its sliding window, None where it sees everything."""
    span = getattr(config, "sliding_window", None)
    kinds = set(getattr(config, "layer_types", None) or [])
    if "sliding_attention" in kinds:
        return {"full_attention": None, "sliding_attention": span}
    if not kinds and span is not None and getattr(config, "use_sliding_window", True):
        return {"full_attention": span}  # every layer slides, as in Mistral
    return {"full_attention": None}


def _fit(logits: Tensor, vocab_size: int) -> Tensor:
    """Cut or fill the last axis: models pad their vocabularies to round numbers, each to its own."""
    missing = vocab_size - logits.shape[-1]
    if missing <= 0:
        return logits[..., :vocab_size]
    return torch.nn.functional.pad(logits, (0, missing), value=-torch.inf)
