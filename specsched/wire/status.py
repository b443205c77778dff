"""Errors ↔ google.rpc.Status: the only place that knows how an exception looks on the wire."""

import uuid
from collections.abc import Mapping, Sequence

import grpc
import structlog
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from specsched.errors import (
    CallFailed,
    CapacityError,
    DeadlinePassed,
    DuplicateRequest,
    InvalidRequest,
    JobFailed,
    NotOffered,
    Overloaded,
    PermissionDenied,
    PoisonRequest,
    QuotaExceeded,
    SetupError,
    SpecschedError,
    Unauthenticated,
    Unavailable,
    UnknownRequest,
    Violation,
)

log = structlog.get_logger()

DOMAIN = "specsched"
DETAILS_KEY = "grpc-status-details-bin"
PUSHBACK_KEY = "grpc-retry-pushback-ms"

# Peers drop trailers above 8 KiB, and the status with them. The message stands in them twice, the details in base64.
_MESSAGE_BYTES = 1_000
_VIOLATIONS_BYTES = 3_000
_FIELD_BYTES = 200
_DESCRIPTION_BYTES = 500

Trailer = tuple[tuple[str, str | bytes], ...]


def status_of(error: Exception) -> tuple[grpc.StatusCode, str, Trailer]:
    """Return code, message and trailing metadata for an error.

    What was raised on purpose is told, as far as a trailer holds it; anything else is logged under an id, and only
    the id is told.
    """
    if not isinstance(error, SpecschedError):
        error_id = uuid.uuid4().hex[:12]
        log.error("unforeseen_error", error_id=error_id, exc_info=error)
        return _packed(grpc.StatusCode.INTERNAL, f"internal error {error_id}", [_info("INTERNAL", error_id=error_id)])
    details: list[Message] = [_info(error.reason)]
    if isinstance(error, InvalidRequest) and error.violations:
        details.append(_bad_request(error.violations))
    if isinstance(error, CapacityError):
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(round(error.retry_after_seconds * 1000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
        code, message, trailer = _packed(grpc.StatusCode[error.code], str(error), details)
        return code, message, (*trailer, (PUSHBACK_KEY, str(round(error.retry_after_seconds * 1000))))
    return _packed(grpc.StatusCode[error.code], str(error), details)


def error_of(error: grpc.aio.AioRpcError) -> SpecschedError:
    """Return what the other side raised, as far as its status tells."""
    message, trailer = error.details() or error.code().name, tuple(error.trailing_metadata() or ())
    reason = _reason_of(trailer)
    raised = _BY_REASON.get(reason) or _BY_CODE.get(error.code(), CallFailed)
    if error.code() is grpc.StatusCode.UNIMPLEMENTED and not reason:  # gRPC's own word
        return CallFailed(f"{message} This address does not take the call; operators' calls go to admin.address")
    if issubclass(raised, InvalidRequest):
        return raised(_violations_of(trailer), message)
    if issubclass(raised, CapacityError):
        return raised(message, _retry_after_of(trailer))
    return raised(message)


def raised_there(error: grpc.aio.AioRpcError) -> bool:
    """Whether a server of ours said this itself; else the connection to it broke."""
    return bool(_reason_of(tuple(error.trailing_metadata() or ())))


_BY_REASON: Mapping[str, type[SpecschedError]] = {
    kind.reason: kind
    for kind in (
        InvalidRequest,
        UnknownRequest,
        DuplicateRequest,
        DeadlinePassed,
        Unauthenticated,
        PermissionDenied,
        PoisonRequest,
        NotOffered,
        Overloaded,
        QuotaExceeded,
        Unavailable,
        JobFailed,
    )
}
_BY_CODE: Mapping[grpc.StatusCode, type[SpecschedError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.FAILED_PRECONDITION: SetupError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlinePassed,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.UNKNOWN: Unavailable,  # gRPC's own word where a stream's connection broke
}


def _reason_of(trailer: Trailer) -> str:
    for detail in _details(trailer):
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info) and info.domain == DOMAIN:
            return str(info.reason)
    return ""


def _violations_of(trailer: Trailer) -> tuple[Violation, ...]:
    for detail in _details(trailer):
        bad = error_details_pb2.BadRequest()
        if detail.Unpack(bad):
            return tuple(Violation(v.field, v.description) for v in bad.field_violations)
    return ()


def _retry_after_of(trailer: Trailer) -> float:
    for detail in _details(trailer):
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(retry):
            return float(retry.retry_delay.ToMilliseconds()) / 1000
    return 1.0


def _details(trailer: Trailer) -> Sequence[any_pb2.Any]:
    packed = next((value for key, value in trailer if key == DETAILS_KEY), b"")
    return status_pb2.Status.FromString(packed).details if isinstance(packed, bytes) else ()


def _packed(code: grpc.StatusCode, message: str, details: Sequence[Message]) -> tuple[grpc.StatusCode, str, Trailer]:
    message = _cut(message, _MESSAGE_BYTES)
    status = status_pb2.Status(code=code.value[0], message=message)
    for detail in details:
        status.details.add().Pack(detail)
    return code, message, ((DETAILS_KEY, status.SerializeToString()),)


def _info(reason: str, **metadata: str) -> error_details_pb2.ErrorInfo:
    return error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata)


def _bad_request(violations: Sequence[Violation]) -> error_details_pb2.BadRequest:
    bad = error_details_pb2.BadRequest()
    for told, violation in enumerate(violations):
        if bad.ByteSize() > _VIOLATIONS_BYTES:
            bad.field_violations.add(description=f"and {len(violations) - told} more")
            break
        bad.field_violations.add(
            field=_cut(violation.field, _FIELD_BYTES), description=_cut(violation.description, _DESCRIPTION_BYTES)
        )
    return bad


def _cut(text: str, limit: int) -> str:
    """At most so many bytes, and always valid Unicode."""
    data = text.encode(errors="replace")
    return data[:limit].decode(errors="ignore") + ("…" if len(data) > limit else "")
