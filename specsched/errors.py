"""The exception tree.

Each class carries the *reason* (UPPER_SNAKE, stable, part of the contract) and the *name* of its gRPC
status code. One interceptor turns them into status; nothing else in the tree knows gRPC::

    SpecschedError
    ├── RequestError                     the caller must act
    │   ├── InvalidRequest               INVALID_ARGUMENT   every violation at once
    │   ├── UnknownRequest               NOT_FOUND
    │   ├── DuplicateRequest             ALREADY_EXISTS
    │   ├── DeadlinePassed               DEADLINE_EXCEEDED
    │   ├── Unauthenticated              UNAUTHENTICATED    no token, or one that is not known
    │   ├── PermissionDenied             PERMISSION_DENIED  known, and not allowed
    │   ├── PoisonRequest                FAILED_PRECONDITION  workers died of it
    │   └── NotOffered                   UNIMPLEMENTED
    ├── CapacityError                    wait, then try again
    │   ├── Overloaded                   RESOURCE_EXHAUSTED the queue is full
    │   ├── QuotaExceeded                RESOURCE_EXHAUSTED the caller has taken what it may
    │   └── Unavailable                  UNAVAILABLE        draining, or no worker alive
    ├── SetupError                       the operator must act
    │   ├── ConfigError                  a configuration file or value
    │   ├── PoolError                    a manifest, a weight file, a tokenizer
    │   │   ├── UnsupportedModel         an architecture that cannot be rolled back
    │   │   └── VocabularyMismatch       a draft that does not speak the target's tokens
    │   └── AddressInUse                 a port or socket that somebody else holds
    ├── WorkerLost                       a worker died under a request; the scheduler resumes it elsewhere
    └── CallFailed                       a server failed for reasons of its own
        └── JobFailed                    one call failed, and the server goes on
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing wrong with a request: the field's path in the message, and what is wrong with it."""

    field: str
    description: str


class SpecschedError(Exception):
    """Base of everything that specsched raises on purpose. Its text may be shown to whoever caused it."""

    reason: ClassVar[str] = "INTERNAL"
    code: ClassVar[str] = "INTERNAL"


class RequestError(SpecschedError):
    """The caller must change the request."""


class InvalidRequest(RequestError):
    """The request breaks the contract. Carries every violation, not only the first."""

    reason = "INVALID_REQUEST"
    code = "INVALID_ARGUMENT"

    def __init__(self, violations: Sequence[Violation], message: str | None = None) -> None:
        self.violations = tuple(violations)
        super().__init__(message or "; ".join(f"{v.field}: {v.description}" for v in self.violations))


class UnknownRequest(RequestError):
    """No request with this id is running."""

    reason = "UNKNOWN_REQUEST"
    code = "NOT_FOUND"


class DuplicateRequest(RequestError):
    """A request with this id is running already."""

    reason = "DUPLICATE_REQUEST"
    code = "ALREADY_EXISTS"


class DeadlinePassed(RequestError):
    """The caller's deadline passed before the request was complete."""

    reason = "DEADLINE_PASSED"
    code = "DEADLINE_EXCEEDED"


class Unauthenticated(RequestError):
    """The call carries no token that is valid here. Never says which part was wrong."""

    reason = "UNAUTHENTICATED"
    code = "UNAUTHENTICATED"

    def __init__(self, message: str = "the call carries no token that is valid here") -> None:
        super().__init__(message)


class PermissionDenied(RequestError):
    """The caller is known and may not do this. Never says which part was wrong."""

    reason = "PERMISSION_DENIED"
    code = "PERMISSION_DENIED"

    def __init__(self, message: str = "the caller is not allowed to do this") -> None:
        super().__init__(message)


class PoisonRequest(RequestError):
    """Workers died, hung or failed of this request again and again; the like of it is refused for a while."""

    reason = "POISON_REQUEST"
    code = "FAILED_PRECONDITION"


class NotOffered(RequestError):
    """This server does not offer the RPC."""

    reason = "NOT_OFFERED"
    code = "UNIMPLEMENTED"


class CapacityError(SpecschedError):
    """Nothing is wrong with the request; there is no room for it now."""

    def __init__(self, message: str, retry_after_seconds: float) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(message)


class Overloaded(CapacityError):
    """The queue is full."""

    reason = "OVERLOADED"
    code = "RESOURCE_EXHAUSTED"


class QuotaExceeded(CapacityError):
    """The caller has taken what it may take for now."""

    reason = "QUOTA_EXCEEDED"
    code = "RESOURCE_EXHAUSTED"


class Unavailable(CapacityError):
    """The service is draining, or no worker is alive."""

    reason = "UNAVAILABLE"
    code = "UNAVAILABLE"


class SetupError(SpecschedError):
    """The operator must act. The command line prints its text as one line and exits with 2."""

    reason = "SETUP"
    code = "FAILED_PRECONDITION"


class ConfigError(SetupError):
    """A configuration file or value is wrong. Carries every violation where fields are to blame."""

    reason = "CONFIG"

    def __init__(self, message: str, violations: Sequence[Violation] = ()) -> None:
        self.violations = tuple(violations)
        super().__init__(message)


class PoolError(SetupError):
    """A manifest, a weight file or a tokenizer is missing or damaged."""

    reason = "POOL"


class UnsupportedModel(PoolError):
    """The architecture keeps state that cannot be rolled back, or is no causal language model."""

    reason = "UNSUPPORTED_MODEL"


class VocabularyMismatch(PoolError):
    """The draft's tokens are not the target's."""

    reason = "VOCABULARY_MISMATCH"


class AddressInUse(SetupError):
    """Somebody else listens there."""

    reason = "ADDRESS_IN_USE"


class WorkerLost(SpecschedError):
    """The worker died, hung, or its connection broke, while a request ran on it."""

    reason = "WORKER_LOST"
    code = "UNAVAILABLE"

    def __init__(self, message: str, *, alone: bool = False) -> None:
        """Say what happened; `alone` where no other request can have been the cause."""
        self.alone = alone
        super().__init__(message)


class CallFailed(SpecschedError):
    """A call to a server failed for a reason that is the server's own; its log knows more."""

    reason = "CALL_FAILED"


class JobFailed(CallFailed):
    """One call failed for a reason of its own, and the server goes on: no numbers came out of it, for example."""

    reason = "JOB_FAILED"
