"""Dead letters in the console: seen by who may, decided by who may, and it is known who did."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.bus.lane import Lane
from tests.gateway.console.conftest import ACTOR, NARROW, SEER, Person
from workers.bus.doors.graveyard import read_letter
from workers.bus.transport import headers as names

People = Callable[[str | None], Awaitable[Person]]


async def bury(lane: Lane, number: int = 1, *, body: Any = None, subject: str = "hello", **headers: str) -> None:
    """Store a dead letter of `echo`, as the engine does."""
    known = {
        "ce-specversion": "1.0",
        "ce-id": f"d{number}",
        "ce-source": "/ci",
        "ce-type": "echo.requested",
        "ce-run": f"run{number}",
        "ce-subject": subject,
        "ce-actor": "ci",
        "content-type": "application/json",
        names.DEAD_WORKER: "echo",
        names.DEAD_REASON: "permanent",
        names.DEAD_MESSAGE: "nobody is there",
        names.ATTEMPTS: "1",
        names.ORIGIN_STREAM: "EVENTS",
        names.ORIGIN_SEQUENCE: "1",
    }
    content = json.dumps(body or {"message": subject}).encode()
    await lane.publisher.publish("dead.echo.echo.requested", content, known | headers, message_id=f"dead{number}")


async def test_a_replay_asks_first_and_says_who_did_it(people: People, lane: Lane) -> None:
    """The page before it changes nothing; after it the worker has the event again, and the letter names the person."""
    await bury(lane)
    person = await people(ACTOR)
    asked = await person.get("/console/dead/1/replay")
    assert "Replay it as it is?" in asked.text
    assert await lane.bodies("RETRY_echo") == []

    done = await person.post("/console/dead/1/replay", {"csrf": asked.csrf, "replays": "0"})

    assert done.status == 200
    assert "Replayed: it is with the worker again." in done.text
    assert await lane.bodies("RETRY_echo") == [{"message": "hello"}]
    assert [each.by for each in (await read_letter(lane.connection, 1)).replays] == [ACTOR]
    assert "replayed by alice" in (await person.get("/console/dead")).text


async def test_an_edited_replay_is_a_new_event(people: People, lane: Lane) -> None:
    """What was changed is what the worker gets; what does not fit the catalogue comes back with what was typed."""
    await bury(lane)
    person = await people(ACTOR)
    csrf = (await person.get("/console/dead/1/edit")).csrf

    async def edit(text: str) -> Any:
        return await person.post("/console/dead/1/edit", {"csrf": csrf, "replays": "0", "body": text})

    for text, sentence in [
        ('{"message": "hello"}', "Nothing was changed"),
        ("{", "This is no JSON"),
        ("[]", "a JSON object"),
        ("{}", "is gone"),
        ('{"message": ""}', "message"),
        ('{"message": "hello", "more": "<b>x</b>"}', "more"),
    ]:
        answer = await edit(text)
        assert (answer.status, sentence in answer.text) == (400, True), answer.text
        assert "<b>x</b>" not in answer.text
    assert await lane.bodies("RETRY_echo") == []

    assert (await edit('{"message": "is anybody there?"}')).status == 200
    assert await lane.bodies("RETRY_echo") == [{"message": "is anybody there?"}]


async def test_a_second_replay_of_what_was_seen_once_is_refused(people: People, lane: Lane) -> None:
    """Two people on call: the second is told who was faster, and nothing happens twice."""
    await bury(lane)
    person = await people(ACTOR)
    fields = {"csrf": (await person.get("/console/dead/1/replay")).csrf, "replays": "0"}
    assert (await person.post("/console/dead/1/replay", fields)).status == 200

    again = await person.post("/console/dead/1/replay", fields)

    assert again.status == 409
    assert "Since you looked, alice replayed dead letter 1" in again.text
    assert len(await lane.bodies("RETRY_echo")) == 1


async def test_a_dropped_letter_is_gone(people: People, lane: Lane) -> None:
    """It asks, then it is away for good; asking for it again says so."""
    await bury(lane)
    person = await people(ACTOR)
    asked = await person.get("/console/dead/1/drop")
    done = await person.post("/console/dead/1/drop", {"csrf": asked.csrf})

    assert "Dead letter 1 is dropped." in done.text
    assert await lane.count("DEAD") == 0
    assert (await person.get("/console/dead/1")).status == 404


@pytest.mark.parametrize("act", ["replay", "edit", "drop"])
async def test_who_may_only_see_does_nothing(people: People, lane: Lane, act: str) -> None:
    """It finds no button, no page to ask, and no way past them."""
    await bury(lane)
    seer = await people(SEER)
    letter = await seer.get("/console/dead/1")
    assert f"/console/dead/1/{act}" not in letter.text
    asked = await seer.get(f"/console/dead/1/{act}")
    done = await seer.post(f"/console/dead/1/{act}", {"csrf": letter.csrf, "replays": "0"})

    assert (asked.status, done.status) == (403, 403)
    assert "You (bob) may see, not act" in done.text
    assert await lane.count("DEAD") == 1


@pytest.mark.parametrize(
    ("origin", "session"),
    [("https://evil.example", "this"), ("null", "this"), (None, "this"), ("", "another")],
    ids=["another page", "a hidden page", "no page", "without the session's word"],
)
async def test_what_another_page_sends_does_nothing(
    people: People, lane: Lane, origin: str | None, session: str
) -> None:
    """Origin and the form's own word are each enough to refuse it, even with the cookie."""
    await bury(lane)
    person = await people(ACTOR)
    words = {
        "this": (await person.get("/console/dead/1/drop")).csrf,
        "another": (await (await people(ACTOR)).get("/console")).csrf,
    }
    done = await person.post("/console/dead/1/drop", {"csrf": words[session]}, origin=origin)

    assert done.status == 403
    assert await lane.count("DEAD") == 1


async def test_letters_are_seen_as_their_events_are(people: People, lane: Lane) -> None:
    """Who sees some events sees their letters alone; the others are not there for it."""
    await bury(lane, 1, subject="shop/web")
    await bury(lane, 2, subject="bank/vault")
    narrow = await people(NARROW)
    listed = await narrow.get("/console/dead")

    assert "shop/web" in listed.text
    assert "bank/vault" not in listed.text
    assert (await narrow.get("/console/dead/1")).status == 200
    for path in (
        "/console/dead/2",
        "/console/dead/2/drop",
        "/console/dead/3",
        "/console/dead/x",
        f"/console/dead/{9**99}",
    ):
        assert (await narrow.get(path)).status == 404
    word = (await narrow.get("/console/dead/1")).csrf
    assert (await narrow.post("/console/dead/2/drop", {"csrf": word})).status == 404
    assert await lane.count("DEAD") == 2


async def test_many_letters_are_paged(people: People, lane: Lane) -> None:
    """A hundred a page, the newest first, and each is on one of them."""
    for number in range(1, 252):
        await bury(lane, number, subject=f"number-{number:03d}")
    person, path, seen = await people(ACTOR), "/console/dead", list[str]()
    while path:
        text = (await person.get(path)).text
        seen += [part[:3] for part in text.split("number-")[1:]]
        _, _, rest = text.partition('rel="next" href="')
        path = rest.partition('"')[0]

    assert seen == [f"{number:03d}" for number in range(251, 0, -1)]
