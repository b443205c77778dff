"""What a request did, added up round by round."""

from collections import Counter
from dataclasses import dataclass, field

from specsched.records import SpeculationMetrics, TextChunk, Timings


@dataclass(slots=True)
class Account:
    """Times and rounds of one request."""

    arrived: float
    dispatched: float
    first_chunk: float | None = None
    last_chunk: float | None = None
    cached_tokens: int = 0
    tokens: int = 0
    rounds: int = 0
    worker_id: str = ""
    """Where the last round ran."""
    first_tokens: int = 0
    """Of the first chunk that had any."""
    _rounds: Counter[tuple[int, int]] = field(default_factory=Counter)
    """(gamma, accepted) → rounds."""

    def add(self, now: float, delta: TextChunk) -> bool:
        """Count one chunk; returns whether it brought the first token."""
        first = not self.tokens and bool(delta.token_ids)
        self.first_chunk = now if self.first_chunk is None else self.first_chunk
        self.last_chunk = now
        self.tokens += len(delta.token_ids)
        self.first_tokens = self.first_tokens or len(delta.token_ids)
        self.rounds += delta.round is not None
        if delta.round is not None and delta.round.gamma:
            self._rounds[delta.round.gamma, delta.round.num_accepted] += 1
        return first

    def metrics(self) -> SpeculationMetrics:
        """Return vLLM's figures."""
        by_length = {
            gamma: tuple(self._rounds[gamma, n] for n in range(gamma + 1))
            for gamma in sorted({g for g, _ in self._rounds})
        }
        longest = max(by_length, default=-1)
        return SpeculationMetrics(
            num_spec_steps=self._rounds.total(),
            num_draft_tokens=sum(gamma * count for (gamma, _), count in self._rounds.items()),
            num_accepted_draft_tokens=sum(n * count for (_, n), count in self._rounds.items()),
            acceptance_histogram=tuple(
                sum(counts[n] for counts in by_length.values() if n < len(counts)) for n in range(longest + 1)
            ),
            acceptance_histogram_by_draft_length=by_length,
        )

    def timings(self, completion_tokens: int) -> Timings:
        """Where the time went."""
        first = self.arrived if self.first_chunk is None else self.first_chunk
        last = first if self.last_chunk is None else self.last_chunk
        spent = last - self.dispatched
        return Timings(
            queue_seconds=self.dispatched - self.arrived,
            time_to_first_token_seconds=first - self.arrived,
            decode_seconds=last - first,
            tokens_per_second=completion_tokens / spent if spent > 0 else 0.0,
        )
