"""A worker process with local keys: it signs, and wherever one looks afterwards, nothing private is to be read."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.bus.lane import Lane
from tests.commands.command import Sealane
from workers.adapters.keys.local import LocalSigningKeys
from workers.adapters.keys.making import new_private_key
from workers.app.clouds import Clouds
from workers.app.connecting import connect_as
from workers.app.environment import load_settings
from workers.app.pushing import push_image
from workers.app.world import World
from workers.bus.doors.entrance import check, enter
from workers.bus.transport.publisher import Publisher
from workers.key_references import OPENPGP
from workers.local.folder import WorldFolder
from workers.ports import Attestations, AttestorAdmin, AttestorRecord

PASSPHRASE = "canary-passphrase-correct-horse"
WRONG = "canary-passphrase-battery-staple"
PATIENCE = 60.0


class Scene:
    """A world without workers, keys of our own, an attestor that lists them, and an image."""

    def __init__(self, world: World, keys: Path) -> None:
        self.world, self.keys = world, keys
        self.note = world.names.note
        self.texts = {
            "pem": new_private_key("ECDSA_P256_SHA256", passphrase=PASSPHRASE),
            "openpgp": new_private_key(OPENPGP),
            "passphrase": PASSPHRASE,
            "wrong": WRONG,
        }
        for name, text in self.texts.items():
            (keys / name).touch(0o600)
            (keys / name).write_text(text)

    def reference(self, name: str, passphrase: str) -> str:
        """Return the reference of a key."""
        return f"file://{self.keys}/{name}?passphrase=file://{self.keys}/{passphrase}"

    async def trust(self) -> list[dict[str, str]]:
        """List both keys with an attestor, and return the rules: one for each, and one that cannot open its key."""
        local, rules = LocalSigningKeys(), []
        async with Clouds(load_settings(self.world.folder.root)) as clouds:
            admin: AttestorAdmin = await clouds.port(AttestorAdmin)
            for name in ("pem", "openpgp"):
                reference = self.reference(name, "passphrase")
                attestor = f"projects/{self.world.project}/attestors/{name}"
                record = AttestorRecord(attestor, self.note, (await local.public_key(reference),))
                await admin.create(record, timeout=30)
                rules.append({"match": "*/**", "attestor": attestor, "key": reference})
        return [*rules, rules[0] | {"key": self.reference("pem", "wrong")}]

    async def stored(self, digest: str) -> set[str]:
        """Return the ids of the keys that attested it."""
        async with Clouds(load_settings(self.world.folder.root)) as clouds:
            attestations: Attestations = await clouds.port(Attestations)
            return {one.key_id for one in await attestations.find(self.note, digest)}

    def private(self, text: str) -> list[str]:
        """Return what is private in a text."""
        lines = [line for name in ("pem", "openpgp") for line in self.texts[name].splitlines() if len(line) > 40]
        return [line for line in (*lines, PASSPHRASE, WRONG, "PRIVATE KEY") if line in text]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """Start the world and make the keys."""
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    async with World(WorldFolder(tmp_path / "world"), with_workers=False) as world:
        yield Scene(world, keys)


@asynccontextmanager
async def bus(data: Path) -> AsyncIterator[Lane]:
    """Look at the bus of the world."""
    async with connect_as("operator", data) as connection:
        publisher = Publisher(connection)
        await publisher.start()
        yield Lane("", connection, publisher)
        await publisher.close()


async def everything(lane: Lane) -> str:
    """Return all that is on the bus, headers and bodies."""
    streams = await lane.connection.client.jetstream().streams_info()
    found = [await lane.messages(one.config.name or "") for one in streams]
    return "\n".join(f"{headers} {body!r}" for messages in found for headers, body in messages)


async def test_a_worker_signs_with_local_keys_and_tells_nobody_of_them(scene: Scene) -> None:
    """Two rules sign, the third cannot open its key and its sentence is buried with the event: without a secret."""
    data = scene.world.folder.root
    rules = await scene.trust()
    image = f"{scene.world.endpoints['registry']}/apps/shop:1"
    digest = await push_image(scene.world.folder, image, "hello")
    sealane = Sealane("", data, log_level="DEBUG", signing_rules=json.dumps(rules))
    del sealane._environment["SEALANE_NATS"]
    worker = await sealane.start("worker", "attest", "--data", str(data), really=True)
    try:
        async with bus(data) as lane:
            body = json.dumps({"image": image, "digest": digest})
            pushed = check("image.pushed", body, source="/tests", event_id="1", actor="t")
            await enter(lane.connection, lane.publisher, pushed)
            async with asyncio.timeout(PATIENCE):
                while not (buried := await lane.messages("DEAD")):
                    assert worker.returncode is None
                    await asyncio.sleep(0.1)  # the condition is another process's
            told = await everything(lane)
        command = await asyncio.to_thread(Path(f"/proc/{worker.pid}/cmdline").read_text)
        environment = await asyncio.to_thread(Path(f"/proc/{worker.pid}/environ").read_text)
        attested = await scene.stored(digest)
    finally:
        if worker.returncode is None:
            worker.terminate()
        out, err = await worker.communicate()
        print(err.decode())  # shown when the test fails

    assert len(attested) == 2
    assert "the passphrase does not open the key in file:///" in str(buried)
    assert digest in told
    for place in (command, environment, out.decode(), err.decode(), told):
        assert scene.private(place) == []
