"""The stories of `sealane demo`: real input through the running lane, each outcome verified where it can be seen.

A story returns its outcome; it never trusts what a worker said of itself.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from workers.app.admission_story import admitted
from workers.app.announcement_story import announced
from workers.app.pushing import push_image, pusher
from workers.app.stage import Ending, Stage
from workers.bus.doors.entrance import Entered
from workers.bus.doors.follow import last_sequence
from workers.bus.doors.graveyard import DeadLetter, drop, read_letter, replay
from workers.bus.doors.runs import Run
from workers.bus.topology.streams import PROGRESS
from workers.failures import NotFound, SealaneError


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


async def play(stage: Stage) -> list[Outcome]:
    """Play all stories, one after the other; a failure of one is its outcome."""
    return [await _timed(name, story(stage)) for name, story in STORIES.items()]


async def _timed(name: str, story: Awaitable[Ending]) -> Outcome:
    started = time.monotonic()
    try:
        good, said, evidence = await story
    except SealaneError as error:
        good, said, evidence = False, str(error), {}
    return Outcome(name, good, said, round(time.monotonic() - started, 3), evidence)


async def _echo(stage: Stage) -> Ending:
    asked = f"is anybody there? ({stage.play})"
    run = await stage.completed(await stage.publish("echo.requested", "echo", message=asked))
    heard = await stage.answered(run)
    return heard == asked, f"asked {asked!r}, the stream holds {heard!r}", {"run": run.id}


async def _attest(stage: Stage) -> Ending:
    reference = stage.reference("shop")
    digest = await push_image(stage.folder, reference, f"pushed in play {stage.play}")
    run = await stage.completed(await stage.publish("image.pushed", "shop", image=reference, digest=digest))
    good, said, evidence = await stage.proof(run, digest)
    return good, f"pushed with {pusher()}; {said}", evidence


async def _twice(stage: Stage) -> Ending:
    reference = stage.reference("twice")
    digest = await push_image(stage.folder, reference, f"pushed twice in play {stage.play}")
    first = await stage.publish("image.pushed", "twice", image=reference, digest=digest)
    second = await stage.publish("image.pushed", "twice", image=reference, digest=digest)
    other = await stage.publish("image.pushed", "twice-under-another-id", image=reference, digest=digest)
    run = await stage.completed(first)
    await stage.completed(other)
    good, said, evidence = await stage.proof(run, digest)
    good = good and second.ack.duplicate and not other.ack.duplicate
    stored = "stored once" if second.ack.duplicate else "stored twice"
    return good, f"the same event was {stored}, another id for the same image was handled; {said}", evidence


async def _refused(stage: Stage) -> Ending:
    image = f"registry.example.com/apps/shop:{stage.play}"
    letter, run = await _buried(stage, await stage.publish("image.pushed", "unlisted", image=image))
    await drop(stage.connection, letter.sequence)
    good = letter.worker == "attest" and letter.reason == "permanent" and "registry.example.com" in letter.message
    return good, f"dead letter {letter.sequence}, dropped: {letter.message}", {"run": run.id, "dead": letter.sequence}


async def _healed(stage: Stage) -> Ending:
    reference = stage.reference("late")
    entered = await stage.publish("image.pushed", "late", image=reference)
    letter, _ = await _buried(stage, entered)
    digest = await push_image(stage.folder, reference, f"pushed late in play {stage.play}")
    start = await last_sequence(stage.connection, PROGRESS) + 1
    await replay(stage.publisher, letter, by="demo")
    good, said, evidence = await stage.proof(await stage.completed(entered, start), digest)
    if good:
        await drop(stage.connection, letter.sequence)
    return good, f"dead letter {letter.sequence} ({letter.message}) was replayed after the push; {said}", evidence


async def _buried(stage: Stage, entered: Entered) -> tuple[DeadLetter, Run]:
    """Follow an event to its dead letter. Raises NotFound when it became none."""
    run = await stage.completed(entered)
    dead = run.failures[0].dead if run.failures else None
    if dead is None or dead.sequence is None:
        raise NotFound(f"run {run.id} was expected to end in a dead letter, and did not")
    return await read_letter(stage.connection, dead.sequence), run


STORIES: dict[str, Callable[[Stage], Awaitable[Ending]]] = {
    "an event crosses the lane and comes back": _echo,
    "a pushed image is attested": _attest,
    "an image that the registry announces on Pub/Sub is attested": announced,
    "an unsigned image is refused by Cloud Run, and admitted once it is attested": admitted,
    "what is announced twice is attested once": _twice,
    "an image from a registry that is not listed is refused": _refused,
    "what failed is attested once its cause is mended": _healed,
}
