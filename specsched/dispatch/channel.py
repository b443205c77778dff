"""The way to one worker: what is called over it, and how it is renewed when other credentials are to be shown."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health_pb2_grpc

from specsched.dispatch.patience import Patience
from specsched.v1 import worker_pb2_grpc
from specsched.wire.tls import open_channel

log = structlog.get_logger()

Credentials = Callable[[], grpc.ChannelCredentials | None]
"""Returns what is shown now: the same object until it changes; None: the connection is plain."""

_LOOK_SECONDS = 1.0
_UNREAD_BYTES = 256
"""Of a call, on their way to us: a few rounds. What we lag behind by stays with the worker, which sends it together; in
64 KiB, gRPC's own choice, there is room for a thousand rounds to be read one by one."""


class WorkerChannel:
    """Calls begin over the present connection, and end over the one that they began with."""

    def __init__(self, address: str, patience: Patience, credentials: Credentials) -> None:
        """Prepare; gRPC connects with the first call.

        Args:
            address: host:port or unix:PATH.
            patience: How long it may be silent.
            credentials: Shown at a TCP address.
        """
        self._address = address
        self._patience = patience
        self._credentials = credentials
        self.calls: set[grpc.aio.UnaryStreamCall[Any, Any]] = set()
        """That run. Who begins one puts it in, and takes it out."""
        self._retiring: set[asyncio.Task[None]] = set()
        self._open()

    @property
    def outdated(self) -> bool:
        """Whether something else is to be shown."""
        return self._credentials() is not self._shown

    async def until_outdated(self) -> None:
        """Return when something else is to be shown."""
        while not self.outdated:  # noqa: ASYNC110 - looked up by a thread, which sets no event here
            await asyncio.sleep(_LOOK_SECONDS)

    def renew(self) -> None:
        """Go on over another connection."""
        retiring = asyncio.create_task(self._retire(self._channel, frozenset(self.calls)))
        self._retiring.add(retiring)
        retiring.add_done_callback(self._retiring.discard)
        self._open()
        log.info("worker_connection_renewed", address=self._address)

    def cut(self) -> None:
        """Cancel all calls; they are taken out first, so that their readers can tell."""
        calls, self.calls = self.calls, set()
        for call in calls:
            call.cancel()

    async def close(self) -> None:
        """Close all connections."""
        for retiring in self._retiring:
            retiring.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        await self._channel.close()

    def _open(self) -> None:
        self._shown = self._credentials()
        self._channel = open_channel(self._address, self._shown, _options(self._patience))
        self.stub = worker_pb2_grpc.WorkerServiceStub(self._channel)
        self.health: Any = health_pb2_grpc.HealthStub(self._channel)  # its stubs know no aio

    async def _retire(self, channel: grpc.aio.Channel, calls: frozenset[object]) -> None:
        try:
            while calls & self.calls:  # noqa: ASYNC110 - it may take hours, and nobody waits
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            await channel.close()


def no_credentials() -> None:
    """Show nothing."""


def _options(patience: Patience) -> Sequence[tuple[str, int]]:
    """What gRPC is told: how it finds silence, and how little it reads ahead."""
    keepalive = round(patience.keepalive_seconds * 1000)
    return (
        ("grpc.max_receive_message_length", -1),
        ("grpc.http2.lookahead_bytes", _UNREAD_BYTES),
        ("grpc.http2.bdp_probe", 0),  # it would widen what may be unread
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 2000),  # a lone attempt's time; the pauses between are the two beside it
        ("grpc.max_reconnect_backoff_ms", 500),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.keepalive_time_ms", keepalive),
        ("grpc.keepalive_timeout_ms", keepalive),
        ("grpc.http2.ping_timeout_ms", keepalive),  # a ping that measures bandwidth comes in its place
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    )
