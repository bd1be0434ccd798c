"""The IAM roles that the Google adapters need, by port: a worker's service account gets those of its ports, no others.

Source: the permissions of each call in Google's IAM reference, and gcloud's own guide to making attestations.
"""

from collections.abc import Iterable, Mapping

from workers.ports import (
    Attestations,
    AttestorAdmin,
    Attestors,
    Feeds,
    ImageInventory,
    Images,
    KeyMaker,
    Notes,
    Policies,
    SigningKeys,
)

ROLES: Mapping[type, tuple[str, ...]] = {
    Images: ("roles/artifactregistry.reader",),
    ImageInventory: ("roles/artifactregistry.reader",),
    Feeds: ("roles/pubsub.subscriber", "roles/pubsub.viewer"),
    KeyMaker: ("roles/cloudkms.admin",),
    SigningKeys: ("roles/cloudkms.signerVerifier",),
    Attestors: ("roles/binaryauthorization.attestorsViewer", "roles/binaryauthorization.attestorsVerifier"),
    Attestations: (
        "roles/containeranalysis.notes.attacher",
        "roles/containeranalysis.notes.occurrences.viewer",
        "roles/containeranalysis.occurrences.editor",
    ),
    AttestorAdmin: ("roles/binaryauthorization.attestorsEditor",),
    Policies: ("roles/binaryauthorization.policyViewer", "roles/binaryauthorization.policyEditor"),
    Notes: ("roles/containeranalysis.notes.viewer", "roles/containeranalysis.notes.editor"),
}
"""Ports that are not here need nothing of Google."""


def roles_of(ports: Iterable[type]) -> tuple[str, ...]:
    """Return the roles that a worker with these ports needs, sorted."""
    return tuple(sorted({role for port in ports for role in ROLES.get(port, ())}))
