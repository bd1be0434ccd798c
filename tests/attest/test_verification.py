"""What `sealane verify` finds: one line per attestation, and fine only if every attestor is satisfied."""

from dataclasses import replace

from tests.attest.world import ATTESTOR, DIGEST, IMAGE, NOTE, REPOSITORY, World
from workers.attest.verification import Finding, findings, is_admitted
from workers.failures import Invalid
from workers.ports import Attestation, Verdict


async def found(world: World, attestor: str = ATTESTOR) -> tuple[Finding, ...]:
    """Verify the image of the world."""
    world.clock.time += world.attestations.read_lag
    return await findings(await world.images.resolve(IMAGE), attestor, world.attestors, world.attestations)


async def test_an_attested_image_is_admitted(world: World) -> None:
    """The occurrence and the key are named."""
    (attested,) = await world.attest()
    (finding,) = await found(world)

    assert (finding.occurrence, finding.key_id, finding.verdict) == (attested.occurrence, attested.key_id, "VERIFIED")
    assert is_admitted((finding,))


async def test_an_image_without_attestation_is_not_admitted(world: World) -> None:
    """The note that was searched is named."""
    (finding,) = await found(world)

    assert finding == Finding(
        f"{REPOSITORY}@{DIGEST}", ATTESTOR, "NOT_ATTESTED", f"{NOTE} holds no attestation of {DIGEST}", note=NOTE
    )
    assert not is_admitted((finding,))


async def test_an_attestor_without_keys_is_explained(world: World) -> None:
    """It would accept no attestation at all."""
    world.attestors.add(ATTESTOR, NOTE)

    assert (await found(world))[0].reason.endswith("and the attestor has no public keys, so it would accept none")


async def test_a_broken_attestation_says_why_and_does_not_hide_the_good_one(world: World) -> None:
    """Both are shown; one good one is enough."""
    await world.store(replace(await world.made_by_gcloud(), signature=b"nonsense"))
    await world.attest()
    broken, good = await found(world)

    assert broken.reason == "the signature is not one of the payload by this key"
    assert [broken.verdict, good.verdict] == ["ATTESTATION_NOT_VERIFIABLE", "VERIFIED"]
    assert is_admitted((broken, good))


async def test_one_that_cannot_be_validated_does_not_hide_the_good_one(world: World) -> None:
    """A request that is refused as such is a finding, not the end."""
    broken = await world.store(replace(await world.made_by_gcloud(), key_id="nonsense"))
    await world.attest()
    validate = world.attestors.validate

    async def refusing(attestor: str, attestation: Attestation, *, timeout: float) -> Verdict:
        if attestation.name == broken.name:
            raise Invalid("the key id is no URI")
        return await validate(attestor, attestation, timeout=timeout)

    world.attestors.validate = refusing  # type: ignore[method-assign]  # one attestation is refused
    first, second = await found(world)

    assert (first.verdict, first.reason) == ("ATTESTATION_NOT_VERIFIABLE", "the key id is no URI")
    assert second.is_verified


async def test_what_cannot_be_asked_is_unknown_and_not_fine(world: World) -> None:
    """A missing attestor never passes."""
    (finding,) = await found(world, "projects/acme/attestors/missing")

    assert (finding.verdict, finding.reason) == ("UNKNOWN", "there is no attestor projects/acme/attestors/missing")
    assert not is_admitted((finding,))


def test_every_attestor_must_be_satisfied() -> None:
    """One of two is not enough, and none at all neither."""
    good = Finding("i", "first", "VERIFIED")

    assert is_admitted((good, replace(good, verdict="NOT_ATTESTED")))
    assert not is_admitted((good, Finding("i", "second", "NOT_ATTESTED")))
    assert not is_admitted(())
