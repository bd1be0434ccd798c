"""Stopping the line.

When most of a worker's last events became dead letters, something is wrong with the world or with the worker, and
going on would only drain the stream into DEAD.

The state is one JSON value per worker in the KV bucket `lines`, so that it holds for all replicas; it also holds the
crash fuse's count of lone runs. Written by compare-and-set, read by subject: no watch, no ordered consumer.
"""

import asyncio
import json
from base64 import b64decode
from collections import deque
from collections.abc import Callable
from typing import Annotated, Literal

import nats.errors
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from schemas.envelope import now
from workers.bus.topology.streams import LINES
from workers.bus.transport.connection import Connection
from workers.bus.transport.jetstream import MESSAGE_NOT_FOUND
from workers.bus.transport.publisher import Publisher, WrongSequence
from workers.failures import Unavailable

WINDOW = 100
ENOUGH = 20
LONE_DEATHS = 5
"""Lone runs without a verdict after which a message is believed to kill its process.

With three, kills from outside every two seconds once blamed an innocent among 900."""


class LineState(BaseModel):
    """Whether a worker's line runs, for all its replicas."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    state: Literal["running", "stopped"] = "running"
    since: AwareDatetime | None = None
    by: str | None = None
    """A replica that stopped it by itself, or the person who did."""
    reason: str | None = None
    automatic: bool = True
    """Stopped by itself: replicas try one message at a time. Stopped by a person: they wait for `line resume`."""
    probing: str | None = None
    """The replica that tries the next message."""
    probed_at: AwareDatetime | None = None
    probes: Annotated[int, Field(ge=0)] = 0
    lone_runs: dict[str, int] = {}
    """Crash fuse: `STREAM:SEQUENCE` → lone runs begun and not ended by a verdict."""

    def sentence(self) -> str | None:
        """Say since when it is stopped, by whom, and why; None while it runs."""
        if self.state == "running":
            return None
        since = f"{self.since.astimezone():%Y-%m-%d %H:%M:%S}" if self.since else "an unknown time"
        return f"stopped since {since} by {self.by or 'an unknown hand'}: {self.reason or 'no reason is known'}"

    def remedy(self, worker: str) -> str:
        """Say how a stopped line goes on."""
        return "one event at a time is tried" if self.automatic else f"with `sealane line resume {worker}`"


class Tally:
    """The last outcomes of this process."""

    def __init__(self) -> None:
        self._dead: deque[bool] = deque(maxlen=WINDOW)

    def note(self, *, dead: bool) -> bool:
        """Note an outcome and return whether it is time to stop the line."""
        self._dead.append(dead)
        count = sum(self._dead) if dead else 0
        return count >= ENOUGH and count * 2 > len(self._dead)

    def clear(self) -> None:
        """Begin anew, after the line was resumed."""
        self._dead.clear()

    def sentence(self) -> str:
        """Say why the line stops."""
        return f"{sum(self._dead)} of the last {len(self._dead)} events became dead letters"


async def read_line(connection: Connection, worker: str) -> tuple[LineState, int]:
    """Return a worker's line and the revision to write against (0: never written). Raises Unavailable."""
    wanted = json.dumps({"last_by_subj": f"$KV.lines.{worker}"}).encode()
    try:
        # Not a direct get: its answer carries the stored headers, and the server sends an answer to any subject that
        # the asker names, so that it could be made to store somebody else's events.
        message = await connection.client.request(f"$JS.API.STREAM.MSG.GET.{LINES}", wanted, timeout=3)
    except (nats.errors.Error, TimeoutError) as error:
        raise Unavailable(f"the state of the line {worker!r} cannot be read: {error or 'no answer in time'}") from error
    answer = json.loads(message.data)
    if answer.get("error", {}).get("err_code") == MESSAGE_NOT_FOUND:
        return LineState(), 0
    if "error" in answer:
        raise Unavailable(f"the state of the line {worker!r} cannot be read: {answer['error'].get('description')}")
    return _understood(worker, b64decode(answer["message"].get("data", ""))), answer["message"]["seq"]


def _understood(worker: str, body: bytes) -> LineState:
    """Read a stored state. What is none keeps the line stopped until a person looks.

    The server stores an answer on whatever subject its asker names, so that any identity can put one here: an answer
    never says `state` as we do, and must not resume a line or forget its lone runs.
    """
    try:
        state = LineState.model_validate_json(body)
    except ValidationError:
        state = LineState()
    if "state" in state.model_fields_set:
        return state
    return LineState(
        state="stopped",
        automatic=False,
        reason=f"what is stored as its state is none: find out who wrote it, then `sealane line resume {worker}`",
    )


async def change_line(
    connection: Connection, publisher: Publisher, worker: str, change: Callable[[LineState], LineState | None]
) -> LineState | None:
    """Read, change and write by compare-and-set until nobody was faster; None from `change` means leave it."""
    while True:
        state, revision = await read_line(connection, worker)
        changed = change(state)
        if changed is None:
            return None
        try:
            await publisher.publish(
                f"$KV.lines.{worker}", changed.model_dump_json().encode(), expected_sequence=revision, timeout=5
            )
        except WrongSequence:
            await asyncio.sleep(0)
            continue
        return changed


async def stop_line(
    connection: Connection, publisher: Publisher, worker: str, *, by: str, reason: str, automatic: bool = False
) -> LineState | None:
    """Stop a worker's line for all replicas; None when it was stopped already."""

    def change(state: LineState) -> LineState | None:
        if state.state == "stopped":
            return None
        return LineState.model_validate(
            {"state": "stopped", "since": now(), "by": by, "reason": reason, "automatic": automatic}
            | {"lone_runs": state.lone_runs}
        )

    return await change_line(connection, publisher, worker, change)


async def resume_line(connection: Connection, publisher: Publisher, worker: str, *, by: str) -> LineState | None:
    """Let a worker's line run again for all replicas; None when it was running."""

    def change(state: LineState) -> LineState | None:
        if state.state == "running":
            return None
        return LineState.model_validate({"since": now(), "by": by, "lone_runs": state.lone_runs})

    return await change_line(connection, publisher, worker, change)


async def claim_probe(
    connection: Connection, publisher: Publisher, worker: str, *, by: str, interval: Callable[[int], float]
) -> bool:
    """Take the right to try one message, if it is due and nobody else has it. `interval(probes)` in seconds."""

    def change(state: LineState) -> LineState | None:
        if state.state == "running" or not state.automatic:
            return None
        at = LineState.model_validate({"probed_at": now()}).probed_at
        if state.probed_at and at and (at - state.probed_at).total_seconds() < interval(state.probes):
            return None
        return state.model_copy(update={"probing": by, "probed_at": at, "probes": state.probes + 1})

    return await change_line(connection, publisher, worker, change) is not None


async def begin_lone_run(connection: Connection, publisher: Publisher, worker: str, message: str) -> int:
    """Count a lone run of `STREAM:SEQUENCE` before it begins, and return how many began before without a verdict."""

    def change(state: LineState) -> LineState:
        return state.model_copy(update={"lone_runs": state.lone_runs | {message: state.lone_runs.get(message, 0) + 1}})

    changed = await change_line(connection, publisher, worker, change)
    return (changed.lone_runs[message] if changed else 1) - 1


async def end_lone_run(connection: Connection, publisher: Publisher, worker: str, message: str) -> None:
    """Forget the lone runs of a message: it got its verdict."""

    def change(state: LineState) -> LineState | None:
        if message not in state.lone_runs:
            return None
        return state.model_copy(
            update={"lone_runs": {name: runs for name, runs in state.lone_runs.items() if name != message}}
        )

    await change_line(connection, publisher, worker, change)
