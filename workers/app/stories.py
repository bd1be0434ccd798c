"""The stories of `sealane demo`: real input through the running lane, each outcome verified where it can be seen.

A story returns its outcome; it never trusts what a worker said of itself.
"""

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from typing import Any

from schemas.images import ImageAttested
from schemas.progress import EventRef, ProgressMessage
from workers.app.clouds import Clouds
from workers.app.pushing import push_image, pusher
from workers.app.verification import prove
from workers.bus.connection import Connection
from workers.bus.entrance import Entered, check, enter
from workers.bus.follow import follow_progress
from workers.bus.publisher import Publisher
from workers.bus.rooms import consumers_of
from workers.bus.runs import Run
from workers.bus.stored import read_one
from workers.failures import SealaneError, Unavailable
from workers.local.folder import WorldFolder

SOURCE = "/sealane/demo"
PATIENCE = 60.0
"""Seconds that a story waits for its run to be over."""
Say = Callable[[int, ProgressMessage], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one story ended: `good` only if it was verified; `said` is the evidence or what is wrong."""

    story: str
    good: bool
    said: str
    seconds: float
    evidence: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return asdict(self)


@dataclass(slots=True)
class Stage:
    """What a story needs: the bus as operator, the clouds, the world's folder, and somebody to tell progress to."""

    connection: Connection
    publisher: Publisher
    clouds: Clouds
    folder: WorldFolder
    endpoints: dict[str, Any]
    say: Say
    patience: float = PATIENCE
    play: str = field(default_factory=lambda: secrets.token_hex(4))
    """Names this play: its events and images are new."""

    def reference(self, name: str) -> str:
        """Return an image reference in the local registry which no play used before."""
        return f"{self.endpoints['registry']}/apps/{name}:{self.play}"

    async def publish(self, event_type: str, event_id: str, **fields: Any) -> Entered:
        """Put an event on the bus as an operator would."""
        body = json.dumps(fields)
        entry = check(event_type, body, source=SOURCE, event_id=f"{event_id}-{self.play}", actor="demo")
        return await enter(self.connection, self.publisher, entry)

    async def completed(self, entered: Entered) -> Run:
        """Follow the run of an event until every worker is done with all of it. Raises Unavailable when it hangs."""
        run = Run(entered.entry.envelope.run, consumers_of)
        run.expect(entered.reference)
        try:
            async with (
                asyncio.timeout(self.patience),
                aclosing(follow_progress(self.connection, run=run.id)) as messages,
            ):
                while not run.complete:
                    sequence, message = await anext(messages)
                    run.add(sequence, message)
                    self.say(sequence, message)
        except TimeoutError:
            left = ", ".join(f"{branch.worker}: {branch.state}" for branch in run.branches())
            raise Unavailable(
                f"run {run.id} is not over after {self.patience:g} s ({left}): ask `sealane doctor`"
            ) from None
        return run

    async def attested(self, run: Run) -> ImageAttested | None:
        """Read from the stream the `image.attested` which a run led to."""
        event = await self._emitted(run, ImageAttested.event_type)
        return None if event is None else ImageAttested.model_validate_json(event)

    async def answered(self, run: Run) -> str | None:
        """Read from the stream the message of the `echo.answered` which a run led to."""
        event = await self._emitted(run, "echo.answered")
        return None if event is None else str(json.loads(event)["message"])

    async def _emitted(self, run: Run, event_type: str) -> bytes | None:
        found = [event for branch in run.branches() for event in branch.emitted if event.type == event_type]
        return await self._stored(found[0]) if len(found) == 1 else None

    async def _stored(self, event: EventRef) -> bytes | None:
        message = await read_one(self.connection, event.stream or "EVENTS", event.sequence or 0)
        return None if message is None else message.body


async def play(stage: Stage) -> list[Outcome]:
    """Play all stories, one after the other; a failure of one is its outcome."""
    return [await _timed(name, story(stage)) for name, story in STORIES.items()]


async def _timed(name: str, story: Awaitable[tuple[bool, str, dict[str, Any]]]) -> Outcome:
    started = time.monotonic()
    try:
        good, said, evidence = await story
    except SealaneError as error:
        good, said, evidence = False, str(error), {}
    return Outcome(name, good, said, round(time.monotonic() - started, 3), evidence)


Ending = tuple[bool, str, dict[str, Any]]


async def _echo(stage: Stage) -> Ending:
    asked = f"is anybody there? ({stage.play})"
    run = await stage.completed(await stage.publish("echo.requested", "echo", message=asked))
    heard = await stage.answered(run)
    return heard == asked, f"asked {asked!r}, the stream holds {heard!r}", {"run": run.id}


async def _attest(stage: Stage) -> Ending:
    reference = stage.reference("shop")
    digest = await push_image(stage.folder, reference, f"pushed in play {stage.play}")
    run = await stage.completed(await stage.publish("image.pushed", "shop", image=reference, digest=digest))
    good, said, evidence = await _proof(stage, run, digest)
    return good, f"pushed with {pusher()}; {said}", evidence


async def _twice(stage: Stage) -> Ending:
    reference = stage.reference("twice")
    digest = await push_image(stage.folder, reference, f"pushed twice in play {stage.play}")
    first = await stage.publish("image.pushed", "twice", image=reference, digest=digest)
    second = await stage.publish("image.pushed", "twice", image=reference, digest=digest)
    other = await stage.publish("image.pushed", "twice-under-another-id", image=reference, digest=digest)
    run = await stage.completed(first)
    await stage.completed(other)
    good, said, evidence = await _proof(stage, run, digest)
    good = good and second.ack.duplicate and not other.ack.duplicate
    stored = "stored once" if second.ack.duplicate else "stored twice"
    return good, f"the same event was {stored}, another id for the same image was handled; {said}", evidence


async def _proof(stage: Stage, run: Run, digest: str) -> Ending:
    """Verify at the source what a run says it attested."""
    event = await stage.attested(run)
    if event is None:
        failures = "; ".join(branch.message or "" for branch in run.failures)
        return (
            False,
            f"no image.attested came of run {run.id}: {failures or 'no signing rule matches'}",
            {"run": run.id},
        )
    names = stage.endpoints
    proof = await prove(stage.clouds, note=names["note"], attestor=names["attestor"], key=names["key"], digest=digest)
    good = not proof.problems and event.digest == digest and (event.occurrence,) == proof.occurrences
    return good, proof.sentence, {"run": run.id, "digest": digest, "occurrences": list(proof.occurrences)}


async def _refused(stage: Stage) -> Ending:
    image = f"registry.example.com/apps/shop:{stage.play}"
    run = await stage.completed(await stage.publish("image.pushed", "unlisted", image=image))
    if not run.failures or run.failures[0].dead is None:
        return False, f"{image} became no dead letter", {"run": run.id}
    dead, sentence = run.failures[0].dead, run.failures[0].message or ""
    letter = await read_one(stage.connection, "DEAD", dead.sequence or 0)
    good = letter is not None and letter.subject.startswith("dead.attest") and "registry.example.com" in sentence
    return good, f"dead letter {dead.sequence}: {sentence}", {"run": run.id, "dead": dead.sequence}


STORIES: dict[str, Callable[[Stage], Awaitable[Ending]]] = {
    "an event crosses the lane and comes back": _echo,
    "a pushed image is attested": _attest,
    "what is announced twice is attested once": _twice,
    "an image from a registry that is not listed is refused": _refused,
}
