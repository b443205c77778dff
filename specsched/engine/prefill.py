"""Taking prompts in: what is known already is reused, the rest comes stretch by stretch between rounds."""

from collections.abc import Callable, Sequence

from specsched.engine.kv.prefix import PrefixCache
from specsched.engine.model import LanguageModel
from specsched.engine.pace import Pace
from specsched.engine.row import Row


class Prefill:
    """Takes rows' prompts in, one forward a step. A row's last token is left for its first round."""

    def __init__(
        self, target: LanguageModel, prefixes: PrefixCache, chunk_tokens: int, clock: Callable[[], float]
    ) -> None:
        """Make one.

        Args:
            target: Reads the prompts.
            prefixes: Heads that were read before.
            chunk_tokens: Positions that one step lays out at most.
            clock: Monotonic seconds.
        """
        self._target = target
        self._prefixes = prefixes
        self._clock = clock
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
        started = self._clock()
        self._target.forward([row.kv for row in rows], stretches, keep_last=True)
        for row, stretch in zip(rows, stretches, strict=True):
            row.kv.length += len(stretch)
        laid_out = len(rows) * max(map(len, stretches))
        self.pace.observe_prefill(laid_out, self._clock() - started, beside=beside)

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
