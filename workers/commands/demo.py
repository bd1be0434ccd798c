"""`sealane demo`: plays stories through the running lane, and verifies each outcome at its source."""

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workers.commands.output import DATA, examples
from workers.failures import Invalid

if TYPE_CHECKING:
    from workers.app.stories import Outcome
    from workers.local.folder import WorldFolder

ONCE = Annotated[
    bool, typer.Option("--once", help="Play and exit; without it, a world that was started here stays up.")
]
FILE = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the outcomes to a file, as JSON.")]

PATIENCE = Annotated[float, typer.Option("--patience", min=0, metavar="SECONDS", help="Wait at most this long each.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo", epilog=examples("sealane demo", "sealane demo --once --json outcomes.json"))(demo)


def demo(once: ONCE = False, file: FILE = None, patience: PATIENCE = 60.0, data: DATA = None) -> None:
    """Push real images, publish events, verify what came of it.

    Uses the world that runs in the folder, or starts it. Exit 0 only if every outcome was verified at its source.
    """
    if file is not None and (file.is_dir() or not file.parent.is_dir()):
        raise Invalid(f"--json {file}: no file can be written there, name one in a folder that exists")
    raise typer.Exit(asyncio.run(_demo(data, once=once, file=file, patience=patience)))


async def _demo(data: Path | None, *, once: bool, file: Path | None, patience: float) -> int:
    from workers.app.environment import world_folder
    from workers.app.logs import configure_logs
    from workers.app.stopping import StoppedEarly, stop_on_signals, unless_stopped
    from workers.app.world import World
    from workers.commands.world import describe
    from workers.settings import Settings

    configure_logs(Settings().log_level)
    stop = stop_on_signals()
    folder = world_folder(data)
    async with AsyncExitStack() as stack:
        started = folder.endpoints() is None
        try:
            if started:
                typer.echo(f"starting the world in {folder.root}", err=True)
                world = World(folder)
                stack.push_async_exit(world.__aexit__)
                await unless_stopped(stop, world.__aenter__())
                describe(world)
            good = await unless_stopped(stop, _play(folder, file, patience))
        except StoppedEarly:
            return 130
        if started and not once:
            typer.echo("the world stays up; Ctrl-C stops it")
            await stop.wait()
            typer.echo("stopping …", err=True)
        return 0 if good else 1


async def _play(folder: "WorldFolder", file: Path | None, patience: float) -> bool:
    """Play all stories, print a line for each, and return whether all were verified."""
    from workers.app.clouds import Clouds
    from workers.app.connecting import connect_as
    from workers.app.environment import load_settings
    from workers.app.shell import running
    from workers.app.stage import Stage
    from workers.app.stories import play
    from workers.bus.transport.publisher import Publisher
    from workers.commands.progress_lines import ProgressLines

    settings = load_settings(folder.root)
    async with connect_as("operator", settings=settings) as connection, Clouds(settings) as clouds:
        publisher = Publisher(connection)
        await publisher.start()
        try:
            lines = ProgressLines(as_json=False)
            stage = Stage(connection, publisher, clouds, folder, running(folder), lines.write, patience)
            outcomes = await play(stage)
        finally:
            await publisher.close()
    _tell(outcomes)
    if file is not None:
        record: dict[str, Any] = {"play": stage.play, "outcomes": [outcome.as_json() for outcome in outcomes]}
        await asyncio.to_thread(file.write_text, json.dumps(record, indent=2) + "\n")
    return all(outcome.good for outcome in outcomes)


def _tell(outcomes: "list[Outcome]") -> None:
    from workers.commands.output import console, one_line

    for outcome in outcomes:
        word = "verified" if outcome.good else "FAILED  "
        line = f"{word}  {outcome.story} ({outcome.seconds:.2f} s)"
        console().print(line, style="green" if outcome.good else "red", markup=False, soft_wrap=True)
        console().print(f"          {one_line(outcome.said)}", markup=False, soft_wrap=True)
