"""How a client reaches a server: the address, and what proves who calls."""

from dataclasses import dataclass
from typing import Any

import grpc

OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)


@dataclass(frozen=True, slots=True)
class Access:
    """Credentials. Without certificates the channel is plain: for loopback and Unix sockets."""

    token: str | None = None
    """Bearer token."""
    root_certificates: bytes | None = None
    """PEM of whom the server's certificate is trusted by; turns TLS on."""
    certificate_chain: bytes | None = None
    """PEM of the caller's own certificate, for mTLS."""
    private_key: bytes | None = None
    """PEM of its key."""

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What every call carries."""
        return () if self.token is None else (("authorization", f"Bearer {self.token}"),)

    @property
    def _tls(self) -> grpc.ChannelCredentials | None:
        if self.root_certificates is None:
            return None
        return grpc.ssl_channel_credentials(self.root_certificates, self.private_key, self.certificate_chain)

    def aio_channel(self, address: str) -> grpc.aio.Channel:
        """Open a channel for asyncio."""
        if self._tls is None:
            return grpc.aio.insecure_channel(address, options=OPTIONS)
        return grpc.aio.secure_channel(address, self._tls, options=OPTIONS)

    def channel(self, address: str) -> Any:
        """Open a channel for threads."""
        if self._tls is None:
            return grpc.insecure_channel(address, options=OPTIONS)
        return grpc.secure_channel(address, self._tls, options=OPTIONS)


NOBODY = Access()
"""No credentials."""
