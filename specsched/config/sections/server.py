"""`server:` — the public gRPC surface."""

from pydantic import Field

from specsched.config.sections.base import Section


class Server(Section):
    """The public gRPC surface."""

    address: str = Field(default="127.0.0.1:50071", description="host:port or unix:PATH; port 0 takes a free one.")
    max_message_bytes: int = Field(default=4 * 2**20, ge=1024, description="Largest request that is read.")
    drain_seconds: float = Field(default=30.0, ge=0, description="On SIGTERM, time that running requests are given.")
    reflection: bool | None = Field(
        default=None, description="Whether server reflection answers; unset: on loopback and Unix sockets only."
    )
