"""Prometheus metrics of a worker process. Labels are workers and outcomes, never subjects: those have no bound."""

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 600.0)


class Metrics:
    """The metrics of one worker; all workers of a process share the collectors of a registry."""

    def __init__(self, worker: str, registry: CollectorRegistry = REGISTRY) -> None:
        collectors = _collectors(registry)
        self.handled = {
            outcome: collectors.handled.labels(worker, outcome)
            for outcome in ("done", "retry", "waiting", "dead", "back")
        }
        self.seconds = collectors.seconds.labels(worker)
        self.emitted = collectors.emitted.labels(worker)
        self.repeats = collectors.repeats.labels(worker)
        self.held = collectors.held.labels(worker)
        self.stopped = collectors.stopped.labels(worker)
        self.lag = collectors.lag.labels(worker)
        self.fullness = collectors.fullness


class _Collectors:
    def __init__(self, registry: CollectorRegistry) -> None:
        worker = ("worker",)
        self.handled = Counter(
            "sealane_handled", "Deliveries answered, by outcome", ("worker", "outcome"), registry=registry
        )
        self.seconds = Histogram(
            "sealane_handling_seconds", "Time from start to answer", worker, buckets=_BUCKETS, registry=registry
        )
        self.emitted = Counter("sealane_emitted", "Follow-up events stored", worker, registry=registry)
        self.repeats = Counter(
            "sealane_repeats", "Follow-ups which were stored already: repeats absorbed", worker, registry=registry
        )
        self.held = Gauge("sealane_held", "Messages in the process, running or waiting", worker, registry=registry)
        self.stopped = Gauge("sealane_line_stopped", "1 while the worker's line is stopped", worker, registry=registry)
        self.lag = Gauge("sealane_lag", "Messages not yet done: pending and unacknowledged", worker, registry=registry)
        self.fullness = Gauge(
            "sealane_stream_fullness", "Share of its size that a stream holds", ("stream",), registry=registry
        )


_by_registry: dict[CollectorRegistry, _Collectors] = {}


def _collectors(registry: CollectorRegistry) -> _Collectors:
    if registry not in _by_registry:
        _by_registry[registry] = _Collectors(registry)
    return _by_registry[registry]
