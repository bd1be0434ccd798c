"""KeyMaker on Cloud KMS: https://cloud.google.com/kms/docs/reference/rpc/google.cloud.kms.v1."""

import asyncio
import re
from typing import Any

from workers.adapters.google.algorithms import KMS_WORDS
from workers.adapters.google.connection import KMS, GoogleConnection
from workers.adapters.google.errors import Errand
from workers.failures import Invalid, NotFound, Unavailable

CALL_SECONDS = 20.0
READY_SECONDS = 120.0
"""Large RSA keys take a while."""
_LONGEST_PAUSE = 2.0
_RING = re.compile(r"projects/[^/\s]+/locations/[^/\s]+/keyRings/[A-Za-z0-9_-]{1,63}")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}")


class KmsKeyMaker:
    """Makes keys in a key ring, and the ring as well if it is missing."""

    def __init__(self, google: GoogleConnection) -> None:
        self._google = google

    async def make(
        self, ring: str, name: str, algorithm: str, *, protection: str = "SOFTWARE", new_version: bool = False
    ) -> str:
        """Make a key, or a version of it, and wait until it can sign. Raises as KeyMaker says."""
        _require(ring, name, algorithm)
        await self._google.prepare(KMS)
        key = f"{ring}/cryptoKeys/{name}"
        if new_version:
            await self._require_same_algorithm(key, algorithm)
            made = await self._call("create_crypto_key_version", {"parent": key}, "make a version of", key)
            return await self._ready(str(made.name))
        await self._ensure_ring(ring)
        if await self._found("get_crypto_key", key) is not None:
            raise Invalid(
                f"the key {key} is there already: choose another --name, or add a version to it with --new-version"
            )
        template = {"algorithm": KMS_WORDS[algorithm], "protection_level": protection}
        wanted = {"purpose": "ASYMMETRIC_SIGN", "version_template": template}
        await self._call(
            "create_crypto_key", {"parent": ring, "crypto_key_id": name, "crypto_key": wanted}, "make the key", key
        )
        return await self._ready(f"{key}/cryptoKeyVersions/1")

    async def _ensure_ring(self, ring: str) -> None:
        if await self._found("get_key_ring", ring) is not None:
            return
        place, _, name = ring.rpartition("/keyRings/")
        try:
            request = {"parent": place, "key_ring_id": name, "key_ring": {}}
            await self._call("create_key_ring", request, "make the key ring", ring)
        except Unavailable:
            # Somebody was quicker, or the answer was lost: what counts is that it is there.
            if await self._found("get_key_ring", ring) is None:
                raise

    async def _require_same_algorithm(self, key: str, algorithm: str) -> None:
        found = await self._call("get_crypto_key", {"name": key}, "read the key", key)
        has = found.version_template.algorithm.name
        if has != KMS_WORDS[algorithm]:
            raise Invalid(
                f"the key {key} makes versions of {has}, not {KMS_WORDS[algorithm]}: leave --algorithm as the key's, or"
                " make another key"
            )

    async def _ready(self, version: str) -> str:
        """Wait until a version can sign."""
        pause = 0.05
        try:
            async with asyncio.timeout(READY_SECONDS):
                while True:
                    found = await self._call("get_crypto_key_version", {"name": version}, "read the version", version)
                    if found.state.name == "ENABLED":
                        return version
                    if found.state.name != "PENDING_GENERATION":
                        raise Invalid(f"Cloud KMS could not make {version}: it is {found.state.name}")
                    await asyncio.sleep(pause)  # only the service knows, and it has to be asked
                    pause = min(2 * pause, _LONGEST_PAUSE)
        except TimeoutError:
            raise Unavailable(
                f"{version} was not ready within {READY_SECONDS:g} s; look again with `sealane keys show {version}`"
            ) from None

    async def _found(self, method: str, name: str) -> Any:
        try:
            return await self._call(method, {"name": name}, "read", name)
        except NotFound:
            return None

    async def _call(self, method: str, request: dict[str, Any], doing: str, resource: str) -> Any:
        errand = Errand(
            service=KMS.title,
            doing=doing,
            resource=resource,
            permission=_PERMISSIONS[method],
            role="roles/cloudkms.admin",
            remedy="check the location, and that it offers this algorithm and protection level",
        )
        return await self._google.call(KMS, method, request, errand=errand, timeout=CALL_SECONDS)


_PERMISSIONS = {
    "get_key_ring": "cloudkms.keyRings.get",
    "create_key_ring": "cloudkms.keyRings.create",
    "get_crypto_key": "cloudkms.cryptoKeys.get",
    "create_crypto_key": "cloudkms.cryptoKeys.create",
    "create_crypto_key_version": "cloudkms.cryptoKeyVersions.create",
    "get_crypto_key_version": "cloudkms.cryptoKeyVersions.get",
}


def _require(ring: str, name: str, algorithm: str) -> None:
    if not _RING.fullmatch(ring):
        raise Invalid(f"{ring!r} is no key ring: write projects/PROJECT/locations/LOCATION/keyRings/RING")
    if not _NAME.fullmatch(name):
        raise Invalid(f"{name!r} is no name of a key in Cloud KMS: write up to 63 letters, digits, `_` and `-`")
    if algorithm not in KMS_WORDS:
        raise Invalid(f"Cloud KMS has no {algorithm}: choose one of {', '.join(KMS_WORDS)}, or make a local key")
