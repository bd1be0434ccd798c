"""What `sealane verify` finds: one line per attestation, and fine only if every attestor is satisfied."""

from dataclasses import replace

from schemas.images import ImagePushed
from tests.attest.world import ATTESTOR, DIGEST, IMAGE, NOTE, REPOSITORY, SHOP, World, rule
from workers.attest.verification import Finding, findings, is_admitted, rule_findings
from workers.failures import Invalid
from workers.local.registry import build_image, build_index
from workers.ports import Attestation, Verdict
from workers.signing import SigningRule, SigningRules

ARM = build_image([{"etc/name": b"shop"}], architecture="arm64")
INDEX = build_index([SHOP, ARM])


async def found(world: World, attestor: str = ATTESTOR) -> tuple[Finding, ...]:
    """Verify the image of the world."""
    world.clock.time += world.attestations.read_lag
    return await findings(await world.images.resolve(IMAGE), attestor, world.attestors, world.attestations)


def push_index(world: World) -> None:
    """Push the index and its two images."""
    for member in (SHOP, ARM):
        world.images.put(REPOSITORY, None, member.manifest, member.media_type)
    world.images.put(REPOSITORY, "2", INDEX.manifest, INDEX.media_type)


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


async def test_of_an_index_each_platform_that_the_rules_sign_is_asked_about(world: World) -> None:
    """The index alone is not enough where its images are signed as well, and is where they are not."""
    push_index(world)
    image = await world.images.resolve(f"{REPOSITORY}:2")
    whole, alone = (SigningRules.model_validate([rule() | {"platforms": which}]).rules for which in ("all", "index"))

    async def asked(rules: tuple[SigningRule, ...]) -> tuple[Finding, ...]:
        world.clock.time += world.attestations.read_lag
        return await rule_findings(image, rules, world.images, world.attestors, world.attestations)

    await world.attest(ImagePushed(image=image.uri, digest=image.digest))
    both = await asked(whole)
    gone = next(name for name, one in world.attestations.stored.items() if one.digest == ARM.digest)
    del world.attestations.stored[gone]
    one_is_missing = await asked(whole)

    assert [(one.platform, one.verdict) for one in both] == [
        (None, "VERIFIED"),
        ("linux/amd64", "VERIFIED"),
        ("linux/arm64", "VERIFIED"),
    ]
    assert is_admitted(both)
    assert [one.verdict for one in one_is_missing] == ["VERIFIED", "VERIFIED", "NOT_ATTESTED"]
    assert not is_admitted(one_is_missing)
    assert is_admitted(await asked(alone))


async def test_a_platform_that_its_registry_lacks_is_unknown(world: World) -> None:
    """What cannot be looked at is never fine."""
    push_index(world)
    await world.attest(ImagePushed(image=f"{REPOSITORY}:2", digest=INDEX.digest))
    image = await world.images.resolve(f"{REPOSITORY}:2")
    world.images.remove(REPOSITORY, ARM.digest)
    rules = SigningRules.model_validate([rule()]).rules
    world.clock.time += world.attestations.read_lag
    found = await rule_findings(image, rules, world.images, world.attestors, world.attestations)

    assert [(one.platform, one.verdict) for one in found][2] == ("linux/arm64", "UNKNOWN")
    assert not is_admitted(found)
