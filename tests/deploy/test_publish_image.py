"""What the shared script of the CI snippets makes of every answer, in each shell that a CI image may have."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.deploy.conftest import Reply, ScriptedDoor
from tests.deploy.pipelines import Ended, Step, direct, run

TOKEN = "canary-token.canary-token.canary-token"
DIGEST = "sha256:" + "a1" * 32
IMAGE = "europe-docker.pkg.dev/acme/shop/web:1.4.2"
STORED = Reply(202, '{"type":"image.pushed","source":"/ci","id":"1","run":"run-1"}')
SHELLS = {"dash": ("dash",), "bash": ("bash", "--posix"), "busybox": ("busybox", "sh")}


def options(door: str, /, **changed: str) -> list[str]:
    """Return the options of a call that is right but for what is changed."""
    given = {
        "identity": "token",
        "door": door,
        "image": IMAGE,
        "digest": DIGEST,
        "source": "//github.com/acme/shop",
        "build": "42.1",
        "patience": "20",
    } | changed
    return [word for name, value in given.items() for word in (f"--{name}", value)]


async def call(
    door: ScriptedDoor, folder: Path, shell: str = "dash", environment: dict[str, str] | None = None, /, **changed: str
) -> Ended:
    """Run the script and see that nobody can read the token."""
    step = direct(*options(door.url, **changed), shell=SHELLS[shell])
    given = {"SEALANE_TOKEN": TOKEN} if environment is None else environment
    ended = await asyncio.to_thread(run, step, folder, given)
    assert "canary" not in ended.all
    return ended


def test_token_that_is_handed_to_a_program_is_seen(tmp_path: Path) -> None:
    """The spies do look: what is in an argument, or in the environment of a program, counts as readable."""
    argument = run(Step(("sh",), f"date +%s-{TOKEN}\n"), tmp_path, {})
    environment = run(Step(("sh",), "date +%s\n"), tmp_path, {"SEALANE_TOKEN": TOKEN})

    assert TOKEN in argument.seen
    assert TOKEN in environment.seen


@pytest.mark.parametrize("shell", SHELLS)
async def test_event_is_sent_as_a_cloudevent(door: ScriptedDoor, tmp_path: Path, shell: str) -> None:
    """Type, source, id and digest are there, the token is in its header, and the run is told."""
    door.says(STORED)
    output = tmp_path / "output"
    ended = await call(door, tmp_path, shell, output=str(output))

    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"sealane: image.pushed for {IMAGE}@{DIGEST} is stored; its run is run-1\n"
    ((method, path, headers, body),) = door.asked
    assert (method, path, headers["authorization"]) == ("POST", "/events", f"Bearer {TOKEN}")
    assert json.loads(body) == {"image": IMAGE, "digest": DIGEST}
    sent = {name: headers[f"ce-{name}"] for name in ("specversion", "type", "source", "id")}
    identity = f"42.1/{IMAGE}@{DIGEST}"
    assert sent == {"specversion": "1.0", "type": "image.pushed", "source": "//github.com/acme/shop", "id": identity}
    assert headers["content-type"] == "application/json"
    assert output.read_text() == f"run=run-1\nevent={identity}\n"


@pytest.mark.parametrize("shell", SHELLS)
async def test_what_passes_is_tried_again_with_the_same_id(door: ScriptedDoor, tmp_path: Path, shell: str) -> None:
    """Overload, a restart and a broken proxy are outlasted; Retry-After is kept; the event stays the same one."""
    busy = Reply(429, '{"detail":"ci may bring \\"2\\" events"}', {"Retry-After": "2"})
    door.says(busy, Reply(503, "", {"Retry-After": "1"}), Reply(502, "<html>"), STORED)
    ended = await call(door, tmp_path, shell)

    assert ended.code == 0, ended.err
    assert len({(headers["ce-id"], headers["ce-source"], body) for _, _, headers, body in door.asked}) == 1
    told = ended.err.splitlines()
    assert told[0] == f'sealane: the door {door.url}: ci may bring "2" events; trying again in 2 s'
    assert "it answered with status 503 and no reason; trying again in 2 s" in told[1]
    assert "status 502" in told[2]
    assert len(door.asked) == 4


@pytest.mark.parametrize("shell", SHELLS)
async def test_patience_ends_with_a_sentence_and_75(door: ScriptedDoor, tmp_path: Path, shell: str) -> None:
    """Who is asked to come in an hour does not wait for it; an unreachable door is named."""
    door.says(Reply(503, '{"detail":"the bus is away"}', {"Retry-After": "3600"}))
    later = await call(door, tmp_path, shell)
    away = await call(ScriptedDoor("http://127.0.0.1:9"), tmp_path, shell, patience="0")

    assert (later.code, away.code) == (75, 75)
    assert "cannot be used now: the bus is away; start this step again later" in later.err
    assert "the door http://127.0.0.1:9 cannot be used now: " in away.err
    assert "onnect" in away.err


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 409, 413, 415, 422])
async def test_refusal_is_final_and_says_why(door: ScriptedDoor, tmp_path: Path, status: int) -> None:
    """Nothing is tried again; the reason and the claim are repeated, on one line that no log mistakes for a command."""
    door.says(Reply(status, json.dumps({"detail": 'no\n::add-mask::x "principal"', "claim": "repository_id"})))
    ended = await call(door, tmp_path)

    assert ended.code == 1
    assert len(door.asked) == 1
    assert len(ended.err.splitlines()) == 1
    assert ended.err.startswith(f"sealane: the door refused the event (status {status}): no")
    assert '"principal" (claim: repository_id)' in ended.err


async def test_answer_of_something_else_is_no_success(door: ScriptedDoor, tmp_path: Path) -> None:
    """A captive portal's page, and a run that is none, do not count as stored."""
    for reply in (Reply(200, "<html>welcome</html>"), Reply(202, "accepted"), Reply(202, '{"run":"../x"}')):
        door.says(reply)
        ended = await call(door, tmp_path)
        assert (ended.code, ended.out) == (1, ""), ended.err


def _run(state: str, *emitted: str, message: str = "") -> Reply:
    branch = {"worker": "attest", "state": state, "emitted": [{"type": kind} for kind in emitted]}
    if message:
        branch["message"] = message
    return Reply(200, json.dumps({"run": "run-1", "state": state, "complete": state == "done", "branches": [branch]}))


@pytest.mark.parametrize("shell", SHELLS)
async def test_attestation_is_waited_for(door: ScriptedDoor, tmp_path: Path, shell: str) -> None:
    """Not heard of yet, running, busy: asked again, with the token, until it is attested."""
    unheard, away = Reply(404, '{"detail":"nothing is heard"}'), Reply(503, "", {"Retry-After": "1"})
    door.says(STORED, unheard, away, _run("running"), _run("done", "image.attested"))
    ended = await call(door, tmp_path, shell, wait="40")

    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[-1] == f"sealane: {IMAGE}@{DIGEST} is attested"
    assert {path for _, path, _, _ in door.asked[1:]} == {"/runs/run-1"}
    assert {headers["authorization"] for _, _, headers, _ in door.asked} == {f"Bearer {TOKEN}"}


ENDINGS = {
    "failed": (
        _run("failed", message='there is no "web": push it'),
        1,
        'not attested: there is no "web": push it',
    ),
    "without a rule": (_run("done", "echo.answered"), 1, "attested nothing: no signing rule is for"),
    "only spoken of": (_run("done", message='"type":"image.attested"'), 1, "attested nothing"),
    "unfinished": (_run("running"), 75, "is not attested after 1 s: look at the run run-1 with 'sealane tail run-1'"),
    "somebody else's": (Reply(403, '{"detail":"not yours"}'), 1, "(status 403): not yours"),
}


@pytest.mark.parametrize("case", ENDINGS)
async def test_run_that_attests_nothing_fails_the_step(door: ScriptedDoor, tmp_path: Path, case: str) -> None:
    """Whoever waits is never told of an attestation that is not there."""
    reply, code, sentence = ENDINGS[case]
    door.says(STORED, reply)
    ended = await call(door, tmp_path, wait="1")

    assert ended.code == code
    assert sentence in ended.err
    assert "attested\n" not in ended.out


WRONG = {
    "no digest": ({"digest": ""}, "there is no digest"),
    "a short digest": ({"digest": "sha256:" + "a" * 63}, "64 hexadecimal digits"),
    "a long digest": ({"digest": "sha256:" + "a" * 65}, "64 hexadecimal digits"),
    "another algorithm": ({"digest": "sha512:" + "a" * 64}, "64 hexadecimal digits"),
    "a digest that ends the JSON": ({"digest": 'sha256:","x":"' + "a" * 57}, "64 hexadecimal digits"),
    "no image": ({"image": ""}, "the image is not HOST/PATH"),
    "an image that ends the JSON": ({"image": 'a/b","x":"y'}, "the image is not HOST/PATH"),
    "an image without a registry": ({"image": "web"}, "names no registry"),
    "a door that others can read": ({"door": "http://sealane.example.com"}, "not an https URL"),
    "a door that looks local": ({"door": "http://127.0.0.1.example.com"}, "not an https URL"),
    "a door with another's name": ({"door": "http://127.0.0.1@example.com"}, "characters that no such URL has"),
    "a door that is an option": ({"door": 'https://x"\nurl = "https://evil.example.com'}, "characters that no"),
    "no source": ({"source": ""}, "there is no source"),
    "no build": ({"build": ""}, "the build has no name"),
    "a wait in words": ({"wait": "long"}, "whole seconds"),
    "an environment that ends the JSON": ({"environment": 'x","y":"z'}, "the environment holds more than"),
    "no identity": ({"identity": ""}, "there is no identity"),
    "an unknown option": ({"tag": "1"}, "there is no option --tag"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_wrong_call_sends_nothing(door: ScriptedDoor, tmp_path: Path, case: str) -> None:
    """Each mistake is one sentence and exit code 2, before anybody is asked."""
    changed, sentence = WRONG[case]
    ended = await call(door, tmp_path, **changed)

    assert (ended.code, sentence in ended.err) == (2, True), ended.err
    assert door.asked == []


async def test_job_without_a_token_is_told_what_to_do(door: ScriptedDoor, tmp_path: Path) -> None:
    """On GitHub the permission is missing; elsewhere the variable; what is no token is not sent."""
    github = await call(door, tmp_path, "dash", {}, identity="github")
    nothing = await call(door, tmp_path, "dash", {})
    broken = await call(door, tmp_path, "dash", {"SEALANE_TOKEN": 'a"\nurl = "https://evil.example.com'})

    assert (github.code, nothing.code, broken.code) == (2, 2, 2)
    assert "give it the permission id-token: write" in github.err
    assert "the variable SEALANE_TOKEN is empty" in nothing.err
    assert "SEALANE_TOKEN holds no token" in broken.err
    assert door.asked == []


@pytest.mark.parametrize("shell", SHELLS)
async def test_github_gives_a_token_for_the_door(door: ScriptedDoor, tmp_path: Path, shell: str) -> None:
    """The token service is asked with the audience, its hiccup is outlasted, and its refusal is final."""
    granted = Reply(200, json.dumps({"count": 1, "value": TOKEN}))
    environment = {
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"{door.url}/idtoken?api-version=2.0",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "canary-request-token",
    }
    door.says(Reply(500), granted, STORED)
    ended = await call(door, tmp_path, shell, environment, identity="github", audience="a b&c=ä")
    door.says(Reply(403, '{"message":"no"}'))
    refused = await call(door, tmp_path, shell, environment, identity="github")

    assert (ended.code, refused.code) == (0, 1), ended.err
    assert door.asked[1][1] == "/idtoken?api-version=2.0&audience=a%20b%26c%3D%C3%A4"
    assert door.asked[1][2]["authorization"] == "Bearer canary-request-token"
    assert door.asked[2][2]["authorization"] == f"Bearer {TOKEN}"
    assert "GitHub's token service gave no token (status 403)" in refused.err


async def test_names_are_escaped_as_cloudevents_ask(door: ScriptedDoor, tmp_path: Path) -> None:
    """Spaces, quotes, percent signs, line breaks and other letters arrive percent-encoded, and break nothing."""
    door.says(STORED)
    ended = await call(door, tmp_path, source='/jenkins/a b%2F"ü\nx', build="7\\")

    assert ended.code == 0, ended.err
    headers = door.asked[0][2]
    assert headers["ce-source"] == "/jenkins/a%20b%252F%22%C3%BC%0Ax"
    assert headers["ce-id"] == f"7%5C/{IMAGE}@{DIGEST}"


async def test_options_of_the_users_own_curl_do_not_count(door: ScriptedDoor, tmp_path: Path) -> None:
    """A ~/.curlrc that traces or sends elsewhere is not read."""
    door.says(STORED)
    (tmp_path / ".curlrc").write_text('verbose\ntrace-ascii = "-"\n')
    ended = await call(door, tmp_path)

    assert (ended.code, ended.err) == (0, "")
