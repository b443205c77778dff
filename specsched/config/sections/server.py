"""`server:` — the public gRPC surface."""

from pathlib import Path

from pydantic import Field

from specsched.config.sections.tls import TlsSection


class Server(TlsSection):
    """The public gRPC surface; its certificates and tokens are the operators' port's as well."""

    address: str = Field(default="127.0.0.1:50071", description="host:port or unix:PATH; port 0 takes a free one.")
    max_message_bytes: int = Field(default=4 * 2**20, ge=1024, description="Largest request that is read.")
    drain_seconds: float = Field(default=30.0, ge=0, description="On SIGTERM, time that running requests are given.")
    keepalive_seconds: float = Field(
        default=20.0,
        gt=0,
        description="A silent caller is asked for a sign of life, and has as long again before its calls end.",
    )
    tokens_file: Path | None = Field(
        default=None, description="Bearer tokens and what each may do; unset: nobody is asked who calls."
    )
    reflection: bool | None = Field(
        default=None, description="Whether server reflection answers; unset: on loopback and Unix sockets only."
    )
