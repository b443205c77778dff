"""Where the ending of a growing text stood before: an online suffix automaton (Blumer et al. 1985).

The suffix link of the whole text's state is the longest ending that occurs earlier too, so a match costs nothing
beyond keeping the automaton: O(1) amortised a token, whatever the length of match and text.
"""

from collections.abc import Sequence

MIN_MATCH = 2
"""A shorter ending says too little about what follows."""
MAX_TOKENS = 8_192
"""Tokens that are held; a longer text forgets its older half."""
REFRESHED = 16
"""Endings a token, longest first, that are noted as seen here: in a loop there are as many as tokens."""
_ROOT, _NOWHERE = 0, -1


class SuffixIndex:
    """The longest ending of a text that occurs earlier in it, and what followed there.

    Of several occurrences it is the most recent, unless more than `REFRESHED` longer endings recurred there too;
    then it may be an earlier one.
    """

    def __init__(self, max_tokens: int = MAX_TOKENS) -> None:
        """Begin with no text.

        Args:
            max_tokens: Tokens to hold, which bounds the memory: under two states a token.
        """
        self._max_tokens = max_tokens
        self._size = 0
        self._restart(0)

    @property
    def matched(self) -> int:
        """Length of the longest ending that occurs earlier."""
        return self._lengths[self._links[self._last]] if self._last else 0

    def extend(self, tokens: Sequence[int]) -> None:
        """Take in what `tokens` has beyond the text so far."""
        if len(tokens) - self._begin > self._max_tokens:
            self._restart(len(tokens) - self._max_tokens // 2)
        for place in range(self._size, len(tokens)):
            self._append(tokens[place])

    def lookup(self, tokens: Sequence[int], count: int) -> list[int]:
        """Return `count` tokens that followed the longest ending that is known; none without a match.

        Where the match runs into the end of the text it goes on with what it has proposed itself, so a text that
        repeats with a short period is continued, not cut.

        Args:
            tokens: The text, all of it taken in.
            count: Tokens to return.
        """
        assert len(tokens) == self._size, "only what was taken in can be looked up"
        if self.matched < MIN_MATCH:
            return []
        period = len(tokens) - self._after
        return [tokens[self._after + i % period] for i in range(count)]

    def _restart(self, begin: int) -> None:
        self._begin = self._size = begin
        self._last = _ROOT
        self._after = begin  # what followed the match
        self._nexts: list[dict[int, int]] = [{}]  # by state: token → state
        self._links = [_NOWHERE]  # by state: the longest ending of it that occurs elsewhere too
        self._lengths = [0]  # by state: tokens of its longest string
        self._ends = [begin]  # by state: where it was seen last, as the place behind it

    def _append(self, token: int) -> None:
        self._size += 1
        state = self._add({}, _ROOT, self._lengths[self._last] + 1, self._size)
        before = self._last
        while before != _NOWHERE and token not in self._nexts[before]:
            self._nexts[before][token] = state
            before = self._links[before]
        if before != _NOWHERE:
            self._links[state] = self._exactly(before, token)
        self._last = state
        self._see(self._links[state])

    def _exactly(self, before: int, token: int) -> int:
        """Return the state whose longest string is that of `before` and the token; split it off where it must be."""
        found, length = self._nexts[before][token], self._lengths[before] + 1
        if self._lengths[found] == length:
            return found
        split = self._add(dict(self._nexts[found]), self._links[found], length, self._ends[found])
        self._links[found] = split
        while before != _NOWHERE and self._nexts[before].get(token) == found:
            self._nexts[before][token] = split
            before = self._links[before]
        return split

    def _see(self, match: int) -> None:
        """Remember where the match was before, then that it and its own endings are here now."""
        self._after = self._ends[match]
        for _ in range(REFRESHED):
            if match == _ROOT:
                return
            self._ends[match] = self._size
            match = self._links[match]

    def _add(self, nexts: dict[int, int], link: int, length: int, end: int) -> int:
        self._nexts.append(nexts)
        self._links.append(link)
        self._lengths.append(length)
        self._ends.append(end)
        return len(self._links) - 1
