"""Key versions and their states.

Follows https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys.cryptoKeyVersions
and https://cloud.google.com/kms/docs/key-states. Left out: import, attestations of hardware.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import Executor
from typing import Any

from cryptography.hazmat.primitives import serialization
from google.cloud.kms_v1.types import resources, service

from workers.local.google import paging
from workers.local.google.api import Handler
from workers.local.google.clock import now
from workers.local.google.kms import rings
from workers.local.google.names import check
from workers.local.google.signatures import SCHEMES, Scheme
from workers.local.google.status import failed_precondition, invalid_argument, not_found
from workers.local.google.store import Store

KIND = "CryptoKeyVersion"
_CryptoKey = resources.CryptoKey.pb()
_Version = resources.CryptoKeyVersion.pb()
_ListResponse = service.ListCryptoKeyVersionsResponse.pb()
_State = resources.CryptoKeyVersion.CryptoKeyVersionState
_SOFTWARE = int(resources.ProtectionLevel.SOFTWARE)
_LOADED_KEYS = 256


class Versions:
    """The key versions in *store*; private keys are made in *threads*, since RSA takes its time."""

    def __init__(self, store: Store, threads: Executor) -> None:
        self._store = store
        self._threads = threads
        self._loaded: OrderedDict[str, Any] = OrderedDict()

    def handlers(self) -> Mapping[str, Handler]:
        """Return what answers each method."""
        return {
            "CreateCryptoKeyVersion": self.create,
            "GetCryptoKeyVersion": self.get,
            "ListCryptoKeyVersions": self.listed,
            "UpdateCryptoKeyVersion": self.update,
            "DestroyCryptoKeyVersion": self.destroy,
            "RestoreCryptoKeyVersion": self.restore,
        }

    async def create(self, request: Any) -> Any:
        """CreateCryptoKeyVersion: with the algorithm of the key's template."""
        key = self._key(check("key", request.parent, "parent"))
        material = await self.generate(key.version_template.algorithm)
        with self._store.transaction():
            return self.add(key, material)

    def get(self, request: Any) -> Any:
        """GetCryptoKeyVersion."""
        return self.read(request.name)

    def listed(self, request: Any) -> Any:
        """ListCryptoKeyVersions."""
        rings.refuse_filters(request)
        parent = check("key", request.parent, "parent")
        self._key(parent)
        bodies, token = paging.stored(self._store, KIND, parent, request)
        answer = _ListResponse(total_size=self._store.count(KIND, parent), next_page_token=token)
        answer.crypto_key_versions.extend(self._aged(_Version.FromString(body)) for body in bodies)
        return answer

    def update(self, request: Any) -> Any:
        """UpdateCryptoKeyVersion: between ENABLED and DISABLED."""
        version = self.read(request.crypto_key_version.name, "crypto_key_version.name")
        if list(request.update_mask.paths) != ["state"]:
            raise invalid_argument("update_mask must be 'state': nothing else of a version can change.", "update_mask")
        usable = (_State.ENABLED, _State.DISABLED)
        if request.crypto_key_version.state not in usable:
            raise invalid_argument("state must be ENABLED or DISABLED.", "crypto_key_version.state")
        if version.state not in usable:
            raise _wrong_state(version, "neither enabled nor disabled")
        version.state = request.crypto_key_version.state
        return self._write(version)

    def destroy(self, request: Any) -> Any:
        """DestroyCryptoKeyVersion: schedules it; the key material goes when the key's delay has passed."""
        version = self.read(request.name)
        if version.state not in (_State.ENABLED, _State.DISABLED):
            raise _wrong_state(version, "neither enabled nor disabled")
        key = self._key(version.name.rsplit("/cryptoKeyVersions/", 1)[0])
        version.state = _State.DESTROY_SCHEDULED
        version.destroy_time.FromNanoseconds(
            now().ToNanoseconds() + key.destroy_scheduled_duration.ToNanoseconds(),
        )
        return self._write(version)

    def restore(self, request: Any) -> Any:
        """RestoreCryptoKeyVersion: from DESTROY_SCHEDULED to DISABLED."""
        version = self.read(request.name)
        if version.state != _State.DESTROY_SCHEDULED:
            raise _wrong_state(version, "not scheduled for destruction")
        version.state = _State.DISABLED
        version.ClearField("destroy_time")
        return self._write(version)

    def read(self, name: str, field: str = "name") -> Any:
        """Return the version *name* as it is now. Raises NOT_FOUND."""
        body = self._store.read(KIND, check("key version", name, field))
        if body is None:
            raise not_found(KIND, name)
        return self._aged(_Version.FromString(body))

    def usable(self, name: str) -> Any:
        """Return the version *name*, which must be ENABLED. Raises FAILED_PRECONDITION."""
        version = self.read(name)
        if version.state != _State.ENABLED:
            raise _wrong_state(version, "not enabled")
        return version

    def private_key(self, name: str) -> Any:
        """Return the private key of an enabled version; the last 256 used stay loaded."""
        if name in self._loaded:
            self._loaded.move_to_end(name)
            return self._loaded[name]
        der = self._store.private_key(name)
        if der is None:
            raise not_found("Key material of", name)
        key = serialization.load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)
        self._loaded[name] = key
        if len(self._loaded) > _LOADED_KEYS:
            self._loaded.popitem(last=False)
        return key

    async def generate(self, algorithm: int) -> bytes:
        """Return a new private key for *algorithm*, as PKCS#8 DER."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _generate, scheme_of(algorithm))

    def add(self, key: Any, material: bytes) -> Any:
        """Return the next version of *key*, holding *material*; within a transaction."""
        number = self._store.count(KIND, key.name) + 1
        version = _Version(
            name=f"{key.name}/cryptoKeyVersions/{number}",
            state=_State.ENABLED,
            algorithm=key.version_template.algorithm,
            protection_level=_SOFTWARE,
            create_time=now(),
            generate_time=now(),
        )
        self._store.insert(KIND, version.name, key.name, version.SerializeToString())
        self._store.keep_private_key(version.name, material)
        return version

    def _key(self, name: str) -> Any:
        body = self._store.read("CryptoKey", name)
        if body is None:
            raise not_found("CryptoKey", name)
        return _CryptoKey.FromString(body)

    def _aged(self, version: Any) -> Any:
        """Carry out a destruction whose time has come."""
        due = version.state == _State.DESTROY_SCHEDULED
        if due and version.destroy_time.ToNanoseconds() <= now().ToNanoseconds():
            version.state = _State.DESTROYED
            version.destroy_event_time.CopyFrom(version.destroy_time)
            version.ClearField("destroy_time")
            self._loaded.pop(version.name, None)
            with self._store.transaction():
                self._store.destroy_private_key(version.name)
                self._write(version)
        return version

    def _write(self, version: Any) -> Any:
        self._store.write(KIND, version.name, version.SerializeToString())
        return version


def scheme_of(algorithm: int) -> Scheme:
    """Return the signature scheme of a KMS algorithm."""
    return SCHEMES[_Version.CryptoKeyVersionAlgorithm.Name(algorithm)]


def _generate(scheme: Scheme) -> bytes:
    form = (serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return bytes(scheme.generate().private_bytes(*form))


def _wrong_state(version: Any, what: str) -> Exception:
    state = _Version.CryptoKeyVersionState.Name(version.state)
    return failed_precondition(f"{version.name} is {what}, current state is: {state}.", f"KEY_{state}", version.name)
