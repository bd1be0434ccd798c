"""`sealane console`: the way to the page for the person on call, and out of it for somebody else."""

from typing import TYPE_CHECKING, Annotated

import typer

from workers.commands.operating import as_operator
from workers.commands.output import DATA, examples, one_line
from workers.failures import Invalid

if TYPE_CHECKING:
    from workers.bus.transport.connection import Connection

console = typer.Typer(
    epilog=examples("sealane console", "sealane console --data /srv/sealane", "sealane console sign-out alice"),
    invoke_without_command=True,
    rich_markup_mode=None,
)
PRINCIPAL = Annotated[str, typer.Argument(metavar="PRINCIPAL", help="Name of the principal, as the policy has it.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(console, name="console")


@console.callback()
def link(context: typer.Context, data: DATA = None) -> None:
    """Print a link that signs you in to the console, once.

    For the local world: whoever may read its folder may do so. Elsewhere people sign in as SEALANE_CONSOLE says.
    """
    if context.invoked_subcommand is None:
        from workers.app.console_link import local_link

        typer.echo(local_link(data))


@console.command("sign-out", epilog=examples("sealane console sign-out alice"))
def sign_out(principal: PRINCIPAL, *, data: DATA = None) -> None:
    """End what somebody has open in the console, in all browsers.

    Whoever stays in the policy may sign in again: take the principal out of SEALANE_PRINCIPALS first. So a name that
    the policy does not have is taken as well: mind the spelling.
    """
    _could_be_a_name(principal)

    async def change(connection: "Connection") -> None:
        from workers.bus.claims.ledger import Ledger
        from workers.bus.transport.publisher import Publisher
        from workers.gateway.console.sessions import of_person
        from workers.gateway.console.signed_out import note_signed_out

        publisher = Publisher(connection)
        await publisher.start()
        try:
            await note_signed_out(Ledger(connection, publisher), of_person(principal))
        finally:
            await publisher.close()

    as_operator(data, change)
    typer.echo(f"whatever {one_line(principal)} had open in the console is over; signing in again is up to the policy")


def _could_be_a_name(principal: str) -> None:
    """Raise Invalid for what no policy can have as the name of a principal."""
    from pydantic import TypeAdapter, ValidationError

    from workers.gateway.principals import Name

    try:
        TypeAdapter(Name).validate_python(principal)
    except ValidationError as error:
        raise Invalid(f"no principal is called {one_line(principal)!r}: give the name as the policy has it") from error
