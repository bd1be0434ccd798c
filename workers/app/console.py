"""The console of a door: its secret and its bus identity."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from workers.adapters.secrets import read_secret
from workers.adapters.sign_in import Providers
from workers.app.connecting import open_bus
from workers.bus.topology.permissions import OPERATOR
from workers.console_settings import ConsoleSettings
from workers.failures import Invalid
from workers.gateway.console.kit import ConsoleKit
from workers.local.folder import WorldFolder
from workers.redaction import conceal
from workers.registries import is_loopback
from workers.settings import Settings


@asynccontextmanager
async def open_console(settings: Settings) -> AsyncIterator[ConsoleKit | None]:
    """Hold what a console needs while the block runs; None where none is wanted.

    Raises Invalid when people could not reach it, and what `read_secret` and `open_bus` raise.
    """
    wanted = settings.console
    if wanted is None or wanted.secret is None:
        yield None
        return
    if wanted.url is None and not is_loopback(settings.http_host):
        raise Invalid("the console has no address: set `url` in SEALANE_CONSOLE to the one that people open")
    secret = await read_secret(wanted.secret)
    operator = await open_bus(_as_operator(settings, wanted), OPERATOR)
    try:
        yield ConsoleKit(wanted, secret, Providers(read_secret), operator)
    finally:
        await operator.close()


def _as_operator(settings: Settings, wanted: ConsoleSettings) -> Settings:
    """Return the settings with the seed of the `operator`. Raises Invalid when there is none but the door's own."""
    if wanted.operator_seed is not None:
        return settings.model_copy(update={"nats_seed": wanted.operator_seed})
    if settings.nats_seed is not None and "{identity}" not in settings.nats_seed:
        raise Invalid(
            "the console acts on the bus as `operator`: name that identity's seed as `operator_seed` in SEALANE_CONSOLE"
        )
    return settings


def console_at_home(settings: Settings, world: WorldFolder) -> Settings:
    """Return the settings with the console of a local world, unless there is one set by hand."""
    conceal(world.console_secret())
    here = ConsoleSettings(secret=f"file://{world.console_file}")
    return settings if settings.console is not None else settings.model_copy(update={"console": here})
