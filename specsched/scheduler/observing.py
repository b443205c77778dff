"""The sentence's last verb: what a request's rounds did goes to its account, policy, meter and logbook."""

from specsched.policy.base import LearnsFromHindsight, Policy
from specsched.policy.endings import Endings
from specsched.records import CapturedCompletion, Chunk, Completion, FinishReason, RoundRecord, TextChunk
from specsched.scheduler.account import Account
from specsched.scheduler.case import Case
from specsched.scheduler.logbook import Logbook
from specsched.scheduler.speed import Speed
from specsched.telemetry.base import Meter
from specsched.telemetry.sinks.base import Sink

CALLER = "caller"
"""Stands for the worker's name in records of rounds that a caller's own engine ran."""


class Observer:
    """Passes on what rounds did."""

    def __init__(self, policy: Policy, meter: Meter, logbook: Logbook, capture: Sink[CapturedCompletion]) -> None:
        self._meter = meter
        self._logbook = logbook
        self._capture = capture
        self._speed = Speed(meter)
        self.endings = Endings()
        """What completions come to."""
        self.follow(policy)

    def follow(self, policy: Policy) -> None:
        """Let another policy learn, also from the rounds of requests that began under the one before."""
        self._policy = policy
        self._looks_back = policy if isinstance(policy, LearnsFromHindsight) else None  # asked here: it is not cheap

    def observe(self, case: Case, account: Account, delta: TextChunk, chunk: Chunk, now: float) -> None:
        """Take in one chunk, as a caller gets it and as it came from a worker.

        Hindsight is learnt with the round that brought it, before anything else happens: the log tells no other order.
        """
        if account.add(now, delta):
            self._meter.first_token(now - account.arrived)
        account.worker_id = chunk.worker_id
        record = delta.round
        if record is None:
            return
        self._policy.observe(case.observation(record))
        if self._looks_back is not None:
            for outcome in chunk.hindsight:
                self._looks_back.look_back(case.hindsight(outcome))
        prompt_class = case.decision.prompt_class
        self._meter.round(case.request.tenant, prompt_class, record)
        plain_seconds = case.plain_seconds(record.batch_size, account.tokens)
        committed = len(delta.token_ids)
        self._speed.observe(prompt_class, record, committed, plain_seconds)
        self._logbook.lived(
            case.logged,
            record,
            worker_id=chunk.worker_id,
            round_index=account.rounds - 1,
            completion_tokens=account.tokens - committed,
            committed_tokens=committed,
            plain_seconds=plain_seconds,
            hindsight=chunk.hindsight,
        )

    def reported(self, case: Case, index: int, completion_tokens: int, record: RoundRecord) -> int:
        """Take in a round that a caller's own engine ran; returns the tokens that it committed.

        Args:
            case: That was decided for the caller.
            index: Of the round.
            completion_tokens: Before it.
            record: The round.
        """
        committed, prompt_class = record.num_accepted + 1, case.decision.prompt_class
        self._policy.observe(case.observation(record))
        self._meter.round(case.request.tenant, prompt_class, record)
        self._speed.observe(prompt_class, record, committed, None)
        self._logbook.lived(
            case.logged,
            record,
            worker_id=CALLER,
            round_index=index,
            completion_tokens=completion_tokens,
            committed_tokens=committed,
            plain_seconds=None,
        )
        return committed

    def complete(self, case: Case, account: Account, completion: Completion) -> None:
        """Take in the end."""
        self.endings.observe(len(completion.token_ids), cut=completion.finish_reason != FinishReason.STOP)
        self._capture.put(case.captured(completion))
        rest = account.tokens - account.first_tokens
        if rest:
            self._meter.token_pace(completion.timings.decode_seconds / rest)
