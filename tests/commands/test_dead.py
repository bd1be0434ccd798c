"""Dead letters are seen, given back and dropped from the command line."""

import json
from typing import Any

from schemas.echoes import EchoAnswered, EchoRequested
from schemas.envelope import Envelope
from schemas.identity import run_id
from tests.bus.lane import Lane, until, worker
from tests.commands.command import Sealane
from workers.bus.judgement.deadletters import bury, bury_unreadable
from workers.bus.judgement.verdict import Failure
from workers.bus.rooms import wiring
from workers.bus.transport import headers as names
from workers.failures import Denied

DENIED = Failure("dead", "permanent", "Denied", "may not say \x1b[2J it", stack="Traceback …\n  in echo")


async def kill(lane: Lane, *messages: str, body: bytes | None = None) -> None:
    """Publish events and bury them, as a worker which gives them up does."""
    for number, message in enumerate(messages, 1):
        event = EchoRequested(message=message)
        envelope = Envelope(
            id=message, source="/tests", type="echo.requested", run=run_id("/tests", message), subject=message
        )
        await bury(
            lane.publisher,
            worker="echo",
            stream="EVENTS",
            sequence=number,
            event_type="echo.requested",
            original=envelope.headers() | {names.FIRST_SEEN: "2026-11-02T09:30:00Z"},
            body=event.model_dump_json().encode() if body is None else body,
            failure=DENIED,
            attempts=10,
        )


async def retries(lane: Lane) -> list[tuple[dict[str, str], dict[str, Any]]]:
    """Return the headers and bodies of what waits for the worker `echo`."""
    return [(headers, json.loads(body)) for headers, body in await lane.messages("RETRY_echo", "retry.")]


async def test_list_says_who_gave_up_what_and_why(lane: Lane, sealane: Sealane) -> None:
    """A table for people, records for programs, filters for both, and nothing that steers a terminal."""
    await kill(lane, "hello", "other")
    table, records = await sealane("dead", "list"), await sealane("dead", "list", "--json", "--worker", "echo")
    none = await sealane("dead", "list", "--worker", "attest")

    assert "may not say \\u001b[2J it" in table.out
    assert [(line["sequence"], line["type"], line["subject"], line["reason"]) for line in records.lines] == [
        (1, "echo.requested", "hello", "permanent"),
        (2, "echo.requested", "other", "permanent"),
    ]
    assert (none.code, none.out, none.err) == (0, "", "There are no dead letters that 'attest' gave up.\n")


async def test_show_tells_everything(lane: Lane, sealane: Sealane) -> None:
    """The body, the stack, the attempts and where the original is."""
    await kill(lane, "hello")
    people, programs = await sealane("dead", "show", "1"), await sealane("dead", "show", "1", "--json")

    assert '"message": "hello"' in people.out
    assert "  in echo" in people.out
    [record] = programs.lines
    assert (record["attempts"], record["origin"], record["body"]) == (10, "EVENTS 1", {"message": "hello"})


async def test_letter_that_is_not_there_is_named(lane: Lane, sealane: Sealane) -> None:
    """A wrong number is one sentence."""
    done = await sealane("dead", "show", "9")

    assert (done.code, done.out) == (1, "")
    assert "there is no dead letter 9 (any more)" in done.err


async def test_replay_keeps_the_identity_under_a_new_message_id(lane: Lane, sealane: Sealane) -> None:
    """The attempts are forgotten, and the duplicate check does not swallow it."""
    await kill(lane, "hello")
    first, second = await sealane("dead", "replay", "1"), await sealane("dead", "replay", "1", "--json")

    assert (first.code, second.code) == (0, 0), first.err + second.err
    found = await retries(lane)
    assert [headers["Nats-Msg-Id"] for headers, _ in found] == ["replay:1:1", "replay:1:2"]
    for headers, body in found:
        assert (headers["ce-id"], headers["ce-source"], body) == ("hello", "/tests", {"message": "hello"})
        assert headers[names.REPLAY_OF] == "1"
        assert headers[names.REPLAYED_BY].startswith("operator/")
        assert not {names.ATTEMPTS, names.FIRST_SEEN, names.DEAD_REASON} & set(headers)
    listed = await sealane("dead", "list", "--json")
    assert [len(line["replays"]) for line in listed.lines] == [2]


async def test_replayed_event_is_worked_on(lane: Lane, sealane: Sealane) -> None:
    """The worker gets it, and what comes of it belongs to the run of the original."""
    await kill(lane, "hello")
    async with lane.running(wiring("echo")):
        await sealane("dead", "replay", "1")
        await until(lambda: _answered(lane, ["hello"]))

    [result] = await lane.results(outcome="done")
    assert (result["run"], result["attempt"]) == (run_id("/tests", "hello"), 1)


async def _answered(lane: Lane, messages: list[str]) -> bool:
    return await lane.answers() == messages


async def test_replay_that_dies_again_names_the_first_letter(lane: Lane, sealane: Sealane) -> None:
    """Whoever looks at the second letter finds the first one."""

    async def echo(event: EchoRequested) -> EchoAnswered:
        raise Denied(f"may not say {event.message}")

    await kill(lane, "hello")
    async with lane.running(worker(echo)):
        replayed = await sealane("dead", "replay", "1", "--json")
        followed = await sealane("tail", replayed.lines[0]["run"])
    listed = await sealane("dead", "list", "--json")

    assert followed.code == 1
    assert [(line["sequence"], line.get("replay_of")) for line in listed.lines] == [(1, None), (2, 1)]


async def test_replay_of_all_leaves_out_what_was_replayed(lane: Lane, sealane: Sealane) -> None:
    """Asking twice does not do it twice."""
    await kill(lane, "one", "two", "three")
    await sealane("dead", "replay", "2")
    done = await sealane("dead", "replay", "--all", "--worker", "echo", "--json")
    again = await sealane("dead", "replay", "--all", "--worker", "echo")

    assert [line["replayed"] for line in done.lines] == [1, 3]
    assert (again.code, again.err) == (0, "There is nothing to replay.\n")
    assert sorted(body["message"] for _, body in await retries(lane)) == ["one", "three", "two"]


async def test_edited_replay_is_a_new_event(lane: Lane, sealane: Sealane) -> None:
    """It has an id of its own, derived, so that the same edit is the same event; its cause is the original."""
    await kill(lane, "hello")
    await sealane("dead", "replay", "1", "--set", "message=better")
    await sealane("dead", "replay", "1", "--set", "message=better")

    original = Envelope(id="hello", source="/tests", type="echo.requested", run=run_id("/tests", "hello"))
    [(headers, body), (again, _)] = await retries(lane)
    assert body == {"message": "better"}
    assert headers["ce-id"] == again["ce-id"] != "hello"
    assert (headers["ce-cause"], headers["ce-run"], headers["ce-hops"]) == (original.message_id, original.run, "1")
    assert (headers["ce-source"], headers["ce-subject"]) == ("/sealane/replay", "better")
    assert headers["ce-actor"].startswith("operator/")


async def test_edited_replay_must_fit_the_catalogue(lane: Lane, sealane: Sealane) -> None:
    """A bad edit is refused before anything is published."""
    await kill(lane, "hello")
    done = await sealane("dead", "replay", "1", "--set", "mesage=better")

    assert done.code == 2
    assert "there is no field 'mesage', the fields are message" in done.err
    assert await retries(lane) == []


async def test_unreadable_letter_can_be_shown_and_dropped_only(lane: Lane, sealane: Sealane) -> None:
    """What nobody could read as an event cannot be given back as one."""
    await bury_unreadable(
        lane.publisher,
        worker="echo",
        stream="EVENTS",
        sequence=1,
        event_type="echo.requested",
        block=b"NATS/1.0",
        body=b'{"message":"x"}',
    )
    shown, replayed = await sealane("dead", "show", "1", "--json"), await sealane("dead", "replay", "1")
    dropped = await sealane("dead", "drop", "1", "--yes")

    assert shown.lines[0]["header_block"] == "TkFUUy8xLjA="
    assert (replayed.code, replayed.out) == (2, "")
    assert "cannot be replayed: nobody could read the original as an event" in replayed.err
    assert (dropped.code, dropped.out) == (0, "dropped 1\n")
    assert await lane.count("DEAD") == 0


async def test_drop_asks_where_somebody_can_answer(lane: Lane, sealane: Sealane) -> None:
    """A pipe cannot say yes, and a number that is gone is named."""
    await kill(lane, "hello")
    unasked = await sealane("dead", "drop", "1")
    gone = await sealane("dead", "drop", "7", "--yes")

    assert unasked.code == 2
    assert "say --yes to drop dead letters for good" in unasked.err
    assert gone.code == 1
    assert "there is no dead letter 7" in gone.err
    assert await lane.count("DEAD") == 1


async def test_replay_needs_a_choice(lane: Lane, sealane: Sealane) -> None:
    """Neither nothing nor everything is replayed by mistake."""
    assert "say which to replay" in (await sealane("dead", "replay")).err
    assert "--all needs --worker" in (await sealane("dead", "replay", "--all")).err
    for option in ("--worker", "--type"):
        refused = await sealane("dead", "replay", "1", option, "echo")
        assert (refused.code, "--worker and --type choose among --all" in refused.err) == (2, True)


async def test_empty_list_names_what_was_asked_for(lane: Lane, sealane: Sealane) -> None:
    """Who mistypes a worker does not believe that nothing is dead."""
    await kill(lane, "hello")
    done = await sealane("dead", "list", "--worker", "eco", "--type", "echo.requested")

    assert (done.code, done.err) == (0, "There are no dead letters of type 'echo.requested' that 'eco' gave up.\n")
