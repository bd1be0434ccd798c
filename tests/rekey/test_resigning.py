"""`attest` on `attestation.requested`: it signs with the next key what is admitted already, and nothing else."""

import pytest

from schemas.attestors import AttestationRequested
from tests.rekey.world import ATTESTOR, HOST, NEW, NEW_ID, OLD, OLD_ID, OTHER, OTHER_ID, World, digest_of, uri_of
from workers.failures import Invalid, NotYet


def requested(image: str) -> AttestationRequested:
    """Return the request for an image."""
    return AttestationRequested(image=image, attestor=ATTESTOR)


def both_listed(world: World) -> None:
    """Let the attestor list the old key and the next one."""
    world.list_keys(world.public(OLD, OLD_ID), world.public(NEW, NEW_ID))


async def test_what_is_admitted_is_signed_by_the_next_key_once(world: World) -> None:
    """Asked again, it finds what is there."""
    both_listed(world)
    await world.attested("shop")
    first, again = await world.request(requested(uri_of("shop"))), await world.request(requested(uri_of("shop")))

    assert [(one.key_id, one.created) for one in first] == [(NEW_ID, True)]
    assert [(one.key_id, one.created) for one in again] == [(NEW_ID, False)]
    assert len(world.by(NEW_ID, "shop")) == 1


async def test_what_is_not_admitted_is_never_signed(world: World) -> None:
    """No attestation, one over another digest, one by a key that the attestor does not list: left alone, visibly."""
    both_listed(world)
    await world.attested("forged", payload_of="else")
    await world.attested("foreign", key=OTHER)
    await world.attested("claimed", key=NEW, payload_of="else")
    for name in ("stranger", "forged", "foreign", "claimed"):
        assert await world.request(requested(uri_of(name))) == []

    assert world.keys.signed == []
    assert sum("not signed" in line for line in world.progress.lines) == 4


async def test_the_image_is_named_as_it_was_admitted_not_as_the_event_says(world: World) -> None:
    """An event that names another repository with the same digest gets nothing signed in that name."""
    both_listed(world)
    await world.attested("shop")
    (attested,) = await world.request(requested(f"evil.example/shop@{digest_of('shop')}"))

    assert attested.image == uri_of("shop")
    assert b"evil" not in world.by(NEW_ID, "shop")[0].payload


async def test_the_key_is_the_one_that_replaces_the_key_of_the_attestation(world: World) -> None:
    """Two rules for one attestor: the attestation's own key decides, even where the repository fits another rule."""
    other = world.keys.add(f"{OTHER}0")
    world.rule({"match": f"{HOST}/acme/**", "attestor": ATTESTOR, "key": OTHER, "next_key": f"{OTHER}0"})
    both = (world.public(OLD, OLD_ID), world.public(NEW, NEW_ID), world.public(OTHER, OTHER_ID))
    world.list_keys(*both, world.public(f"{OTHER}0", f"{OTHER_ID}0"))
    await world.attested("shop", key=OTHER)
    (attested,) = await world.request(requested(uri_of("shop")))

    assert attested.key_id == f"{OTHER_ID}0"
    assert other.algorithm == attested.algorithm


async def test_without_a_successor_in_the_rules_it_says_so(world: World) -> None:
    """No next key at all, or none for this key and repository."""
    both_listed(world)
    await world.attested("shop")
    world.rule(next_key=None)
    with pytest.raises(Invalid, match="names a next_key"):
        await world.request(requested(uri_of("shop")))
    world.rule(match="quay.io/**", key=OTHER)
    with pytest.raises(Invalid, match=r"no signing rule .* says which key replaces it"):
        await world.request(requested(uri_of("shop")))


async def test_until_the_next_key_is_listed_it_waits(world: World) -> None:
    """What it knows of the attestor may be a minute old."""
    await world.attested("shop")

    with pytest.raises(NotYet, match="does not list the next key yet"):
        await world.request(requested(uri_of("shop")))


async def test_a_disabled_old_key_still_admits(world: World) -> None:
    """It cannot be read any more, but the attestor lists it by its name."""
    both_listed(world)
    await world.attested("shop")
    world.keys.disabled.add(OLD)
    (attested,) = await world.request(requested(uri_of("shop")))

    assert attested.key_id == NEW_ID
