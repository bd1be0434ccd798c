"""Child processes that live and die with the world."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import psutil

from workers.local.children import Child

STAYS = "import signal, sys; signal.signal(15, lambda *_: sys.exit(3)); print('up', flush=True); signal.pause()"
STUBBORN = "import signal\nsignal.signal(15, signal.SIG_IGN)\nprint('up', flush=True)\nwhile True: signal.pause()"
ENDS = "print('up', flush=True)"


def child(folder: Path, code: str, grace: float = 30.0) -> Child:
    """Return a child that runs some Python."""
    return Child(
        "the child", (sys.executable, "-c", code), environment={}, log_file=folder / "logs" / "child.log", grace=grace
    )


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - another process cannot set our event
            await asyncio.sleep(0.01)


def said(folder: Path) -> int:
    """Count how often a child said that it is up."""
    file = folder / "logs" / "child.log"
    return file.read_text().count("up") if file.exists() else 0


async def test_it_is_asked_to_end(tmp_path: Path) -> None:
    """SIGTERM first; its exit code is known."""
    process = child(tmp_path, STAYS)
    await process.start()
    await until(lambda: said(tmp_path) == 1)

    assert process.pid is not None
    assert await process.stop() == 3
    assert process.pid is None


async def test_it_is_made_to_end(tmp_path: Path) -> None:
    """What ignores SIGTERM is killed once its grace is over."""
    process = child(tmp_path, STUBBORN, grace=0.2)
    await process.start()
    await until(lambda: said(tmp_path) == 1)

    assert await process.stop() == -9


async def test_it_comes_back(tmp_path: Path) -> None:
    """What ends by itself is started again, and no more once it was stopped."""
    process = child(tmp_path, ENDS)
    await process.start()
    await until(lambda: said(tmp_path) >= 2)
    await process.stop()

    assert process.restarts >= 1


async def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    """Even kill -9 of the parent takes the child along."""
    script = (
        "import asyncio, sys, pathlib\nfrom workers.local.children import Child\n"
        "async def main():\n"
        f"    c = Child('c', (sys.executable, '-c', {STAYS!r}), environment={{}}, log_file=pathlib.Path(sys.argv[1]))\n"
        "    await c.start(); print(c.pid, flush=True); await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    log = tmp_path / "logs" / "child.log"
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(log), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    grandchild = psutil.Process(int(await parent.stdout.readline()))
    await until(lambda: said(tmp_path) == 1)
    parent.kill()
    await parent.wait()

    await until(lambda: not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE)
