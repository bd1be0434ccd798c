"""gcloud and the worker on one set of services: each recognises what the other made."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.images import ImagePushed
from tests.attest.world import DIGEST, IMAGE, MANIFEST, REPOSITORY, envelope, rule
from tests.contracts.google import TOKEN, GoogleWorld, google_world
from tests.fakes.claims import FakeClaims
from tests.fakes.clock import FakeClock
from tests.fakes.images import FakeImages
from tests.fakes.progress import FakeProgress
from tests.fakes.rates import FakeRates
from workers.adapters.google.attestations import GrafeasAttestations
from workers.adapters.google.attestors import BinauthzAttestors
from workers.adapters.google.kms import KmsSigningKeys
from workers.attest.verification import findings
from workers.attest.worker import attest
from workers.signing import SigningRules

pytestmark = pytest.mark.gcloud
HOSTS = {"CLOUDKMS": "cloudkms", "CONTAINERANALYSIS": "containeranalysis", "BINARYAUTHORIZATION": "binaryauthorization"}


class Gcloud:
    """gcloud on the local services, by the production host names through a plain proxy setting."""

    def __init__(self, folder: Path, port: int) -> None:
        token = folder / "gcloud-token"
        token.write_text(TOKEN)
        self.environment = os.environ | {
            "CLOUDSDK_CONFIG": str(folder / "gcloud"),
            "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(token),
            "CLOUDSDK_CORE_PROJECT": "acme",
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
            "CLOUDSDK_PROXY_TYPE": "http_no_tunnel",
            "CLOUDSDK_PROXY_ADDRESS": "127.0.0.1",
            "CLOUDSDK_PROXY_PORT": str(port),
        }
        for name, host in HOSTS.items():
            self.environment[f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{name}"] = f"http://{host}.googleapis.com/"

    async def __call__(self, *arguments: str) -> str:
        """Run gcloud and return what it printed. Raises AssertionError with what it complained of."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            "gcloud", *arguments, env=self.environment, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
        )
        out, err = await asyncio.wait_for(process.communicate(), 100)
        assert process.returncode == 0, err.decode()
        return out.decode()


class Site:
    """A key, a note, an attestor, our adapters, and gcloud beside them."""

    def __init__(self, world: GoogleWorld, gcloud: Gcloud, key: str, note: str) -> None:
        self.gcloud, self.key, self.note = gcloud, key, note
        self.attestor = "projects/acme/attestors/ci"
        self.keys = KmsSigningKeys(world.connection)
        self.attestors = BinauthzAttestors(world.connection)
        self.attestations = GrafeasAttestations(world.connection)
        self.images = FakeImages("europe-docker.pkg.dev")
        self.images.put(REPOSITORY, "1.4.2", MANIFEST)

    async def attest(self) -> list[bool]:
        """Attest the image; say of each attestation whether it was made now."""
        rules = SigningRules.model_validate([rule(attestor=self.attestor, key=self.key)])
        events = attest(
            ImagePushed(image=IMAGE),
            envelope(),
            self.images,
            self.keys,
            self.attestors,
            self.attestations,
            FakeClaims(),
            FakeRates(),
            rules,
            FakeClock(),
            FakeProgress(),
        )
        return [event.created async for event in events]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Set it all up."""
    async with google_world(tmp_path) as world:
        key, note = await world.key("signer"), await world.note("ci")
        public = await KmsSigningKeys(world.connection).public_key(key)
        await world.attestor("ci", note, replace(public, id=f"//cloudkms.googleapis.com/v1/{key}"))
        yield Site(world, Gcloud(tmp_path, world.services.rest_port), key, note)


async def test_gcloud_lists_what_the_worker_stored(site: Site) -> None:
    """With the payload that gcloud itself would have signed, byte for byte."""
    assert await site.attest() == [True]

    listed = await site.gcloud(
        *("container", "binauthz", "attestations", "list", f"--attestor={site.attestor}"),
        *(f"--artifact-url={REPOSITORY}@{DIGEST}", "--format=json"),
    )
    (occurrence,) = json.loads(listed)
    (stored,) = await site.attestations.find(site.note, DIGEST)
    payload = await site.gcloud(
        "container", "binauthz", "create-signature-payload", f"--artifact-url={REPOSITORY}@{DIGEST}"
    )
    assert occurrence["name"] == stored.name
    assert stored.payload == payload.encode()


async def test_the_worker_recognises_what_gcloud_made(site: Site) -> None:
    """It verifies, whichever way gcloud writes the resource, and is not made again."""
    await site.gcloud(
        *("beta", "container", "binauthz", "attestations", "sign-and-create", "--validate"),
        *(f"--artifact-url={REPOSITORY}@{DIGEST}", f"--attestor={site.attestor}", f"--keyversion={site.key}"),
    )

    assert await site.attest() == [False]
    (finding,) = await findings(await site.images.resolve(IMAGE), site.attestor, site.attestors, site.attestations)
    assert finding.is_verified
