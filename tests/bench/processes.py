"""Children: every side runs in a process of its own, so that nobody warms another's interpreter."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_PATIENCE = 300.0


class ChildFailedError(RuntimeError):
    """A child ended with an error; the text is its last words."""


async def spawn(*command: str, environment: Mapping[str, str] | None = None, errors: Path | None = None) -> Process:
    """Start `python …` in the project's root; with `errors` its standard error goes to that file."""
    kept = os.environ | dict(environment or {})
    with ExitStack() as stack:
        stderr = PIPE if errors is None else stack.enter_context(errors.open("ab"))
        return await asyncio.create_subprocess_exec(
            sys.executable, *command, cwd=ROOT, env=kept, stdout=PIPE, stderr=stderr
        )


async def answer_of(module: str, *arguments: object) -> Any:
    """Run a module to its end and return the JSON on its last line. Raises ChildFailedError."""
    process = await spawn("-m", module, *map(str, arguments))
    try:
        output, errors = await asyncio.wait_for(process.communicate(), _PATIENCE)
    except TimeoutError:
        raise ChildFailedError(f"{module} was not done after {_PATIENCE:.0f} s") from None
    finally:
        await ended(process)
    if process.returncode:
        raise ChildFailedError(f"{module} ended with {process.returncode}: {errors.decode()[-4000:]}")
    lines = output.decode().strip().splitlines()
    return json.loads(lines[-1]) if lines else None


@asynccontextmanager
async def running(*command: str, environment: Mapping[str, str] | None = None, errors: Path) -> AsyncIterator[Process]:
    """Keep `python …` running while the block runs; SIGTERM and a wait afterwards."""
    process = await spawn(*command, environment=environment, errors=errors)
    try:
        yield process
    finally:
        await ended(process)


async def ended(process: Process, *, with_signal: int = signal.SIGTERM, grace: float = 30.0) -> None:
    """See a child end: by the signal, or after the grace by SIGKILL."""
    if process.returncode is None:
        process.send_signal(with_signal)
        try:
            await asyncio.wait_for(process.wait(), grace)
        except TimeoutError:
            process.kill()
    await process.wait()


def last_words(errors: Path) -> str:
    """Return the end of what a child said."""
    return errors.read_text(errors="replace")[-4000:] if errors.exists() else ""
