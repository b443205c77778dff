"""Windows of a fixed length, packed from shuffled documents, the same for the same seed and position."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from specsched.modelkit.tokens import NO_DOCUMENTS, Documents, TokenArray


@dataclass(slots=True)
class ClassStream:
    """An endless stream of one class's tokens; each epoch shuffles the documents anew.

    `position` (tokens taken) is its whole state.
    """

    documents: Documents
    seed: tuple[int, ...]
    position: int = 0
    _epoch: int = field(default=-1, init=False)
    _tokens: TokenArray = field(init=False)

    def take(self, count: int) -> NDArray[np.int64]:
        """The next `count` tokens."""
        taken = np.empty(count, np.int64)
        filled = 0
        while filled < count:
            epoch, offset = divmod(self.position, len(self.documents.ids))
            self._shuffle(epoch)
            piece = self._tokens[offset : offset + count - filled]
            taken[filled : filled + len(piece)] = piece
            filled += len(piece)
            self.position += len(piece)
        return taken

    def _shuffle(self, epoch: int) -> None:
        if epoch != self._epoch:
            self._tokens = self.documents.shuffled(np.random.default_rng((*self.seed, epoch)))
            self._epoch = epoch


class PackedStream:
    """Windows over all classes, one class after another, so that none starves; a share of them is of repeats."""

    def __init__(
        self, documents: Mapping[str, Documents], seed: int, repeats: Documents = NO_DOCUMENTS, share: float = 0.0
    ) -> None:
        self._streams = [ClassStream(documents[name], (seed, index)) for index, name in enumerate(sorted(documents))]
        self._repeats = ClassStream(repeats, (seed, len(documents)))
        self._share = share
        self._windows = 0

    def batch(self, rows: int, window: int) -> NDArray[np.int64]:
        """The next windows, [rows, window]."""
        return np.stack([self._next().take(window) for _ in range(rows)])

    def _next(self) -> ClassStream:
        repeats, with_this = int(self._share * self._windows), int(self._share * (self._windows + 1))
        turn = self._windows - repeats
        self._windows += 1
        return self._repeats if with_this > repeats else self._streams[turn % len(self._streams)]

    @property
    def state(self) -> list[int]:
        """Where the stream stands: windows drawn, then every class's position, then that of the repeats."""
        return [self._windows, *(stream.position for stream in (*self._streams, self._repeats))]

    @state.setter
    def state(self, state: list[int]) -> None:
        self._windows = state[0]
        for stream, position in zip((*self._streams, self._repeats), state[1:], strict=True):
            stream.position = position
