"""Requests for fuzzing: a valid one of every method, and ways to spoil it."""

import base64
import hashlib
import struct
from random import Random
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor

from tests.local.google import pgp
from tests.local.google.scenes import ATTESTOR, DIGEST, KEY, KEY_ID, NOTE, PROJECT, RESOURCE, RING, VERSION, payload

LOCATION = f"{PROJECT}/locations/global"
PGP_KEY = pgp.make()
POLICY = f"{PROJECT}/policy"
TEXTS = (
    *(PROJECT, LOCATION, RING, KEY, VERSION, NOTE, ATTESTOR, POLICY, RESOURCE, KEY_ID, "\0", "x" * 300, "\U0010ffff"),
    *(PGP_KEY.armored, PGP_KEY.armored[:200], PGP_KEY.id, pgp.revoked(PGP_KEY).armored),
    *("", "a", "*", "//", "reviewer", "reviewed", "state", "labels", "name", 'kind="ATTESTATION"', "europe.c"),
)
BLOBS = (b"", b"\xff", b"0" * 32, payload(), PGP_KEY.sign(payload()))
DEEPEST = 4

_KEY = {"purpose": "ASYMMETRIC_SIGN", "version_template": {"algorithm": "EC_SIGN_P256_SHA256"}}
_NOTE = {"attestation": {"hint": {"human_readable_name": "reviewed"}}}
_ATTESTATION = {
    "serialized_payload": base64.b64encode(payload()).decode(),
    "signatures": [{"signature": "AAAA", "public_key_id": KEY_ID}],
}
_OCCURRENCE = {"note_name": NOTE, "resource_uri": RESOURCE, "attestation": _ATTESTATION}
_PEM = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEOOKV6GtotKCDwxFvtCpZhkcOUx6i
DPtbX1ygRVmYUp95fJrak1/Pol8MzktMTucyJOHRDwHFAJsin5F338vxkg==
-----END PUBLIC KEY-----
"""
_PUBLIC = {"id": KEY_ID, "pkix_public_key": {"public_key_pem": _PEM, "signature_algorithm": "ECDSA_P256_SHA256"}}
_REFERENCE = {"note_reference": NOTE, "public_keys": [_PUBLIC, {"ascii_armored_pgp_public_key": PGP_KEY.armored}]}
_RULE = {"evaluation_mode": "ALWAYS_ALLOW", "enforcement_mode": "ENFORCED_BLOCK_AND_AUDIT_LOG"}
_PAGE = {"page_size": 5}
_IMAGES = {"template": {"containers": [{"image": "shop:1"}]}, "binary_authorization": {"use_default": True}}
_FIRST = {"template": {"revision": "shop-00001", **_IMAGES["template"]}}
APPS = f"{LOCATION}/repositories/apps"
SERVICE = f"{LOCATION}/services/shop"
TOPIC = f"{PROJECT}/topics/gcr"
SUBSCRIPTION = f"{PROJECT}/subscriptions/gcr-bridge"
ACK_ID = (
    base64.urlsafe_b64encode(struct.pack(">QQ6s", 1, 1, hashlib.sha256(SUBSCRIPTION.encode()).digest()[:6]))
    .decode()
    .rstrip("=")
)
_VALID: dict[str, dict[str, Any]] = {
    "CreateKeyRing": {"parent": LOCATION, "key_ring_id": "ring"},
    "GetKeyRing": {"name": RING},
    "ListKeyRings": {"parent": LOCATION, **_PAGE},
    "CreateCryptoKey": {"parent": RING, "crypto_key_id": "signer", "crypto_key": _KEY},
    "GetCryptoKey": {"name": KEY},
    "ListCryptoKeys": {"parent": RING, **_PAGE},
    "UpdateCryptoKey": {"crypto_key": {"name": KEY, "labels": {"a": "b"}}, "update_mask": "labels"},
    "CreateCryptoKeyVersion": {"parent": KEY},
    "GetCryptoKeyVersion": {"name": VERSION},
    "ListCryptoKeyVersions": {"parent": KEY, **_PAGE},
    "UpdateCryptoKeyVersion": {"crypto_key_version": {"name": VERSION, "state": "ENABLED"}, "update_mask": "state"},
    "DestroyCryptoKeyVersion": {"name": f"{KEY}/cryptoKeyVersions/2"},
    "RestoreCryptoKeyVersion": {"name": f"{KEY}/cryptoKeyVersions/2"},
    "GetPublicKey": {"name": VERSION},
    "AsymmetricSign": {"name": VERSION, "data": "AAAA"},
    "CreateNote": {"parent": PROJECT, "note_id": "reviewed", "note": _NOTE},
    "BatchCreateNotes": {"parent": PROJECT, "notes": {"a": _NOTE}},
    "GetNote": {"name": NOTE},
    "ListNotes": {"parent": PROJECT, **_PAGE},
    "UpdateNote": {"name": NOTE, "note": _NOTE},
    "DeleteNote": {"name": f"{PROJECT}/notes/a"},
    "CreateOccurrence": {"parent": PROJECT, "occurrence": _OCCURRENCE},
    "BatchCreateOccurrences": {"parent": PROJECT, "occurrences": [_OCCURRENCE | {"resource_uri": "x"}]},
    "GetOccurrence": {"name": ""},
    "GetOccurrenceNote": {"name": ""},
    "ListOccurrences": {"parent": PROJECT, "filter": 'kind="ATTESTATION"', **_PAGE},
    "ListNoteOccurrences": {"name": NOTE, **_PAGE},
    "UpdateOccurrence": {"name": "", "occurrence": _OCCURRENCE},
    "DeleteOccurrence": {"name": f"{PROJECT}/occurrences/none"},
    "CreateAttestor": {"parent": PROJECT, "attestor_id": "reviewer"},
    "GetAttestor": {"name": ATTESTOR},
    "ListAttestors": {"parent": PROJECT, **_PAGE},
    "UpdateAttestor": {"attestor": {"name": ATTESTOR}},
    "DeleteAttestor": {"name": f"{PROJECT}/attestors/a"},
    "GetPolicy": {"name": POLICY},
    "GetSystemPolicy": {"name": "locations/global/policy"},
    "CreateRepository": {"parent": LOCATION, "repository_id": "apps", "repository": {"format_": "DOCKER"}},
    "GetRepository": {"name": APPS},
    "ListRepositories": {"parent": LOCATION, **_PAGE},
    "GetDockerImage": {"name": f"{APPS}/dockerImages/shop@{DIGEST}"},
    "ListDockerImages": {"parent": APPS, **_PAGE},
    "GetPackage": {"name": f"{APPS}/packages/shop"},
    "ListPackages": {"parent": APPS, **_PAGE},
    "GetVersion": {"name": f"{APPS}/packages/shop/versions/{DIGEST}"},
    "ListVersions": {"parent": f"{APPS}/packages/shop", **_PAGE},
    "GetTag": {"name": f"{APPS}/packages/shop/tags/1"},
    "ListTags": {"parent": f"{APPS}/packages/shop", **_PAGE},
    "CreateService": {"parent": LOCATION, "service_id": "shop", "service": _FIRST},
    "GetService": {"name": SERVICE},
    "ListServices": {"parent": LOCATION, **_PAGE},
    "UpdateService": {"service": {"name": SERVICE, **_IMAGES}, "update_mask": "template.labels"},
    "DeleteService": {"name": f"{LOCATION}/services/none"},
    "GetRevision": {"name": f"{SERVICE}/revisions/shop-00001"},
    "ListRevisions": {"parent": SERVICE, **_PAGE},
    "GetOperation": {"name": f"{LOCATION}/operations/none"},
    "WaitOperation": {"name": f"{LOCATION}/operations/none"},
    "DeleteOperation": {"name": f"{LOCATION}/operations/none"},
    "ListOperations": {"name": LOCATION, **_PAGE},
    "CreateTopic": {"name": TOPIC},
    "GetTopic": {"topic": TOPIC},
    "ListTopics": {"project": PROJECT, **_PAGE},
    "UpdateTopic": {"topic": {"name": TOPIC, "labels": {"a": "b"}}, "update_mask": "labels"},
    "DeleteTopic": {"topic": f"{PROJECT}/topics/none"},
    "Publish": {"topic": TOPIC, "messages": [{"data": "AAAA", "attributes": {"a": "b"}, "ordering_key": "k"}]},
    "ListTopicSubscriptions": {"topic": TOPIC, **_PAGE},
    "CreateSubscription": {"name": SUBSCRIPTION, "topic": TOPIC, "retry_policy": {"minimum_backoff": "1s"}},
    "GetSubscription": {"subscription": SUBSCRIPTION},
    "ListSubscriptions": {"project": PROJECT, **_PAGE},
    "UpdateSubscription": {"subscription": {"name": SUBSCRIPTION, "ack_deadline_seconds": 60}, "update_mask": "labels"},
    "DeleteSubscription": {"subscription": f"{PROJECT}/subscriptions/none"},
    "Pull": {"subscription": SUBSCRIPTION, "max_messages": 5, "return_immediately": True},
    "Acknowledge": {"subscription": SUBSCRIPTION, "ack_ids": [ACK_ID]},
    "ModifyAckDeadline": {"subscription": SUBSCRIPTION, "ack_ids": [ACK_ID], "ack_deadline_seconds": 0},
    "UpdatePolicy": {"policy": {"name": POLICY, "default_admission_rule": _RULE}},
    "ValidateAttestationOccurrence": {
        "attestor": ATTESTOR,
        "attestation": _ATTESTATION,
        "occurrence_note": NOTE,
        "occurrence_resource_uri": RESOURCE,
    },
}


def valid(method: Any, occurrence: str) -> Any:
    """Return a valid request of *method*; *occurrence* is the name of one that exists."""
    content = dict(_VALID[method.name])
    if content.get("name") == "":
        content["name"] = occurrence
    if method.name in {"CreateAttestor", "UpdateAttestor"}:
        note = "user_owned_drydock_note" if "v1beta1" in method.service else "user_owned_grafeas_note"
        content["attestor"] = content.get("attestor", {}) | {note: _REFERENCE}
    return json_format.ParseDict(content, method.request())


class Guesser:
    """Spoils messages with plausible and absurd values, from one seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 - a test's dice

    def spoil(self, message: Any) -> None:
        """Change one field somewhere in *message*: clear it, replace it, or fill it."""
        field = self._random.choice(message.DESCRIPTOR.fields)
        filled = [known for known, value in message.ListFields() if known.message_type and not known.is_repeated]
        if filled and self._random.random() < 0.7:
            self.spoil(getattr(message, self._random.choice(filled).name))
        elif self._random.random() < 0.2:
            message.ClearField(field.name)
        else:
            self._fill(message, field, 0)

    def _fill(self, message: Any, field: FieldDescriptor, depth: int) -> None:
        if field.message_type is not None and depth >= DEEPEST:
            return
        if field.is_repeated:
            self._repeat(message, field, depth)
        elif field.message_type is not None:
            getattr(message, field.name).SetInParent()
            self._fill_some(getattr(message, field.name), depth + 1)
        else:
            setattr(message, field.name, self._scalar(field))

    def _fill_some(self, message: Any, depth: int) -> None:
        for field in message.DESCRIPTOR.fields:
            if self._random.random() < 0.4:
                self._fill(message, field, depth)

    def _repeat(self, message: Any, field: FieldDescriptor, depth: int) -> None:
        values = getattr(message, field.name)
        if field.message_type is None:
            values.append(self._scalar(field))
        elif not field.message_type.GetOptions().map_entry:
            self._fill_some(values.add(), depth + 1)
        elif (value := field.message_type.fields_by_name["value"]).message_type is None:
            values[self._random.choice(TEXTS)] = self._scalar(value)
        else:
            self._fill_some(values[self._random.choice(TEXTS)], depth + 1)

    def _scalar(self, field: FieldDescriptor) -> Any:
        if field.type == FieldDescriptor.TYPE_BYTES:
            return self._random.choice(BLOBS)
        if field.type == FieldDescriptor.TYPE_STRING:
            return self._random.choice(TEXTS)
        if field.enum_type is not None:
            return self._random.choice([99, *(value.number for value in field.enum_type.values)])
        if field.type == FieldDescriptor.TYPE_BOOL:
            return self._random.random() < 0.5
        return self._random.choice([0, 1, 7, 2**31 - 1])
