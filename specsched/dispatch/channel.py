"""How gRPC is to treat a connection to a worker."""

from collections.abc import Sequence

from specsched.dispatch.patience import Patience

_UNREAD_BYTES = 256
"""Of a call, on their way to us: a few rounds. What we lag behind by stays with the worker, which sends it together; in
64 KiB, gRPC's own choice, there is room for a thousand rounds to be read one by one."""


def channel_options(patience: Patience) -> Sequence[tuple[str, int]]:
    """Return what gRPC is told of a connection to a worker: how it finds silence, and how little it reads ahead."""
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
