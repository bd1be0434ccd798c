"""The worker as it runs in production, on this machine: real bus, real adapters, Google's services, registries."""

from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from schemas.images import ImagePushed
from tests.bus.lane import Lane
from tests.contracts.google import TOKEN, GoogleWorld, google_world
from workers.adapters.clock import SystemClock
from workers.adapters.google.attestations import GrafeasAttestations
from workers.adapters.google.attestors import BinauthzAttestors
from workers.adapters.google.kms import KmsSigningKeys
from workers.adapters.registry import OciImages
from workers.bus.claims.claims import NatsClaims
from workers.bus.claims.rates import NatsRates
from workers.bus.rooms import wiring
from workers.bus.transport.connection import connect
from workers.bus.transport.publisher import Publisher
from workers.local.nats import NatsServer
from workers.local.registry import Faults, Image, Registry, build_image
from workers.local.registry.storage import Storage, StoredManifest
from workers.ports import Attestation, Attestations, Attestors, Claims, Clock, Images, Rates, SigningKeys
from workers.registries import RegistryAccess
from workers.signing import SigningRules

PASSWORD = "canary-registry-password"
SECRETS = (TOKEN, PASSWORD, *(b64encode(f"{user}:{PASSWORD}".encode()).decode() for user in ("robot", "nobody")))
_STREAMS = ("EVENTS", "PROGRESS", "DEAD", "RETRY_attest", "KV_claims_attest", "KV_lines")


class WholeLane:
    """Everything that `attest` needs, really there, and what an administrator set up."""

    def __init__(self, lane: Lane, google: GoogleWorld, registry: Registry, hostile: Registry, data: Path) -> None:
        self.lane, self.google, self.registry, self.hostile = lane, google, registry, hostile
        self.host = registry.host
        self._storage = Storage(data)
        self._rules: list[dict[str, Any]] = []
        self.keys = KmsSigningKeys(google.connection)
        self.attestations = GrafeasAttestations(google.connection, read_lag=timedelta(seconds=0.2))
        self.note = ""

    async def rule(self, path: str, *, listed: bool = True, **wanted: Any) -> tuple[str, str]:
        """Let images below `path` be signed by a key and attestor of their own, if `wanted`; return (key, note)."""
        key, note = await self.google.key(path), await self.google.note(path)
        public = await self.keys.public_key(key)
        attestor = await self.google.attestor(
            path, note, *([replace(public, id=f"//cloudkms.googleapis.com/v1/{key}")] if listed else [])
        )
        self._rules.append({"match": f"*/{path}/**", "attestor": attestor, "key": key} | wanted)
        return key, note

    def push(self, path: str, content: str = "x") -> ImagePushed:
        """Put an image at PATH:1 and return the event that announces it."""
        return self.store(path, build_image([{"etc/name": content.encode()}]))

    def store(self, path: str, image: Image) -> ImagePushed:
        """Put a manifest at PATH:1, whether its parts are there or not, and return the event that announces it."""
        self._storage.put_manifest(path, StoredManifest(image.digest, image.media_type, image.manifest))
        self._storage.put_tag(path, "1", image.digest)
        return ImagePushed(image=f"{self.host}/{path}:1", digest=image.digest)

    @asynccontextmanager
    async def working(self, secret: Path, **options: Any) -> AsyncIterator[None]:
        """Run the worker while the block runs."""
        login = {"insecure": True, "password": f"file://{secret}"}
        entries = (
            RegistryAccess(host=self.host, username="nobody", paths=("secret/**",), **login),
            RegistryAccess(host=self.host, username="robot", **login),
            RegistryAccess(host=self.hostile.host, username="robot", **login),
        )
        claims = NatsClaims(
            self.lane.connection,
            self.lane.publisher,
            "attest",
            lease=timedelta(seconds=20),
            owner="tests",
            done_ttl=timedelta(hours=1),
        )
        async with OciImages(entries) as images:
            ports: Mapping[type, Any] = {
                Images: images,
                SigningKeys: KmsSigningKeys(self.google.connection),
                Attestors: BinauthzAttestors(self.google.connection),
                Attestations: self.attestations,
                Claims: claims,
                Rates: NatsRates(self.lane.connection, self.lane.publisher, "attest"),
                Clock: SystemClock(),
                SigningRules: SigningRules.model_validate(self._rules),
            }
            async with self.lane.running(wiring("attest"), ports, **options):
                yield

    async def stored(self, note: str, event: ImagePushed) -> tuple[Attestation, ...]:
        """Return the attestations of an image at their source."""
        return await self.attestations.find(note, str(event.digest))

    async def everything(self) -> str:
        """Return all that the bus holds, headers and bodies."""
        found = [await self.lane.messages(stream) for stream in _STREAMS]
        return "\n".join(f"{headers} {body!r}" for messages in found for headers, body in messages)


@asynccontextmanager
async def whole_lane(folder: Path) -> AsyncIterator[WholeLane]:
    """Start all of it."""
    people = {"robot": PASSWORD, "nobody": PASSWORD}
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(NatsServer(folder / "nats"))
        google = await stack.enter_async_context(google_world(folder))
        registry = Registry(folder / "registry", credentials=people, permissions={"nobody": []})
        elsewhere = Faults(token_realm="http://elsewhere.example/token")
        hostile = Registry(folder / "hostile", credentials=people, faults=elsewhere)
        await stack.enter_async_context(registry)
        await stack.enter_async_context(hostile)
        connection = await connect(server.url, identity="tester", first_wait=30)
        stack.push_async_callback(connection.close)
        publisher = Publisher(connection)
        await publisher.start()
        stack.push_async_callback(publisher.close)
        lane = Lane(server.url, connection, publisher)
        await lane.provision(wiring("attest"))
        yield WholeLane(lane, google, registry, hostile, folder / "registry")
