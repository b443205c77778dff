"""TelemetryService: live acceptance records."""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

from specsched.records import AcceptanceRecord, Caller
from specsched.telemetry.sinks.broadcast import Broadcast
from specsched.v1 import telemetry_pb2
from specsched.wire.acceptance import acceptance_to_proto
from specsched.wire.guard import current_caller
from specsched.wire.rpc import Context


class TelemetryServicer:
    """Answers operators."""

    def __init__(self, broadcast: Broadcast) -> None:
        self._broadcast = broadcast

    async def StreamAcceptance(  # noqa: N802 - the RPC's name
        self, message: telemetry_pb2.StreamAcceptanceRequest, _context: Context
    ) -> AsyncIterator[telemetry_pb2.StreamAcceptanceResponse]:
        """Stream what the caller asks for, within what it may see."""
        with self._broadcast.listen(_matcher(message, current_caller())) as listener:
            async with aclosing(listener.records()) as records:
                async for record in records:
                    yield acceptance_to_proto(record, listener.dropped)


def _matcher(message: telemetry_pb2.StreamAcceptanceRequest, caller: Caller) -> Callable[[AcceptanceRecord], bool]:
    classes, drafts, tenants = (
        frozenset(names) for names in (message.prompt_classes, message.draft_models, message.tenants)
    )

    def matches(record: AcceptanceRecord) -> bool:
        decision = record.decision
        return (
            (not classes or decision.class_probabilities.best in classes)
            and (not drafts or record.round.draft_model in drafts)
            and (not tenants or decision.tenant in tenants)
            and caller.sees(decision.tenant)
        )

    return matches
