"""The signing key of an attestor is rotated under many images, while the workers are killed.

`python -m tests.bench.rotation [--images 200] [--kills 2] [--quota CALLS]`. Exits with 0 only if every image verifies
with the new key, has exactly one attestation by it, and the attestor lists the old key no more.
"""

import asyncio
import json
import time
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from schemas.attestors import AttestorRotated
from schemas.progress import ProgressMessage
from tests.bench.census import tally
from tests.bench.figures import print_facts
from tests.bench.plans import option, play
from tests.bench.processes import ChildFailedError, ended, spawn
from tests.bench.world import SEALANE, LocalWorld, local_world
from workers.app.clouds import Clouds
from workers.app.connecting import connect_as
from workers.app.environment import load_settings
from workers.attestors.listing import natural_id
from workers.bus.doors.follow import follow
from workers.bus.topology.streams import EVENTS, PROGRESS
from workers.ports import Attestations, AttestorAdmin, Attestors

PATIENCE = 240.0
WORKERS = ("attest", "rekey")
_CREATED = "CreateOccurrence"
_VALIDATED = "ValidateAttestationOccurrence"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to happen."""

    images: int = option(200, "images in all")
    kills: int = option(2, "how often all workers are killed with -9, evenly over the signing")
    quota: int | None = option(None, "validations that are admitted in a minute; without it as many as come", kind=int)


@dataclass(frozen=True, slots=True)
class Report:
    """What happened."""

    plan: Plan
    proven: int
    """As `attestor.rotated` says."""
    signed_once: int
    """Images with exactly one attestation by the new key."""
    verified: int
    """Images of which Binary Authorization accepts that one."""
    listed: tuple[str, ...]
    """Keys of the attestor at the end."""
    wanted: str
    """The one that should be there."""
    attestations: int
    killed: int
    """Processes."""
    dead: tuple[str, ...]
    looks: int
    """How often the rotation was gone on with."""
    said: tuple[str, ...]
    """What the command said of how far it is."""
    calls: dict[str, int]
    """Calls to Google during the rotation."""
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether the rotation did all that it should, although it was disturbed as planned."""
        counts = {self.proven, self.signed_once, self.verified}
        return (
            counts == {self.plan.images}
            and self.attestations == 2 * self.plan.images
            and self.listed == (self.wanted,)
            and self.killed == self.plan.kills * len(WORKERS)
            and not self.dead
        )


class Fleet:
    """One process of each worker, all of which are killed and started again."""

    def __init__(self, world: LocalWorld, logs: Path, rules: list[dict[str, str]]) -> None:
        self.killed = 0
        self._world, self._logs = world, logs
        self._environment = {
            "SEALANE_LEASE": "3",
            "SEALANE_SIGNING_RULES": json.dumps(rules),
            "SEALANE_ATTESTOR_AGE": "1",
            "SEALANE_ROTATION": json.dumps({"settle": 3, "soonest": 1, "latest": 10}),
        }
        self._processes: list[Process] = []
        self._started = 0

    async def start(self) -> None:
        """Start all of them."""
        self._processes = list(await asyncio.gather(*map(self._one, WORKERS)))

    async def kill(self) -> None:
        """Kill all of them, and start all of them again."""
        for process in self._processes:
            process.kill()
            await process.wait()
            self.killed += 1
        await self.start()

    async def stop(self) -> None:
        """End all of them."""
        await asyncio.gather(*map(ended, self._processes))

    async def _one(self, worker: str) -> Process:
        self._started += 1
        log = self._logs / f"{worker}-{self._started}.log"
        process, _ = await self._world.start_worker(log, self._environment, worker=worker)
        return process


async def run(plan: Plan) -> Report:
    """Attest, rotate, kill, count. Raises TimeoutError when it takes too long."""
    async with local_world() as world:
        images = await world.push_images("shop", plan.images)
        old = world.endpoints["key"]
        new = await world.new_version(old.rpartition("/cryptoKeyVersions/")[0])
        rule = {"match": f"{world.endpoints['registry']}/**", "attestor": world.endpoints["attestor"], "key": old}
        with TemporaryDirectory(prefix="sealane-rotation-") as logs:
            fleet = Fleet(world, Path(logs), [rule | {"next_key": new}])
            await fleet.start()
            try:
                await _attest(world, images)
                before, started = Counter(await world.google_calls()), time.monotonic()
                if plan.quota is not None:
                    await world.tell_google({"quota": {_VALIDATED: [plan.quota, 60.0]}})
                rotated, said = await _rotate(world, fleet, plan, before[_CREATED])
                seconds = time.monotonic() - started
            finally:
                await fleet.stop()
        calls = Counter(await world.google_calls()) - before
        await world.tell_google({"quota": {_VALIDATED: [None]}})
        return await _count(world, plan, images, rotated, said, fleet.killed, dict(calls), seconds, natural_id(new))


async def _attest(world: LocalWorld, images: Sequence[tuple[str, str]]) -> None:
    """Have every image attested by the old key."""
    for number, (repository, _) in enumerate(images):
        await world.publish(repository, event_id=f"{number}")
    async with asyncio.timeout(PATIENCE), connect_as("provisioner", world.folder) as admin:
        while (now := await tally(admin.client, "attest")) is None or now.follow_ups < len(images) or now.left:  # noqa: ASYNC110 - the server has to be asked
            await asyncio.sleep(0.1)


async def _rotate(world: LocalWorld, fleet: Fleet, plan: Plan, created: int) -> tuple[AttestorRotated, list[str]]:
    """Rotate with the command, kill as planned, wait for its end; return the fact and what the command said."""
    arguments = ("attestor", "rotate", world.endpoints["attestor"], "--wait", "--data", str(world.folder))
    command = await spawn(SEALANE, *arguments)
    saying = asyncio.create_task(command.communicate())
    patience = PATIENCE if plan.quota is None else PATIENCE + plan.images * 240.0 / plan.quota
    try:
        async with asyncio.timeout(patience):
            for kill in range(1, plan.kills + 1):
                enough = created + plan.images * kill // (plan.kills + 1)
                while (await world.google_calls()).get(_CREATED, 0) < enough:  # noqa: ASYNC110 - another process counts
                    await asyncio.sleep(0.02)
                await fleet.kill()
            output, errors = await asyncio.shield(saying)
    except TimeoutError:
        await ended(command)
        output, _ = await saying
        raise TimeoutError(f"not within {patience:g} s; the command said: {output.decode()[-4000:]}") from None
    finally:
        await ended(command)
    if command.returncode:
        raise ChildFailedError(f"the command ended with {command.returncode}: {errors.decode()[-4000:]}")
    async for stored in follow(world.connection, EVENTS, AttestorRotated.event_type, live=False):
        lines = [line.partition(" → ")[0] for line in output.decode().splitlines()]
        said = [line for line in lines if "images verified" in line and "…" not in line]
        return AttestorRotated.model_validate_json(stored.body), said
    raise AssertionError("the command succeeded, but nothing was rotated")


async def _count(
    world: LocalWorld,
    plan: Plan,
    images: Sequence[tuple[str, str]],
    rotated: AttestorRotated,
    said: list[str],
    killed: int,
    calls: dict[str, int],
    seconds: float,
    wanted: str,
) -> Report:
    occurrences = await world.occurrences()
    by_new = Counter(
        occurrence["resourceUri"].rpartition("@")[2]
        for occurrence in occurrences
        if occurrence["attestation"]["signatures"][0]["publicKeyId"] == wanted
    )
    progress = [
        ProgressMessage.model_validate_json(stored.body)
        async for stored in follow(world.connection, PROGRESS, "progress.rekey.>", live=False)
    ]
    async with Clouds(load_settings(world.folder)) as clouds:
        admin: AttestorAdmin = await clouds.port(AttestorAdmin)
        record = await admin.read(world.endpoints["attestor"])
        verified = await _verified(clouds, record.name, record.note, [digest for _, digest in images])
    return Report(
        plan=plan,
        proven=rotated.images,
        signed_once=sum(by_new[digest] == 1 for _, digest in images),
        verified=verified,
        listed=tuple(key.id for key in record.keys),
        wanted=wanted,
        attestations=len(occurrences),
        killed=killed,
        dead=tuple(await world.dead_letters()),
        looks=sum(message.kind == "result" for message in progress),
        said=tuple(said),
        calls=calls,
        seconds=seconds,
    )


async def _verified(clouds: Clouds, attestor: str, note: str, digests: Sequence[str]) -> int:
    """Ask Binary Authorization about every image, by its attestations as stored."""
    attestations: Attestations = await clouds.port(Attestations)
    attestors: Attestors = await clouds.port(Attestors)
    verified = 0
    for digest in digests:
        found = await attestations.find(note, digest)
        verdicts = [await attestors.validate(attestor, one, timeout=10) for one in found]
        verified += any(verdict.result == "VERIFIED" for verdict in verdicts)
    return verified


def show(report: Report) -> None:
    """Print what happened."""
    plan, calls = report.plan, report.calls
    validated = calls.get(_VALIDATED, 0)
    rows = (
        ("images", plan.images),
        ("validations admitted", "any number" if plan.quota is None else f"{plan.quota} a minute"),
        ("killed with -9", f"{report.killed} processes, {plan.kills} times `attest` and `rekey`"),
        ("proven, says attestor.rotated", report.proven),
        ("verify, says Binary Authorization", report.verified),
        ("with exactly one by the new key", report.signed_once),
        ("attestations in the note", report.attestations),
        ("keys of the attestor", ", ".join(key.rpartition("/cryptoKeys/")[2] for key in report.listed)),
        ("looks of the rotation", report.looks),
        ("validate, sign, create", f"{validated}, {calls.get('AsymmetricSign', 0)}, {calls.get(_CREATED, 0)}"),
        ("lists of attestations", calls.get("ListNoteOccurrences", 0)),
        ("said on the way", "\n".join(report.said[:8])),
        ("dead letters", "\n".join(report.dead) or "none"),
        ("seconds", f"{report.seconds:.1f}"),
        ("rotated, nothing twice", "yes" if report.holds else "NO"),
    )
    print_facts("rotation", rows)


if __name__ == "__main__":
    play("tests.bench.rotation", __doc__, Plan, run, show)
