"""The health page for people: one HTML document, rendered here, without a script."""

from html import escape
from string import Template

from workers.gateway.health import Health, StreamState, WorkerState

_DOCUMENT = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="5">
<title>sealane: $verdict</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1d2733 }
h1 { font-size: 1.4rem } h2 { font-size: 1.05rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid #dde3ea; vertical-align: top }
th { font-weight: 600; color: #55616e } .number { text-align: right; font-variant-numeric: tabular-nums }
td.number, .good { white-space: nowrap }
.good { color: #17692e } .bad { color: #a3231f }
</style>
</head>
<body>
<h1>sealane: <span class="$mood">$verdict</span></h1>
<p>$round_trip</p>
<h2>Workers</h2>
<table><thead><tr><th>worker</th><th>what it does</th><th class="number">not done</th><th>state</th></tr></thead>
<tbody>$workers</tbody></table>
<h2>Streams</h2>
<table><thead><tr><th>stream</th>
<th class="number">messages</th><th class="number">bytes</th><th>state</th></tr></thead>
<tbody>$streams</tbody></table>
<p>For programs: <a href="/livez">/livez</a>, <a href="/readyz">/readyz</a>.</p>
</body>
</html>
""")


def render(health: Health) -> str:
    """Return the page."""
    if health.round_trip is None:
        round_trip = "The bus does not answer."
    else:
        round_trip = f"The bus answered in {health.round_trip * 1000:.1f} ms."
    return _DOCUMENT.substitute(
        verdict="ready" if health.ready else "not ready",
        mood="good" if health.ready else "bad",
        round_trip=round_trip,
        workers="".join(_worker(worker) for worker in health.workers),
        streams="".join(_stream(stream) for stream in health.streams),
    )


def _worker(worker: WorkerState) -> str:
    wrong = worker.problem or worker.stopped or (None if worker.present else "no process asks for work")
    state = _mark(wrong or "at work", good=wrong is None)
    return (
        f"<tr><td>{escape(worker.name)}</td><td>{escape(worker.summary)}</td>"
        f'<td class="number">{_number(worker.lag)}</td><td>{state}</td></tr>'
    )


def _stream(stream: StreamState) -> str:
    state = _mark(stream.problem or stream.alarm or "in place", good=stream.problem is None and stream.alarm is None)
    return (
        f'<tr><td>{escape(stream.name)}</td><td class="number">{_number(stream.messages)}</td>'
        f'<td class="number">{_number(stream.bytes)}</td><td>{state}</td></tr>'
    )


def _number(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"


def _mark(text: str, *, good: bool) -> str:
    return f'<span class="{"good" if good else "bad"}">{escape(text)}</span>'
