"""The HTTP endpoint that Prometheus scrapes."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import structlog
from prometheus_client import CollectorRegistry, start_http_server

from specsched.errors import AddressInUse

log = structlog.get_logger()


@asynccontextmanager
async def metrics_endpoint(address: str | None, registry: CollectorRegistry) -> AsyncGenerator[str | None]:
    """Serve a registry on a thread of its own until the end; yields the bound address.

    Args:
        address: host:port, port 0 for a free one; None serves nothing.
        registry: What is served.

    Raises:
        AddressInUse: one cannot listen there.
    """
    if address is None:
        yield None
        return
    host, _, port = address.rpartition(":")
    try:
        server, thread = start_http_server(int(port), host.strip("[]"), registry)
    except OSError as error:
        raise AddressInUse(f"cannot serve metrics on {address}: {error.strerror}") from error
    bound = f"{host}:{server.server_port}"
    log.info("metrics_listening", address=bound)
    try:
        yield bound
    finally:
        await asyncio.to_thread(server.shutdown)  # waits for the thread's next look
        await asyncio.to_thread(thread.join)
        server.server_close()
