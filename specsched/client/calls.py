"""The unary calls of the public service, for clients of either kind: what is sent, and what comes of the answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from specsched.records import Decision, ModelInfo, Request, RoundRecord, WorkerLoad
from specsched.v1 import scheduler_pb2
from specsched.wire.caller import decide_request_to_proto, decision_from_proto, representable
from specsched.wire.outcome import Outcome, outcome_to_proto
from specsched.wire.worker import load_from_proto, model_from_proto

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ServiceInfo:
    """The target, the drafts and the limits."""

    target: ModelInfo
    drafts: tuple[ModelInfo, ...]
    max_context_tokens: int
    vocab_size: int
    prompt_classes: tuple[str, ...]
    server_version: str


@dataclass(frozen=True, slots=True)
class Loads:
    """How busy a service is."""

    running_requests: int
    queued_requests: int
    workers: tuple[WorkerLoad, ...]


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One call."""

    method: str
    message: Any
    answer: Callable[[Any], T]


def decide(request: Request) -> Call[Decision]:
    """Class, plan and the score of every arm, without generating."""
    return Call("Decide", decide_request_to_proto(request), decision_from_proto)


def report_outcome(request_id: str, rounds: Sequence[RoundRecord], prompt_class: str | None) -> Call[bool]:
    """Whether a report was news."""
    with representable():
        message = outcome_to_proto(Outcome(request_id, tuple(rounds), prompt_class))
    return Call("ReportOutcome", message, lambda answer: bool(answer.recorded))


def abort(request_id: str, tenant: str) -> Call[None]:
    """End a running request."""
    with representable():
        message = scheduler_pb2.AbortRequest(request_id=request_id, tenant=tenant)
    return Call("Abort", message, lambda _answer: None)


def model_info() -> Call[ServiceInfo]:
    """Describe the pool."""
    return Call("GetModelInfo", scheduler_pb2.GetModelInfoRequest(), _info)


def loads() -> Call[Loads]:
    """Say how busy everything is."""
    return Call("GetLoads", scheduler_pb2.GetLoadsRequest(), _loads)


def _info(message: scheduler_pb2.GetModelInfoResponse) -> ServiceInfo:
    return ServiceInfo(
        target=model_from_proto(message.target),
        drafts=tuple(map(model_from_proto, message.drafts)),
        max_context_tokens=message.max_context_tokens,
        vocab_size=message.vocab_size,
        prompt_classes=tuple(message.prompt_classes),
        server_version=message.server_version,
    )


def _loads(message: scheduler_pb2.GetLoadsResponse) -> Loads:
    return Loads(message.running_requests, message.queued_requests, tuple(map(load_from_proto, message.workers)))
