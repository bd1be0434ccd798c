"""Runs in the console: found, filtered, shown from cause to effect."""

from collections.abc import Awaitable, Callable
from urllib.parse import quote

import pytest

from tests.bus.lane import Lane, until
from tests.gateway.console.conftest import ACTOR, NARROW, Person, say
from tests.gateway.console.test_letters import bury
from workers.bus.judgement.line import stop_line
from workers.bus.transport.headers import DEAD_MESSAGE, DEAD_STACK

People = Callable[[str | None], Awaitable[Person]]


async def listed(person: Person, run: str, path: str = "/console") -> str:
    """Return the list as soon as a run is in it."""
    text = ""

    async def there() -> bool:
        nonlocal text
        text = (await person.get(path)).text
        return f'data-run="{run}"' in text

    await until(there, what=f"{run} in {path}")
    return text


async def test_runs_are_found_by_what_they_are_about(people: People, lane: Lane) -> None:
    """By a part of the image, by the person, by the state; the id of a run leads to its page."""
    image = "europe-docker.pkg.dev/acme/shop/web:1.4.2"
    event = {
        "type": "image.pushed",
        "source": "/ci",
        "id": "push-1",
        "subject": image,
        "stream": "EVENTS",
        "sequence": 9,
    }
    await say(lane, "shop", worker="attest", event=event, actor="github/acme")
    await say(lane, "gone", outcome="dead", message="no such image")
    await say(lane, "last")
    person = await people(ACTOR)
    await listed(person, "last")

    for query, found in [
        ("q=SHOP/web", {"shop"}),
        ("q=github", {"shop"}),
        ("q=push-1", {"shop"}),
        ("state=failed", {"gone"}),
        ("worker=attest", {"shop"}),
        ("type=echo.requested", {"gone", "last"}),
        ("q=nothing-like-that", set()),
    ]:
        text = (await person.get(f"/console?{query}")).text
        assert {run for run in ("shop", "gone", "last") if f'data-run="{run}"' in text} == found, query
    assert (await person.get("/console?q=gone")).place.endswith("/console/runs/gone")
    assert (await person.get("/console?state=sleepy")).status == 400


async def test_a_run_is_shown_from_cause_to_effect(people: People, lane: Lane) -> None:
    """What opened it, who worked on it with steps and lines, what that emitted; what failed, and where to decide."""
    answer = {"type": "echo.answered", "source": "/sealane/echo", "id": "a1", "subject": "the effect"}
    steps = [{"name": "resolve digest", "state": "done", "seconds": 0.25}]
    ack = await lane.publisher.publish(
        "echo.requested",
        b'{"message": "x<y"}',
        {f"ce-{name}": value for name, value in {"specversion": "1.0", "id": "one", "source": "/ci"}.items()}
        | {"ce-type": "echo.requested", "ce-run": "one", "content-type": "application/json"},
    )
    event = {"type": "echo.requested", "source": "/ci", "id": "one", "subject": "the cause", "stream": "EVENTS"}
    dead = {"type": "echo.requested", "source": "/ci", "id": "one", "stream": "DEAD", "sequence": 7}
    await say(lane, "one", event=event | {"sequence": ack.sequence}, emitted=[answer], steps=steps, logs=["it said"])
    await say(lane, "bad", outcome="dead", message="nobody is there", dead=dead)
    person = await people(ACTOR)
    await listed(person, "bad")
    text, bad = (await person.get("/console/runs/one")).text, (await person.get("/console/runs/bad")).text

    positions = [text.index(part) for part in ("the cause", "resolve digest", "250 ms", "the effect", "it said")]
    assert positions == sorted(positions)
    assert "x&lt;y" in text
    assert "nobody is there" in bad
    assert 'href="/console/dead/7"' in bad


async def test_what_an_event_says_stays_text(people: People, lane: Lane) -> None:
    """HTML is escaped; escape sequences and characters that turn the direction are spelled out."""
    line = "<img src=x onerror=alert(1)> \x1b[31mred\x1b[0m \u202etxt.exe"
    await say(lane, "html", logs=[line])
    person = await people(ACTOR)
    await listed(person, "html")
    text = (await person.get("/console/runs/html")).text

    assert "&lt;img src=x onerror=alert(1)&gt; \\u001b[31mred\\u001b[0m \\u202etxt.exe" in text


async def test_no_field_of_anybody_becomes_markup(people: People, lane: Lane) -> None:
    """Subject, type, id, actor, source, step, cause, and why a line was stopped: on every page they are text."""
    bad = '"><img src=x onerror=alert(1)>\u202e'
    event = {"type": bad, "source": bad, "id": bad, "subject": bad, "stream": "EVENTS", "sequence": 9}
    effect, steps = event | {"id": f"{bad}2"}, [{"name": bad, "state": "failed"}]
    await say(
        lane, "one", event=event, outcome="dead", message=bad, steps=steps, actor=bad, emitted=[effect], error=bad
    )
    quoted = quote(bad)
    named = {"ce-id": quoted, "ce-source": quoted, "ce-actor": quoted, DEAD_MESSAGE: quoted, DEAD_STACK: quoted}
    await bury(lane, subject=quoted, body={"message": bad}, **named)
    await stop_line(lane.connection, lane.publisher, "echo", by=bad, reason=bad)
    person = await people(ACTOR)
    await listed(person, "one")
    paths = ["", f"?q={quoted}", "/runs/one", "/dead", "/dead/1", "/dead/1/edit", "/workers", "/workers/echo/resume"]

    for path in paths:
        page = await person.get(f"/console{path}")
        assert page.status == 200
        assert "<img" not in page.text
        assert "\u202e" not in page.text
        assert "&lt;img src=x" in page.text, path


async def test_a_long_log_is_shown_from_its_end(people: People, lane: Lane) -> None:
    """Of thousands of lines the last are shown, and it says how many are not."""
    for part in range(4):
        await say(lane, "long", part, attempt=part + 1, outcome="retry", logs=[f"line {part}-{n}" for n in range(400)])
    person = await people(ACTOR)
    await listed(person, "long")
    text = (await person.get("/console/runs/long")).text

    assert "line 3-399" in text
    assert "line 0-0<" not in text
    assert "1,100 earlier lines are not shown" in text


async def test_runs_of_others_are_not_there(people: People, lane: Lane) -> None:
    """Neither in the list nor in its counts nor by their address."""
    await say(lane, "mine", event={"type": "echo.requested", "source": "/ci", "id": "m", "subject": "shop/web"})
    await say(lane, "theirs")
    await listed(await people(ACTOR), "theirs")
    narrow = await people(NARROW)
    text = (await narrow.get("/console")).text

    assert "theirs" not in text
    assert "all <b>1</b>" in text
    assert (await narrow.get("/console/runs/theirs")).status == 404
    assert (await narrow.get("/console/runs/mine")).status == 200


@pytest.mark.parametrize("run", ["*", "%3E", "a.b", "x" * 65, "..%2f..%2fetc"])
async def test_what_is_no_run_is_refused(people: People, run: str) -> None:
    """A wildcard, a dot or a path is no id: nothing is asked of the bus with it."""
    assert (await (await people(ACTOR)).get(f"/console/runs/{run}")).status in {400, 404}


async def test_two_thousand_runs_are_paged(people: People, lane: Lane) -> None:
    """A hundred a page; every run is on one of them, and the oldest is found by its name at once."""
    for number in range(2000):
        await say(lane, f"run-{number:04d}", number)
    person = await people(ACTOR)
    await listed(person, "run-1999")
    path, seen = "/console", list[str]()
    while path:
        text = (await person.get(path)).text
        seen += [part[:8] for part in text.split('data-run="')[1:] if part.startswith("run-")]
        _, _, rest = text.partition('<a href="/console?before=')
        older = rest.partition('"')[0]
        path = f"/console?before={older}" if older else ""

    assert seen == [f"run-{number:04d}" for number in range(1999, -1, -1)]
    assert (await person.get("/console?q=run-0000")).place.endswith("/console/runs/run-0000")
