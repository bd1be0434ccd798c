"""`sealane attest` and `sealane verify` on the world in a box: one image, now, with the exit code that a gate needs."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.commands.command import Finished, Sealane
from workers.app.clouds import Clouds
from workers.app.environment import load_settings
from workers.app.pushing import push_image
from workers.app.world import World
from workers.bus.claims.claims import ClaimsBucket
from workers.bus.transport.connection import connect
from workers.bus.transport.publisher import Publisher
from workers.local.folder import WorldFolder
from workers.ports import Attestation, Attestations


class Box:
    """The running world, without workers, and an image in it."""

    def __init__(self, world: World, image: str, digest: str) -> None:
        self.world = world
        self.image = image
        self.digest = digest
        self.folder = world.folder

    async def __call__(self, *arguments: str, bus: bool = True, **wanted: object) -> Finished:
        """Run a command on the world; without the bus, nobody answers where it should be, and the rules want more."""
        place = ("--data", str(self.folder.root)) if bus else ()
        sealane = Sealane("nats://127.0.0.1:1", self.folder.root / "nowhere")
        if not bus:
            endpoints = self.world.endpoints
            sealane._environment |= {
                "SEALANE_GOOGLE_ENDPOINT": endpoints["google_grpc"],
                "SEALANE_GOOGLE_TOKEN": f"file://{endpoints['token']}",
                "SEALANE_REGISTRIES": json.dumps(endpoints["registries"]),
                "SEALANE_SIGNING_RULES": json.dumps([one | wanted for one in endpoints["signing_rules"]]),
            }
        return await sealane(*arguments, *place)

    async def stored(self) -> tuple[Attestation, ...]:
        """Return the attestations of the image, at their source."""
        async with Clouds(load_settings(self.folder.root)) as clouds:
            attestations: Attestations = await clouds.port(Attestations)
            return await attestations.find(self.world.names.note, self.digest)


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    """Start the world and push an image."""
    async with World(WorldFolder(tmp_path / "world"), with_workers=False) as world:
        image = f"{world.endpoints['registry']}/apps/shop:1"
        yield Box(world, image, await push_image(world.folder, image, "hello"))


async def test_an_image_is_attested_and_then_verified(box: Box) -> None:
    """Before, verify fails; after, it succeeds; a repeat stores nothing; the attestor's last part is name enough."""
    name = box.world.names.attestor.rpartition("/")[2]
    before = await box("verify", box.image)
    first = await box("attest", box.image, "--json")
    after = await box("verify", box.image, "--json", "--attestor", name)
    again = await box("attest", box.image, "--attestor", name)
    missing = await box("verify", box.image, "--attestor", "missing", "--json")

    assert (before.code, first.code, after.code, again.code) == (1, 0, 0, 0), before.err + first.err + after.err
    assert "NOT_ATTESTED" in before.out
    (stored,) = await box.stored()
    assert [(line["occurrence"], line["created"]) for line in first.lines] == [(stored.name, True)]
    assert [(line["occurrence"], line["verdict"]) for line in after.lines] == [(stored.name, "VERIFIED")]
    assert "before" in again.out
    assert (missing.code, missing.out) == (2, "")
    assert "attestors/missing, it does not exist: check its name" in missing.err


async def test_the_claim_is_the_workers_own(box: Box) -> None:
    """What the command did, the worker finds done."""
    done = await box("attest", box.image)
    assert "warning" not in done.err

    settings = load_settings(box.folder.root)
    seed = (box.folder.identities / "worker-attest.seed").read_text()
    connection = await connect(settings.nats, identity="worker-attest", seed=seed.strip())
    publisher = Publisher(connection)
    (stored,) = await box.stored()
    claim, _ = await ClaimsBucket(connection, publisher, "attest").read(
        f"{stored.note}|{stored.key_id}|{stored.digest}"
    )
    await connection.close()
    assert claim is not None
    assert (claim.state, (claim.result or {})["occurrence"]) == ("done", stored.name)


async def test_without_a_bus_it_goes_on_with_a_warning(box: Box) -> None:
    """Nobody keeps two signers apart, so what is there is looked at twice."""
    done = await box("attest", box.image, bus=False)

    assert done.code == 0, done.err
    assert "warning: no NATS server answers at nats://127.0.0.1:1" in done.err
    assert "going on without the claim" in done.err
    assert len(await box.stored()) == 1


async def test_what_a_rule_asks_of_a_publication_can_be_typed(box: Box) -> None:
    """Who types is the publisher unless said otherwise; what is missed is said, and nothing is stored."""
    wanted = {"actor": "ci@*", "environment": "production", "labels": {"git.branch": "main"}}
    refused = await box("attest", box.image, bus=False, **wanted)
    told = ("--actor", "ci@acme.example", "--environment", "production", "--label", "git.branch=main")
    stored_before = await box.stored()
    done = await box("attest", box.image, *told, bus=False, **wanted)

    assert (refused.code, done.code) == (1, 0), refused.err + done.err
    assert "not signed: rule 1 wants actor 'ci@*', the event's is 'operator/" in refused.err
    assert "not signed: rule 1 wants label git.branch 'main', the event has none" in refused.err
    assert stored_before == ()
    assert len(await box.stored()) == 1


@pytest.mark.parametrize("command", ["attest", "verify"])
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("https://gcr.io/acme/shop",), "'https://gcr.io/acme/shop' is not an image reference: write HOST/PATH:TAG"),
        (("gcr.io/shop", "--attestor", "a/b"), "'a/b' is not an attestor: write projects/PROJECT/attestors/ATTESTOR"),
    ],
)
async def test_bad_input_is_one_sentence_and_exit_2(
    tmp_path: Path, command: str, arguments: tuple[str, ...], sentence: str
) -> None:
    """What is wrong and how it is written, before anything is opened."""
    done = await Sealane("nats://127.0.0.1:1", tmp_path)(command, *arguments)

    assert (done.code, done.out) == (2, "")
    assert sentence in done.err


async def test_what_cannot_be_done_is_said(box: Box) -> None:
    """A rule holds the key to sign with; an image must exist; somebody must be asked."""
    no_rule = await box("attest", box.image, "--attestor", "other")
    no_image = await box("verify", f"{box.image}-missing")

    assert (no_rule.code, no_image.code) == (2, 1)
    assert "no signing rule names the attestor projects/" in no_rule.err
    assert "1-missing" in no_image.err
