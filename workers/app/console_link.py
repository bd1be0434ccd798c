"""The link that signs a person in to the console of a local world."""

from pathlib import Path

from workers.app.environment import world_folder
from workers.app.shell import running
from workers.gateway.console.link import sign_in_link
from workers.local.folder import WorldFolder

PERSON = "local"
"""The principal that whoever may read the folder of a local world is."""


def link_to(world: WorldFolder, door: str) -> str:
    """Return an address that signs a person in once, with the key in the folder of a local world."""
    return sign_in_link(door, world.console_secret(), PERSON)


def local_link(data: Path | None) -> str:
    """Return the link to the console of the running world. Raises Unavailable when none is running there."""
    world = world_folder(data)
    return link_to(world, running(world)["http"])
