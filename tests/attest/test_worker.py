"""What becomes of a pushed image, when nothing or something ordinary goes wrong."""

import json
from dataclasses import replace

import pytest

from schemas.images import ImagePushed, SeenDigest
from tests.attest.world import (
    ATTESTOR,
    DIGEST,
    IMAGE,
    KEY,
    KEY_ID,
    MANIFEST,
    NOTE,
    OTHER_DIGEST,
    REPOSITORY,
    World,
    rule,
)
from workers.failures import Denied, Invalid, Mismatch, NotFound, QuotaExhausted, Unavailable
from workers.ports import PublicKey
from workers.signing import SigningRules


async def test_a_pushed_image_gets_one_attestation(world: World) -> None:
    """The digest in the registry is signed, validated, stored and announced."""
    (attested,) = await world.attest()

    (stored,) = world.attestations.stored.values()
    assert stored.resource_uri == f"https://{REPOSITORY}@{DIGEST}"
    assert json.loads(stored.payload)["critical"]["image"]["docker-manifest-digest"] == DIGEST
    assert attested.model_dump() == {
        "image": f"{REPOSITORY}@{DIGEST}",
        "digest": DIGEST,
        "tag": "1.4.2",
        "index": None,
        "platform": None,
        "attestor": ATTESTOR,
        "note": NOTE,
        "occurrence": stored.name,
        "key_id": KEY_ID,
        "algorithm": "ECDSA_P256_SHA256",
        "verdict": "VERIFIED",
        "created": True,
        "seen": (),
    }


async def test_one_image_costs_one_call_of_each_kind(world: World) -> None:
    """Quotas are scarce: nothing is asked twice on the ordinary way."""
    await world.attest()

    assert world.border.calls == [
        "images.resolve",
        "attestors.get",
        "keys.public_key",
        "claims.once",
        "attestations.find",
        "keys.sign",
        "attestors.validate",
        "lease.mark",
        "attestations.create",
    ]
    assert world.clock.slept == []


async def test_every_step_is_followable(world: World) -> None:
    """Whoever follows the run sees the steps by name."""
    await world.attest()

    assert world.progress.done == [
        "resolve digest",
        "read attestor and key",
        "look for attestations",
        "sign",
        "validate",
        "store",
    ]


async def test_a_repeat_finds_the_result_of_the_first(world: World) -> None:
    """The same event again stores nothing and points at the same occurrence."""
    (first,) = await world.attest()
    (second,) = await world.attest()

    assert len(world.attestations.stored) == 1
    assert (second.occurrence, second.created) == (first.occurrence, False)


async def test_another_tag_of_the_digest_is_not_signed_again(world: World) -> None:
    """Matching is by digest, not by name."""
    world.images.put(REPOSITORY, "latest", MANIFEST)
    (first,) = await world.attest()
    (second,) = await world.attest(ImagePushed(image=f"{REPOSITORY}:latest"))

    assert len(world.attestations.stored) == 1
    assert (second.occurrence, second.tag) == (first.occurrence, "latest")


@pytest.mark.parametrize("scheme", ["", "https://"])
async def test_what_somebody_else_stored_is_recognised(world: World, scheme: str) -> None:
    """Both forms of the resource URI count, and so does another writing of the payload."""
    made = await world.made_by_gcloud()
    stored = await world.store(replace(made, resource_uri=scheme + made.resource_uri))

    (attested,) = await world.attest()
    assert (attested.occurrence, attested.created) == (stored.name, False)
    assert world.keys.signed == []


async def test_an_attestation_that_does_not_verify_is_no_attestation(world: World) -> None:
    """A broken one is named, left where it is, and a good one made."""
    broken = await world.store(replace(await world.made_by_gcloud(), signature=b"nonsense"))

    (attested,) = await world.attest()
    assert attested.created
    assert attested.occurrence != broken.name
    assert len(world.attestations.stored) == 2
    assert f"{broken.name} does not count, it is not verifiable: the signature" in "\n".join(world.progress.lines)


async def test_an_attestation_by_another_key_does_not_count(world: World) -> None:
    """The natural key holds the key id."""
    other = KEY.replace("Versions/1", "Versions/2")
    public = world.keys.add(other)
    other_id = f"//cloudkms.googleapis.com/v1/{other}"
    world.attestors.add(ATTESTOR, NOTE, *world.attestor.keys, replace(public, id=other_id))
    await world.store(await world.made_by_gcloud(other, other_id))

    (attested,) = await world.attest()
    assert attested.created
    assert attested.key_id == KEY_ID


async def test_no_rule_means_not_signed_visibly(world: World) -> None:
    """Nothing is signed, nothing announced, and the run says why."""
    world.rules = SigningRules()

    assert await world.attest() == []
    assert world.progress.lines == [f"not signed: no signing rule matches {REPOSITORY}"]
    assert world.border.calls == ["images.resolve"]


async def test_every_matching_rule_signs(world: World) -> None:
    """Two attestors, two attestations, two events, in the order of the rules."""
    second = "projects/prod/attestors/release"
    world.attestors.add(second, "projects/prod/notes/release", *world.attestor.keys)
    world.rules = SigningRules.model_validate([rule(), rule(attestor=second), rule(match="gcr.io/**")])

    attested = await world.attest()
    assert [one.attestor for one in attested] == [ATTESTOR, second]
    assert [one.occurrence.split("/")[1] for one in attested] == ["acme", "prod"]


async def test_one_rules_failure_does_not_hold_up_the_others(world: World) -> None:
    """The healthy attestor has its attestation although the event fails for the other."""
    world.rules = SigningRules.model_validate([rule(attestor="projects/acme/attestors/gone"), rule()])

    with pytest.raises(NotFound, match="there is no attestor projects/acme/attestors/gone"):
        await world.attest()
    assert len(world.attestations.stored) == 1


async def test_two_attestors_of_one_note_share_the_attestation(world: World) -> None:
    """The second attestor reads the same note: one attestation serves both, once it accepts it, too."""
    second = "projects/acme/attestors/second"
    world.attestors.add(second, NOTE, *world.attestor.keys)
    (first,) = await world.attest()
    world.clock.time += world.attestations.read_lag
    world.rules = SigningRules.model_validate([rule(attestor=second)])

    (again,) = await world.attest()
    assert (again.occurrence, again.attestor) == (first.occurrence, second)


async def test_the_attestations_can_be_kept_in_another_project(world: World) -> None:
    """A rule may name the project of the occurrences."""
    world.rules = SigningRules.model_validate([rule() | {"project": "evidence"}])

    (attested,) = await world.attest()
    assert attested.occurrence.startswith("projects/evidence/occurrences/")


async def test_the_registry_must_agree_with_the_event(world: World) -> None:
    """A digest that the registry does not have under this name is never signed."""
    with pytest.raises(Mismatch) as failure:
        await world.attest(ImagePushed(image=IMAGE, digest=OTHER_DIGEST))

    assert str(failure.value) == (
        f"{IMAGE} is {DIGEST} in the registry, but the event says {OTHER_DIGEST}: the tag moved or the publisher is"
        " wrong; publish the event again with the digest that shall be signed"
    )
    assert world.attestations.stored == {}


async def test_an_event_with_two_digests_is_refused(world: World) -> None:
    """Which of the two was meant cannot be known."""
    with pytest.raises(Mismatch, match=f"two digests: {DIGEST} in .* and {OTHER_DIGEST} beside it"):
        await world.attest(ImagePushed(image=f"{REPOSITORY}@{DIGEST}", digest=OTHER_DIGEST))


async def test_a_digest_seen_elsewhere_is_recorded_and_never_signed(world: World) -> None:
    """What a mirror says travels with the result and is in no payload."""
    seen = (SeenDigest(where="nexus.example.com/apps/shop:1.4.2", digest=OTHER_DIGEST),)

    (attested,) = await world.attest(ImagePushed(image=IMAGE, digest=DIGEST, seen=seen))
    assert attested.seen == seen
    assert all(OTHER_DIGEST.encode() not in payload for payload in world.keys.signed)


async def test_an_image_that_does_not_exist_is_a_dead_letter(world: World) -> None:
    """The registry's sentence is the reason."""
    with pytest.raises(NotFound, match=r"europe-docker\.pkg\.dev has no image acme/apps/shop:9"):
        await world.attest(ImagePushed(image=f"{REPOSITORY}:9"))


async def test_a_host_that_is_not_listed_is_a_dead_letter(world: World) -> None:
    """Only listed registries are asked."""
    with pytest.raises(Denied, match=r"quay\.io/acme/shop is not at a listed registry"):
        await world.attest(ImagePushed(image="quay.io/acme/shop:1"))


async def test_a_registry_that_does_not_let_us_pull_is_a_dead_letter(world: World) -> None:
    """Retrying does not grant a permission."""
    world.images.denied.add("europe-docker.pkg.dev")

    with pytest.raises(Denied, match=r"does not let us pull acme/apps/shop"):
        await world.attest()


async def test_a_registry_that_is_down_is_temporary(world: World) -> None:
    """The image is attested once the registry is back."""
    world.images.down.add("europe-docker.pkg.dev")
    with pytest.raises(Unavailable):
        await world.attest()
    world.images.down.clear()

    assert len(await world.attest()) == 1


async def test_a_disabled_key_is_a_dead_letter(world: World) -> None:
    """Nothing is stored when the key may not sign."""
    world.keys.disabled.add(KEY)

    with pytest.raises(Invalid, match="is not enabled"):
        await world.attest()


async def test_what_binary_authorization_refuses_is_not_stored(world: World) -> None:
    """Validate first, store second: a signature that does not verify goes nowhere."""

    async def sign(key: str, payload: bytes, *, timeout: float) -> bytes:
        return b"not a signature"

    world.keys.sign = sign  # type: ignore[method-assign]  # a signer gone wrong
    with pytest.raises(Invalid) as failure:
        await world.attest()

    assert str(failure.value) == (
        f"attestor {ATTESTOR} would not accept the attestation of {REPOSITORY}@{DIGEST} signed by {KEY_ID}:"
        " the signature is not one of the payload by this key; nothing was stored"
    )
    assert world.attestations.stored == {}


@pytest.mark.parametrize("call", ["images.resolve", "attestors.get", "keys.sign", "attestors.validate"])
async def test_what_is_down_is_temporary_and_nothing_is_stored(world: World, call: str) -> None:
    """An outside that does not answer makes the event come back, and the next time it works."""

    async def fail() -> None:
        raise Unavailable(f"{call} does not answer")

    world.border.before[call] = fail
    with pytest.raises(Unavailable):
        await world.attest()
    assert world.attestations.stored == {}

    assert len(await world.redeliver()) == 1
    assert world.clock.slept == []


async def test_a_used_up_quota_waits_and_needs_no_second_look(world: World) -> None:
    """A refused create has certainly stored nothing: the next attempt begins as if it were the first."""

    async def fail() -> None:
        raise QuotaExhausted("10 creates a minute are used up")

    world.border.before["attestations.create"] = fail
    with pytest.raises(QuotaExhausted):
        await world.attest()

    (attested,) = await world.attest()
    assert len(world.attestations.stored) == 1
    assert attested.created
    assert world.clock.slept == []


async def test_the_attestors_own_key_id_is_used(world: World) -> None:
    """Ids are compared byte for byte, so it is read from the attestor, not built."""
    own = PublicKey("ni:///sha-256;abc", world.attestor.keys[0].algorithm, world.attestor.keys[0].pem)
    world.attestors.add(ATTESTOR, NOTE, own)

    (attested,) = await world.attest()
    (stored,) = world.attestations.stored.values()
    assert attested.key_id == stored.key_id == own.id
