"""Publishing checks everything first, stores once, and on request waits for the end."""

import asyncio
import json
import signal
from pathlib import Path
from urllib.parse import unquote

import pytest

from schemas.echoes import EchoAnswered, EchoRequested
from schemas.identity import run_id
from tests.bus.lane import Lane, until, worker
from tests.commands.command import PATIENCE, Sealane
from workers.bus.rooms import wiring
from workers.failures import Denied, Unavailable

HELLO = ("publish", "echo.requested", "--set", "message=hello")


async def test_event_is_stored_with_its_identity(lane: Lane, sealane: Sealane) -> None:
    """Id, run, stream and sequence are said; headers and body on the bus are those of a CloudEvent."""
    done = await sealane(*HELLO, "--id", "e1", "--source", "//ci", "--json")

    assert (done.code, done.err) == (0, "")
    assert done.lines == [
        {"kind": "published", "type": "echo.requested", "source": "//ci", "id": "e1", "run": run_id("//ci", "e1")}
        | {"stream": "EVENTS", "sequence": 1, "duplicate": False}
    ]
    [(headers, body)] = await lane.messages("EVENTS")
    assert (headers["ce-id"], headers["ce-source"], headers["ce-subject"]) == ("e1", "//ci", "hello")
    assert headers["ce-actor"].startswith("operator/")
    assert json.loads(body) == {"message": "hello"}


async def test_repeat_is_stored_once_and_said_so(lane: Lane, sealane: Sealane) -> None:
    """The same source and id with the same content is the same event."""
    await sealane(*HELLO, "--id", "e1")
    done = await sealane(*HELLO, "--id", "e1")

    assert done.code == 0
    assert "was there already" in done.out
    assert await lane.count("EVENTS") == 1


async def test_same_identity_with_other_content_is_refused(lane: Lane, sealane: Sealane) -> None:
    """The server would take it for a repeat and drop it in silence."""
    await sealane(*HELLO, "--id", "e1")
    done = await sealane("publish", "echo.requested", "--set", "message=goodbye", "--id", "e1")

    assert (done.code, done.out) == (1, "")
    assert "another echo.requested with id 'e1' from '/sealane/publish' is stored (EVENTS 1)" in done.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("echo.asked", "--set", "message=x"), "there is no event 'echo.asked': the types are attestation.requested"),
        (("echo.requested", "--set", "mesage=x"), "there is no field 'mesage', the fields are message"),
        (("echo.requested", "--set", "message=a", "--set", "message=b"), "--set message is given twice"),
        (("echo.requested", "--set", "message=a", "--timeout", "3"), "--timeout says how long to --wait"),
        (("echo.requested", "-f", "-"), "stdin is empty"),
        (("echo.requested",), "say what to publish: either -f FILE, or --set"),
        (("echo.requested", "--set", "message"), "--set 'message' is not FIELD=VALUE"),
        (("echo.requested", "--set", "message=x", "--run", "a.b"), "run 'a.b' is not a run id"),
        (("image.pushed", "--set", "image=sesame"), "the field 'image' does not have the right form, expected: where"),
        (("image.pushed", "--set", "image=h/a", "--set", "seen=x"), "this field takes JSON, for example"),
        (("echo.requested", "-f", "/nowhere/at/all"), "/nowhere/at/all cannot be read: No such file"),
    ],
)
async def test_bad_input_is_one_sentence_and_exit_2(
    lane: Lane, sealane: Sealane, arguments: tuple[str, ...], sentence: str
) -> None:
    """The field and what is expected are named, and nothing is published."""
    done = await sealane("publish", *arguments)

    assert (done.code, done.out) == (2, "")
    assert sentence in done.err
    assert done.err.count("\n") == 1
    assert await lane.count("EVENTS") == 0


async def test_odd_characters_of_an_id_arrive_and_forge_no_header(lane: Lane, sealane: Sealane) -> None:
    """Spaces, quotes, percent signs, line breaks and other scripts are percent-encoded, and shown without effect."""
    odd = 'a "b" 100%\r\nce-actor: root — 港'
    async with lane.running(wiring("echo")):
        done = await sealane(*HELLO, "--id", odd, "--source", "//ci/ü", "--wait", "--timeout", "30", "--json")
    shown = await sealane(*HELLO, "--id", odd, "--source", "//ci/ü")

    assert done.code == 0, done.err
    assert (done.lines[0]["id"], done.lines[0]["source"]) == (odd, "//ci/ü")
    (headers, _), *_ = await lane.messages("EVENTS")
    assert unquote(headers["ce-id"]) == odd
    assert headers["ce-actor"].startswith("operator/")
    assert shown.out.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((*HELLO, "--id", "\udcff"), "the attribute 'id' holds half a surrogate pair: send valid Unicode"),
        ((*HELLO, "--source", "\udcff"), "the attribute 'source' holds half a surrogate pair: send valid Unicode"),
        (("publish", "echo.requested", "--set", "message=\udcff"), "this is no echo.requested: the body is not JSON"),
    ],
)
async def test_bytes_that_are_no_text_are_refused(
    lane: Lane, sealane: Sealane, arguments: tuple[str, ...], sentence: str
) -> None:
    """What is not UTF-8 on the command line can neither be an attribute nor a field."""
    done = await sealane(*arguments)

    assert (done.code, done.out) == (2, "")
    assert sentence in done.err
    assert await lane.count("EVENTS") == 0


async def test_fields_take_texts_json_and_entries(lane: Lane, sealane: Sealane) -> None:
    """A text is taken as it is, other fields are JSON, and an entry of an object has its own path."""
    seen = [{"where": "n/a:1", "digest": "sha256:" + "b" * 64}]
    fields = ("image=h/a:1", f"seen={json.dumps(seen)}", "labels.git.commit=4be1c0f")
    done = await sealane("publish", "image.pushed", *(part for field in fields for part in ("--set", field)))

    assert done.code == 0, done.err
    [body] = await lane.bodies("EVENTS")
    assert (body["image"], body["seen"], body["labels"]) == ("h/a:1", seen, {"git.commit": "4be1c0f"})


async def test_file_of_lines_is_published_in_order(lane: Lane, sealane: Sealane, tmp_path: Path) -> None:
    """Each line is an event with an id of its own."""
    file = tmp_path / "events.jsonl"
    file.write_text("".join(f'{{"message": "{n}"}}\n' for n in range(700)) + "\n")
    done = await sealane("publish", "echo.requested", "-f", str(file), "--json")

    assert done.code == 0, done.err
    assert [line["sequence"] for line in done.lines] == list(range(1, 701))
    assert len({line["run"] for line in done.lines}) == 700
    assert [body["message"] for body in await lane.bodies("EVENTS")] == [str(n) for n in range(700)]


async def test_pretty_object_on_stdin_is_one_event(lane: Lane, sealane: Sealane) -> None:
    """One JSON object may span lines."""
    done = await sealane("publish", "echo.requested", "-f", "-", stdin='{\n  "message": "hi"\n}\n')

    assert done.code == 0, done.err
    assert await lane.bodies("EVENTS") == [{"message": "hi"}]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            '{"message": "a"}\n{"message": 2}\n',
            "line 2 of stdin: this is no echo.requested: the field 'message'",
        ),
        ('{"message": "a"}\n\n{"message":}\n', "line 3 of stdin is not JSON"),
        ('{"message": "a"\n', "of stdin is not JSON"),
        ('["a"]', "stdin: this is no echo.requested: the body: input should be an object"),
        ("\n", "stdin is empty"),
    ],
)
async def test_one_bad_line_publishes_nothing(lane: Lane, sealane: Sealane, text: str, sentence: str) -> None:
    """The line is named, and what was right before it is not published either."""
    done = await sealane("publish", "echo.requested", "-f", "-", stdin=text)

    assert (done.code, done.out) == (2, "")
    assert sentence in done.err
    assert await lane.count("EVENTS") == 0


async def test_event_larger_than_the_bus_takes_is_refused(lane: Lane, sealane: Sealane) -> None:
    """The sentence says how large it may be."""
    labels = {str(n): "x" * 100_000 for n in range(20)}
    body = json.dumps({"image": "h/a", "labels": labels})
    done = await sealane("publish", "image.pushed", "-f", "-", stdin=body)

    assert (done.code, done.out) == (2, "")
    assert "2000236 bytes, more than the 983040 that the bus takes: send less" in done.err
    assert await lane.count("EVENTS") == 0


async def test_wait_ends_well_when_all_is_done(lane: Lane, sealane: Sealane) -> None:
    """Every line of the run is shown, and exit 0 says that nothing failed."""
    async with lane.running(wiring("echo")):
        done = await sealane(*HELLO, "--wait", "--timeout", "30")

    assert (done.code, done.err) == (0, "")
    assert "heard 'hello'" in done.out
    assert "done" in done.out
    assert "→ echo.answered hello" in done.out
    assert "\x1b" not in done.out


async def test_wait_as_json_ends_with_the_completed_run(lane: Lane, sealane: Sealane) -> None:
    """Programs read one line per message and the run at the end."""
    async with lane.running(wiring("echo")):
        done = await sealane(*HELLO, "--wait", "--timeout", "30", "--json")

    assert [line["kind"] for line in done.lines] == ["published", "result", "completed"]
    assert done.lines[-1]["state"] == "done"
    assert [branch["state"] for branch in done.lines[-1]["branches"]] == ["done"]


async def test_wait_joins_what_was_published_before(lane: Lane, sealane: Sealane) -> None:
    """Waiting for a repeat shows the run that the first one opened."""
    async with lane.running(wiring("echo")):
        await sealane(*HELLO, "--id", "e1", "--wait", "--timeout", "30")
        done = await sealane(*HELLO, "--id", "e1", "--wait", "--timeout", "30", "--json")

    assert done.code == 0
    assert [line["kind"] for line in done.lines] == ["published", "result", "completed"]


async def test_wait_for_many_ends_when_all_have(lane: Lane, sealane: Sealane) -> None:
    """Runs are followed together."""
    text = "".join(f'{{"message": "{n}"}}\n' for n in range(40))
    async with lane.running(wiring("echo")):
        done = await sealane("publish", "echo.requested", "-f", "-", "--wait", "--timeout", "30", "--json", stdin=text)

    assert done.code == 0, done.err
    assert sum(line["kind"] == "completed" for line in done.lines) == 40


async def test_wait_fails_with_the_reason_of_a_dead_letter(lane: Lane, sealane: Sealane) -> None:
    """The sentence says who gave up, why, and where to look."""

    async def echo(event: EchoRequested) -> EchoAnswered:
        raise Denied(f"may not say {event.message}")

    async with lane.running(worker(echo)):
        done = await sealane(*HELLO, "--wait", "--timeout", "30")

    assert done.code == 1
    assert "echo gave up on echo.requested hello: may not say hello. `sealane dead show 1` tells all." in done.err


async def test_wait_that_takes_too_long_says_what_is_open(lane: Lane, sealane: Sealane) -> None:
    """A timeout names the branch, its reason, and how to go on."""

    async def echo(event: EchoRequested) -> EchoAnswered:
        raise Unavailable(f"nobody there for {event.message}")

    async with lane.running(worker(echo)):
        done = await sealane(*HELLO, "--id", "e1", "--wait", "--timeout", "1.5")

    assert done.code == 1
    assert "is not over after 1.5 s: echo of echo.requested hello" in done.err
    assert f"`sealane tail {run_id('/sealane/publish', 'e1')}` goes on following" in done.err


async def test_interrupt_leaves_the_event_and_says_how_to_go_on(lane: Lane, sealane: Sealane) -> None:
    """Ctrl-C ends the waiting, not the work."""
    process = await sealane.start(*HELLO, "--id", "e1", "--wait")
    assert process.stdout
    assert process.stderr
    await asyncio.wait_for(process.stdout.readline(), PATIENCE)
    process.send_signal(signal.SIGINT)

    _, err = await asyncio.wait_for(process.communicate(), PATIENCE)

    assert process.returncode == 130
    assert f"`sealane tail {run_id('/sealane/publish', 'e1')}` goes on following" in err.decode()
    await until(lambda: _is_stored(lane))


async def _is_stored(lane: Lane) -> bool:
    return await lane.count("EVENTS") == 1


async def test_absent_server_is_one_sentence(tmp_path: Path) -> None:
    """Nobody has to read a traceback to learn that the bus is down."""
    done = await Sealane("nats://127.0.0.1:1", tmp_path)(*HELLO)

    assert done.code == 1
    assert "no NATS server answers at nats://127.0.0.1:1" in done.err
    assert "Traceback" not in done.err
