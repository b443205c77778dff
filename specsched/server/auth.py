"""Bearer tokens: who calls, and whether that caller may use the service."""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from functools import partial

import structlog

from specsched.errors import PermissionDenied, Unauthenticated
from specsched.records import Caller, Credential, Role
from specsched.wire.guard import Metadata

log = structlog.get_logger()

HEADER = "authorization"
_SCHEME = "bearer "

_ROLES = {
    "specsched.v1.SchedulerService": frozenset({Role.GENERATE}),
    "specsched.v1.AdminService": frozenset({Role.ADMIN}),
    "specsched.v1.TelemetryService": frozenset({Role.TELEMETRY, Role.ADMIN}),
}
"""Any of these opens the service. What is not named is closed."""

Load = Callable[[], Sequence[Credential]]


class TokenGuard:
    """Knows the tokens by their digests. A call that was let in stays in, whatever is reloaded after."""

    def __init__(self, load: Load) -> None:
        """Read the tokens.

        Args:
            load: Reads them, or raises ConfigError.
        """
        self._load = load
        self._credentials = tuple(load())

    def read(self) -> Callable[[], None]:
        """Read the tokens again, and return what puts them in force; raises ConfigError."""
        return partial(self._adopt, tuple(self._load()))

    def _adopt(self, fresh: tuple[Credential, ...]) -> None:
        self._credentials = fresh
        log.info("tokens_loaded", tokens=len(fresh))

    def identify(self, metadata: Metadata) -> Caller:
        """Compare with every digest, each in constant time: how long it takes tells nothing about which was near."""
        digest, found = hashlib.sha256(_presented(metadata)).digest(), None
        for credential in self._credentials:
            if hmac.compare_digest(credential.sha256, digest):
                found = credential.caller
        if found is None:
            raise Unauthenticated
        return found

    def authorise(self, caller: Caller, service: str) -> None:
        """Let in those whose roles open the service."""
        if not caller.roles & _ROLES.get(service, frozenset()):
            raise PermissionDenied


def _presented(metadata: Metadata) -> bytes:
    """Return the token that a call carries; more than one is none."""
    values = [value for key, value in metadata if key == HEADER]
    value = values[0] if len(values) == 1 else ""
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    if not text.lower().startswith(_SCHEME):
        raise Unauthenticated
    return text[len(_SCHEME) :].strip().encode()
