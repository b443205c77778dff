"""Token ids → text, as they come."""

from collections.abc import Sequence
from typing import Protocol

UNFINISHED = "\N{REPLACEMENT CHARACTER}"
"""What a decoder puts in place of bytes that are no whole character (yet)."""


class Decoder(Protocol):
    """Ids → text."""

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of ids."""
        ...


class Detokenizer:
    """Turns one completion's tokens into text that never changes again.

    A token's text depends on its neighbours (a leading space, a character cut in two), so each step decodes a
    short window and emits what the new tokens add to it: the tokens from `_prefix` on, of which those before
    `_read` have been emitted. The scheme of text-generation-inference and vLLM.
    """

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._ids: list[int] = []
        self._prefix = 0
        self._read = 0

    def push(self, token_ids: Sequence[int]) -> str:
        """Return the text that these tokens finish; nothing of a character that is incomplete."""
        known = len(self._ids)
        self._ids.extend(token_ids)
        text = self._pending()
        if not text.endswith(UNFINISHED):
            return self._emit(text)
        if len(token_ids) == 1:
            return ""
        del self._ids[known:]
        return "".join(self.push((token,)) for token in token_ids)  # some of them may finish something

    def flush(self) -> str:
        """Return what was held back, as the decoder shows it. The completion has ended."""
        return self._emit(self._pending())

    def _pending(self) -> str:
        emitted = self._decoder.decode(self._ids[self._prefix : self._read])
        window = self._decoder.decode(self._ids[self._prefix :])
        return window[len(emitted) :]

    def _emit(self, text: str) -> str:
        # Tokens without text (special ones) stay in the window, or the next token would lose its neighbour.
        if text:
            self._prefix, self._read = self._read, len(self._ids)
        return text
