"""Where the collector is, and who we are to it."""

import logging
from dataclasses import dataclass
from importlib.metadata import version

from opentelemetry.sdk.resources import Resource

logging.getLogger("opentelemetry").addHandler(logging.NullHandler())  # failures are told once, by the sink
logging.getLogger("opentelemetry").propagate = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A collector's gRPC receiver."""

    url: str
    """http://host:4317, or https://."""
    timeout_seconds: float = 5.0

    @property
    def insecure(self) -> bool:
        """Whether it speaks without TLS."""
        return not self.url.startswith("https://")


class ExportFailed(Exception):
    """The collector took nothing, after the exporter's own retries."""


def resource() -> Resource:
    """Who sends."""
    return Resource.create({"service.name": "specsched", "service.version": version("specsched")})
