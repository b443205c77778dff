"""Tokens open what their roles name, and nothing tells which part of a refusal was wrong."""

import hashlib

import pytest

from specsched.errors import ConfigError, PermissionDenied, Unauthenticated
from specsched.records import Caller, Credential, Role
from specsched.server.auth import TokenGuard

GENERATE, ADMIN, TELEMETRY = (
    f"specsched.v1.{name}" for name in ("SchedulerService", "AdminService", "TelemetryService")
)


def credential(token, *roles, tenants=("t",)):
    return Credential(hashlib.sha256(token.encode()).digest(), Caller(token, frozenset(roles), tenants, 0))


def bearer(token):
    return (("user-agent", "x"), ("authorization", f"Bearer {token}"))


def admit(guard, service, metadata):
    caller = guard.identify(metadata)
    guard.authorise(caller, service)
    return caller


@pytest.fixture
def guard():
    return TokenGuard(lambda: [credential("user", Role.GENERATE), credential("boss", Role.ADMIN, Role.GENERATE)])


def test_a_token_names_its_caller(guard):
    assert admit(guard, GENERATE, bearer("user")).name == "user"
    assert admit(guard, ADMIN, bearer("boss")).name == "boss"


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        (("authorization", ""),),
        (("authorization", "Bearer "),),
        (("authorization", "Basic user"),),
        (("authorization", "user"),),
        bearer("users"),
        bearer("use"),
        (*bearer("user"), *bearer("boss")),
        (("authorization", b"\xff\xfe"),),
    ],
)
def test_every_other_call_is_refused_in_the_same_words(guard, metadata):
    with pytest.raises(Unauthenticated) as caught:
        admit(guard, GENERATE, metadata)
    assert str(caught.value) == "the call carries no token that is valid here"


@pytest.mark.parametrize(
    ("roles", "open_"),
    [
        ({Role.GENERATE}, {GENERATE}),
        ({Role.TELEMETRY}, {TELEMETRY}),
        ({Role.ADMIN}, {ADMIN, TELEMETRY}),
        (set(Role), {GENERATE, ADMIN, TELEMETRY}),
    ],
)
def test_a_role_opens_its_service_alone(roles, open_):
    guard = TokenGuard(lambda: [credential("user", *roles)])
    for service in (GENERATE, ADMIN, TELEMETRY, "specsched.v1.WorkerService", "other"):
        if service in open_:
            admit(guard, service, bearer("user"))
        else:
            with pytest.raises(PermissionDenied):
                admit(guard, service, bearer("user"))


def test_a_reload_swaps_all_or_nothing():
    known = [credential("old", Role.GENERATE)]

    def load():
        if not known:
            raise ConfigError("broken")
        return known

    guard = TokenGuard(load)
    known[:] = []
    with pytest.raises(ConfigError):
        guard.read()
    assert admit(guard, GENERATE, bearer("old")).name == "old"
    known[:] = [credential("new", Role.GENERATE)]
    put_in_force = guard.read()
    assert admit(guard, GENERATE, bearer("old")).name == "old"
    put_in_force()
    assert admit(guard, GENERATE, bearer("new")).name == "new"
    with pytest.raises(Unauthenticated):
        admit(guard, GENERATE, bearer("old"))


def test_a_caller_calls_for_its_own_tenants_and_sees_theirs():
    caller = Caller("c", frozenset({Role.TELEMETRY}), ("a", "b"), 0)
    assert [caller.tenant(wanted) for wanted in ("", "b", "c")] == ["a", "b", None]
    assert [caller.sees(tenant) for tenant in ("a", "c")] == [True, False]
    assert Caller("d", frozenset({Role.ADMIN}), ("a",), 0).sees("c")
