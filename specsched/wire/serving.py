"""What every gRPC server of ours has: a checked address, health, reflection where it is safe, parsed messages."""

import asyncio

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from specsched.errors import AddressInUse
from specsched.wire.address import check_address, is_local
from specsched.wire.guard import Guard
from specsched.wire.rpc import Context, service_handler
from specsched.wire.tls import ServerCertificates

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

_LEAST_GRACE_SECONDS = 0.1
"""For health watches to end."""


class _Health(health.aio.HealthServicer):
    """Health whose watches end by themselves: one that a stopping server cancels prints a traceback."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = asyncio.Event()

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Context) -> None:  # noqa: N802
        """Follow a service's status until the server ends."""
        tasks = {asyncio.ensure_future(super().Watch(request, context)), asyncio.ensure_future(self.ended.wait())}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class GrpcServer:
    """A grpc.aio server with health. NOT_SERVING until told otherwise."""

    def __init__(
        self,
        address: str,
        *,
        max_message_bytes: int,
        reflect: bool | None = None,
        guard: Guard | None = None,
        certificates: ServerCertificates | None = None,
        keepalive_seconds: float = 20.0,
    ) -> None:
        """Bind an address.

        Args:
            address: host:port, port 0 for a free one, or unix:PATH.
            max_message_bytes: Largest message that is read.
            reflect: Whether reflection answers; None: on addresses that only this machine reaches.
            guard: Says who may call what; None lets anybody in. Health asks nobody.
            certificates: What connections are encrypted with; None, and always on Unix sockets: not at all.
            keepalive_seconds: A connection on which nothing passes is asked for a sign of life, and has as long again
                to answer; then its calls end and their rows are free.

        Raises:
            ConfigError: no address.
            AddressInUse: somebody listens there.
        """
        check_address(address)
        options = (
            ("grpc.max_receive_message_length", max_message_bytes),
            ("grpc.so_reuseport", 0),
            *_keepalive_options(keepalive_seconds),
        )
        self._server = grpc.aio.server(options=options)
        self._health = _Health()
        self._names: list[str] = []
        self._guard = guard
        self._reflect = is_local(address) if reflect is None else reflect
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        try:
            if certificates is None or address.startswith("unix:"):
                port = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, certificates.credentials())
        except RuntimeError as error:
            raise AddressInUse(f"cannot listen on {address}") from error
        self.address = address if address.startswith("unix:") else f"{address.rpartition(':')[0]}:{port}"

    def add(self, service: ServiceDescriptor, servicer: object) -> None:
        """Serve a service."""
        self._server.add_generic_rpc_handlers((service_handler(service, servicer, self._guard),))
        self._names.append(service.full_name)

    async def start(self) -> None:
        """Listen; health is NOT_SERVING."""
        if self._reflect:
            names = (*self._names, health.SERVICE_NAME, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, self._server)
        await self.set_serving(serving=False)
        await self._server.start()

    async def set_serving(self, *, serving: bool) -> None:
        """Say whether the services can be used."""
        for name in ("", *self._names):
            await self._health.set(name, SERVING if serving else NOT_SERVING)

    async def stop(self, grace_seconds: float) -> None:
        """Refuse new calls, let running ones end, cancel what is left after the grace."""
        self._health.ended.set()
        await self._server.stop(max(grace_seconds, _LEAST_GRACE_SECONDS))


def _keepalive_options(seconds: float) -> tuple[tuple[str, int], ...]:
    """Ask callers for signs of life, and let them ask: by default a few pings count as an attack."""
    return (
        ("grpc.keepalive_time_ms", round(seconds * 1000)),
        ("grpc.keepalive_timeout_ms", round(seconds * 1000)),
        ("grpc.http2.ping_timeout_ms", round(seconds * 1000)),  # a ping that measures bandwidth comes in its place
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 100),
        ("grpc.http2.max_ping_strikes", 0),
    )
