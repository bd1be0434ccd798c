"""Images a minute with each kind of key, calls per image, and how a quota of validations is kept to.

Each kind has a key, an attestor and a worker of its own on one local world; the images are as many for all.
"""

import asyncio
import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.bench.attesting import attested
from tests.bench.figures import Bar, Figure
from tests.bench.processes import ended, output_of
from tests.bench.world import CALLS, SEALANE, LocalWorld, local_world

NAME = "keys"
_RING = "projects/{project}/locations/global/keyRings/sealane"
_QUOTA = 100
_VALIDATE = "ValidateAttestationOccurrence"
_READS = ("GetAttestor", "GetPublicKey")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of key: an algorithm, and where the private half is."""

    algorithm: str
    in_kms: bool

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.algorithm}, {'Cloud KMS' if self.in_kms else 'local'}"

    @property
    def slug(self) -> str:
        """Of the names of key, attestor and images."""
        return f"{'kms' if self.in_kms else 'local'}-{self.algorithm.lower().replace('_', '-')}"


KINDS = (
    Kind("ECDSA_P256_SHA256", in_kms=True),
    Kind("RSA_PSS_4096_SHA512", in_kms=True),
    Kind("ML_DSA_65", in_kms=True),
    Kind("ECDSA_P256_SHA256", in_kms=False),
    Kind("ECDSA_P521_SHA512", in_kms=False),
    Kind("RSA_PSS_4096_SHA512", in_kms=False),
    Kind("ML_DSA_65", in_kms=False),
    Kind("OPENPGP", in_kms=False),
)


async def measure(*, quick: bool) -> list[Figure]:
    """Measure every kind, then the quota."""
    count = 30 if quick else 200
    figures: list[Figure] = []
    async with local_world() as world:
        with TemporaryDirectory(prefix="sealane-bench-") as place:
            figures += [await _kind(world, Path(place), kind, count) for kind in KINDS]
            most = max(most for figure in figures for most in figure.detail["calls_per_image"].values())
            figures.append(Figure(NAME, "most calls of one method, any kind", most, "per image", Bar("within", 1)))
            figures += await _quota(world, Path(place), quick=quick)
    return figures


async def _kind(world: LocalWorld, place: Path, kind: Kind, count: int) -> Figure:
    rule = await _rule(world, place, kind)
    process, _ = await world.start_worker(place / f"{kind.slug}.log", {"SEALANE_SIGNING_RULES": json.dumps([rule])})
    try:
        await attested(world, await world.push_images(f"{kind.slug}-warm", 1))
        images = await world.push_images(kind.slug, count)
        before = Counter(await world.google_calls())
        seconds = await attested(world, images)
        calls = Counter(await world.google_calls()) - before
    finally:
        await ended(process)
    per_image = {method: calls[method] / count for method in (*CALLS, *_READS)}
    detail = {"images": count, "calls_per_image": per_image}
    return Figure(NAME, f"{kind.title}: images a minute", count / seconds * 60, "images", detail=detail)


async def _rule(world: LocalWorld, place: Path, kind: Kind) -> dict[str, str]:
    """Make key and attestor with our own commands, and return the signing rule for them."""
    where = ["--folder", str(place)]
    if kind.in_kms:
        where = ["--kms", _RING.format(project=world.endpoints["project"])]
    made = await _sealane(world, "keys", "create", "--name", kind.slug, "--algorithm", kind.algorithm, *where)
    await _sealane(world, "attestor", "ensure", kind.slug, "--note", kind.slug, "--key", made["reference"])
    return {
        "match": f"{world.endpoints['registry']}/apps/{kind.slug}-*",
        "attestor": f"projects/{world.endpoints['project']}/attestors/{kind.slug}",
        "key": made["reference"],
    }


async def _sealane(world: LocalWorld, *command: str) -> Any:
    text = await output_of(SEALANE, *command, "--data", str(world.folder), "--json", environment={})
    return json.loads(text.splitlines()[0])


async def _quota(world: LocalWorld, place: Path, *, quick: bool) -> list[Figure]:
    """Publish more images at once than a minute's quota of validations; all are attested, few calls are refused."""
    per = 6.0 if quick else 60.0
    limit, count = round(_QUOTA * per / 60), 30 if quick else 250
    await world.tell_google({"quota": {_VALIDATE: [limit, per]}})
    process, _ = await world.start_worker(place / "quota.log")
    try:
        images = await world.push_images("quota", count)
        began = time.monotonic()
        await asyncio.wait_for(attested(world, images, patience=600.0), 600)
        seconds = time.monotonic() - began
    finally:
        await ended(process)
        await world.tell_google({"quota": {_VALIDATE: [None]}})
    asked = [call["code"] for call in await world.google_log(20_000) if call["method"] == _VALIDATE]
    refused = sum(code == "RESOURCE_EXHAUSTED" for code in asked)
    possible = (count - limit) * per / limit
    detail = {"images": count, "admitted": limit, "per_seconds": per, "least_possible_seconds": possible}
    what = f"quota of {limit} validations in {per:g} s, {count} images at once"
    return [
        Figure(NAME, f"{what}: all attested after", seconds, "s", detail=detail),
        Figure(NAME, f"{what}: times the least possible", seconds / possible, "times", Bar("below", 2), detail=detail),
        Figure(NAME, f"{what}: validations refused", refused, "calls", detail=detail),
    ]
