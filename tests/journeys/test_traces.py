"""OpenTelemetry: spans leave a worker process when somebody collects them."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.journeys.conftest import Up, eventually, sealane

Start = Callable[..., Up]


class Collector(ThreadingHTTPServer):
    """Takes OTLP over HTTP and keeps the names of the spans."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.spans: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """Keep what was sent."""
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/v1/traces" and self.headers.get("content-encoding") is None:
            request = ExportTraceServiceRequest.FromString(body)
            found = [span.name for r in request.resource_spans for s in r.scope_spans for span in s.spans]
            assert isinstance(self.server, Collector)
            self.server.spans += found
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's own name
        """Keep quiet."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Collect traces on a free port."""
    server = Collector()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_worker_sends_its_spans_before_it_ends(start: Start, collector: Collector) -> None:
    """With SEALANE_OTLP_ENDPOINT set, each handling becomes a span; the last ones are flushed at the end."""
    up = start("up", "--no-workers").ready()
    endpoint = f"http://127.0.0.1:{collector.server_port}"
    worker = start("worker", "echo", SEALANE_OTLP_ENDPOINT=endpoint)
    worker.says("ready: echo")
    answer = sealane("publish", "echo.requested", "--set", "message=trace me", "--wait", "--data", str(up.data))
    assert answer.returncode == 0, answer.stderr
    assert worker.stop() == 0, worker.said

    eventually(lambda: "process echo" in collector.spans, "the span")
