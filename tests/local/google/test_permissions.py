"""Permissions that a test takes away, as IAM would refuse them."""

from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from google.api_core import exceptions
from google.rpc import error_details_pb2

from tests.local.google.clients import TOKEN, Clients
from tests.local.google.guesses import valid
from tests.local.google.scenes import (
    ATTESTATION_NOTE,
    ATTESTOR,
    KEY,
    PROJECT,
    RESOURCE,
    VERSION,
    Signer,
    make_key,
    make_note,
    occurrence,
)
from workers.local.google import Faults, GoogleServices
from workers.local.google.api import ROOMS, Ground
from workers.local.google.permissions import needed
from workers.local.google.store import Store

FOREIGN = "projects/security"
FOREIGN_NOTE = f"{FOREIGN}/notes/reviewed"


async def seed(clients: Clients) -> None:
    """Make an attestor whose note is another project's."""
    await clients.grafeas.create_note(parent=FOREIGN, note_id="reviewed", note=ATTESTATION_NOTE)
    attestor = {"user_owned_grafeas_note": {"note_reference": FOREIGN_NOTE}}
    await clients.binauthz.create_attestor(parent=PROJECT, attestor_id="reviewer", attestor=attestor)


async def test_a_note_of_another_project_refuses_attestations(google: GoogleServices, clients: Clients) -> None:
    """Attaching, listing and reading each name the permission that is missing on the note; nothing is stored."""
    await seed(clients)
    google.faults.deny(FOREIGN)
    calls = {
        "notes.attachOccurrence": clients.grafeas.create_occurrence(
            parent=PROJECT, occurrence=occurrence(note=FOREIGN_NOTE)
        ),
        "notes.listOccurrences": clients.grafeas.list_note_occurrences(name=FOREIGN_NOTE),
        "notes.get": clients.grafeas.get_note(name=FOREIGN_NOTE),
    }
    for permission, call in calls.items():
        with pytest.raises(exceptions.Forbidden, match=f"Permission 'containeranalysis.{permission}' denied") as caught:
            await call
        assert caught.value.reason == "IAM_PERMISSION_DENIED"
        assert caught.value.metadata == {"permission": f"containeranalysis.{permission}", "resource": FOREIGN_NOTE}

    assert (await clients.binauthz.get_attestor(name=ATTESTOR)).name == ATTESTOR
    google.faults.deny(FOREIGN, None)
    assert await clients.grafeas.list_occurrences(parent=PROJECT) == []
    await clients.grafeas.create_occurrence(parent=PROJECT, occurrence=occurrence(note=FOREIGN_NOTE))


async def test_one_permission_can_be_denied_alone(google: GoogleServices, over_grpc: Clients) -> None:
    """Somebody who may read a note may not therefore attach to it."""
    await seed(over_grpc)
    google.faults.deny(FOREIGN_NOTE, "*.attachOccurrence")
    both = [occurrence(note=FOREIGN_NOTE), occurrence(note=FOREIGN_NOTE, resource=f"{RESOURCE}0")]
    with pytest.raises(exceptions.PermissionDenied) as caught:
        await over_grpc.grafeas.batch_create_occurrences(parent=PROJECT, occurrences=both)

    assert [type(detail) for detail in caught.value.details] == [error_details_pb2.ErrorInfo]
    assert (await over_grpc.grafeas.get_note(name=FOREIGN_NOTE)).name == FOREIGN_NOTE
    assert await over_grpc.grafeas.list_note_occurrences(name=FOREIGN_NOTE) == []


async def test_a_denial_ends_with_the_name(google: GoogleServices, over_grpc: Clients) -> None:
    """A project whose name only begins alike keeps its permissions."""
    google.faults.deny("projects/de")
    await make_note(over_grpc)
    google.faults.deny(f"{PROJECT}/")
    with pytest.raises(exceptions.PermissionDenied):
        await make_note(over_grpc, "other")


async def test_what_is_denied_is_not_said_to_be_missing(google: GoogleServices, over_grpc: Clients) -> None:
    """The permission is asked before the resource is looked up."""
    google.faults.deny(PROJECT)
    with pytest.raises(exceptions.PermissionDenied, match="or it may not exist"):
        await over_grpc.kms.get_crypto_key(name=KEY)


async def test_a_signer_without_its_permission_can_still_be_verified(
    google: GoogleServices, over_grpc: Clients
) -> None:
    """Signing, reading the public key and validating are permissions of their own."""
    signer = Signer(over_grpc)
    await signer.seed()
    google.faults.deny(KEY, "cloudkms.cryptoKeyVersions.useToSign")
    with pytest.raises(exceptions.PermissionDenied, match="useToSign"):
        await signer.sign()
    assert (await over_grpc.kms.get_public_key(name=VERSION)).pem
    google.faults.deny(KEY, None)
    google.faults.deny(ATTESTOR)
    with pytest.raises(exceptions.PermissionDenied, match=r"binaryauthorization\.attestors\.verifyImageAttested"):
        await signer.validate()


async def test_permissions_are_denied_over_http(google: GoogleServices, over_grpc: Clients) -> None:
    """Another process takes them away and gives them back."""
    url = f"http://127.0.0.1:{google.rest_port}/__faults__"
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session:
        async with session.post(url, json={"deny": {PROJECT: "cloudkms.*"}}) as answer:
            denied = (await answer.json())["deny"]
        with pytest.raises(exceptions.PermissionDenied):
            await make_key(over_grpc)
        async with session.post(url, json={"deny": {PROJECT: None}}) as answer:
            allowed = (await answer.json())["deny"]
        for order in ({"deny": {PROJECT: 1}}, {"deny": [PROJECT]}):
            async with session.post(url, json=order) as answer:
                assert answer.status == 400

    assert denied == [[PROJECT, "cloudkms.*"]]
    assert allowed == []
    await make_key(over_grpc)


def requests(data: Path) -> list[tuple[str, str, Any]]:
    """Return a valid request of each served method, less operations and the policy that everybody may read."""
    store = Store(data)
    with ThreadPoolExecutor(1) as threads:
        ground = Ground(store, Faults(), threads)
        apis = [import_module(room.module).build(ground) for room in ROOMS]
    store.close()
    return [
        (api.name, api.methods[path].name, valid(api.methods[path], f"{PROJECT}/occurrences/one"))
        for api in apis
        for path in api.handlers
        if not api.methods[path].name.endswith(("SystemPolicy", "Operation", "Operations"))
    ]


def test_every_method_needs_a_permission(tmp_path: Path) -> None:
    """Each served method names a permission of its service on a resource of the request."""
    for api, method, request in requests(tmp_path):
        asked = list(needed(api, method, request))
        assert asked, method
        assert all(permission.startswith(f"{api}.") and resource for permission, resource in asked), method
