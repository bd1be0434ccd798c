"""What is wrong, and what to do: bus, streams, permissions, workers, lines, and every port that a worker asks for.

Each finding comes from really asking, with the identity or the credentials that would be used.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from workers.app.clouds import FROM_THE_BUS, Clouds
from workers.app.connecting import connect_as
from workers.bus.judgement.line import read_line
from workers.bus.rooms import all_wirings
from workers.bus.topology.check import check, refusal
from workers.bus.topology.permissions import OPERATOR, identity_of
from workers.bus.topology.provision import find_drift
from workers.bus.topology.streams import DEAD, topology
from workers.bus.transport.connection import Connection
from workers.bus.transport.jetstream import JetStreamApi
from workers.bus.wiring import Wiring
from workers.failures import Denied, NotFound, SealaneError
from workers.gateway.health import WorkerState, examine
from workers.ports import Attestations, Attestors, Deliveries, Feeds, Github, Images, SigningKeys
from workers.ports.github import Repository
from workers.settings import Settings

_NOBODY = "sha256:" + "0" * 64
_PATIENCE = 20.0
_LOOKS, _BETWEEN_LOOKS = 3, 1.0
"""How often a worker is looked at again that asks for nothing, and after how many seconds."""
_APPLY = "`sealane streams apply` mends it, or says why not"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was asked, whether it is good, and what was found; the sentence says what to do."""

    area: str
    subject: str
    good: bool
    said: str

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return asdict(self)


async def diagnose(settings: Settings) -> AsyncIterator[Finding]:
    """Yield findings as they are made; nothing raises, what cannot be asked is a finding."""
    wirings = all_wirings()
    try:
        async with connect_as(OPERATOR, settings=settings) as connection:
            round_trip = await connection.alive()
            answer = "no answer" if round_trip is None else f"answers in {round_trip * 1000:.1f} ms"
            yield Finding("bus", settings.nats, round_trip is not None, answer)
            async for finding in _bus(connection, settings, wirings):
                yield finding
            for name, wiring in wirings.items():
                yield await _permissions(settings, name, wiring)
    except SealaneError as error:
        yield Finding("bus", settings.nats, False, str(error))
    async with Clouds(settings) as clouds:
        for finding in await asyncio.gather(*_ports(clouds, settings, wirings)):
            yield finding


async def _bus(connection: Connection, settings: Settings, wirings: dict[str, Wiring]) -> AsyncIterator[Finding]:
    drifts = await find_drift(connection, topology(wirings.values(), settings.retention))
    for drift in drifts:
        extra = drift.kind == "extra"
        yield Finding("streams", drift.name, extra, drift.sentence if extra else f"{drift.sentence}: {_APPLY}")
    if not drifts:
        yield Finding("streams", "all", True, "as declared")
    health = await examine(connection)
    for stream in health.streams:
        if stream.alarm is not None:
            yield Finding("streams", stream.name, good=False, said=stream.alarm)
    for worker in await _looked_at_again(connection, health.workers):
        yield _worker(worker)
    for name in wirings:
        yield await _line(connection, name)
    yield await _dead_letters(connection)


async def _looked_at_again(connection: Connection, workers: tuple[WorkerState, ...]) -> tuple[WorkerState, ...]:
    """Wait a little for those who ask for nothing because they have their hands full: they finish something soon."""
    for _ in range(_LOOKS):
        if not any(one.in_hand and not one.present and one.stopped is None for one in workers):
            break
        await asyncio.sleep(_BETWEEN_LOOKS)
        later = (await examine(connection)).workers
        workers = tuple(_seen_twice(before, now) for before, now in zip(workers, later, strict=True))
    return workers


def _seen_twice(before: WorkerState, now: WorkerState) -> WorkerState:
    """Return the later look; who finished or took something since is at work. New events alone change neither."""
    moved = now.problem is None and now.in_hand != before.in_hand
    return replace(now, pulling=now.pulling or before.pulling or int(moved))


def _worker(worker: WorkerState) -> Finding:
    """Judge a worker; one whose line is stopped asks for nothing, which is wrong once: at its line."""
    if worker.problem is not None:
        return Finding("workers", worker.name, False, worker.problem)
    if worker.present:
        return Finding("workers", worker.name, True, f"at work, {worker.lag} not done")
    if worker.stopped is not None:
        return Finding("workers", worker.name, True, f"asks for nothing while its line is stopped, {worker.lag} wait")
    said = f"no process asks for work, {worker.lag} wait: `sealane worker {worker.name}`"
    if worker.in_hand:
        said = (
            f"no process asks for more, {worker.lag} wait, of which {worker.in_hand} were handed out: it has its hands"
            f" full, or is gone; `sealane tail 'progress.{worker.name}.>'` shows it at work, `sealane worker"
            f" {worker.name}` starts one"
        )
    return Finding("workers", worker.name, False, said)


async def _line(connection: Connection, worker: str) -> Finding:
    try:
        line, _ = await read_line(connection, worker)
    except SealaneError as error:
        return Finding("lines", worker, False, str(error))
    stopped = line.sentence()
    if stopped is None:
        return Finding("lines", worker, True, "runs")
    return Finding("lines", worker, False, f"{stopped}; `sealane line resume {worker}` once it is mended")


async def _dead_letters(connection: Connection) -> Finding:
    """Dead letters are work for somebody, not a fault of the installation."""
    info = await JetStreamApi(connection).stream(DEAD)
    count = info["state"]["messages"] if info else 0
    return Finding("dead letters", DEAD, True, f"{count} wait: `sealane dead list`" if count else "none")


async def _permissions(settings: Settings, name: str, wiring: Wiring) -> Finding:
    """Ask as the worker would, under its own identity."""
    identity = identity_of(name)
    try:
        async with connect_as(identity, settings=settings) as connection:
            drifts = await check(connection, wiring)
    except SealaneError as error:
        return Finding("permissions", identity, False, str(error))
    if drifts:
        return Finding("permissions", identity, False, refusal(wiring, drifts))
    return Finding("permissions", identity, True, "sees all that it needs")


def _ports(clouds: Clouds, settings: Settings, wirings: dict[str, Wiring]) -> list[Awaitable[Finding]]:
    """Return one question for each thing behind a port that some worker asks for."""
    wanted = {port for wiring in wirings.values() for port in wiring.asked} - FROM_THE_BUS
    rules = settings.signing_rules.rules
    asked: list[Awaitable[Finding]] = []
    if Images in wanted:
        asked += [_ask("images", access.host, _registry(clouds, access.host)) for access in settings.registries]
        if not settings.registries:
            asked.append(_ask("images", "SEALANE_REGISTRIES", _missing("no registry may be asked: list one there")))
    signing = {key for rule in rules for key in (rule.key, rule.next_key) if key is not None}
    for key in sorted(signing) if SigningKeys in wanted else ():
        asked.append(_ask("signing keys", key, _key(clouds, key)))
    for attestor in sorted({rule.attestor for rule in rules}) if Attestors in wanted else ():
        asked.append(_ask("attestors", attestor, _attestor(clouds, attestor)))
    feeds = settings.feeds.subscriptions
    asked += [_ask("feeds", one.subscription, _feed(clouds, one.subscription)) for one in feeds]
    if settings.github.rules:
        read = sorted({(rule.repository_id, rule.ref) for rule in settings.github.rules})
        asked += [_ask("GitHub", f"repository {number}, {ref}", _ref(clouds, number, ref)) for number, ref in read]
        asked.append(_ask("GitHub", "deliveries", _hook(clouds)))
    listed = {access.host for access in settings.registries}
    for host in sorted(set(settings.github.package_hosts) - listed) if settings.github.package_owners else ():
        unread = f"packages there become pushed images, and none may be asked for: list {host} in SEALANE_REGISTRIES"
        asked.append(_ask("images", host, _missing(unread)))
    if not rules and SigningKeys in wanted:
        asked.append(_ask("signing", "SEALANE_SIGNING_RULES", _missing("no rule: nothing is signed")))
    return asked


async def _ask(area: str, subject: str, question: Callable[[], Awaitable[str]]) -> Finding:
    try:
        async with asyncio.timeout(_PATIENCE):
            return Finding(area, subject, True, await question())
    except SealaneError as error:
        return Finding(area, subject, False, str(error))
    except TimeoutError:
        return Finding(area, subject, False, f"no answer within {_PATIENCE:g} s: is it reachable from here?")


def _missing(sentence: str) -> Callable[[], Awaitable[str]]:
    async def ask() -> str:
        raise NotFound(sentence)

    return ask


def _registry(clouds: Clouds, host: str) -> Callable[[], Awaitable[str]]:
    async def ask() -> str:
        images: Images = await clouds.port(Images)
        try:
            await images.resolve(f"{host}/sealane/doctor:none")
        except NotFound:
            return "answers, and our credentials are taken"
        return "answers"

    return ask


def _feed(clouds: Clouds, subscription: str) -> Callable[[], Awaitable[str]]:
    async def ask() -> str:
        feeds: Feeds = await clouds.port(Feeds)
        try:
            return await next(feed for feed in feeds if feed.subscription == subscription).look()
        except Denied as error:
            return f"may be pulled from, but not looked at: {error}"

    return ask


def _ref(clouds: Clouds, number: int, ref: str) -> Callable[[], Awaitable[str]]:
    async def ask() -> str:
        github: Github = await clouds.port(Github)
        commit = await github.head(Repository(number), ref)
        return f"is at {commit:.12}" if commit else "can be read, and has no such ref now"

    return ask


def _hook(clouds: Clouds) -> Callable[[], Awaitable[str]]:
    async def ask() -> str:
        deliveries: Deliveries = await clouds.port(Deliveries)
        newest = await anext(deliveries.attempts(), None)
        if newest is None:
            return "can be listed; there is none yet"
        return f"can be listed; the newest, of {newest.delivered_at:%Y-%m-%d %H:%M} UTC: {newest.status}"

    return ask


def _key(clouds: Clouds, key: str) -> Callable[[], Awaitable[str]]:
    async def ask() -> str:
        keys: SigningKeys = await clouds.port(SigningKeys)
        return f"can sign, {(await keys.public_key(key)).algorithm}"

    return ask


def _attestor(clouds: Clouds, name: str) -> Callable[[], Awaitable[str]]:
    async def ask() -> str:
        attestors: Attestors = await clouds.port(Attestors)
        store: Attestations = await clouds.port(Attestations)
        attestor = await attestors.get(name)
        if not attestor.keys:
            raise NotFound(f"{name} has no keys, so nothing that it signs counts: add one with `gcloud`")
        await store.find(attestor.note, _NOBODY)
        return f"{len(attestor.keys)} key(s); its note {attestor.note} can be read"

    return ask
