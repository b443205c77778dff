"""Spans through the OpenTelemetry SDK. Imported only where an OTLP endpoint is configured.

Spans are begun with an explicit parent: the scheduler yields in the middle of them, and a context variable would leak
into whoever reads its stream.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from specsched.errors import SpecschedError
from specsched.records import Request
from specsched.telemetry.sinks.base import Sink
from specsched.telemetry.tracing.base import Attributes, Span
from specsched.telemetry.tracing.conventions import operation_of, request_attributes

_W3C = TraceContextTextMapPropagator()
_HEADER = "traceparent"


class OtelTracer:
    """Traces requests for one model."""

    def __init__(self, sink: Sink[ReadableSpan], resource: Resource, model: str, sampling_ratio: float = 1.0) -> None:
        """Begin with nothing.

        Args:
            sink: Takes spans that ended.
            resource: Who we are.
            model: The target's id.
            sampling_ratio: Of the traces that begin here; a caller's own decision is kept.
        """
        provider = TracerProvider(
            resource=resource, sampler=ParentBased(TraceIdRatioBased(sampling_ratio)), shutdown_on_exit=False
        )
        provider.add_span_processor(_ToSink(sink))
        self._tracer = provider.get_tracer("specsched")
        self._model = model

    @contextmanager
    def request(self, request: Request) -> Iterator[Span]:
        """Begin a request's span."""
        span = self._tracer.start_span(
            f"{operation_of(request)} {self._model}",
            _W3C.extract({_HEADER: request.trace_parent}),
            trace.SpanKind.SERVER,
            request_attributes(request, self._model),
        )
        with _ending(span):
            yield _OtelSpan(self._tracer, span)


class _OtelSpan:
    def __init__(self, tracer: trace.Tracer, span: trace.Span) -> None:
        self._tracer = tracer
        self._span = span

    @property
    def trace_parent(self) -> str:
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, trace.set_span_in_context(self._span))
        return carrier.get(_HEADER, "")

    @contextmanager
    def child(self, name: str) -> Iterator[Span]:
        span = self._tracer.start_span(name, trace.set_span_in_context(self._span))
        with _ending(span):
            yield _OtelSpan(self._tracer, span)

    def note(self, attributes: Attributes) -> None:
        self._span.set_attributes(dict(attributes))


@contextmanager
def _ending(span: trace.Span) -> Iterator[None]:
    """End a span whatever happens; an error is told by its reason, or by its kind."""
    try:
        yield
    except BaseException as error:
        reason = error.reason if isinstance(error, SpecschedError) else type(error).__name__
        span.set_attribute("error.type", reason)
        span.set_status(trace.StatusCode.ERROR)
        raise
    finally:
        span.end()


class _ToSink(SpanProcessor):
    """Hands spans that ended to a sink, whose queue is bounded and whose losses are counted."""

    def __init__(self, sink: Sink[ReadableSpan]) -> None:
        self._sink = sink

    def on_end(self, span: ReadableSpan) -> None:
        if span.context is not None and span.context.trace_flags.sampled:
            self._sink.put(span)
