"""`sealane attest REPOSITORY --since DATE`: announces what was pushed before the lane was there, or while it was not.

Events rather than signatures: the workers pace what the quotas admit, remember what is done, and can be followed.
"""

import asyncio
import re
import uuid
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from workers.commands.output import one_line
from workers.failures import Invalid

if TYPE_CHECKING:
    from workers.attest.backlog import Backlog

SOURCE = "/sealane/attest"
_DOCKER = re.compile(r"(?P<location>[a-z0-9-]+)-docker\.pkg\.dev/(?P<project>[^/\s]+)/(?P<repository>[^/\s]+)")
_NAME = re.compile(r"projects/[^/\s]+/locations/[^/\s]+/repositories/[^/\s]+")


def repository_name(typed: str) -> str:
    """Return `projects/P/locations/L/repositories/R` of LOCATION-docker.pkg.dev/P/R, or itself. Raises Invalid."""
    found = _DOCKER.fullmatch(typed)
    if found is not None:
        return f"projects/{found['project']}/locations/{found['location']}/repositories/{found['repository']}"
    if not _NAME.fullmatch(typed):
        raise Invalid(
            f"{typed!r} is no repository of Artifact Registry: write LOCATION-docker.pkg.dev/PROJECT/REPOSITORY, or"
            " projects/PROJECT/locations/LOCATION/repositories/REPOSITORY"
        )
    return typed


def announce(
    repository: str,
    since: datetime,
    environment: str | None,
    labels: Mapping[str, str],
    data: Path | None,
    *,
    wait: bool,
    as_json: bool,
) -> None:
    """Publish `image.pushed` for everything uploaded since, as one run; ends the command with its exit code."""
    name = repository_name(repository)
    run = uuid.uuid4().hex
    try:
        code = asyncio.run(_announce(name, since, environment, labels, data, run, wait=wait, as_json=as_json))
    except KeyboardInterrupt:
        typer.echo(f"\nsealane: interrupted, but what is on the bus is worked on: `sealane tail {run}`", err=True)
        raise typer.Exit(130) from None
    raise typer.Exit(code)


async def _announce(
    name: str,
    since: datetime,
    environment: str | None,
    labels: Mapping[str, str],
    data: Path | None,
    run: str,
    *,
    wait: bool,
    as_json: bool,
) -> int:
    from workers.app.images import image_inventory
    from workers.attest.backlog import backlog
    from workers.bus.doors.entrance import check
    from workers.commands.person import who
    from workers.commands.publish import publish_entries

    async with image_inventory(data) as inventory:
        images = [image async for image in inventory.of_repository(name, since=since)]
    found = backlog(images, environment=environment, labels=labels)
    typer.echo(f"sealane: {one_line(_summary(name, since, found))}", err=True)
    if not found.announced:
        return 0
    entries = [
        check(
            event.event_type, event.model_dump_json(), source=SOURCE, event_id=str(uuid.uuid4()), actor=who(), run=run
        )
        for event in found.announced
    ]
    return await publish_entries(entries, data, wait=wait, timeout=None, as_json=as_json)


def _summary(name: str, since: datetime, found: "Backlog") -> str:
    count = len(found.announced)
    left_out = [
        (found.parts, "is signed with its index", "are signed with their index"),
        (found.artifacts, "is no image", "are no images"),
    ]
    beside = "".join(f"; {number} {one if number == 1 else many}" for number, one, many in left_out if number)
    images = "image was" if count == 1 else "images were"
    return f"{count} {images} pushed to {name} since {since:%Y-%m-%d %H:%M %Z}{beside}"
