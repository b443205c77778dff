"""Models that cost nothing, so that what an engine's rounds cost besides can be measured alone. A shipped fake."""

from collections.abc import Sequence

from torch import Tensor

from specsched.engine.kv import KVRow
from specsched.engine.kv.rectangles import RectangularKV
from specsched.engine.model import LanguageModel


class NullModel(LanguageModel):
    """Says prepared logits, the same at every position of every row: as target and draft it agrees with itself."""

    def __init__(self, logits: Tensor, max_rows: int, max_width: int, max_context_tokens: int) -> None:
        """Prepare.

        Args:
            logits: [V].
            max_rows: Rows that may be open at once.
            max_width: New tokens of a row that logits may be asked of.
            max_context_tokens: That it claims to take.
        """
        self.id = self.kind = self.weights = "null"
        self.vocab_size = len(logits)
        self.max_context_tokens = max_context_tokens
        self.device, self.dtype = logits.device, logits.dtype
        self.kv = RectangularKV(0, max_rows)
        self._likeliest = int(logits.argmax())
        self._logits = logits.repeat(max_rows, max_width, 1)  # [B, q, V]

    def memory_bytes(self) -> int:
        """Nothing."""
        return 0

    def num_parameters(self) -> int:
        """None."""
        return 0

    def forward(self, rows: Sequence[KVRow], tokens: Sequence[Sequence[int]], *, keep_last: bool = False) -> Tensor:
        """Hand them out, [B, q or 1, V]."""
        return self._logits[: len(rows), : 1 if keep_last else max(map(len, tokens))]

    def step(self, rows: Sequence[KVRow], ids: Tensor) -> Tensor:  # noqa: ARG002 - the model's signature
        """Lengthen the rows, and hand them out, [B, V]."""
        for row in rows:
            row.length += 1
        return self._logits[: len(rows), 0]

    def catch_up(self, rows: Sequence[KVRow], tokens: Sequence[Sequence[int]]) -> Tensor:
        """Lengthen the rows, and hand them out, [B, V]."""
        for row, new in zip(rows, tokens, strict=True):
            row.length += len(new)
        return self._logits[: len(rows), 0]

    @property
    def follows(self) -> bool:
        """As the compiled forward does."""
        return True

    def follow(self, rows: Sequence[KVRow], tokens: Sequence[Sequence[int]], steps: int) -> list[list[int]]:
        """Lengthen the rows, and name the likeliest token again and again."""
        for row, new in zip(rows, tokens, strict=True):
            row.length += len(new)
        return [[self._likeliest] * steps for _ in rows]
