"""W3C trace context in the metadata of a call: `traceparent`, taken from callers and handed to workers."""

import re
from collections.abc import Sequence

from specsched.wire.rpc import Context

HEADER = "traceparent"
_VALID = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def trace_parent_of(context: Context) -> str:
    """The caller's traceparent; empty where there is none, or none that is valid."""
    for key, value in context.invocation_metadata() or ():
        if key == HEADER and isinstance(value, str) and _VALID.fullmatch(value):
            return value
    return ""


def trace_metadata(trace_parent: str) -> Sequence[tuple[str, str]]:
    """Metadata that hands a trace on."""
    return ((HEADER, trace_parent),) if trace_parent else ()
