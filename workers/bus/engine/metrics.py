"""Prometheus metrics of a worker process. Labels are workers and outcomes, never subjects: those have no bound.

Counted in plain numbers and read when somebody scrapes: a locked counter for each event is a twentieth of its cost.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate
from weakref import WeakKeyDictionary

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

OUTCOMES = ("done", "retry", "waiting", "dead", "back")
_BOUNDS = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 600.0)
_WORKER = ("worker",)


class Metrics:
    """What one engine counts; all engines of a process share the collector of a registry."""

    def __init__(self, worker: str, registry: CollectorRegistry = REGISTRY) -> None:
        self.worker = worker
        self.handled = dict.fromkeys(OUTCOMES, 0)
        """Deliveries answered, by outcome."""
        self.fed: Counter[tuple[str, str]] = Counter()
        """Messages of feeds, by subscription and outcome: carried, ignored or dead."""
        self.emitted = 0
        self.repeats = 0
        self.held = 0
        self.stopped = False
        self.lag = 0
        self.fullness: dict[str, float] = {}
        """Share of its size that a stream holds, by stream."""
        self.buckets = [0] * (len(_BOUNDS) + 1)
        self.seconds = 0.0
        _collector(registry).engines.append(self)

    def ended(self, outcome: str, seconds: float) -> None:
        """Count one answered delivery and how long it took."""
        self.handled[outcome] += 1
        self.seconds += seconds
        self.buckets[bisect_left(_BOUNDS, seconds)] += 1


class _Engines(Collector):
    """Reads what the engines of a process have counted."""

    def __init__(self) -> None:
        self.engines: list[Metrics] = []

    def collect(self) -> Iterator[Metric]:
        yield from self._counters()
        yield self._fed()
        yield self._histogram()
        yield from self._gauges()

    def _counters(self) -> Iterator[Metric]:
        handled = CounterMetricFamily(
            "sealane_handled", "Deliveries answered, by outcome", labels=("worker", "outcome")
        )
        emitted = CounterMetricFamily("sealane_emitted", "Follow-up events stored", labels=_WORKER)
        repeats = CounterMetricFamily(
            "sealane_repeats", "Follow-ups which were stored already: repeats absorbed", labels=_WORKER
        )
        for worker, engines in self._by_worker().items():
            for outcome in OUTCOMES:
                handled.add_metric((worker, outcome), sum(engine.handled[outcome] for engine in engines))
            emitted.add_metric((worker,), sum(engine.emitted for engine in engines))
            repeats.add_metric((worker,), sum(engine.repeats for engine in engines))
        return iter((handled, emitted, repeats))

    def _fed(self) -> Metric:
        family = CounterMetricFamily(
            "sealane_fed",
            "Messages of subscriptions that were carried, ignored or given up, by outcome",
            labels=("worker", "subscription", "outcome"),
        )
        for worker, engines in self._by_worker().items():
            for (subscription, outcome), count in sum((engine.fed for engine in engines), Counter()).items():
                family.add_metric((worker, subscription, outcome), count)
        return family

    def _histogram(self) -> Metric:
        family = HistogramMetricFamily("sealane_handling_seconds", "Time from start to answer", labels=_WORKER)
        bounds = [str(bound) for bound in _BOUNDS] + ["+Inf"]
        for worker, engines in self._by_worker().items():
            counts = accumulate(map(sum, zip(*(engine.buckets for engine in engines), strict=True)))
            buckets = list(zip(bounds, counts, strict=True))
            family.add_metric((worker,), buckets, sum_value=sum(engine.seconds for engine in engines))
        return family

    def _gauges(self) -> Iterator[Metric]:
        held = GaugeMetricFamily("sealane_held", "Messages in the process, running or waiting", labels=_WORKER)
        stopped = GaugeMetricFamily("sealane_line_stopped", "1 while the worker's line is stopped", labels=_WORKER)
        lag = GaugeMetricFamily("sealane_lag", "Messages not yet done: pending and unacknowledged", labels=_WORKER)
        full = GaugeMetricFamily("sealane_stream_fullness", "Share of its size that a stream holds", labels=("stream",))
        for worker, engines in self._by_worker().items():
            held.add_metric((worker,), sum(engine.held for engine in engines))
            stopped.add_metric((worker,), any(engine.stopped for engine in engines))
            lag.add_metric((worker,), engines[-1].lag)
        for stream, share in {
            stream: share for engine in self.engines for stream, share in engine.fullness.items()
        }.items():
            full.add_metric((stream,), share)
        return iter((held, stopped, lag, full))

    def _by_worker(self) -> dict[str, list[Metrics]]:
        found: dict[str, list[Metrics]] = {}
        for engine in self.engines:
            found.setdefault(engine.worker, []).append(engine)
        return found


_by_registry: WeakKeyDictionary[CollectorRegistry, _Engines] = WeakKeyDictionary()


def _collector(registry: CollectorRegistry) -> _Engines:
    if registry not in _by_registry:
        _by_registry[registry] = _Engines()
        registry.register(_by_registry[registry])
    return _by_registry[registry]
