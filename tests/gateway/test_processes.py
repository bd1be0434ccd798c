"""The door as processes: two of them on one bus, ended and killed; and what none of them ever writes."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import nullcontext
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import nkeys
import psutil
import pytest

from tests.bus.lane import Lane, until
from tests.commands.forking import forking
from tests.gateway.conftest import KEY, SLOW_KEY, Caller, attributes
from tests.gateway.issuer import LocalIssuer
from workers.gateway.principals import Policy

READY = re.compile(r"HTTP (http://[\d.:]+), metrics (http://[\d.:]+)/metrics")


class Gateway:
    """One process `sealane gateway`."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process = process
        self.log = log

    @property
    def said(self) -> str:
        """What it wrote so far."""
        return self.log.read_text()

    async def ready(self) -> tuple[str, str]:
        """Wait until it is open, and return where: the door, and the metrics."""
        await until(lambda: READY.search(self.said) is not None or self.process.returncode is not None, within=120)
        found = READY.search(self.said)
        assert found is not None, self.said
        return found[1], found[2]

    async def ended(self) -> int:
        """Return its exit code, once it has ended."""
        return await asyncio.wait_for(self.process.wait(), 120)


Start = Callable[..., Awaitable[Gateway]]


@pytest.fixture
async def start(lane: Lane, tmp_path: Path, policy: Policy) -> AsyncIterator[Start]:
    """Return a function that starts a process, `really` as people do; all of them are ended afterwards."""
    principals = tmp_path / "principals.json"
    principals.write_text(policy.model_dump_json())
    started: list[Gateway] = []

    async def start(*, really: bool = False, **settings: str) -> Gateway:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SEALANE_")}
        given = {"nats": lane.url, "nats_seed": f"file://{tmp_path}/identities/gateway.seed", "http_port": "0"}
        given |= {"principals": str(principals), "log_level": "DEBUG", "data": str(tmp_path / "nowhere")} | settings
        log = tmp_path / f"gateway-{len(started)}.log"
        with log.open("wb") as written, nullcontext() if really else forking():
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "workers", "gateway"),
                env=kept | {f"SEALANE_{name.upper()}": value for name, value in given.items()},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=written,
                stderr=written,
            )
        started.append(Gateway(process, log))
        return started[-1]

    yield start
    for gateway in started:
        if gateway.process.returncode is None:
            gateway.process.kill()
            await gateway.ended()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Give a client."""
    async with aiohttp.ClientSession() as found:
        yield found


async def test_two_processes_know_the_tokens_and_rates_of_each_other(
    lane: Lane, start: Start, session: aiohttp.ClientSession, issuer: LocalIssuer
) -> None:
    """Used at one, a token is bound at the other, also after a kill -9; what one admitted is gone at the other."""
    first, second = await start(), await start()
    one, other = [Caller((await gateway.ready())[0], session) for gateway in (first, second)]
    token = issuer.token()

    assert (await one.echo("t-1", token=token)).status == 202
    slow = [await caller.echo(f"s-{n}", token=SLOW_KEY, ce_source="/slow/1") for n, caller in enumerate((one, other))]
    first.process.kill()
    await first.ended()
    assert (await other.echo("t-1", token=token)).status == 202
    replayed = await other.echo("t-2", token=token)
    assert (replayed.status, replayed.json["claim"]) == (403, "jti")
    assert [answer.status for answer in slow] == [202, 202]
    assert (await other.echo("s-9", token=SLOW_KEY, ce_source="/slow/1")).status == 429
    assert await lane.count("EVENTS") == 3


async def test_what_is_under_way_is_answered_at_the_end(
    lane: Lane, start: Start, session: aiohttp.ClientSession
) -> None:
    """On SIGTERM no new connection is taken, a request that has begun is answered and stored, and the exit is clean."""
    gateway = await start()
    url, _ = await gateway.ready()
    where, body = urlsplit(url), b'{"message": "late"}'
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    headers = {**attributes("late"), "authorization": f"Bearer {KEY}", "content-length": str(len(body)), "host": "x"}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join(["POST /events HTTP/1.1", *lines, "", ""]).encode() + body[:5])
    assert (await Caller(url, session).echo("before")).status == 202
    gateway.process.send_signal(signal.SIGTERM)
    await until(lambda: "stopping" in gateway.said, what="it is told to stop")

    async def refused() -> bool:
        try:
            _, another = await asyncio.open_connection(where.hostname, where.port)
        except OSError:
            return True
        another.close()
        return False

    await until(refused, what="no new connection is taken")
    writer.write(body[5:])
    answer = await asyncio.wait_for(reader.read(), 60)
    writer.close()

    assert answer.startswith(b"HTTP/1.1 202 ")
    assert await gateway.ended() == 0
    assert [one["message"] for one in await lane.bodies("EVENTS", "echo.requested")] == ["hello", "late"]


async def test_metrics_have_a_port_of_their_own(start: Start, session: aiohttp.ClientSession) -> None:
    """The door serves liveness and readiness to nobody in particular, and not a word more; the rest is elsewhere."""
    url, operations = await (await start()).ready()
    door, other = Caller(url, session), Caller(operations, session)
    await door.echo("m-1")

    open_to_all = {path: await door.ask("GET", path) for path in ("/livez", "/readyz")}
    assert {path: answer.json for path, answer in open_to_all.items()} == {
        "/livez": {"live": True},
        "/readyz": {"ready": True},
    }
    for path in ("/", "/metrics", "/docs", "/favicon.ico", "/.well-known/jwks"):
        assert (await door.ask("GET", path)).status == 404
    for path in ("/openapi.json", "/runs/abc"):
        assert (await door.ask("GET", path)).status == 401
    metrics = await other.ask("GET", "/metrics")
    assert 'sealane_door_requests_total{principal="ci",route="/events",status="202"} 1.0' in metrics.text
    assert "<title>sealane: ready</title>" in (await other.ask("GET", "/")).text
    assert (await other.ask("GET", "/readyz")).json["workers"]
    assert (await other.ask("POST", "/events")).status == 405


async def test_door_waits_for_its_bus_and_says_so(start: Start, lane: Lane) -> None:
    """Without a bus it says what it waits for; told to stop meanwhile, it stops."""
    gateway = await start(nats="nats://127.0.0.1:1")
    await until(lambda: "waiting: " in gateway.said, within=120, what="it says what it waits for")
    gateway.process.send_signal(signal.SIGTERM)

    assert await gateway.ended() == 0
    assert await lane.count("EVENTS") == 0


async def test_taken_port_and_wrong_policy_are_sentences(start: Start) -> None:
    """A door that cannot open ends with one sentence that names the setting."""
    url, _ = await (await start()).ready()
    port = str(urlsplit(url).port)
    taken = await start(http_port=port)
    wrong = await start(principals='{"principals": [{"name": "x", "api_keys": ["slk_canary"], "may_publish": []}]}')

    assert (await taken.ended(), await wrong.ended()) == (1, 2)
    assert f"the door cannot listen on 127.0.0.1:{port}: free that port, or set SEALANE_HTTP_PORT" in taken.said
    assert "SEALANE_PRINCIPALS: principals.0.api_keys.0" in wrong.said
    assert "slk_canary" not in wrong.said


async def test_what_keeps_a_door_shut_is_named(start: Start, lane: Lane, tmp_path: Path) -> None:
    """A bus that knows it not, an address that is not ours: a sentence each, instead of waiting in vain."""
    seed = tmp_path / "stranger.seed"
    seed.touch(0o600)
    seed.write_bytes(nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER))
    stranger = await start(nats_seed=f"file://{seed}")
    elsewhere = await start(http_host="192.0.2.1")

    assert (await stranger.ended(), await elsewhere.ended()) == (1, 1)
    assert f"NATS at {lane.url} refuses the identity 'gateway': check SEALANE_NATS_SEED" in stranger.said
    assert "cannot listen on 192.0.2.1:0: " in elsewhere.said
    assert "correct SEALANE_HTTP_HOST or SEALANE_HTTP_PORT" in elsewhere.said


async def test_door_for_nobody_says_so(start: Start) -> None:
    """An empty policy is fine, and hardly meant."""
    gateway = await start(principals="")
    await gateway.ready()
    await until(lambda: "SEALANE_PRINCIPALS names no principal" in gateway.said, within=120)


async def test_no_secret_shows_anywhere(
    lane: Lane, start: Start, session: aiohttp.ClientSession, issuer: LocalIssuer, tmp_path: Path
) -> None:
    """Canary: no key, no token and no seed is in a log, an answer, a metric, an argv, or on the bus."""
    gateway = await start(really=True, metrics_port="0")
    url, operations = await gateway.ready()
    door, said = Caller(url, session), []
    tokens = [KEY, issuer.token(), issuer.token(aud="x"), issuer.token(repository_id="9"), "slk_" + "q" * 40]
    for number, token in enumerate(tokens):
        said += [await door.echo(f"c-{number}", message, token=token, ce_actor=token) for message in ("a", "b")]
        said += [
            await door.send("no JSON", token=token, **attributes("c")),
            await door.send("{}", token=token, **attributes("c", "image.attested")),
            await door.ask("GET", "/openapi.json", headers={"authorization": f"Bearer {token} {token}"}),
            await door.ask("GET", f"/runs/abc?access_token={token}", headers={"authorization": f"Bearer {token}"}),
            await door.ask("GET", f"/{token}"),
        ]
    pages = [await Caller(operations, session).ask("GET", path) for path in ("/metrics", "/", "/readyz", "/livez")]
    command = " ".join(psutil.Process(gateway.process.pid).cmdline())
    stored = [await lane.messages(stream) for stream in ("EVENTS", "PROGRESS", "DEAD", "KV_ledger")]
    gateway.process.send_signal(signal.SIGTERM)
    await gateway.ended()

    statuses = {answer.status for answer in said}
    assert statuses >= {202, 400, 401, 403, 404}
    assert not [status for status in statuses if status >= 500]
    assert "denied (403) to nobody we know" in gateway.said
    shown = [gateway.said, command, str(stored)]
    shown += [json.dumps(answer.headers) + answer.text for answer in (*said, *pages)]
    seed = (tmp_path / "identities/gateway.seed").read_text().strip()
    parts = {secret.rpartition(".")[2] for secret in (*tokens, seed)}
    assert not [text for text in shown if any(part in text for part in parts)]
