"""A causal language model over ragged rows: the models are transformers', the batching is ours."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from specsched.engine.decoders import WAYS, Way, choose_decoder
from specsched.engine.fused.decoder import FusedDecoder
from specsched.engine.inference import inferring
from specsched.engine.int8 import packed_parameters
from specsched.engine.kv import KVRow, RaggedKV, Window
from specsched.engine.kv.rectangles import RectangularKV
from specsched.engine.support import check_supported
from specsched.engine.transfer import to_device

CATCH_UP_TOKENS = 512
"""Longest stretch of tokens that one forward takes in."""


class LanguageModel:
    """Network and KV of one model. A forward writes KV but lengthens no row; `KVRow.length` belongs to the caller."""

    def __init__(
        self,
        network: PreTrainedModel,
        model_id: str,
        *,
        max_rows: int,
        vocab_size: int | None = None,
        weights: str = "",
        make_kv: Callable[[int, int], RaggedKV] = RectangularKV,
        ways: Sequence[Way] = WAYS,
    ) -> None:
        """Wrap a network.

        Args:
            network: Any causal language model of transformers with positional KV. It is taken over: its attention
                function and its weights' strides are changed.
            model_id: For error messages.
            max_rows: Rows that may be open at once.
            vocab_size: Width of the logits; the network's own is cut or filled with -inf to it.
            weights: Names what it computes with: of models of one name only one need read a text. Its id by default.
            make_kv: Makes its storage from the numbers of layers and of rows.
            ways: To compute a forward, the best first.

        Raises:
            UnsupportedModel: its state cannot be rolled back.
        """
        check_supported(network, model_id)
        config = network.config.get_text_config()
        self._parameters = int(network.num_parameters()) + packed_parameters(network)
        self.id = model_id
        self.weights = weights or model_id
        self.kind: str = config.model_type
        self.vocab_size = vocab_size or config.vocab_size
        self.max_context_tokens: int = config.max_position_embeddings
        self.device: torch.device = network.device
        self.dtype: torch.dtype = network.dtype
        self.kv = make_kv(config.num_hidden_layers, max_rows)
        self._decode = choose_decoder(network.eval(), self.kv, ways)

    def memory_bytes(self) -> int:
        """Bytes of the weights."""
        return self._decode.memory_bytes

    @property
    def forward_kind(self) -> str:
        """Which way forwards are computed: part of what makes two workers' numbers equal."""
        return self._decode.kind

    def num_parameters(self) -> int:
        """Weights, tied ones counted once."""
        return self._parameters

    @inferring
    def forward(self, rows: Sequence[KVRow], tokens: Sequence[Sequence[int]], *, keep_last: bool = False) -> Tensor:
        """Run new tokens of each row; shorter rows are padded on the right, at the latest in what is returned.

        Args:
            rows: B distinct rows.
            tokens: New tokens of each, at least one, starting at the row's length.
            keep_last: Compute logits of the last column alone.

        Returns:
            Float logits [B, q, vocab_size], q the longest row's number of new tokens (1 with `keep_last`).
            Entries beyond a row's own tokens are rubbish.
        """
        width = max(map(len, tokens))
        if isinstance(self._decode, FusedDecoder):
            window = self.kv.prepare(rows, width, self.device)
            return _fit(self._decode.ragged(tokens, window, keep_last=keep_last), self.vocab_size)
        ids = to_device([[*row, *([0] * (width - len(row)))] for row in tokens], self.device)  # [B, q]
        return self.run(ids, self.kv.prepare(rows, width, self.device), keep_last=keep_last)

    def run(self, ids: Tensor, window: Window, *, keep_last: bool = False) -> Tensor:
        """Run what stands on the device already, [B, q], on a window that is prepared; else as `forward`."""
        return _fit(self._decode(ids, window, keep_last=keep_last).float(), self.vocab_size)

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
        rest = self._take_in(rows, tokens)
        even = len({len(row) for row in rest}) == 1  # then the last column is every row's last token
        logits = self.forward(rows, rest, keep_last=even)  # [B, 1 or q, V]
        for kv_row, row in zip(rows, rest, strict=True):
            kv_row.length += len(row)
        if even:
            return logits[:, -1]
        last = to_device([len(row) - 1 for row in rest], self.device)
        return logits[torch.arange(len(rest), device=self.device), last]

    @property
    def follows(self) -> bool:
        """Whether it can `follow`."""
        return isinstance(self._decode, FusedDecoder)

    def follow(self, rows: Sequence[KVRow], tokens: Sequence[Sequence[int]], steps: int) -> list[list[int]]:
        """Catch up (arguments as there), then name each row's next tokens, always the likeliest, in one call.

        Returns:
            [B][steps]; the caller lengthens the rows by as many as it takes.
        """
        assert isinstance(self._decode, FusedDecoder), "a forward that cannot go on by itself"
        rest = self._take_in(rows, tokens)
        window = self.kv.prepare(rows, max(map(len, rest)) + steps - 1, self.device)
        named = self._decode.follow(rest, window, steps, self.vocab_size)
        for kv_row, row in zip(rows, rest, strict=True):
            kv_row.length += len(row)
        return named

    def _take_in(self, rows: Sequence[KVRow], tokens: Sequence[Sequence[int]]) -> list[Sequence[int]]:
        """Run all but the last stretch of each row, and return these."""
        done = [max(0, (len(row) - 1) // CATCH_UP_TOKENS * CATCH_UP_TOKENS) for row in tokens]
        for kv_row, row, upto in zip(rows, tokens, done, strict=True):
            for start in range(0, upto, CATCH_UP_TOKENS):
                self.forward([kv_row], [row[start : start + CATCH_UP_TOKENS]], keep_last=True)
                kv_row.length += CATCH_UP_TOKENS
        return [row[upto:] for row, upto in zip(tokens, done, strict=True)]


def _fit(logits: Tensor, vocab_size: int) -> Tensor:
    """Cut or fill the last axis: models pad their vocabularies to round numbers, each to its own."""
    missing = vocab_size - logits.shape[-1]
    if missing <= 0:
        return logits[..., :vocab_size]
    return torch.nn.functional.pad(logits, (0, missing), value=-torch.inf)
