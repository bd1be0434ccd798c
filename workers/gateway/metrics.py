"""Prometheus metrics of the door: requests, denials, events, open streams, and how long an answer takes.

Labels are routes, principals, claims and types of event, all of them from the code or the policy: nothing that a
client sends becomes one. Counted in plain numbers and read when somebody scrapes.
"""

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PRINCIPAL = "sealane.principal"
"""Where in an ASGI scope the name of the principal is, once it is known."""
NOBODY, ELSEWHERE, GONE = "", "other", 499
"""No principal; no route of ours; the client went before it had an answer (as nginx counts it)."""
_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class DoorMetrics(Collector):
    """What one door counts. Register it where it shall be scraped."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, str]] = Counter()
        """Answers, by route, status and principal."""
        self.denials: Counter[str] = Counter()
        """401 and 403, by the claim, attribute or field that was wrong."""
        self.events: Counter[tuple[str, str]] = Counter()
        """Events stored, repeats included, by type and principal."""
        self.unread: Counter[str] = Counter()
        """What was refused before it was a request, by status."""
        self.streams: Counter[str] = Counter()
        """Streams that are open now, by principal."""
        self.cut = 0
        """Connections that were ended, since they brought or took nothing."""
        self._buckets: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}

    def answered(self, route: str, status: int | str, principal: str, seconds: float) -> None:
        """Count one answer, `status` is that of HTTP or gRPC, and how long it took."""
        self.requests[route, str(status), principal] += 1
        buckets = self._buckets.setdefault(route, [0] * (len(_BOUNDS) + 1))
        buckets[bisect_left(_BOUNDS, seconds)] += 1
        self._seconds[route] = self._seconds.get(route, 0.0) + seconds

    def collect(self) -> Iterator[Metric]:
        """Yield what was counted since the start."""
        requests = CounterMetricFamily(
            "sealane_door_requests", "Requests answered.", labels=("route", "status", "principal")
        )
        denials = CounterMetricFamily(
            "sealane_door_denials", "Requests denied, by what was wrong: claim, attribute or field.", labels=("claim",)
        )
        events = CounterMetricFamily(
            "sealane_door_events", "Events stored for a principal, repeats included.", labels=("type", "principal")
        )
        for labels, count in self.requests.items():
            requests.add_metric(labels, count)
        for claim, count in self.denials.items():
            denials.add_metric((claim,), count)
        for kind, count in self.events.items():
            events.add_metric(kind, count)
        cut = CounterMetricFamily("sealane_door_cut", "Connections ended that brought or took nothing.", self.cut)
        yield from (requests, denials, events, cut, *self._connections(), self._histogram())

    def _connections(self) -> Iterator[Metric]:
        unread = CounterMetricFamily(
            "sealane_door_unread", "Refused before it was a request: no HTTP, too large, too slow.", labels=("status",)
        )
        for status, count in self.unread.items():
            unread.add_metric((status,), count)
        streams = GaugeMetricFamily("sealane_door_streams", "Streams that are open now.", labels=("principal",))
        for principal, count in self.streams.items():
            streams.add_metric((principal,), count)
        yield from (unread, streams)

    def _histogram(self) -> Metric:
        seconds = HistogramMetricFamily("sealane_door_seconds", "How long an answer took.", labels=("route",))
        for route, buckets in self._buckets.items():
            bounds = (*map(str, _BOUNDS), "+Inf")
            seconds.add_metric((route,), list(zip(bounds, accumulate(buckets), strict=True)), self._seconds[route])
        return seconds


class Measured:
    """Counts what an application answers. `routes`: its paths; one that ends in `/…` stands for all below it."""

    def __init__(self, application: ASGIApp, metrics: DoorMetrics, routes: Iterable[str]) -> None:
        self._application = application
        self._metrics = metrics
        self._exact = {route for route in routes if not route.endswith("}")}
        self._below = {route.rpartition("/")[0]: route for route in routes if route.endswith("}")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI application."""
        begun, status = time.perf_counter(), GONE

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._application(scope, receive, watched)
        finally:
            path = scope["path"]
            route = path if path in self._exact else self._below.get(path.rpartition("/")[0], ELSEWHERE)
            seconds = time.perf_counter() - begun
            self._metrics.answered(route, status, scope.get(PRINCIPAL, NOBODY), seconds)
