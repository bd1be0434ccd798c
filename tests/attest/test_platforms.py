"""What becomes of an index: it and every platform are signed, each by itself, and what is no image is not."""

import asyncio
import json
from typing import Any

import pytest

from schemas.images import ImagePushed
from tests.attest.world import ATTESTOR, KEY, REPOSITORY, SHOP, World, rule
from workers.attest.signer import AT_ONCE
from workers.failures import Invalid, NotFound, Unavailable
from workers.local.registry import Image, build_image, build_index
from workers.manifests import OCI_INDEX
from workers.ports import ResolvedImage
from workers.signing import SigningRules

ARM = build_image([{"etc/name": b"shop"}], architecture="arm64")
INDEX = build_index([SHOP, ARM])
IMAGE = f"{REPOSITORY}:2"
SIGNATURE = "application/vnd.dev.cosign.simplesigning.v1+json"
SECOND = "projects/acme/attestors/second"


def put(world: World, index: Image, tag: str = "2") -> ImagePushed:
    """Push an index with all its members and return its event."""
    for member in index.members:
        world.images.put(REPOSITORY, None, member.manifest, member.media_type)
    world.images.put(REPOSITORY, tag, index.manifest, index.media_type)
    world.border.calls.clear()
    return ImagePushed(image=f"{REPOSITORY}:{tag}", digest=index.digest)


def index_of(*entries: dict[str, Any]) -> Image:
    """Return an index whose entries are written by hand."""
    return Image(OCI_INDEX, json.dumps({"schemaVersion": 2, "manifests": entries}).encode())


def signed(world: World) -> set[str]:
    """Return the digests that have an attestation."""
    return {attestation.digest for attestation in world.attestations.stored.values()}


def rules(*items: dict[str, Any]) -> SigningRules:
    """Return rules."""
    return SigningRules.model_validate(list(items))


async def test_an_index_and_every_platform_are_signed(world: World) -> None:
    """Three digests, three attestations, three facts; a child says to which index it belongs."""
    attested = await world.attest(put(world, INDEX))

    assert [(one.digest, one.index, one.platform, one.tag) for one in attested] == [
        (INDEX.digest, None, None, "2"),
        (SHOP.digest, INDEX.digest, "linux/amd64", None),
        (ARM.digest, INDEX.digest, "linux/arm64", None),
    ]
    assert len({one.natural_key() for one in attested}) == 3
    assert signed(world) == {INDEX.digest, SHOP.digest, ARM.digest}
    assert {one.occurrence for one in attested} == set(world.attestations.stored)


async def test_every_digest_costs_one_call_of_each_kind(world: World) -> None:
    """The index is fetched once, each child once, and nothing is asked twice."""
    await world.attest(put(world, INDEX))

    once_each = ("images.resolve", "claims.once", "attestations.find", "keys.sign", "attestors.validate")
    assert {name: world.border.count(name) for name in once_each} == dict.fromkeys(once_each, 3)
    assert world.border.count("attestations.create") == 3


async def test_every_step_says_whose_it_is(world: World) -> None:
    """Whoever follows the run can tell the platforms apart."""
    await world.attest(put(world, INDEX))

    assert {"index: sign", "linux/amd64: sign", "linux/arm64: resolve digest"} <= set(world.progress.done)


@pytest.mark.parametrize(
    ("platforms", "expected"),
    [
        ("all", {INDEX.digest, SHOP.digest, ARM.digest}),
        ("index", {INDEX.digest}),
        ("children", {SHOP.digest, ARM.digest}),
        (["linux/arm64"], {ARM.digest}),
        (["index", "linux/amd64"], {INDEX.digest, SHOP.digest}),
        (["windows/amd64"], set()),
    ],
)
async def test_a_rule_chooses_what_of_an_index_is_signed(world: World, platforms: object, expected: set[str]) -> None:
    """What it leaves out is said, and not asked for."""
    world.rules = rules(rule() | {"platforms": platforms})

    await world.attest(put(world, INDEX))
    assert signed(world) == expected
    left_out = [line for line in world.progress.lines if "`platforms` of the signing rules leaves it out" in line]
    assert len(left_out) == 3 - len(expected)
    assert world.border.count("images.resolve") == 1 + len(expected - {INDEX.digest})


async def test_rules_with_different_choices_add_up(world: World) -> None:
    """One attestor wants the index, another the children, a third rule repeats the first."""
    world.attestors.add(SECOND, "projects/acme/notes/second", *world.attestor.keys)
    world.rules = rules(
        rule() | {"platforms": "index"},
        rule(attestor=SECOND) | {"platforms": "children"},
        rule() | {"platforms": ["index", "linux/arm64"]},
    )

    attested = await world.attest(put(world, INDEX))
    assert [(one.digest, one.attestor) for one in attested] == [
        (INDEX.digest, ATTESTOR),
        (SHOP.digest, SECOND),
        (ARM.digest, SECOND),
        (ARM.digest, ATTESTOR),
    ]


async def test_buildkits_provenance_in_an_index_is_skipped(world: World) -> None:
    """It is named, not fetched, and the rest is signed."""
    provenance = build_image([{"x": b"y"}], architecture="unknown", os="unknown")
    kind = {"vnd.docker.reference.type": "attestation-manifest"}
    index = index_of(SHOP.descriptor(), provenance.descriptor() | {"annotations": kind})

    await world.attest(put(world, index))
    assert signed(world) == {index.digest, SHOP.digest}
    assert world.progress.lines == ["unknown/unknown: not signed: it is BuildKit's attestation-manifest"]
    assert world.border.count("images.resolve") == 2


async def test_an_artifact_that_an_index_does_not_announce_is_seen_when_fetched(world: World) -> None:
    """The child itself says that it is no image."""
    layers = [{"mediaType": SIGNATURE, "digest": "sha256:" + "1" * 64, "size": 1}]
    signature = build_image([{"x": b"y"}], extra={"layers": layers})
    index = build_index([SHOP, signature])

    await world.attest(put(world, index))
    assert signed(world) == {index.digest, SHOP.digest}
    assert f"{REPOSITORY}@{signature.digest} is an artifact with layers of {SIGNATURE}" in world.progress.lines[-1]


async def test_a_missing_child_is_named_and_holds_up_nothing(world: World) -> None:
    """Index and the other platform are signed; the sentence says which one is missing and what to do."""
    event = put(world, INDEX)
    world.images.remove(REPOSITORY, ARM.digest)

    with pytest.raises(NotFound) as failure:
        await world.attest(event)
    assert str(failure.value) == (
        f"the index {REPOSITORY}@{INDEX.digest} names {ARM.digest} for linux/arm64, which europe-docker.pkg.dev does"
        " not hold: push all platforms, as in `skopeo copy --all`, or leave it out with `platforms` in the signing rule"
    )
    assert signed(world) == {INDEX.digest, SHOP.digest}


async def test_an_index_within_an_index_is_named_and_holds_up_nothing(world: World) -> None:
    """Its images are not guessed at."""
    index = index_of(SHOP.descriptor(), INDEX.descriptor())

    with pytest.raises(Invalid, match=f"names another index, {INDEX.digest}, whose images are not signed: push one"):
        await world.attest(put(world, index))
    assert signed(world) == {index.digest, SHOP.digest}


async def test_a_child_that_turns_out_to_be_an_index_is_named(world: World) -> None:
    """What the outer index says of it is not believed."""
    index = index_of(SHOP.descriptor() | {"digest": INDEX.digest})
    world.images.put(REPOSITORY, None, INDEX.manifest, INDEX.media_type)

    with pytest.raises(Invalid, match="names another index"):
        await world.attest(put(world, index))


async def test_a_temporary_failure_of_one_platform_brings_the_event_back(world: World) -> None:
    """What was done is found done, what was not is done then."""

    async def fail() -> None:
        raise Unavailable("the key does not answer")

    event = put(world, INDEX)
    world.border.before["keys.sign"] = fail
    with pytest.raises(Unavailable):
        await world.attest(event)
    assert len(signed(world)) == 2

    attested = await world.attest(event)
    assert sorted(one.created for one in attested) == [False, False, True]
    assert len(world.attestations.stored) == 3


async def test_a_programming_error_in_one_platform_is_raised_as_itself(world: World) -> None:
    """The bus judges it by its own name, not as a group."""

    async def fail() -> None:
        raise ZeroDivisionError

    event = put(world, INDEX)
    world.border.before["keys.sign"] = fail
    with pytest.raises(ZeroDivisionError):
        await world.attest(event)


async def test_platforms_are_signed_several_at_a_time_and_no_more(world: World) -> None:
    """Bounded, so that one index of many platforms does not use up what others need."""
    members = [build_image([{"n": bytes([number])}], architecture=f"cpu{number}") for number in range(3 * AT_ONCE)]
    event = put(world, build_index(members))
    busy, most, resolve = 0, 0, world.images.resolve

    async def counted(reference: str) -> ResolvedImage:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        for _ in range(5):
            await asyncio.sleep(0)
        busy -= 1
        return await resolve(reference)

    world.images.resolve = counted  # type: ignore[method-assign]  # a registry that takes its time
    assert len(await world.attest(event)) == len(members) + 1
    assert most == AT_ONCE


async def test_a_child_that_was_attested_before_is_not_attested_again(world: World) -> None:
    """It was announced by itself first, as registries do while an index is being pushed."""
    await world.attest(ImagePushed(image=f"{REPOSITORY}:1.4.2"))
    world.clock.time += world.attestations.read_lag

    attested = await world.attest(put(world, INDEX))
    assert [one.created for one in attested] == [True, False, True]
    assert len(world.attestations.stored) == 3


@pytest.mark.parametrize("remembered", [True, False])
async def test_the_same_digest_elsewhere_has_its_attestation_already(world: World, remembered: bool) -> None:  # noqa: FBT001 - a table's column
    """Matching is by digest: a copy in another repository is recognised, by the claim or by what is stored."""
    (first,) = await world.attest()
    world.clock.time += world.attestations.read_lag
    if not remembered:
        world.claims.entries.clear()
    world.images.put("europe-docker.pkg.dev/acme/mirror/shop", "9", SHOP.manifest)

    (copy,) = await world.attest(ImagePushed(image="europe-docker.pkg.dev/acme/mirror/shop:9"))
    assert (copy.occurrence, copy.created) == (first.occurrence, False)
    assert copy.image == f"europe-docker.pkg.dev/acme/mirror/shop@{SHOP.digest}"
    assert len(world.attestations.stored) == 1
    assert KEY in first.key_id
