"""`sealane gateway`: the door as a process of its own."""

import typer

from workers.commands.output import DATA, examples


def register(app: typer.Typer) -> None:
    """Add the command."""
    lines = ("sealane gateway", "SEALANE_PRINCIPALS=principals.json sealane gateway", "sealane gateway --data .sealane")
    app.command("gateway", epilog=examples(*lines))(gateway)


def gateway(data: DATA = None) -> None:
    """Let events in over HTTP until SIGTERM or Ctrl-C.

    There may be as many processes as you like: what a token was used for, and how much each principal brought, they
    know together. Listens on SEALANE_HTTP_PORT and, for metrics and the health page, on SEALANE_METRICS_PORT; beside
    `sealane up --no-door`, on the ports of that world. At the end what is under way is answered.
    """
    import asyncio

    from workers.app.door import run_gateway

    asyncio.run(run_gateway(data))
