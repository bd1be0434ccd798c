"""The IAM permission that each method asks for, and on which resource: what a test may deny.

Sources: https://cloud.google.com/kms/docs/reference/permissions-and-roles,
https://cloud.google.com/binary-authorization/docs/reference/permissions-and-roles,
https://cloud.google.com/artifact-analysis/docs/ca-access-control,
https://cloud.google.com/run/docs/reference/iam/permissions, https://cloud.google.com/artifact-registry/docs/access-control
and https://cloud.google.com/pubsub/docs/access-control. An attestation needs two permissions, one where it
is kept and one on its note, which may be another project's. Methods without a row cannot be denied.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workers.local.google.faults import Faults
from workers.local.google.status import permission_denied

# API -> method -> (permission without the name of the API, path of the field with the resource).
_NEEDED: Mapping[str, Mapping[str, tuple[tuple[str, str], ...]]] = {
    "cloudkms": {
        "CreateKeyRing": (("keyRings.create", "parent"),),
        "GetKeyRing": (("keyRings.get", "name"),),
        "ListKeyRings": (("keyRings.list", "parent"),),
        "CreateCryptoKey": (("cryptoKeys.create", "parent"),),
        "GetCryptoKey": (("cryptoKeys.get", "name"),),
        "ListCryptoKeys": (("cryptoKeys.list", "parent"),),
        "UpdateCryptoKey": (("cryptoKeys.update", "crypto_key.name"),),
        "CreateCryptoKeyVersion": (("cryptoKeyVersions.create", "parent"),),
        "GetCryptoKeyVersion": (("cryptoKeyVersions.get", "name"),),
        "ListCryptoKeyVersions": (("cryptoKeyVersions.list", "parent"),),
        "UpdateCryptoKeyVersion": (("cryptoKeyVersions.update", "crypto_key_version.name"),),
        "DestroyCryptoKeyVersion": (("cryptoKeyVersions.destroy", "name"),),
        "RestoreCryptoKeyVersion": (("cryptoKeyVersions.restore", "name"),),
        "GetPublicKey": (("cryptoKeyVersions.viewPublicKey", "name"),),
        "AsymmetricSign": (("cryptoKeyVersions.useToSign", "name"),),
    },
    "containeranalysis": {
        "CreateNote": (("notes.create", "parent"),),
        "BatchCreateNotes": (("notes.create", "parent"),),
        "GetNote": (("notes.get", "name"),),
        "ListNotes": (("notes.list", "parent"),),
        "UpdateNote": (("notes.update", "name"),),
        "DeleteNote": (("notes.delete", "name"),),
        "CreateOccurrence": (
            ("occurrences.create", "parent"),
            ("notes.attachOccurrence", "occurrence.note_name"),
        ),
        "BatchCreateOccurrences": (
            ("occurrences.create", "parent"),
            ("notes.attachOccurrence", "occurrences.note_name"),
        ),
        "GetOccurrence": (("occurrences.get", "name"),),
        "GetOccurrenceNote": (("occurrences.get", "name"),),
        "ListOccurrences": (("occurrences.list", "parent"),),
        "ListNoteOccurrences": (("notes.listOccurrences", "name"),),
        "UpdateOccurrence": (("occurrences.update", "name"),),
        "DeleteOccurrence": (("occurrences.delete", "name"),),
    },
    "binaryauthorization": {
        "CreateAttestor": (("attestors.create", "parent"),),
        "GetAttestor": (("attestors.get", "name"),),
        "ListAttestors": (("attestors.list", "parent"),),
        "UpdateAttestor": (("attestors.update", "attestor.name"),),
        "DeleteAttestor": (("attestors.delete", "name"),),
        "ValidateAttestationOccurrence": (("attestors.verifyImageAttested", "attestor"),),
        "GetPolicy": (("policy.get", "name"),),
        "UpdatePolicy": (("policy.update", "policy.name"),),
    },
    "run": {
        "CreateService": (("services.create", "parent"),),
        "GetService": (("services.get", "name"),),
        "ListServices": (("services.list", "parent"),),
        "UpdateService": (("services.update", "service.name"),),
        "DeleteService": (("services.delete", "name"),),
        "GetRevision": (("revisions.get", "name"),),
        "ListRevisions": (("revisions.list", "parent"),),
    },
    "artifactregistry": {
        "CreateRepository": (("repositories.create", "parent"),),
        "GetRepository": (("repositories.get", "name"),),
        "ListRepositories": (("repositories.list", "parent"),),
        "GetDockerImage": (("dockerimages.get", "name"),),
        "ListDockerImages": (("dockerimages.list", "parent"),),
        "GetPackage": (("packages.get", "name"),),
        "ListPackages": (("packages.list", "parent"),),
        "GetVersion": (("versions.get", "name"),),
        "ListVersions": (("versions.list", "parent"),),
        "GetTag": (("tags.get", "name"),),
        "ListTags": (("tags.list", "parent"),),
    },
    "pubsub": {
        "CreateTopic": (("topics.create", "name"),),
        "GetTopic": (("topics.get", "topic"),),
        "ListTopics": (("topics.list", "project"),),
        "UpdateTopic": (("topics.update", "topic.name"),),
        "DeleteTopic": (("topics.delete", "topic"),),
        "Publish": (("topics.publish", "topic"),),
        "ListTopicSubscriptions": (("topics.get", "topic"),),
        "CreateSubscription": (("subscriptions.create", "name"), ("topics.attachSubscription", "topic")),
        "GetSubscription": (("subscriptions.get", "subscription"),),
        "ListSubscriptions": (("subscriptions.list", "project"),),
        "UpdateSubscription": (("subscriptions.update", "subscription.name"),),
        "DeleteSubscription": (("subscriptions.delete", "subscription"),),
        "Pull": (("subscriptions.consume", "subscription"),),
        "StreamingPull": (("subscriptions.consume", "subscription"),),
        "Acknowledge": (("subscriptions.consume", "subscription"),),
        "ModifyAckDeadline": (("subscriptions.consume", "subscription"),),
    },
}


def check(faults: Faults, api: str, method: str, request: Any) -> None:
    """Raise PERMISSION_DENIED when a test denies what *method* of *api* needs for *request*.

    As with IAM, that happens before anything is looked up: the caller does not learn whether the resource exists.
    """
    if not faults.denials:
        return
    for permission, resource in needed(api, method, request):
        if faults.denies(permission, resource):
            raise permission_denied(f"{api}.googleapis.com", permission, resource)


def needed(api: str, method: str, request: Any) -> Iterator[tuple[str, str]]:
    """Yield each permission that a request needs, with the resource it is needed on."""
    for permission, path in _NEEDED.get(api, {}).get(method, ()):
        for resource in _values([request], path.split(".")):
            yield f"{api}.{permission}", resource


def _values(messages: list[Any], path: list[str]) -> list[Any]:
    """Return what stands at a path of fields, of which the first may be repeated."""
    if not path:
        return messages
    found = []
    for message in messages:
        value = getattr(message, path[0])
        found += list(value) if message.DESCRIPTOR.fields_by_name[path[0]].is_repeated else [value]
    return _values(found, path[1:])
