"""Certificates are exchanged while streams run, and broken ones change nothing. Real handshakes, real sockets."""

import grpc
import pytest
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc
from structlog.testing import capture_logs

from specsched.errors import ConfigError
from specsched.wire.rotation import Rotation
from specsched.wire.serving import NOT_SERVING, SERVING, GrpcServer
from specsched.wire.tls import ChannelCertificates, ServerCertificates, TlsFiles, open_channel
from tests.helpers.certificates import issue

OWN = (("grpc.use_local_subchannel_pool", 1),)
WATCH = health_pb2.HealthCheckRequest()


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def files(tmp_path, authority):
    return issue(tmp_path, "server", authority)


async def served(certificates):
    server = GrpcServer("localhost:0", max_message_bytes=4096, certificates=certificates)
    await server.start()
    return server


def health(channel):
    return health_pb2_grpc.HealthStub(channel)


def trusting(authority):
    return grpc.ssl_channel_credentials(authority.cert_pem.bytes())


async def refused(address, credentials):
    async with open_channel(address, credentials, OWN) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health(channel).Check(WATCH, timeout=5)
    return caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_streams_go_on_while_new_connections_see_the_new_certificate(tmp_path, authority, files):
    files = TlsFiles(files.certificate, files.key)
    certificates, successor = ServerCertificates(files), trustme.CA()
    rotation = Rotation("server.tls_certificate_file", files.all, certificates.read)
    server = await served(certificates)
    async with open_channel(server.address, trusting(authority), OWN) as channel:
        stream = aiter(health(channel).Watch(WATCH))
        assert (await anext(stream)).status == NOT_SERVING
        issue(tmp_path, "server", successor)
        rotation.look()
        async with open_channel(server.address, trusting(successor), OWN) as fresh:
            assert (await health(fresh).Check(WATCH, timeout=5)).status == NOT_SERVING
        assert await refused(server.address, trusting(authority))
        await server.set_serving(serving=True)
        assert (await anext(stream)).status == SERVING
    await server.stop(0)


async def test_a_broken_new_certificate_changes_nothing_and_is_said_once(tmp_path, authority, files):
    certificates = ServerCertificates(TlsFiles(files.certificate, files.key))
    rotation = Rotation("server.tls_certificate_file", files.all, certificates.read)
    server = await served(certificates)
    files.certificate.write_text("no certificate")
    with capture_logs() as lines:
        rotation.look()
        rotation.look()
    assert [(line["event"], line["log_level"]) for line in lines] == [("rotation_failed", "error")]
    async with open_channel(server.address, trusting(authority), OWN) as channel:
        assert (await health(channel).Check(WATCH, timeout=5)).status == NOT_SERVING
    await server.stop(0)


async def test_mtls_lets_in_whom_the_authority_vouches_for(tmp_path, authority, files):
    server = await served(ServerCertificates(files))
    client = issue(tmp_path, "client", authority, "scheduler")
    async with open_channel(server.address, ChannelCertificates(client)(), OWN) as channel:
        assert (await health(channel).Check(WATCH, timeout=5)).status == NOT_SERVING
    assert await refused(server.address, trusting(authority))
    stranger = issue(tmp_path, "stranger", trustme.CA())
    assert await refused(server.address, ChannelCertificates(TlsFiles(stranger.certificate, stranger.key, files.ca))())
    await server.stop(0)


def test_files_that_cannot_work_are_refused_by_name(tmp_path, authority, files):
    other = issue(tmp_path, "other", authority)
    with pytest.raises(ConfigError, match="no certificate with its key"):
        ServerCertificates(TlsFiles(files.certificate, other.key))
    with pytest.raises(ConfigError, match="No such file"):
        ServerCertificates(TlsFiles(tmp_path / "none", files.key))
    files.ca.write_text("nobody")
    with pytest.raises(ConfigError, match=r"server\.ca: no certificate of an authority"):
        ChannelCertificates(files)
