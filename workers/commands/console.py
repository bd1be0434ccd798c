"""`sealane console`: the way to the page for the person on call."""

import typer

from workers.commands.output import DATA, examples


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("console", epilog=examples("sealane console", "sealane console --data /srv/sealane"))(console)


def console(data: DATA = None) -> None:
    """Print a link that signs you in to the console, once.

    For the local world: whoever may read its folder may do so. Elsewhere people sign in as SEALANE_CONSOLE says.
    """
    from workers.app.console import local_link

    typer.echo(local_link(data))
