"""Who calls is asked first; what the call changed is written down."""

from dataclasses import replace

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from specsched.errors import PermissionDenied, Unauthenticated
from specsched.records import Caller, Role
from specsched.telemetry.audit import AuditList
from specsched.v1 import admin_pb2, admin_pb2_grpc
from specsched.wire.guard import current_caller
from specsched.wire.rpc import Observed, unobserved
from specsched.wire.serving import GrpcServer
from specsched.wire.status import error_of

SERVICE = admin_pb2.DESCRIPTOR.services_by_name["AdminService"]
BOSS = Caller("boss", frozenset({Role.ADMIN}), ("t",), 0)


class Door:
    """Knows one token; the word `other` may not come in."""

    def identify(self, metadata):
        said = dict(metadata).get("authorization")
        if said not in ("boss", "other"):
            raise Unauthenticated
        return BOSS if said == "boss" else replace(BOSS, name="other")

    def authorise(self, caller, service):
        assert service == "specsched.v1.AdminService"
        if caller != BOSS:
            raise PermissionDenied


class Servicer:
    def __init__(self):
        self.callers = []

    async def SetSpeculation(self, message, _context):  # noqa: N802 - the RPC's name
        self.callers.append(current_caller())
        return admin_pb2.SetSpeculationResponse()

    async def ReloadConfig(self, message, _context):  # noqa: N802
        raise ValueError(message.yaml)

    async def GetConfig(self, _message, _context):  # noqa: N802
        return admin_pb2.GetConfigResponse()


@pytest.fixture
async def guarded(tmp_path):
    trail, servicer = AuditList(), Servicer()
    server = GrpcServer(f"unix:{tmp_path}/s", max_message_bytes=4096, guard=Door())
    server.add(SERVICE, Observed(servicer, unobserved, trail))
    await server.start()
    async with grpc.aio.insecure_channel(server.address) as channel:
        yield admin_pb2_grpc.AdminServiceStub(channel), servicer, trail, channel
    await server.stop(0)


def by(token):
    return (("authorization", token),)


async def refused(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), type(error_of(caught.value))


async def test_a_servicer_knows_its_caller(guarded):
    stub, servicer, trail, _ = guarded
    await stub.SetSpeculation(admin_pb2.SetSpeculationRequest(enabled=True), metadata=by("boss"))
    assert servicer.callers == [BOSS]
    (action,) = trail.actions
    assert (action.who, action.what, action.result, action.arguments) == (
        "boss",
        "SetSpeculation",
        "OK",
        {"enabled": True},
    )
    assert action.peer.startswith("unix:")
    assert current_caller().name == ""


async def test_who_is_not_let_in_is_not_listened_to_and_written_down(guarded):
    _, servicer, trail, channel = guarded
    raw = channel.unary_unary("/specsched.v1.AdminService/SetSpeculation")
    assert await refused(raw(b"\xff\xff")) == (grpc.StatusCode.UNAUTHENTICATED, Unauthenticated)
    assert await refused(raw(b"", metadata=by("other"))) == (grpc.StatusCode.PERMISSION_DENIED, PermissionDenied)
    assert servicer.callers == []
    assert [(a.who, a.what, a.result) for a in trail.actions] == [
        ("", "SetSpeculation", "UNAUTHENTICATED"),
        ("other", "SetSpeculation", "PERMISSION_DENIED"),
    ]


async def test_a_configuration_is_written_down_as_a_digest_and_reading_is_not(guarded):
    stub, _, trail, _ = guarded
    await stub.GetConfig(admin_pb2.GetConfigRequest(), metadata=by("boss"))
    assert trail.actions == []
    await refused(stub.ReloadConfig(admin_pb2.ReloadConfigRequest(yaml="a: secret"), metadata=by("boss")))
    (action,) = trail.actions
    assert action.result == "INTERNAL"
    assert action.arguments["yaml"].startswith("sha256 ")


async def test_health_asks_nobody(guarded):
    channel = guarded[3]
    answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
