"""The local Google services with our connection in front of them, and what an administrator would set up there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from workers.adapters.google.algorithms import KMS_WORDS
from workers.adapters.google.connection import BINAUTHZ, GRAFEAS, KMS, GoogleConnection
from workers.adapters.google.errors import Errand
from workers.failures import Unavailable
from workers.key_references import OPENPGP
from workers.local.google import GoogleServices
from workers.ports import PublicKey

TOKEN = "canary-access-token"
PROJECT = "projects/acme"
RING = f"{PROJECT}/locations/europe/keyRings/ci"


class GoogleWorld:
    """Services, connection, and an administrator's few deeds."""

    def __init__(self, services: GoogleServices, connection: GoogleConnection) -> None:
        self.services = services
        self.faults = services.faults
        self.connection = connection

    async def administer(self, service: Any, method: str, request: dict[str, Any]) -> Any:
        """Make one call that is no part of any port."""
        errand = Errand(service.title, method, str(request), "any", "any")
        return await self.connection.call(service, method, request, errand=errand, timeout=30)

    async def key(self, name: str, algorithm: str = "ECDSA_P256_SHA256") -> str:
        """Make a signing key and return its first version's name, once it is enabled."""
        place, _, ring = RING.rpartition("/keyRings/")
        with suppress(Unavailable):  # it may exist already
            await self.administer(KMS, "create_key_ring", {"parent": place, "key_ring_id": ring, "key_ring": {}})
        template = {"algorithm": KMS_WORDS[algorithm]}
        key = {"purpose": "ASYMMETRIC_SIGN", "version_template": template}
        await self.administer(KMS, "create_crypto_key", {"parent": RING, "crypto_key_id": name, "crypto_key": key})
        version = f"{RING}/cryptoKeys/{name}/cryptoKeyVersions/1"
        while (await self.administer(KMS, "get_crypto_key_version", {"name": version})).state.name != "ENABLED":  # noqa: ASYNC110 - the condition is another process's
            await asyncio.sleep(0.05)  # only the service knows, and it has to be asked
        return version

    async def disable(self, version: str) -> None:
        """Disable a key version."""
        await self.administer(
            KMS,
            "update_crypto_key_version",
            {"crypto_key_version": {"name": version, "state": "DISABLED"}, "update_mask": {"paths": ["state"]}},
        )

    async def note(self, name: str) -> str:
        """Make an attestation authority's note and return its name."""
        hint = {"hint": {"human_readable_name": name}}
        await self.administer(
            GRAFEAS, "create_note", {"parent": PROJECT, "note_id": name, "note": {"attestation": hint}}
        )
        return f"{PROJECT}/notes/{name}"

    async def delete_note(self, name: str) -> None:
        """Delete a note that attestors may still name."""
        await self.administer(GRAFEAS, "delete_note", {"name": name})

    async def attestor(self, name: str, note: str, *keys: PublicKey) -> str:
        """Make an attestor of the note with these keys and return its name."""
        listed = [_listed(key) for key in keys]
        attestor = {"user_owned_grafeas_note": {"note_reference": note, "public_keys": listed}}
        await self.administer(
            BINAUTHZ, "create_attestor", {"parent": PROJECT, "attestor_id": name, "attestor": attestor}
        )
        return f"{PROJECT}/attestors/{name}"


def _listed(key: PublicKey) -> dict[str, Any]:
    if key.algorithm == OPENPGP:
        return {"ascii_armored_pgp_public_key": key.pem}
    return {"id": key.id, "pkix_public_key": {"public_key_pem": key.pem, "signature_algorithm": key.algorithm}}


@asynccontextmanager
async def google_world(folder: Path) -> AsyncIterator[GoogleWorld]:
    """Run the services with their own token, and connect to them."""
    token = folder / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    async with GoogleServices(folder / "google", token=TOKEN) as services:
        connection = GoogleConnection(f"127.0.0.1:{services.grpc_port}", f"file://{token}")
        try:
            yield GoogleWorld(services, connection)
        finally:
            await connection.close()
