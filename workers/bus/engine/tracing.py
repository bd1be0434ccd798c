"""OpenTelemetry from an input to its outputs and its progress. Costs nothing unless a provider was set up.

Spans follow the messaging conventions: `process <worker>` as child of the event's `traceparent`; what is emitted
carries the span's own context, so that causality is not flattened.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
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

    def handling(self, envelope: Envelope, delivery: Delivery) -> AbstractContextManager[Envelope]:
        """Give the envelope with the span's own context, for everything that the handling publishes."""
        return self._processing(
            envelope,
            {
                "messaging.system": "nats",
                "messaging.destination.name": delivery.stream,
                "messaging.consumer.group.name": delivery.consumer,
                "sealane.stream_sequence": delivery.sequence,
                "sealane.attempt": delivery.attempt,
            },
        )

    def carrying(self, envelope: Envelope, subscription: str) -> AbstractContextManager[Envelope]:
        """Give the same for a message of a feed."""
        return self._processing(
            envelope, {"messaging.system": "gcp_pubsub", "messaging.destination.subscription.name": subscription}
        )

    @contextmanager
    def _processing(self, envelope: Envelope, place: Mapping[str, str | int]) -> Iterator[Envelope]:
        carrier = {"traceparent": envelope.traceparent or "", "tracestate": envelope.tracestate or ""}
        attributes: dict[str, str | int] = {
            "messaging.message.id": envelope.id,
            "messaging.operation.type": "process",
            "cloudevents.event_type": envelope.type,
            "cloudevents.event_source": envelope.source,
            "sealane.run": envelope.run,
            **place,
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
