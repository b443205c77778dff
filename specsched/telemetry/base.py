"""The meter's port: what a scheduler counts and measures, whoever reads it."""

from collections.abc import Sequence
from typing import Protocol

from specsched.records import Decision, RoundRecord, WorkerLoad


class Meter(Protocol):
    """Takes figures as they come. Called on the event loop, every round: never blocks, never raises."""

    def classified(self, seconds: float) -> None:
        """A prompt was classified."""
        ...

    def decided(self, decision: Decision, seconds: float) -> None:
        """The policy decided."""
        ...

    def rejected(self, reason: str) -> None:
        """A request was turned away before it was dispatched; `reason` is the error's."""
        ...

    def dispatched(self, waited_seconds: float) -> None:
        """A request goes to a worker, so long after it arrived."""
        ...

    def queued(self, requests: int) -> None:
        """So many requests wait for a row of a worker now."""
        ...

    def first_token(self, seconds: float) -> None:
        """A request's first token came, so long after it arrived."""
        ...

    def token_pace(self, seconds: float) -> None:
        """A completion took so long for each token after those of its first round."""
        ...

    def loads(self, loads: Sequence[WorkerLoad]) -> None:
        """The ready workers are so busy now."""
        ...

    def profiled(self) -> None:
        """A worker measured its costs anew."""
        ...

    def round(self, tenant: str, prompt_class: str, record: RoundRecord) -> None:
        """A round of a request of this tenant and class was committed."""
        ...

    def goodput(self, prompt_class: str, tokens_per_second: float) -> None:
        """Committed tokens per second of a row of this class, of late."""
        ...

    def speedup(self, prompt_class: str, ratio: float) -> None:
        """What plain decoding would have taken for the same rounds, by what they took."""
        ...

    def plain_decoding(self, tokens_per_second: float) -> None:
        """Tokens per second that plain decoding would have given a row in the rounds of late."""
        ...


class NullMeter:
    """Takes everything and keeps nothing."""

    def classified(self, seconds: float) -> None:
        """Nothing."""

    def decided(self, decision: Decision, seconds: float) -> None:
        """Nothing."""

    def rejected(self, reason: str) -> None:
        """Nothing."""

    def dispatched(self, waited_seconds: float) -> None:
        """Nothing."""

    def queued(self, requests: int) -> None:
        """Nothing."""

    def first_token(self, seconds: float) -> None:
        """Nothing."""

    def token_pace(self, seconds: float) -> None:
        """Nothing."""

    def loads(self, loads: Sequence[WorkerLoad]) -> None:
        """Nothing."""

    def profiled(self) -> None:
        """Nothing."""

    def round(self, tenant: str, prompt_class: str, record: RoundRecord) -> None:
        """Nothing."""

    def goodput(self, prompt_class: str, tokens_per_second: float) -> None:
        """Nothing."""

    def speedup(self, prompt_class: str, ratio: float) -> None:
        """Nothing."""

    def plain_decoding(self, tokens_per_second: float) -> None:
        """Nothing."""
