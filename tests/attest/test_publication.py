"""What is not signed although it was pushed: artifacts, and what the rules' conditions leave out. Each says why."""

import pytest

from schemas.images import ImagePushed
from tests.attest.world import ATTESTOR, DIGEST, IMAGE, KEY, REPOSITORY, SHOP, World, rule
from workers.local.registry import build_image
from workers.signing import SigningRules

SECOND = "projects/acme/attestors/second"
SUBJECT = {"subject": {"mediaType": SHOP.media_type, "digest": DIGEST, "size": len(SHOP.manifest)}}


@pytest.mark.parametrize(
    ("suffix", "kind"), [(".sig", "a cosign signature"), (".att", "a cosign attestation"), (".sbom", "a cosign SBOM")]
)
async def test_what_cosign_keeps_under_a_tag_is_left_alone(world: World, suffix: str, kind: str) -> None:
    """The tag is enough: nobody is asked, the run is done and says why."""
    image = f"{REPOSITORY}:{DIGEST.replace(':', '-')}{suffix}"

    assert await world.attest(ImagePushed(image=image)) == []
    assert world.progress.lines == [f"not signed: {image} is {kind}, as its tag says"]
    assert world.border.calls == []


async def test_an_artifact_about_an_image_is_left_alone(world: World) -> None:
    """Pushed by digest, with a subject and a type."""
    sbom = build_image([{"x": b"y"}], extra=SUBJECT | {"artifactType": "application/spdx+json"})
    digest = world.images.put(REPOSITORY, None, sbom.manifest)

    assert await world.attest(ImagePushed(image=f"{REPOSITORY}@{digest}")) == []
    assert world.progress.lines == [f"not signed: {REPOSITORY}@{digest} is an artifact of type application/spdx+json"]
    assert world.border.calls == ["images.resolve"]


async def test_an_image_about_another_image_is_signed(world: World) -> None:
    """A subject says what it is about, not what it is."""
    image = build_image([{"x": b"y"}], extra=SUBJECT)
    world.images.put(REPOSITORY, "debug", image.manifest)

    (attested,) = await world.attest(ImagePushed(image=f"{REPOSITORY}:debug"))
    assert attested.digest == image.digest


async def test_a_rule_that_wants_another_publisher_does_not_sign(world: World) -> None:
    """Rule, what it wants and what the event says; the other rule signs."""
    world.attestors.add(SECOND, "projects/acme/notes/second", *world.attestor.keys)
    other = rule(attestor=SECOND) | {"actor": "release@*"}
    world.rules = SigningRules.model_validate([rule() | {"actor": "ci@acme.*"}, other])

    (attested,) = await world.attest()
    assert attested.attestor == ATTESTOR
    assert world.progress.lines == ["not signed: rule 2 wants actor 'release@*', the event's is 'ci@acme.example'"]


async def test_an_event_without_an_actor_satisfies_no_rule_that_wants_one(world: World) -> None:
    """What is not known is not taken for granted, and a rule with two attestors says so once."""
    world.actor = None
    signers = [{"attestor": ATTESTOR, "key": KEY}, {"attestor": SECOND, "key": KEY}]
    world.rules = SigningRules.model_validate([{"match": "*/**", "actor": "*", "attestors": signers}])

    assert await world.attest() == []
    assert world.progress.lines == ["not signed: rule 1 wants actor '*', the event has none"]


async def test_environment_and_labels_are_the_events(world: World) -> None:
    """The same image, published for production from the right branch, is signed."""
    wanted = {"environment": "production", "labels": {"git.branch": "main"}}
    world.rules = SigningRules.model_validate([rule() | wanted])

    assert await world.attest(ImagePushed(image=IMAGE, labels={"git.branch": "main"})) == []
    assert world.progress.lines == ["not signed: rule 1 wants environment 'production', the event has none"]
    event = ImagePushed(image=IMAGE, environment="production", labels={"git.branch": "main"})
    assert len(await world.attest(event)) == 1


async def test_two_rules_for_one_signer_sign_once(world: World) -> None:
    """The first condition fails, the second holds: signed, and by nobody twice."""
    world.rules = SigningRules.model_validate([rule() | {"environment": "x"}, rule(), rule("*/**")])

    assert len(await world.attest()) == 1
    assert world.border.count("keys.sign") == 1
