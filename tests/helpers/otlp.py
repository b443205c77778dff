"""An OTLP receiver in this process: keeps what it is sent."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


@dataclass
class Received:
    """What came, flattened."""

    url: str
    spans: list[Any] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    """Name → metric, the newest."""
    logs: list[Any] = field(default_factory=list)
    service: str = ""

    def span(self, name):
        (found,) = [span for span in self.spans if span.name == name]
        return found


def attributes(of):
    """An item's attributes, as Python has them."""
    return {each.key: _value(each.value) for each in of.attributes}


def _value(value):
    kind = value.WhichOneof("value")
    return [_value(each) for each in value.array_value.values] if kind == "array_value" else getattr(value, kind)


@asynccontextmanager
async def otlp_receiver() -> AsyncIterator[Received]:
    """Listen on a free port."""
    server = grpc.aio.server()
    received = Received(f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")

    class Traces(trace_service_pb2_grpc.TraceServiceServicer):
        async def Export(self, request, context):  # noqa: N802
            for resource in request.resource_spans:
                received.service = attributes(resource.resource)["service.name"]
                received.spans += [span for scope in resource.scope_spans for span in scope.spans]
            return trace_service_pb2.ExportTraceServiceResponse()

    class Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
        async def Export(self, request, context):  # noqa: N802
            for resource in request.resource_metrics:
                received.metrics |= {each.name: each for scope in resource.scope_metrics for each in scope.metrics}
            return metrics_service_pb2.ExportMetricsServiceResponse()

    class Logs(logs_service_pb2_grpc.LogsServiceServicer):
        async def Export(self, request, context):  # noqa: N802
            for resource in request.resource_logs:
                received.logs += [each for scope in resource.scope_logs for each in scope.log_records]
            return logs_service_pb2.ExportLogsServiceResponse()

    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Traces(), server)
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(Metrics(), server)
    logs_service_pb2_grpc.add_LogsServiceServicer_to_server(Logs(), server)
    await server.start()
    try:
        yield received
    finally:
        await server.stop(0)
