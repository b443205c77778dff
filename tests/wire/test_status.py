"""What one side raises, the other side raises."""

import grpc
import pytest
from google.rpc import code_pb2
from grpc_status import rpc_status
from structlog.testing import capture_logs

from specsched import errors
from specsched.errors import (
    AddressInUse,
    CallFailed,
    CapacityError,
    ConfigError,
    DeadlinePassed,
    DuplicateRequest,
    InvalidRequest,
    JobFailed,
    NotOffered,
    Overloaded,
    PermissionDenied,
    PoisonRequest,
    PoolError,
    QuotaExceeded,
    SetupError,
    SpecschedError,
    Unauthenticated,
    Unavailable,
    UnknownRequest,
    UnsupportedModel,
    Violation,
    VocabularyMismatch,
    WorkerLost,
)
from specsched.wire.status import PUSHBACK_KEY, error_of, status_of

VIOLATIONS = (Violation("text", "is empty"), Violation("sampling.top_p", "is 2.0, which lies outside (0, 1]"))
RETURNING = [
    (InvalidRequest(VIOLATIONS), grpc.StatusCode.INVALID_ARGUMENT),
    (InvalidRequest((), "the request is no valid message"), grpc.StatusCode.INVALID_ARGUMENT),
    (UnknownRequest("no request r1 is running"), grpc.StatusCode.NOT_FOUND),
    (DuplicateRequest("request r1 is running"), grpc.StatusCode.ALREADY_EXISTS),
    (DeadlinePassed("too late"), grpc.StatusCode.DEADLINE_EXCEEDED),
    (Unauthenticated(), grpc.StatusCode.UNAUTHENTICATED),
    (PermissionDenied(), grpc.StatusCode.PERMISSION_DENIED),
    (PoisonRequest("two workers died"), grpc.StatusCode.FAILED_PRECONDITION),
    (NotOffered("not yet"), grpc.StatusCode.UNIMPLEMENTED),
    (JobFailed("no numbers"), grpc.StatusCode.INTERNAL),
    (Overloaded("the queue is full", 0.25), grpc.StatusCode.RESOURCE_EXHAUSTED),
    (QuotaExceeded("the quota is used up", 3.5), grpc.StatusCode.RESOURCE_EXHAUSTED),
    (Unavailable("no worker is ready", 2.0), grpc.StatusCode.UNAVAILABLE),
]
THE_SERVERS_OWN = [
    SpecschedError("broken"),
    CallFailed("broken"),
]
THE_OPERATORS = [
    ConfigError("broken"),
    PoolError("broken"),
    UnsupportedModel("broken"),
    VocabularyMismatch("broken"),
    AddressInUse("broken"),
]


def received(error: Exception) -> grpc.aio.AioRpcError:
    code, message, trailer = status_of(error)
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailer), details=message)


@pytest.mark.parametrize(("error", "code"), RETURNING, ids=lambda value: type(value).__name__)
def test_an_error_comes_back_as_it_was_raised(error: SpecschedError, code: grpc.StatusCode) -> None:
    there = received(error)
    back = error_of(there)
    assert there.code() is code
    assert (type(back), str(back)) == (type(error), str(error))
    if isinstance(error, InvalidRequest):
        assert back.violations == error.violations
    if isinstance(error, CapacityError):
        assert back.retry_after_seconds == error.retry_after_seconds


@pytest.mark.parametrize("error", THE_SERVERS_OWN, ids=lambda error: type(error).__name__)
def test_what_is_the_servers_own_is_a_failed_call_with_its_message(error: SpecschedError) -> None:
    back = error_of(received(error))
    assert (type(back), str(back)) == (CallFailed, "broken")


@pytest.mark.parametrize("error", THE_OPERATORS, ids=lambda error: type(error).__name__)
def test_what_an_operator_must_mend_comes_back_as_that(error: SpecschedError) -> None:
    back = error_of(received(error))
    assert (type(back), str(back)) == (SetupError, "broken")


def test_a_lost_worker_is_worth_another_try() -> None:
    back = error_of(received(WorkerLost("the worker died")))
    assert (type(back), str(back), back.retry_after_seconds) == (Unavailable, "the worker died", 1.0)


def test_no_error_was_forgotten_here() -> None:
    seen = {type(error) for error in (*(each for each, _ in RETURNING), *THE_SERVERS_OWN, *THE_OPERATORS)} | {
        WorkerLost
    }
    bases = {errors.RequestError, errors.CapacityError, errors.SetupError}
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SpecschedError)}
    assert kinds == seen | bases


def test_every_code_is_one_of_grpcs_with_its_number() -> None:
    for error, code in RETURNING:
        assert code.value[0] == code_pb2.Code.Value(code.name)
        status = rpc_status.from_call(received(error))  # raises where code or message differ
        assert (status.code, status.message) == (code.value[0], str(error))


def test_generic_clients_are_told_when_to_come_back() -> None:
    _, _, trailer = status_of(Overloaded("full", 0.25))
    assert (PUSHBACK_KEY, "250") in trailer


@pytest.mark.parametrize("error", [ValueError("the prompt was: secret"), KeyError("secret"), AssertionError("secret")])
def test_the_text_of_an_unforeseen_error_is_logged_and_never_told(error: Exception) -> None:
    with capture_logs() as lines:
        code, message, trailer = status_of(error)
    (line,) = lines
    assert code is grpc.StatusCode.INTERNAL
    assert message == f"internal error {line['error_id']}"
    assert (line["event"], line["exc_info"]) == ("unforeseen_error", error)
    assert b"secret" not in repr(trailer).encode()
    assert line["error_id"].encode() in trailer[0][1]
    back = error_of(grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailer), details=message))
    assert (type(back), str(back)) == (CallFailed, message)


def test_each_unforeseen_error_has_an_id_of_its_own() -> None:
    with capture_logs():
        assert status_of(ValueError())[1] != status_of(ValueError())[1]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, InvalidRequest),
        (grpc.StatusCode.UNKNOWN, Unavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlinePassed),
        (grpc.StatusCode.UNAVAILABLE, Unavailable),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, CallFailed),
        (grpc.StatusCode.INTERNAL, CallFailed),
    ],
)
def test_a_status_without_details_is_judged_by_its_code(code: grpc.StatusCode, kind: type[SpecschedError]) -> None:
    empty = grpc.aio.Metadata()
    assert type(error_of(grpc.aio.AioRpcError(code, empty, empty, details="gone"))) is kind
    assert str(error_of(grpc.aio.AioRpcError(code, empty, empty, details=None))) == code.name


def test_who_asks_the_wrong_port_is_told_of_the_other_one() -> None:
    empty = grpc.aio.Metadata()
    back = error_of(grpc.aio.AioRpcError(grpc.StatusCode.UNIMPLEMENTED, empty, empty, details="Method not found!"))
    assert type(back) is CallFailed
    assert "admin.address" in str(back)


def test_a_reason_of_another_domain_means_nothing() -> None:
    code, message, trailer = status_of(UnknownRequest("gone"))
    foreign = trailer[0][1].replace(b"specsched", b"elsewhere")
    metadata = grpc.aio.Metadata(("x-other", "1"), (trailer[0][0], foreign))
    assert type(error_of(grpc.aio.AioRpcError(code, grpc.aio.Metadata(), metadata, details=message))) is CallFailed


@pytest.mark.parametrize("letter", ["x", "ü", "🦆"])
def test_a_long_message_is_cut_between_two_characters(letter: str) -> None:
    back = str(error_of(received(UnknownRequest(letter * 9_000))))
    assert back == letter * (1_000 // len(letter.encode())) + "…"


def test_text_that_is_no_unicode_is_told_as_far_as_it_is() -> None:
    assert str(error_of(received(ConfigError("no file \udcff.yaml")))) == "no file ?.yaml"


def test_of_many_violations_the_first_are_told_and_the_rest_counted() -> None:
    many = tuple(Violation(f"messages.messages[{i}].content", "is empty") for i in range(5_000))
    back = error_of(received(InvalidRequest(many)))
    *told, rest = back.violations
    assert tuple(told) == many[: len(told)]
    assert len(told) > 50
    assert rest == Violation("", f"and {5_000 - len(told)} more")


def test_no_error_outgrows_what_peers_accept() -> None:
    huge = InvalidRequest([Violation("f" * 9_000, "🦆" * 9_000)] * 50)
    for error in (huge, UnknownRequest("🦆" * 9_000), Overloaded("🦆" * 9_000, 1.0)):
        _, message, trailer = status_of(error)
        assert len(message.encode()) + sum(len(value) * 4 / 3 for _, value in trailer) < 7_900
