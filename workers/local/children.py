"""Child processes that live and die with the world: restarted when they end, gone when we are gone."""

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from workers.local.death_signal import dying_with_us

log = logging.getLogger(__name__)
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0
_PROVEN = 60.0
"""Seconds after which a child counts as well, and its next restart is quick again."""
_LOG_LIMIT = 16 << 20


class Child:
    """One program, started again with growing pauses whenever it ends by itself.

    In a session of its own, so that Ctrl-C reaches us first. Its output goes to `log_file`. `stop` asks (SIGTERM), and
    after `grace` seconds insists.
    """

    def __init__(
        self, name: str, command: Sequence[str], *, environment: Mapping[str, str], log_file: Path, grace: float = 30.0
    ) -> None:
        self.name = name
        self.restarts = 0
        self._command = tuple(command)
        self._environment = dict(environment)
        self._log_file = log_file
        self._grace = grace
        self._process: asyncio.subprocess.Process | None = None
        self._watching: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self) -> None:
        """Start it and keep it running."""
        await self._spawn()
        self._watching = asyncio.create_task(self._watch(), name=f"watch {self.name}")

    async def stop(self) -> int | None:
        """End it in an orderly way, or hard when it does not follow in time; return its exit code."""
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
        process = self._process
        if process is None:
            return None
        if process.returncode is None:
            _signal(process, signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), self._grace)
            except TimeoutError:
                log.warning("%s did not end within %g s and is killed", self.name, self._grace)
                _signal(process, signal.SIGKILL)
        return await process.wait()

    async def _watch(self) -> None:
        wait = _FIRST_WAIT
        while True:
            process, started = self._process, time.monotonic()
            if process is None:
                return
            code = await process.wait()
            wait = _FIRST_WAIT if time.monotonic() - started > _PROVEN else wait
            log.warning("%s ended with %d: starting again in %g s; see %s", self.name, code, wait, self._log_file)
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)
            self.restarts += 1
            await self._spawn()

    async def _spawn(self) -> None:
        self._log_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._log_file.exists() and self._log_file.stat().st_size > _LOG_LIMIT:
            self._log_file.replace(self._log_file.with_suffix(".1"))
        with self._log_file.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *dying_with_us(self._command),
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)
