"""OpenTelemetry, set up only where traces have somewhere to go."""

from collections.abc import Callable

from workers.failures import Invalid
from workers.settings import Settings


def set_up_tracing(settings: Settings, service: str) -> Callable[[], None] | None:
    """Send spans to SEALANE_OTLP_ENDPOINT, and return what flushes and ends that; None when it is not set."""
    if settings.otlp_endpoint is None:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - an extra
    except ImportError:
        raise Invalid(
            "SEALANE_OTLP_ENDPOINT is set, but the exporter is not installed: install sealane[telemetry]"
        ) from None
    from opentelemetry import trace  # noqa: PLC0415 - with the extra

    provider = TracerProvider(resource=Resource.create({"service.name": "sealane", "service.instance.id": service}))
    exporter = OTLPSpanExporter(endpoint=f"{settings.otlp_endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider.shutdown
