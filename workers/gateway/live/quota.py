"""How many runs one principal follows at a time: over HTTP and gRPC together, whatever it bears.

A stream costs this process some memory and a connection for as long as it is open, and may be open for days. Counted
where it is held, at one replica of the door: a place that is given back too late nowhere else keeps nobody out.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from workers.gateway.metrics import DoorMetrics
from workers.gateway.principals import Principal
from workers.gateway.problems import Problem

_FULL_SECONDS = 5.0


class StreamQuota:
    """The places of all principals at one replica; `metrics.streams` says how many are taken."""

    def __init__(self, metrics: DoorMetrics) -> None:
        self._open = metrics.streams

    @contextmanager
    def place(self, principal: Principal) -> Iterator[None]:
        """Hold one of a principal's places. Raises Problem (429) when all of them are taken."""
        name, most = principal.name, principal.open_streams
        if self._open[name] >= most:
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"{name} has {most} streams open here, as many as it may: end one, or ask whoever keeps the policy"
                " for more `open_streams`",
                after=_FULL_SECONDS,
                limit=most,
            )
        self._open[name] += 1
        try:
            yield
        finally:
            self._open[name] -= 1
