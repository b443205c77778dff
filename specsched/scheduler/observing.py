"""The sentence's last verb: what a request's rounds did goes to its account, to the policy and to the meter."""

from specsched.policy.base import Policy
from specsched.records import Completion, TextChunk
from specsched.scheduler.account import Account
from specsched.scheduler.case import Case
from specsched.scheduler.speed import Speed
from specsched.telemetry.base import Meter


class Observer:
    """Passes on what rounds did."""

    def __init__(self, policy: Policy, meter: Meter) -> None:
        self._policy = policy
        self._meter = meter
        self._speed = Speed(meter)

    def observe(self, case: Case, account: Account, delta: TextChunk, now: float) -> None:
        """Take in one chunk."""
        if account.add(now, delta):
            self._meter.first_token(now - account.arrived)
        record = delta.round
        if record is None:
            return
        self._policy.observe(case.observation(record))
        prompt_class = case.decision.prompt_class
        self._meter.round(prompt_class, record)
        plain_seconds = case.plain_seconds(record.batch_size, account.tokens)
        self._speed.observe(prompt_class, record, len(delta.token_ids), plain_seconds)

    def complete(self, account: Account, completion: Completion) -> None:
        """Take in the end."""
        rest = account.tokens - account.first_tokens
        if rest:
            self._meter.token_pace(completion.timings.decode_seconds / rest)
