"""What a story needs to play through the running lane, and how it follows what it set off."""

import asyncio
import json
import secrets
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from schemas.images import ImageAttested
from schemas.progress import EventRef, ProgressMessage
from workers.app.clouds import Clouds
from workers.app.verification import prove
from workers.bus.doors.entrance import Entered, check, enter
from workers.bus.doors.follow import follow_progress
from workers.bus.doors.runs import Run
from workers.bus.rooms import consumers_of
from workers.bus.transport.connection import Connection
from workers.bus.transport.publisher import Publisher
from workers.bus.transport.stored import read_one
from workers.failures import Unavailable
from workers.local.folder import WorldFolder

SOURCE = "/sealane/demo"
PATIENCE = 60.0
"""Seconds that a story waits for its run to be over."""
Say = Callable[[int, ProgressMessage], None]
Ending = tuple[bool, str, dict[str, Any]]
"""Whether a story was verified, the evidence or what is wrong in words, and for programs."""


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

    async def completed(self, entered: Entered, start: int = 1) -> Run:
        """Follow the run of an event until every worker is done with all of it. Raises Unavailable when it hangs.

        What was said before `start`, a sequence of PROGRESS, does not count: a replay begins anew.
        """
        return await self.followed(entered.entry.envelope.run, entered.reference, start)

    async def followed(self, run_id: str, event: EventRef, start: int = 1) -> Run:
        """Follow a run which holds this event, whoever publishes it. Raises Unavailable when it hangs."""
        run = Run(run_id, consumers_of)
        run.expect(event)
        try:
            async with (
                asyncio.timeout(self.patience),
                aclosing(follow_progress(self.connection, run=run.id, start=start)) as messages,
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

    async def proof(self, run: Run, digest: str) -> Ending:
        """Verify at the source what a run says it attested."""
        event = await self.attested(run)
        if event is None:
            failures = "; ".join(branch.message or "" for branch in run.failures)
            said = f"no image.attested came of run {run.id}: {failures or 'no signing rule matches'}"
            return False, said, {"run": run.id}
        names = self.endpoints
        proof = await prove(
            self.clouds, note=names["note"], attestor=names["attestor"], key=names["key"], digest=digest
        )
        good = not proof.problems and event.digest == digest and (event.occurrence,) == proof.occurrences
        return good, proof.sentence, {"run": run.id, "digest": digest, "occurrences": list(proof.occurrences)}

    async def _emitted(self, run: Run, event_type: str) -> bytes | None:
        found = [event for branch in run.branches() for event in branch.emitted if event.type == event_type]
        return await self._stored(found[0]) if len(found) == 1 else None

    async def _stored(self, event: EventRef) -> bytes | None:
        message = await read_one(self.connection, event.stream or "EVENTS", event.sequence or 0)
        return None if message is None else message.body
