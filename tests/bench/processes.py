"""Children: every side runs in a process of its own, so that nobody warms another's interpreter."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from workers.local.death_signal import dying_with_us

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
"""Where the commands of this environment are."""
_PATIENCE = 300.0


class ChildFailedError(RuntimeError):
    """A child ended with an error; the text is its last words."""


def clean_up_on_sigterm() -> None:
    """Let SIGTERM do what Ctrl-C does: cancel, so that children end and folders go."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


async def spawn(*command: str, environment: Mapping[str, str] | None = None, errors: Path | None = None) -> Process:
    """Start `python …` in the project's root; with `errors` its standard error goes to that file."""
    kept = os.environ | dict(environment or {})
    with ExitStack() as stack:
        stderr = PIPE if errors is None else stack.enter_context(errors.open("ab"))
        return await asyncio.create_subprocess_exec(
            *dying_with_us([sys.executable, *command]), cwd=ROOT, env=kept, stdin=PIPE, stdout=PIPE, stderr=stderr
        )


async def answer_of(module: str, *arguments: object, text: str = "") -> Any:
    """Run a module to its end, with a text as its input, and return the JSON on its last line.

    Raises ChildFailedError.
    """
    process = await spawn("-m", module, *map(str, arguments))
    try:
        output, errors = await asyncio.wait_for(process.communicate(text.encode()), _PATIENCE)
    except TimeoutError:
        raise ChildFailedError(f"{module} was not done after {_PATIENCE:.0f} s") from None
    finally:
        await ended(process)
    if process.returncode:
        raise ChildFailedError(f"{module} ended with {process.returncode}: {errors.decode()[-4000:]}")
    lines = output.decode().strip().splitlines()
    return json.loads(lines[-1]) if lines else None


async def output_of(*command: str, environment: Mapping[str, str]) -> str:
    """Run any program to its end and return what it wrote. Raises ChildFailedError."""
    process = await asyncio.create_subprocess_exec(
        *command, env=os.environ | dict(environment), stdin=DEVNULL, stdout=PIPE, stderr=PIPE
    )
    output, errors = await process.communicate()
    if process.returncode:
        raise ChildFailedError(f"{' '.join(command[:6])} ended with {process.returncode}: {errors.decode()[-4000:]}")
    return output.decode()


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
