"""Only what tenants agreed to goes on: text of others is not even queued."""

from collections.abc import Iterable

from specsched.records import CapturedCompletion
from specsched.telemetry.sinks.base import Sink
from specsched.telemetry.tenant_metrics import NOBODY


class Consent:
    """A sink in front of another one."""

    def __init__(self, tenants: Iterable[str], sink: Sink[CapturedCompletion]) -> None:
        """Note who agreed.

        Args:
            tenants: Their names; `default` stands for requests that name none.
            sink: Takes what they agreed to.
        """
        self._tenants = frozenset(tenants)
        self._sink = sink

    def put(self, item: CapturedCompletion) -> None:
        """Hand on what may be kept."""
        if (item.tenant or NOBODY) in self._tenants:
            self._sink.put(item)
