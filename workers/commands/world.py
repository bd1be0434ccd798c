"""`sealane up`: the world in a box on this machine."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workers.commands.output import DATA, examples

if TYPE_CHECKING:
    from workers.app.world import World

NO_WORKERS = Annotated[bool, typer.Option("--no-workers", help="Start the world and the door alone.")]
NO_DOOR = Annotated[bool, typer.Option("--no-door", help="Leave the door to a process `sealane gateway`.")]
ANNOUNCE = Annotated[
    bool, typer.Option("--announce-pushes", help="Let the registry announce each push on the topic gcr.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("up", epilog=examples("sealane up", "sealane up --data /srv/sealane", "sealane up --no-workers"))(up)


def up(
    data: DATA = None, no_workers: NO_WORKERS = False, no_door: NO_DOOR = False, announce_pushes: ANNOUNCE = False
) -> None:
    """Start the bus, local clouds, the door and all workers. Ctrl-C ends them.

    The data stays in the folder and the ports stay the same. One world per folder. With --announce-pushes an image is
    attested as soon as it is pushed, as with Artifact Registry; without it, once somebody publishes image.pushed.
    """
    import asyncio

    asyncio.run(_up(data, with_workers=not no_workers, with_door=not no_door, announces=announce_pushes))


async def _up(data: Path | None, *, with_workers: bool, with_door: bool, announces: bool) -> None:
    from workers.app.environment import world_folder
    from workers.app.logs import configure_logs
    from workers.app.stopping import StoppedEarly, stop_on_signals, unless_stopped
    from workers.app.world import World
    from workers.bus.engine.collector import settle
    from workers.settings import Settings

    configure_logs(Settings().log_level)
    stop = stop_on_signals()
    folder = world_folder(data)
    world = World(folder, with_workers=with_workers, with_door=with_door, announces=announces)
    typer.echo(f"starting the world in {folder.root}", err=True)
    try:
        await unless_stopped(stop, world.__aenter__())
    except StoppedEarly:
        return
    try:
        settle()
        describe(world)
        await stop.wait()
        typer.echo("stopping …", err=True)
    finally:
        await world.__aexit__()


def describe(world: "World") -> None:
    """Print where everything is."""
    from workers.app.console_link import link_to
    from workers.commands.output import write_table

    endpoints, names = world.endpoints, world.names
    gitconfig = world.folder.root / "github" / "gitconfig"
    where = {
        "bus (NATS)": endpoints["nats"],
        "door (HTTP)": endpoints["http"],
        "door (gRPC)": endpoints["grpc"],
        "health page": f"{endpoints['metrics']}/",
        "Google, REST": endpoints["google_rest"],
        "Google, gRPC": endpoints["google_grpc"],
        "registry": endpoints["registry"],
        "CI identities (OIDC)": endpoints["oidc"],
        "GitHub": f"{endpoints['github']}/acme/onboarding.git (git -c include.path={gitconfig} clone …)",
        "access token": f"{endpoints['token']} (registry user: {endpoints['registry_user']})",
        "project": endpoints["project"],
        "attestor": names.attestor,
        "note": names.note,
        "key": names.key,
        "signing rule": f"{endpoints['signing_rules'][0]['match']} is signed for the attestor with the key",
        "workers": f"process {world.workers.pid}, log {world.folder.logs}/workers.log"
        if world.workers
        else "none here",
        "data": str(world.folder.root),
    }
    write_table(["what", "where"], where.items(), empty="")
    folder = shlex.quote(str(world.folder.root))
    typer.echo(f"console: {link_to(world.folder, endpoints['http'])}")
    typer.echo("         (this link signs you in once; `sealane console` prints another)")
    typer.echo(f'ready. For your shell: eval "$(sealane local env --data {folder})"; Ctrl-C stops everything.')
