"""Traces go from input to output to progress, and metrics know workers, not subjects."""

import asyncio
import io
import json
import logging

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY, generate_latest

from schemas.echoes import EchoAnswered, EchoRequested
from schemas.feeds import PubSubMessage
from schemas.identity import run_id
from tests.bus.lane import Lane, until, worker
from tests.fakes.feeds import FakeFeed
from workers.app.logs import JsonFormatter
from workers.failures import PermanentError
from workers.ports import Feeds

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


async def traced(event: EchoRequested) -> EchoAnswered:
    """Answer, unless told to fail."""
    if event.message == "fail":
        raise PermanentError("told to fail")
    return EchoAnswered(message=event.message)


async def ferried(message: PubSubMessage) -> EchoRequested:
    """Carry a text."""
    if not message.message.data:
        raise PermanentError("empty")
    return EchoRequested(message=message.message.data.decode())


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Collect the spans of this process."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    return exporter


async def test_a_follow_up_and_its_progress_are_children_of_the_handling(
    lane: Lane, spans: InMemorySpanExporter
) -> None:
    """The span's parent is the event's own context; what leaves the worker carries the span, not the origin."""
    wiring = worker(traced)
    await lane.provision(wiring)
    sent = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    await lane.publish(EchoRequested(message="hi"), event_id="1", headers=sent)

    async with lane.running(wiring, tracing=True):
        await until(lambda: _results(lane, 1))

    (span,) = spans.get_finished_spans()
    own = f"00-{TRACE}-{span.context.span_id:016x}-01"
    (answer, _), *_ = await lane.messages("EVENTS", "echo.answered")
    (result, _), *_ = await lane.messages("PROGRESS")
    assert f"{span.parent.span_id:016x}" == PARENT
    assert answer["traceparent"] == result["traceparent"] == own
    assert span.name == "process traced"
    assert span.attributes["sealane.stream_sequence"] == 1


async def test_what_a_feed_delivers_is_a_span_below_its_publishers(lane: Lane, spans: InMemorySpanExporter) -> None:
    """The trace that Google's publisher began goes on to the event; what means nothing is an error."""
    wiring = worker(ferried)
    await lane.provision(wiring)
    feed = FakeFeed()
    feed.publish(b"hi", "1", googclient_traceparent=f"00-{TRACE}-{PARENT}-01")
    feed.publish(b"", "2", googclient_traceparent="nonsense")

    async with lane.running(wiring, feeds=Feeds([feed]), tracing=True):
        await until(lambda: feed.empty)

    carried, refused = sorted(spans.get_finished_spans(), key=lambda span: str(span.attributes["messaging.message.id"]))
    ((event, _),) = await lane.messages("EVENTS", "echo.requested")
    assert f"{carried.parent.span_id:016x}" == PARENT
    assert event["traceparent"] == f"00-{TRACE}-{carried.context.span_id:016x}-01"
    assert refused.parent is None
    assert refused.status.description == "empty"


async def test_a_failure_marks_its_span(lane: Lane, spans: InMemorySpanExporter) -> None:
    """The span is an error with the sentence."""
    wiring = worker(traced)
    await lane.provision(wiring)
    await lane.ask("fail")

    async with lane.running(wiring, tracing=True):
        await until(lambda: _results(lane, 1))

    (span,) = spans.get_finished_spans()
    assert not span.status.is_ok
    assert span.status.description == "told to fail"


async def test_metrics_have_the_worker_and_the_outcome_and_no_subject(lane: Lane) -> None:
    """A subject has no bound, so it is no label: two events of different subjects are one series."""
    wiring = worker(traced)
    await lane.provision(wiring)
    await lane.ask("canary-subject-1", "canary-subject-2", "fail")

    async with lane.running(wiring):
        await until(lambda: _results(lane, 3))

    text = generate_latest(REGISTRY).decode()
    assert 'sealane_handled_total{outcome="dead",worker="traced"}' in text
    assert 'sealane_handling_seconds_count{worker="traced"}' in text
    assert "canary-subject" not in text


async def test_every_line_that_is_logged_meanwhile_names_run_and_event(lane: Lane) -> None:
    """Whoever writes it, in whichever thread: worker, library, verdict; and lines of two events stay apart."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonFormatter())

    async def talkative(event: EchoRequested) -> EchoAnswered:
        logging.getLogger("library").warning("about %s", event.message)
        await asyncio.to_thread(logging.getLogger("library").warning, "below %s", event.message)
        raise PermanentError(f"no {event.message}")

    wiring = worker(talkative)
    await lane.provision(wiring)
    await lane.ask("one", "two")
    logging.getLogger().addHandler(handler)
    try:
        async with lane.running(wiring):
            await until(lambda: _results(lane, 2))
    finally:
        logging.getLogger().removeHandler(handler)

    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    for name in ("one", "two"):
        about = [line for line in lines if line["message"].endswith(f" {name}")]
        assert [line["message"] for line in about] == [f"about {name}", f"below {name}", f"PermanentError: no {name}"]
        assert {(line["event"], line["run"]) for line in about} == {(name, run_id("/tests", name))}


async def _results(lane: Lane, at_least: int) -> bool:
    return len(await lane.results()) >= at_least
