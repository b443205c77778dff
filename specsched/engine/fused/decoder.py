"""The kernel as the engine's decoder: for the Llama family on an x86 CPU, where numba is installed."""

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import structlog
import torch
from torch import Tensor
from transformers import PreTrainedModel

from specsched.engine.kv import RaggedKV, Window
from specsched.engine.kv.rectangles import RectangularKV
from specsched.engine.lean import knows
from specsched.engine.masks import sliding_windows

log = structlog.get_logger()


class FusedDecoder:
    """A network in one call. A row's logits are the same bits whatever its batch, its width and its stretches."""

    kind = "fused"

    def __init__(self, network: Any, kv: RectangularKV) -> None:
        """Take a network's weights over; they are copied, so the network may be dropped."""
        from specsched.engine.fused.kernel import kernel  # noqa: PLC0415 - numba is optional, and slow to import
        from specsched.engine.fused.weights import Weights  # noqa: PLC0415

        self._kernel = kernel()
        self._weights = Weights(network)
        self._vocab_size: int = network.config.vocab_size
        self._rotary = network.model.rotary_emb
        self._turns = np.zeros(0, np.float32)  # [positions · D]
        self._width = int(network.model.layers[0].self_attn.head_dim)
        self._kv = kv
        kv.allocate(network.config.num_key_value_heads, self._width)

    @property
    def memory_bytes(self) -> int:
        """Bytes of the weights as they lie here."""
        return self._weights.memory_bytes

    def __call__(self, ids: Tensor, window: Window, *, keep_last: bool) -> Tensor:
        """Return logits [B, q or 1, V] of tokens [B, q] that go where the window says."""
        return self.ragged(ids.tolist(), window, keep_last=keep_last)

    def ragged(self, tokens: Sequence[Sequence[int]], window: Window, *, keep_last: bool) -> Tensor:
        """Run rows of different lengths, none padded.

        Args:
            tokens: Of B rows, at least one each, starting where the window says.
            window: As wide as the longest row.
            keep_last: Compute logits of each row's last token alone.

        Returns:
            Logits [B, longest row or 1, V], zeros beyond a row's own tokens.
        """
        counts = [1 if keep_last else len(row) for row in tokens]
        packed = torch.empty(sum(counts), self._weights.vocab_room)
        self._run(tokens, window, packed, np.empty((len(tokens), 0), np.int64), keep_last=keep_last)
        if len(set(counts)) == 1:
            return packed.view(len(counts), counts[0], -1)[..., : self._vocab_size]
        rows = packed[:, : self._vocab_size].split(counts)
        return torch.nn.utils.rnn.pad_sequence([*rows], batch_first=True)

    def follow(self, tokens: Sequence[Sequence[int]], window: Window, steps: int, vocab_size: int) -> list[list[int]]:
        """Run new tokens of each row and name its next ones, always the likeliest.

        Args:
            tokens: Of B rows, at least one each, starting where the window says.
            window: As wide as the longest row and `steps` - 1 more.
            steps: How many to name.
            vocab_size: To choose from.

        Returns:
            [B][steps]
        """
        logits = torch.empty(len(tokens), self._weights.vocab_room)
        named = np.empty((len(tokens), steps), np.int64)
        self._run(tokens, window, logits, named, keep_last=True, vocab_size=min(vocab_size, self._vocab_size))
        return named.tolist()

    def _run(
        self,
        tokens: Sequence[Sequence[int]],
        window: Window,
        logits: Tensor,
        named: Any,
        *,
        keep_last: bool,
        vocab_size: int = 0,
    ) -> None:
        if window.end * self._width > self._turns.size:
            self._turns = self._turned(max(256, 2 * window.end))
        weights = self._weights
        ids = [token for row in tokens for token in row]
        assert min(ids) >= 0, "tokens are not negative"
        assert max(ids) < self._vocab_size, "a token that the network does not know: the kernel would read astray"
        batch = np.array((window.rows, window.starts, [len(row) for row in tokens]))
        self._kernel(
            weights.shape,
            weights.norms,
            weights.linears,
            self._turns,
            np.array(ids),
            batch,
            self._kv.addresses,
            self._kv.capacity[1],
            keep_last,
            logits.numpy().reshape(-1),
            vocab_size,
            named,
        )

    def _turned(self, positions: int) -> Any:
        """Cosines, then sines, of so many positions, from the model's own embedding of them."""
        cosine, sine = self._rotary(torch.zeros(1, 1), torch.arange(positions)[None])  # [1, positions, D] each
        half = self._width // 2
        return torch.cat((cosine[0, :, :half], sine[0, :, :half]), 1).float().contiguous().numpy().reshape(-1)


def fused_decoder(network: PreTrainedModel, kv: RaggedKV) -> FusedDecoder | None:
    """Return the compiled forward of a network, None where it is not known to be the same computation."""
    if not isinstance(kv, RectangularKV) or not knows(network):
        return None
    sees_all = all(span is None for span in sliding_windows(network.config).values())
    whole_lanes = network.model.layers[0].self_attn.head_dim % 32 == 0
    return FusedDecoder(network, kv) if sees_all and whole_lanes and _offered() else None


@cache
def _offered() -> bool:
    """Whether this machine can compile and run it; says once why not."""
    if find_spec("numba") is None:
        log.info("fused_forward_missing", reason="numba is not installed; specsched[fast] brings it")
        return False
    if not torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        log.info("fused_forward_missing", reason="needs an x86 CPU with AVX2")
        return False
    return True
