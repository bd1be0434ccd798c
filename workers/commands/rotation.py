"""`sealane attestor rotate`: replaces an attestor's signing key, as one run that can be followed."""

import asyncio
import uuid
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workers.commands.attestor import NAME, attestor
from workers.commands.output import DATA, JSON, examples
from workers.commands.since import when
from workers.failures import Invalid

if TYPE_CHECKING:
    from workers.bus.doors.entrance import Entry

SOURCE = "/sealane/attestor/rotate"
SINCE = Annotated[
    datetime | None,
    typer.Option(
        "--since",
        metavar="WHEN",
        parser=when,
        help="Renew only what the old key attested from then on: a date, a time, 12h, 7d; default: all of it.",
    ),
]
IMAGES = Annotated[
    list[str] | None,
    typer.Option("--image", metavar="IMAGE", help="Renew this one too, attested earlier; may be given many times."),
]
PRUNE = Annotated[bool, typer.Option("--prune", help="At the end delete the old key's attestations that were renewed.")]
ID = Annotated[str | None, typer.Option("--id", help="Id of the event, the same when you repeat it.")]
WAIT = Annotated[bool, typer.Option("--wait", help="Follow until all is over; exit 0 only if nothing failed.")]
TIMEOUT = Annotated[float | None, typer.Option("--timeout", min=0, metavar="SECONDS", help="Wait at most this long.")]


def register(app: typer.Typer) -> None:
    """Add the command to its group."""
    del app
    attestor.command(
        "rotate",
        epilog=examples(
            "sealane attestor rotate built-by-ci --wait",
            "sealane attestor rotate built-by-ci --since 2026-05-01 --image gcr.io/acme/shop:1.4.2",
            "sealane attestor rotate projects/prod/attestors/release --prune --wait",
        ),
    )(rotate)


def rotate(
    name: NAME,
    *,
    since: SINCE = None,
    images: IMAGES = None,
    prune: PRUNE = False,
    event_id: ID = None,
    wait: WAIT = False,
    timeout: TIMEOUT = None,
    data: DATA = None,
    as_json: JSON = False,
) -> None:
    """Replace an attestor's signing key by the next_key of its rules.

    The next key is listed, what the old one attested is attested anew and proven, then the old key is removed. All
    workers must run with the rules that name the next_key. Whatever is interrupted goes on; repeating it joins.
    """
    from workers.commands.publish import publish_entries

    if timeout is not None and not wait:
        raise Invalid("--timeout says how long to --wait: give both, or neither")

    async def work() -> int:
        entry = await _entry(name, since, images or [], data, prune=prune, event_id=event_id or str(uuid.uuid4()))
        # Of each image `attest` says a dozen lines: what there is to know of them all, `rekey` says.
        return await publish_entries([entry], data, wait=wait, timeout=timeout, as_json=as_json, worker="rekey")

    try:
        code = asyncio.run(work())
    except KeyboardInterrupt:
        typer.echo("\nsealane: interrupted, but a rotation that is on the bus goes on: see `sealane runs`", err=True)
        raise typer.Exit(130) from None
    raise typer.Exit(code)


async def _entry(
    name: str, since: datetime | None, images: list[str], data: Path | None, *, prune: bool, event_id: str
) -> "Entry":
    """Return the event, with the digest of each image. Raises Invalid, and what the registries raise."""
    import json

    from schemas.attestors import AttestorRotate
    from workers.app.environment import load_settings
    from workers.attestors.names import attestor_name
    from workers.bus.doors.entrance import check
    from workers.commands.person import who

    body = {
        "attestor": attestor_name(name, load_settings(data).project),
        "since": None if since is None else since.isoformat(),
        "images": await _pinned(images, data),
        "prune": prune,
    }
    return check(AttestorRotate.event_type, json.dumps(body), source=SOURCE, event_id=event_id, actor=who())


async def _pinned(images: list[str], data: Path | None) -> list[str]:
    """Return HOST/PATH@DIGEST of each; only a tag needs its registry, for a tag moves and a rotation takes its time."""
    from schemas.images import split_reference

    found = []
    for image in images:
        try:
            host, path, _, digest = split_reference(image)
        except ValueError as error:
            raise Invalid(str(error)) from None
        found.append(f"{host}/{path}@{digest}" if digest else await _resolved(image, data))
    return list(dict.fromkeys(found))


async def _resolved(image: str, data: Path | None) -> str:
    from workers.app.images import image_ports

    async with image_ports(data) as ports:
        return (await ports.images.resolve(image)).uri
