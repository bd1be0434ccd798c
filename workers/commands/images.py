"""`sealane attest` and `sealane verify`: one image, now."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workers.commands.output import DATA, JSON, examples, one_line, write_json, write_records
from workers.commands.since import when
from workers.failures import Invalid, NotFound, SealaneError

if TYPE_CHECKING:
    from schemas.images import ImageAttested, ImagePushed
    from workers.app.images import ImagePorts
    from workers.attest.verification import Finding

IMAGE = Annotated[str, typer.Argument(metavar="IMAGE", help="HOST/PATH:TAG, HOST/PATH@sha256:… or both.")]
ATTESTOR = Annotated[
    str | None,
    typer.Option("--attestor", metavar="A", help="projects/P/attestors/A, or A in this project; default: all rules'."),
]
ACTOR = Annotated[
    str | None,
    typer.Option("--actor", metavar="WHO", help="Who published it, for rules that ask; default: you."),
]
ENVIRONMENT = Annotated[
    str | None,
    typer.Option("--environment", metavar="E", help="What it was published for, for rules that ask."),
]
LABELS = Annotated[
    list[str] | None,
    typer.Option(
        "--label", metavar="NAME=VALUE", help="A label it was published with, for rules that ask. Repeatable."
    ),
]
SINCE = Annotated[
    datetime | None,
    typer.Option(
        "--since",
        metavar="WHEN",
        parser=when,
        help="Announce to the workers all that was pushed to a repository from then on: a date, a time, 12h, 7d.",
    ),
]
WAIT = Annotated[bool, typer.Option("--wait", help="With --since: follow until all is over; exit 0 if nothing failed.")]
OpenPorts = Callable[..., AbstractAsyncContextManager["ImagePorts"]]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        "attest",
        epilog=examples(
            "sealane attest europe-docker.pkg.dev/acme/apps/shop:1.4.2",
            "sealane attest gcr.io/acme/shop@sha256:… --attestor built-by-ci --json",
            "sealane attest europe-docker.pkg.dev/acme/apps --since 2026-05-01 --wait",
        ),
    )(attest)
    app.command(
        "verify",
        epilog=examples(
            "sealane verify europe-docker.pkg.dev/acme/apps/shop:1.4.2",
            "sealane verify gcr.io/acme/shop@sha256:… --attestor projects/prod/attestors/release",
        ),
    )(verify)


def attest(
    image: IMAGE,
    attestor: ATTESTOR = None,
    actor: ACTOR = None,
    environment: ENVIRONMENT = None,
    label: LABELS = None,
    since: SINCE = None,
    data: DATA = None,
    *,
    wait: WAIT = False,
    as_json: JSON = False,
) -> None:
    """Attest one image now, as the worker would.

    It is attested for every signing rule that wants it, an index with its platforms. Exit 0: it is attested. 1: it is
    not. 2: the input is wrong. With --since, IMAGE is a repository of Artifact Registry, and you are the publisher.
    """
    import asyncio

    if since is not None:
        from workers.commands.backlog import announce

        if attestor is not None or actor is not None:
            raise Invalid(
                "--since leaves it to the workers, who know all rules and who you are: drop --attestor and --actor"
            )
        announce(image, since, environment, labels_of(label or []), data, wait=wait, as_json=as_json)
        return
    if wait:
        raise Invalid("--wait follows what --since announces; one image is attested before the command ends")
    pushed = _pushed(image, environment, label or [])
    attested = asyncio.run(attest_now(pushed, attestor, data, actor=actor))
    records = [event.model_dump(mode="json") for event in attested]
    if as_json:
        for record in records:
            write_json(record)
    else:
        columns = {
            "PLATFORM": lambda record: record["platform"] or ("-" if record["index"] is None else record["digest"]),
            "ATTESTOR": lambda record: record["attestor"],
            "OCCURRENCE": lambda record: record["occurrence"],
            "STORED": lambda record: "now" if record["created"] else "before",
            "KEY": lambda record: record["key_id"],
        }
        write_records(records, columns, as_json=False, empty="Nothing was attested.")
    if not attested:
        raise typer.Exit(1)


def verify(image: IMAGE, attestor: ATTESTOR = None, data: DATA = None, *, as_json: JSON = False) -> None:
    """Say what Binary Authorization would say of an image, and why.

    Of an index, each platform that the rules sign is asked about as well. Exit 0: every attestor asked has a verified
    attestation of each. 1: one has not. 2: the input is wrong.
    """
    import asyncio
    from dataclasses import asdict

    from workers.attest.verification import is_admitted

    found = asyncio.run(verify_now(image, attestor, data))
    columns: dict[str, Callable[[Any], object]] = {
        "ATTESTOR": lambda record: record["attestor"],
        "VERDICT": lambda record: record["verdict"],
        "OCCURRENCE": lambda record: record["occurrence"] or "-",
        "KEY": lambda record: record["key_id"] or "-",
        "REASON": lambda record: record["reason"],
    }
    if len({finding.image for finding in found}) > 1:
        columns = {"PLATFORM": lambda record: record["platform"] or "-"} | columns
    write_records([asdict(finding) for finding in found], columns, as_json=as_json, empty="")
    if not is_admitted(found):
        raise typer.Exit(1)


async def attest_now(
    pushed: "ImagePushed",
    attestor: str | None,
    data: Path | None = None,
    *,
    actor: str | None = None,
    open_ports: OpenPorts | None = None,
) -> "list[ImageAttested]":
    """Run the worker on one image, published by the actor or whoever types, and return what it would emit."""
    from schemas.envelope import Envelope
    from schemas.identity import run_id
    from workers.attest import worker
    from workers.commands.person import who
    from workers.signing import SigningRules

    _require_names(pushed.image, attestor)
    typed = Envelope(
        id=pushed.image,
        source="/sealane/attest",
        type=pushed.event_type,
        run=run_id("/sealane/attest", pushed.image),
        actor=actor or who(),
    )
    async with (open_ports or _image_ports())(data, claiming=True) as ports:
        if ports.warning is not None:
            typer.echo(f"warning: {one_line(ports.warning)}", err=True)
        rules = ports.rules
        if attestor is not None:
            name = _full_name(attestor, ports.project)
            rules = SigningRules(rules=tuple(rule for rule in rules.rules if rule.attestor == name))
            if not rules.rules:
                raise Invalid(f"no signing rule names the attestor {name}: add one to SEALANE_SIGNING_RULES")
        events = worker.attest(
            pushed,
            typed,
            ports.images,
            ports.keys,
            ports.attestors,
            ports.attestations,
            ports.claims,
            ports.rates,
            rules,
            ports.clock,
            TerminalProgress(),
        )
        return [event async for event in events]


async def verify_now(
    image: str, attestor: str | None, data: Path | None = None, *, open_ports: OpenPorts | None = None
) -> "tuple[Finding, ...]":
    """Resolve the image and ask each attestor."""
    from workers.attest.verification import findings, rule_findings

    _require_names(image, attestor)
    async with (open_ports or _image_ports())(data) as ports:
        name = None if attestor is None else _full_name(attestor, ports.project)
        if name is not None:
            try:
                await ports.attestors.get(name)
            except NotFound as problem:
                raise Invalid(str(problem)) from None
            except SealaneError:
                pass  # an attestor that could not be asked is a finding
        resolved = await ports.images.resolve(image)
        rules = [rule for rule in ports.rules.matching(resolved.host, resolved.path) if name in {None, rule.attestor}]
        found = await rule_findings(resolved, rules, ports.images, ports.attestors, ports.attestations)
        if found:
            return found
        if name is None:
            raise Invalid(f"no signing rule signs {resolved.repository}: say whom to ask with --attestor")
        return await findings(resolved, name, ports.attestors, ports.attestations)


def _pushed(image: str, environment: str | None, labels: list[str]) -> "ImagePushed":
    """Return what somebody typed as the event that it stands for. Raises Invalid."""
    from pydantic import ValidationError

    from schemas.explanations import explain
    from schemas.images import ImagePushed

    _require_names(image, None)
    try:
        return ImagePushed(image=image, environment=environment, labels=labels_of(labels))
    except ValidationError as error:
        raise Invalid(explain(ImagePushed, error)) from None


def labels_of(typed: list[str]) -> dict[str, str]:
    """Return labels by name. Raises Invalid for one without a value."""
    pairs = [label.partition("=") for label in typed]
    if wrong := [name for name, equals, _ in pairs if not (name and equals)]:
        raise Invalid(f"the label {wrong[0]!r} has no value: write --label NAME=VALUE")
    return {name: value for name, _, value in pairs}


def _image_ports() -> OpenPorts:
    from workers.app.images import image_ports

    return image_ports


def _require_names(image: str, attestor: str | None) -> None:
    """Check what was typed before anything is opened."""
    import re

    from schemas.images import split_reference
    from workers.signing import ATTESTOR_PATTERN

    try:
        split_reference(image)
    except ValueError as error:
        raise Invalid(str(error)) from None
    if attestor is not None and re.match(ATTESTOR_PATTERN, _full_name(attestor, "any")) is None:
        raise Invalid(f"{attestor!r} is not an attestor: write projects/PROJECT/attestors/ATTESTOR, or its last part")


def _full_name(attestor: str, project: str) -> str:
    return attestor if "/" in attestor else f"projects/{project}/attestors/{attestor}"


class TerminalProgress:
    """The port Progress for somebody at a terminal: what is done goes to stderr, with the time it took."""

    def step(self, name: str) -> AbstractAsyncContextManager[None]:
        """Say when the step is over."""
        return self._step(name)

    @asynccontextmanager
    async def _step(self, name: str) -> AsyncIterator[None]:
        began, state = time.monotonic(), "failed"
        try:
            yield
            state = "done"
        finally:
            typer.echo(f"{name}: {state} ({time.monotonic() - began:.2f} s)", err=True)

    def log(self, message: str) -> None:
        """Say the line."""
        typer.echo(one_line(message), err=True)
