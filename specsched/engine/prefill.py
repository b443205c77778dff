"""Taking prompts in: what is known already is reused, the rest comes stretch by stretch between rounds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from specsched.engine.kv.prefix import PrefixCache
from specsched.engine.marks import Marks
from specsched.engine.model import LanguageModel
from specsched.engine.pace import Pace
from specsched.engine.row import Row


@dataclass(frozen=True, slots=True)
class _Taken:
    """A stretch that was taken in."""

    positions: int
    """Laid out, padding included."""
    began: Any
    ended: Any
    beside: bool


class Prefill:
    """Takes rows' prompts in, one forward a step. A row's last token is left for its first round."""

    def __init__(
        self,
        target: LanguageModel,
        prefixes: PrefixCache,
        chunk_tokens: int,
        clock: Callable[[], float],
        marks: Marks,
    ) -> None:
        """Make one.

        Args:
            target: Reads the prompts.
            prefixes: Heads that were read before.
            chunk_tokens: Positions that one step lays out at most.
            clock: Monotonic seconds.
            marks: Times what the device does.
        """
        self._target = target
        self._prefixes = prefixes
        self._clock = clock
        self._marks = marks
        self._taken: _Taken | None = None
        self.pace = Pace(chunk_tokens)

    def step(self, unread: Sequence[Row], *, beside: bool) -> None:
        """Take in a stretch of as many rows as the pace allows.

        Args:
            unread: Rows that are not ready for a round.
            beside: Whether other rows decode, and wait for this.
        """
        for row in unread:
            if not row.kv.length:
                self._begin(row)
        rows, stretches = self._chosen([row for row in unread if row.unread > 1], self.pace.positions(beside=beside))
        if not rows:
            return
        began = self._marks.now()
        self._target.forward([row.kv for row in rows], stretches, keep_last=True)
        for row, stretch in zip(rows, stretches, strict=True):
            row.kv.length += len(stretch)
        self._taken = _Taken(len(rows) * max(map(len, stretches)), began, self._marks.now(), beside)

    def settle(self) -> None:
        """Learn what the last stretch took: after the step's round, when a device has nothing left to wait for."""
        if self._taken is not None:
            taken, self._taken = self._taken, None
            seconds = self._marks.between(taken.began, taken.ended)
            self.pace.observe_prefill(taken.positions, seconds, beside=taken.beside)

    def learn(self, row: Row, room_tokens: int) -> None:
        """Keep what a row has read and said, for those that begin like it."""
        self._prefixes.learn(row.kv, row.job.tenant, row.tokens, room_tokens)

    def _begin(self, row: Row) -> None:
        reused = self._prefixes.reuse(row.kv, row.job.tenant, row.tokens)
        row.cached_tokens = min(reused, len(row.job.prompt_ids))

    def _chosen(self, unread: Sequence[Row], budget: int) -> tuple[list[Row], list[list[int]]]:
        """Choose who is taken in: the shortest first, but a row grows shorter by all that could be read as it waits.

        So a short prompt overtakes a long one, and nobody is overtaken for ever.
        """
        now, speed = self._clock(), self.pace.tokens_per_second
        rows: list[Row] = []
        stretches: list[list[int]] = []
        widest = 0
        for row in sorted(unread, key=lambda row: row.unread - speed * (now - row.started)):
            stretch = row.tokens[row.kv.length : len(row.tokens) - 1][:budget]
            widest = max(widest, len(stretch))
            if rows and widest * (len(rows) + 1) > budget:
                break
            rows.append(row)
            stretches.append(stretch)
        return rows, stretches
