"""Whatever a worker raises or says: no secret that this process read gets onto the bus, into a trace or a log."""

from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from schemas.echoes import EchoAnswered, EchoRequested
from tests.bus.engine.conditions import has
from tests.bus.lane import Lane, until, worker
from workers.adapters.secrets import read_secret
from workers.failures import PermanentError
from workers.ports import Progress
from workers.redaction import HIDDEN

CANARY = "canary-41d8-onto-no-bus"
LOOKS_LIKE = "ya29.canary-41d8-looks-like-a-token"


@pytest.mark.parametrize("kind", [PermanentError, ValueError])
async def test_a_secret_in_what_a_worker_says_is_concealed(
    lane: Lane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    """In progress, dead letter, its stack and the span stands that something was concealed, and the rest of it."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    file = tmp_path / "secret"
    file.write_text(CANARY)
    file.chmod(0o600)
    secret = await read_secret(f"file://{file}")

    async def careless(event: EchoRequested, progress: Progress) -> EchoAnswered:
        progress.log(f"asking with {secret}")
        cause = RuntimeError(f"the outside repeats {secret} and {LOOKS_LIKE}")
        raise kind(f"it does not take {secret}") from cause

    wiring = worker(careless, attempts=1)
    await lane.provision(wiring)
    await lane.ask("x")
    async with lane.running(wiring, tracing=True):
        await until(lambda: has(lane, "dead"))

    shown = {stream: str(await lane.messages(stream)) for stream in ("EVENTS", "PROGRESS", "DEAD")}
    shown["trace"] = "".join(span.to_json() for span in exporter.get_finished_spans())
    assert [name for name, text in shown.items() if CANARY in text or LOOKS_LIKE in text] == []
    assert all(HIDDEN in shown[name] for name in ("PROGRESS", "trace"))
    assert "it does not take" in shown["trace"]
