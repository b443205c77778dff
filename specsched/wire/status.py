"""Errors ↔ google.rpc.Status: the only place that knows how an exception looks on the wire."""

import uuid
from collections.abc import Sequence

import grpc
import structlog
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from specsched.errors import CapacityError, InvalidRequest, SpecschedError, Violation

log = structlog.get_logger()

DOMAIN = "specsched"
DETAILS_KEY = "grpc-status-details-bin"
PUSHBACK_KEY = "grpc-retry-pushback-ms"

Trailer = tuple[tuple[str, str | bytes], ...]


def status_of(error: Exception) -> tuple[grpc.StatusCode, str, Trailer]:
    """Return code, message and trailing metadata for an error.

    What was raised on purpose is told; anything else is logged under an id, and only the id is told.
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


def violations_of(trailer: Sequence[tuple[str, str | bytes]]) -> tuple[Violation, ...]:
    """Read the field violations back from trailing metadata."""
    for detail in _details(trailer):
        bad = error_details_pb2.BadRequest()
        if detail.Unpack(bad):
            return tuple(Violation(v.field, v.description) for v in bad.field_violations)
    return ()


def retry_after_of(trailer: Sequence[tuple[str, str | bytes]]) -> float | None:
    """Read the time to come back, in seconds, from trailing metadata."""
    for detail in _details(trailer):
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(retry):
            return float(retry.retry_delay.ToMilliseconds()) / 1000
    return None


def _details(trailer: Sequence[tuple[str, str | bytes]]) -> Sequence[any_pb2.Any]:
    packed = next((value for key, value in trailer if key == DETAILS_KEY), b"")
    return status_pb2.Status.FromString(packed).details if isinstance(packed, bytes) else ()


def _packed(code: grpc.StatusCode, message: str, details: Sequence[Message]) -> tuple[grpc.StatusCode, str, Trailer]:
    status = status_pb2.Status(code=code.value[0], message=message)
    for detail in details:
        status.details.add().Pack(detail)
    return code, message, ((DETAILS_KEY, status.SerializeToString()),)


def _info(reason: str, **metadata: str) -> error_details_pb2.ErrorInfo:
    return error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata)


def _bad_request(violations: Sequence[Violation]) -> error_details_pb2.BadRequest:
    fields = [error_details_pb2.BadRequest.FieldViolation(field=v.field, description=v.description) for v in violations]
    return error_details_pb2.BadRequest(field_violations=fields)
