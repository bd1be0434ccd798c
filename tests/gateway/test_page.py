"""The health page, from what was found."""

from workers.gateway.health import Health, StreamState, WorkerState
from workers.gateway.page import render

GOOD = Health(
    0.0012,
    (StreamState("EVENTS", messages=12345, bytes=678), StreamState("KV_ledger", messages=1, bytes=2)),
    (WorkerState("echo", "Says <hello> & more.", lag=7, pulling=2),),
)


def test_page_says_what_is_alive() -> None:
    """Round trip, streams and workers are shown with their numbers."""
    page = render(GOOD)

    assert "<title>sealane: ready</title>" in page
    assert "answered in 1.2 ms" in page
    assert "12,345" in page
    assert "at work" in page


def test_text_cannot_become_markup() -> None:
    """What comes from elsewhere is shown, never run."""
    page = render(GOOD)

    assert "Says &lt;hello&gt; &amp; more." in page
    assert "<script" not in page


def test_silent_bus_is_not_ready() -> None:
    """Without an answer the page says so, and shows no number that it does not know."""
    page = render(Health(None, (StreamState("EVENTS", problem="no answer"),), ()))

    assert "<title>sealane: not ready</title>" in page
    assert "The bus does not answer." in page
    assert ">?<" in page


def test_absent_worker_is_shown() -> None:
    """A worker that nobody runs is red, though the lane is ready."""
    page = render(Health(0.001, GOOD.streams, (WorkerState("attest", "Signs.", lag=0, pulling=0),)))

    assert "no process asks for work" in page


def test_stopped_line_is_no_absent_worker() -> None:
    """Who stopped it, and why, is said in place of what follows from it."""
    stopped = WorkerState("attest", "Signs.", lag=3, pulling=0, stopped="stopped since 9:00 by <me>: moving")
    page = render(Health(0.001, GOOD.streams, (stopped,)))

    assert '<span class="bad">stopped since 9:00 by &lt;me&gt;: moving</span>' in page
    assert "no process asks for work" not in page


def test_missing_stream_is_not_ready() -> None:
    """Without EVENTS nothing that came would be stored, and without the ledger nothing is let in."""
    for name in ("EVENTS", "KV_ledger"):
        streams = (*(one for one in GOOD.streams if one.name != name), StreamState(name, problem="missing"))
        assert not Health(0.001, streams, ()).ready
    assert GOOD.ready
