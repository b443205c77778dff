"""How quick the rounds of late were, per prompt class, and how quick plain decoding would have been."""

from collections import defaultdict
from dataclasses import dataclass

from specsched.records import RoundRecord
from specsched.telemetry.base import Meter

_KEEP = 0.99
"""What is left of a round after the next one of its kind: a hundred rounds count."""


@dataclass(slots=True)
class Ratio:
    """A ratio of two sums in which old rounds fade."""

    above: float = 0.0
    below: float = 0.0

    def add(self, above: float, below: float) -> float:
        """Add a round, of which `below` is positive; returns the ratio."""
        self.above = _KEEP * self.above + above
        self.below = _KEEP * self.below + below
        return self.above / self.below


class Speed:
    """Goodput of a row: committed tokens by its rounds' measured seconds. Waiting and prompts are not in it.

    Plain decoding is not played to be known: it commits one token in the time of a verification of one position per
    row, which the worker has profiled. Both are of the same rounds, so their ratio is the speed-up.
    """

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._goodput: dict[str, Ratio] = defaultdict(Ratio)
        self._speedup: dict[str, Ratio] = defaultdict(Ratio)
        self._plain = Ratio()

    def observe(self, prompt_class: str, record: RoundRecord, tokens: int, plain_seconds: float | None) -> None:
        """Take a round.

        Args:
            prompt_class: Of its request.
            record: What the worker says of it.
            tokens: Committed.
            plain_seconds: Of a plain round of the same rows; None when nobody knows.
        """
        seconds = record.propose_seconds + record.verify_seconds
        if seconds <= 0 or tokens == 0:
            return
        self._meter.goodput(prompt_class, self._goodput[prompt_class].add(tokens, seconds))
        if plain_seconds:
            self._meter.speedup(prompt_class, self._speedup[prompt_class].add(tokens * plain_seconds, seconds))
            self._meter.plain_decoding(self._plain.add(tokens, tokens * plain_seconds))
