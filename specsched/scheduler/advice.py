"""Decisions that callers may still report on: bounded in number and in time."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from specsched.errors import UnknownRequest
from specsched.records import TextPrompt
from specsched.scheduler.case import Case

_KEPT = 10_000
_SECONDS = 900.0
_SIDE_CHARACTERS = 2_048
"""Of a prompt's head and of its tail."""


@dataclass(slots=True)
class _Given:
    """One decision."""

    case: Case
    expires: float
    reported: bool = False


class Advice:
    """Remembers decisions, oldest first. A prompt is kept as far as a classifier looks at it."""

    def __init__(
        self, kept: int = _KEPT, seconds: float = _SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin with none.

        Args:
            kept: Decisions that are remembered at most.
            seconds: How long each is.
            clock: Monotonic seconds.
        """
        self._kept = kept
        self._seconds = seconds
        self._clock = clock
        self._given: OrderedDict[str, _Given] = OrderedDict()

    def __len__(self) -> int:
        return len(self._given)

    def decided(self, case: Case) -> None:
        """Remember a decision; one of the same id is replaced."""
        self._expire()
        name = case.request.request_id
        self._given[name] = _Given(_slim(case), self._clock() + self._seconds)
        self._given.move_to_end(name)
        if len(self._given) > self._kept:
            self._given.popitem(last=False)

    def report(self, request_id: str, sees: Callable[[str], bool]) -> Case | None:
        """Return what a report is about, once; None when it was reported before.

        Args:
            request_id: Of the decision.
            sees: Whether whoever reports may know of a tenant's requests.

        Raises:
            UnknownRequest: it was never decided, too long ago, or for somebody else.
        """
        self._expire()
        given = self._given.get(request_id)
        if given is None or not sees(given.case.request.tenant):
            raise UnknownRequest(f"no decision {request_id} is known; it may have expired")
        if given.reported:
            return None
        given.reported = True
        return given.case

    def _expire(self) -> None:
        now = self._clock()
        while self._given and next(iter(self._given.values())).expires <= now:
            self._given.popitem(last=False)


def head_and_tail(text: str) -> str:
    """What a classifier looks at of a prompt."""
    if len(text) <= 2 * _SIDE_CHARACTERS:
        return text
    return f"{text[:_SIDE_CHARACTERS]}\n{text[-_SIDE_CHARACTERS:]}"


def _slim(case: Case) -> Case:
    """Without the prompt's tokens; without costs, since the rounds are not our workers'."""
    reading = replace(case.reading, token_ids=(), text="", said=head_and_tail(case.reading.said))
    return replace(case, request=replace(case.request, prompt=TextPrompt("")), reading=reading, costs=None)
