"""Crypto keys with purpose ASYMMETRIC_SIGN.

Follows https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys.
Left out: other purposes,
rotation, primary versions (such keys have none) and deletion.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.cloud.kms_v1.types import resources, service

from workers.local.google import paging
from workers.local.google.api import Handler
from workers.local.google.clock import now
from workers.local.google.enums import name_of
from workers.local.google.kms import rings
from workers.local.google.kms.versions import Versions
from workers.local.google.names import check
from workers.local.google.signatures import SCHEMES
from workers.local.google.status import already_exists, invalid_argument, not_found, unimplemented
from workers.local.google.store import Store
from workers.local.google.transcode import check_representable

KIND = "CryptoKey"
_CryptoKey = resources.CryptoKey.pb()
_Algorithm = resources.CryptoKeyVersion.CryptoKeyVersionAlgorithm
_ListResponse = service.ListCryptoKeysResponse.pb()
_SIGN = int(resources.CryptoKey.CryptoKeyPurpose.ASYMMETRIC_SIGN)
_SOFTWARE = int(resources.ProtectionLevel.SOFTWARE)
_DEFAULT_DESTRUCTION = 30 * 24 * 3600
_SIGNING_PREFIXES = ("EC_SIGN_", "RSA_SIGN_", "PQ_SIGN_")
_UPDATABLE = frozenset(
    {"labels", "version_template", "version_template.algorithm", "version_template.protection_level"}
)


class Keys:
    """The keys in *store*; *versions* makes their first version."""

    def __init__(self, store: Store, versions: Versions) -> None:
        self._store = store
        self._versions = versions

    def handlers(self) -> Mapping[str, Handler]:
        """Return what answers each method."""
        return {
            "CreateCryptoKey": self.create,
            "GetCryptoKey": self.get,
            "ListCryptoKeys": self.listed,
            "UpdateCryptoKey": self.update,
        }

    async def create(self, request: Any) -> Any:
        """CreateCryptoKey."""
        parent = check("key ring", request.parent, "parent")
        name = f"{parent}/cryptoKeys/{check('key id', request.crypto_key_id, 'crypto_key_id')}"
        key = _CryptoKey()
        key.CopyFrom(request.crypto_key)
        _check_purpose(key)
        check_template(key.version_template)
        check_representable(key, "crypto_key")
        self._check_free(parent, name)
        key.name = name
        key.create_time.CopyFrom(now())
        key.version_template.protection_level = _SOFTWARE
        if not key.HasField("destroy_scheduled_duration"):
            key.destroy_scheduled_duration.seconds = _DEFAULT_DESTRUCTION
        material = None
        if not request.skip_initial_version_creation:
            material = await self._versions.generate(key.version_template.algorithm)
        with self._store.transaction():
            if not self._store.insert(KIND, name, parent, key.SerializeToString()):
                raise already_exists(KIND, name)
            if material is not None:
                self._versions.add(key, material)
        return key

    def get(self, request: Any) -> Any:
        """GetCryptoKey."""
        return self._read(check("key", request.name))

    def listed(self, request: Any) -> Any:
        """ListCryptoKeys."""
        rings.refuse_filters(request)
        parent = check("key ring", request.parent, "parent")
        self._check_ring(parent)
        bodies, token = paging.stored(self._store, KIND, parent, request)
        answer = _ListResponse(total_size=self._store.count(KIND, parent), next_page_token=token)
        answer.crypto_keys.extend(_CryptoKey.FromString(body) for body in bodies)
        return answer

    def update(self, request: Any) -> Any:
        """UpdateCryptoKey: labels and the algorithm of future versions."""
        key = self._read(check("key", request.crypto_key.name, "crypto_key.name"))
        if not request.update_mask.paths:
            raise invalid_argument("update_mask is empty; name the fields to change.", "update_mask")
        for path in request.update_mask.paths:
            if path not in _UPDATABLE:
                raise invalid_argument(f"update_mask names {path!r}, which cannot be changed here.", "update_mask")
        request.update_mask.MergeMessage(request.crypto_key, key, True, True)
        check_template(key.version_template)
        key.version_template.protection_level = _SOFTWARE
        self._store.write(KIND, key.name, key.SerializeToString())
        return key

    def _read(self, name: str) -> Any:
        body = self._store.read(KIND, name)
        if body is None:
            raise not_found(KIND, name)
        return _CryptoKey.FromString(body)

    def _check_free(self, parent: str, name: str) -> None:
        self._check_ring(parent)
        if self._store.read(KIND, name) is not None:
            raise already_exists(KIND, name)

    def _check_ring(self, parent: str) -> None:
        if self._store.read(rings.KIND, parent) is None:
            raise not_found(rings.KIND, parent)


def _check_purpose(key: Any) -> None:
    if not key.purpose:
        raise invalid_argument("purpose is not set; use ASYMMETRIC_SIGN.", "crypto_key.purpose")
    algorithm = name_of(_Algorithm, key.version_template.algorithm, "crypto_key.version_template.algorithm")
    if key.purpose != _SIGN:
        purpose = name_of(resources.CryptoKey.CryptoKeyPurpose, key.purpose, "crypto_key.purpose")
        if algorithm.startswith(_SIGNING_PREFIXES):
            raise invalid_argument(
                f"algorithm {algorithm} is not allowed with purpose {purpose}.", "crypto_key.version_template.algorithm"
            )
        raise unimplemented(f"Purpose {purpose}")
    for field in ("next_rotation_time", "rotation_period"):
        if key.HasField(field):
            raise invalid_argument(f"{field} may only be set on keys with purpose ENCRYPT_DECRYPT.", field)


def check_template(template: Any) -> None:
    """Raise unless the algorithm of a version template is one that signs and is served."""
    name = name_of(_Algorithm, template.algorithm, "crypto_key.version_template.algorithm")
    if template.protection_level not in (0, _SOFTWARE):
        level = name_of(resources.ProtectionLevel, template.protection_level, "version_template.protection_level")
        raise unimplemented(f"Protection level {level}")
    if not name.startswith(_SIGNING_PREFIXES):
        raise invalid_argument(
            f"algorithm {name} is not allowed with purpose ASYMMETRIC_SIGN.", "crypto_key.version_template.algorithm"
        )
    if name not in SCHEMES:
        raise unimplemented(f"Algorithm {name}")
