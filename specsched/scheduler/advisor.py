"""Advisor mode: callers decide here, run elsewhere, and report."""

from collections.abc import Callable, Sequence

from specsched.classify.feedback import ClassFeedback
from specsched.records import RoundRecord
from specsched.scheduler.advice import Advice
from specsched.scheduler.case import Case
from specsched.scheduler.observing import Observer


class Advisor:
    """Learns from rounds that callers' own engines ran, exactly as from our workers'."""

    def __init__(self, advice: Advice, observer: Observer, feedback: ClassFeedback) -> None:
        self._advice = advice
        self._observer = observer
        self._feedback = feedback

    @property
    def feedback(self) -> ClassFeedback:
        """Takes callers' labels, and takes back what they brought about."""
        return self._feedback

    def decided(self, case: Case) -> None:
        """Let a decision be reported on."""
        self._advice.decided(case)

    def report(
        self, request_id: str, rounds: Sequence[RoundRecord], prompt_class: str | None, sees: Callable[[str], bool]
    ) -> bool:
        """Learn from what became of a decision; returns whether it was news.

        Args:
            request_id: That was decided.
            rounds: In order, checked.
            prompt_class: The prompt's true class, where the caller knows it.
            sees: Whether the caller may know of a tenant's requests.

        Raises:
            UnknownRequest: never decided, too long ago, or for somebody else.
        """
        case = self._advice.report(request_id, sees)
        if case is None:
            return False
        tokens = 0
        for index, record in enumerate(rounds):
            tokens += self._observer.reported(case, index, tokens, record)
        if prompt_class is not None:
            self._feedback.told(case.reading.said, prompt_class, case.request.tenant)
        return True
