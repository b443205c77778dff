"""Which drafts stay in memory: those that win most tokens per byte."""

from collections import defaultdict
from collections.abc import Mapping

_MEMORY = 0.995
"""Of what was won, a round later: some two hundred rounds count."""

_MARGIN = 1.5
"""How much more useful than those that leave a draft has to be: loading is work, and two equals must not take turns."""

_MOST_DEMAND = 4.0
"""Rounds of demand, at least, before an evicted draft is loaded again."""

_UNKNOWN_ACCEPTED = 1.0
"""Tokens a round that a draft wins of which nothing is known yet."""


class Residency:
    """Weighs drafts by the tokens that they won lately, or would have won, in the memory that they have together."""

    def __init__(self, limit_bytes: int) -> None:
        """Begin without experience.

        Args:
            limit_bytes: Memory of all drafts together; 0 has no limit.
        """
        self._limit_bytes = limit_bytes
        self._won: dict[str, float] = defaultdict(float)
        self._missed: dict[str, float] = defaultdict(float)
        self._accepted: dict[str, float] = {}
        """Tokens a round that each last won, smoothed."""

    def begin_round(self) -> None:
        """Forget a little."""
        for book in (self._won, self._missed):
            for name in book:
                book[name] *= _MEMORY

    def won(self, name: str, tokens: int) -> None:
        """Count a row's round with a resident draft."""
        self._won[name] += tokens
        known = self._accepted.get(name, float(tokens))
        self._accepted[name] = known + 0.1 * (tokens - known)

    def missed(self, name: str) -> None:
        """Count a row's round that asked for a draft that was not in memory."""
        self._missed[name] += 1.0

    def wanted(self) -> list[str]:
        """Drafts that were asked for and were not there, most useful first."""
        asked = [name for name, rounds in self._missed.items() if rounds >= _MOST_DEMAND]
        return sorted(asked, key=self._worth, reverse=True)

    def loaded(self, name: str) -> None:
        """Carry what was missed over: a draft that has just come has to show its use before it can leave again."""
        self._won[name] += self._missed.pop(name, 0.0) * self._accepted.get(name, _UNKNOWN_ACCEPTED)

    def given_up(self, name: str) -> None:
        """Ask for a draft no longer: it is to stay out, or cannot be loaded."""
        self._missed.pop(name, None)

    def fits(self, needed_bytes: int, resident: Mapping[str, int]) -> bool:
        """Say whether there is room beside the resident drafts, whose bytes are given."""
        return not self._limit_bytes or sum(resident.values()) + needed_bytes <= self._limit_bytes

    def victims(self, name: str, needed_bytes: int, resident: Mapping[str, int]) -> list[str] | None:
        """Return who has to leave for a draft, least useful first; None where that would not pay."""
        staying = dict(resident)
        leaving: list[str] = []
        while staying and not self.fits(needed_bytes, staying):
            leaving.append(self.least_useful(staying))
            del staying[leaving[-1]]
        lost = sum(self._won[other] for other in leaving)
        pays = self.fits(needed_bytes, staying) and (not leaving or self._worth(name) > _MARGIN * lost)
        return leaving if pays else None

    def least_useful(self, resident: Mapping[str, int]) -> str:
        """Return the draft that won least per byte; what takes no memory comes last."""
        return min(resident, key=lambda name: (not resident[name], self._won[name] / max(1, resident[name])))

    def _worth(self, name: str) -> float:
        return self._won[name] + self._missed[name] * self._accepted.get(name, _UNKNOWN_ACCEPTED)
