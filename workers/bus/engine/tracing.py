"""OpenTelemetry from an input to its outputs and its progress. Costs nothing unless a provider was set up.

Spans follow the messaging conventions: `process <worker>` as child of the event's `traceparent`; what is emitted
carries the span's own context, so that causality is not flattened.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from schemas.envelope import Envelope
from workers.bus.transport.delivery import Delivery

_PROPAGATOR = TraceContextTextMapPropagator()


class Tracing:
    """Opens a span around a handling. Not `enabled`, the context is passed on as it came, by whoever asks."""

    def __init__(self, worker: str, *, enabled: bool) -> None:
        self._worker = worker
        self.enabled = enabled

    @contextmanager
    def handling(self, envelope: Envelope, delivery: Delivery) -> Iterator[Envelope]:
        """Yield the envelope with the span's own context, for everything that the handling publishes."""
        carrier = {"traceparent": envelope.traceparent or "", "tracestate": envelope.tracestate or ""}
        attributes: dict[str, str | int] = {
            "messaging.system": "nats",
            "messaging.destination.name": delivery.stream,
            "messaging.consumer.group.name": delivery.consumer,
            "messaging.message.id": envelope.id,
            "messaging.operation.type": "process",
            "cloudevents.event_type": envelope.type,
            "cloudevents.event_source": envelope.source,
            "sealane.run": envelope.run,
            "sealane.stream_sequence": delivery.sequence,
            "sealane.attempt": delivery.attempt,
        }
        tracer = trace.get_tracer("sealane")
        with tracer.start_as_current_span(
            f"process {self._worker}", _PROPAGATOR.extract(carrier), SpanKind.CONSUMER, attributes
        ):
            injected: dict[str, str] = {}
            _PROPAGATOR.inject(injected)
            yield replace(envelope, traceparent=injected.get("traceparent"), tracestate=injected.get("tracestate"))

    def failed(self, message: str) -> None:
        """Mark the current span as failed."""
        if self.enabled:
            trace.get_current_span().set_status(StatusCode.ERROR, message)
