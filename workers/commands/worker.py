"""`sealane worker NAME…`: run workers in this process."""

from typing import Annotated

import typer

from workers.commands import completion
from workers.commands.output import DATA, examples


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "worker",
        epilog=examples("sealane worker attest", "sealane worker echo attest --data .sealane"),
    )(worker)


def worker(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME…", help="Workers to run; `sealane workers` lists them.", autocompletion=completion.workers
        ),
    ],
    data: DATA = None,
) -> None:
    """Run workers until SIGTERM or Ctrl-C.

    There may be as many processes of one as you like. Each waits for the bus, says what for, and drains at the end:
    what was begun is finished, the rest handed back.
    """
    import asyncio

    from workers.app.running import run_workers

    asyncio.run(run_workers(names, data))
