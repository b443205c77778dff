"""What commands show a service."""

import grpc
import pytest
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc

from specsched.cli.access import access_of
from specsched.errors import SetupError
from specsched.wire.serving import NOT_SERVING, GrpcServer
from specsched.wire.tls import ServerCertificates
from tests.helpers.certificates import issue


def test_a_token_comes_from_a_file_without_its_line_end(tmp_path):
    (tmp_path / "token").write_text("secret\n")
    assert access_of(tmp_path / "token", None).metadata == (("authorization", "Bearer secret"),)
    with pytest.raises(SetupError, match="No such file"):
        access_of(tmp_path / "none", None)


async def test_a_service_that_asks_for_certificates_is_reached(tmp_path, monkeypatch):
    files = issue(tmp_path, "own", trustme.CA())
    server = GrpcServer("localhost:0", max_message_bytes=4096, certificates=ServerCertificates(files))
    await server.start()
    for certificate, reached in (("", False), (str(files.certificate), True)):
        monkeypatch.setenv("SPECSCHED_CERTIFICATE_FILE", certificate)
        monkeypatch.setenv("SPECSCHED_KEY_FILE", certificate and str(files.key))
        async with access_of(None, files.ca).aio_channel(server.address) as channel:
            call = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
            if reached:
                assert (await call).status == NOT_SERVING
            else:
                with pytest.raises(grpc.aio.AioRpcError):
                    await call
    await server.stop(0)
