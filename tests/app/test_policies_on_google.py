"""What is wrong with real attestors of the local services is found where a policy names them."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contracts.google import PROJECT, GoogleWorld, google_world
from tests.fakes.images import FakeImages
from tests.fakes.signing_keys import FakeSigningKeys
from workers.adapters.google.attestations import GrafeasAttestations
from workers.adapters.google.attestors import BinauthzAttestors
from workers.adapters.google.notes import GrafeasNotes
from workers.adapters.google.policies import BinauthzPolicies
from workers.app.policies import PolicyPorts, gather
from workers.policy.lint import lint
from workers.policy.model import AdmissionRule, Policy

VERSION = "projects/acme/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1"
KMS = f"//cloudkms.googleapis.com/v1/{VERSION}"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[GoogleWorld]:
    """Run the services."""
    async with google_world(tmp_path) as running:
        yield running


async def found(world: GoogleWorld, *attestors: str) -> list[tuple[str, str]]:
    """Return code and place of all that is wrong with a policy that wants these attestors."""
    ports = PolicyPorts(
        BinauthzPolicies(world.connection),
        BinauthzAttestors(world.connection),
        GrafeasNotes(world.connection),
        GrafeasAttestations(world.connection),
        FakeImages(),
        "acme",
        "acme",
    )
    rule = AdmissionRule(
        evaluation_mode="REQUIRE_ATTESTATION",
        enforcement_mode="ENFORCED_BLOCK_AND_AUDIT_LOG",
        require_attestations_by=attestors,
    )
    policy = Policy(name="projects/acme/policy", global_policy_evaluation_mode="ENABLE", default_admission_rule=rule)
    said = lint(policy, await gather(policy, ports))
    return [(one.code, one.field.removeprefix("defaultAdmissionRule.requireAttestationsBy")) for one in said]


async def test_attestors_as_they_are_stored_are_found_fault_with(world: GoogleWorld) -> None:
    """One that is right, one without keys, one whose note is gone, one with a bare id, and one that is not there."""
    keys = FakeSigningKeys()
    keys.add("k")
    public = await keys.public_key("k")
    note = await world.note("ci")
    gone = await world.note("gone")
    attestors = [
        await world.attestor("right", note, replace(public, id=KMS)),
        await world.attestor("keyless", note),
        await world.attestor("noteless", gone, replace(public, id="")),
        await world.attestor("bare", note, replace(public, id=VERSION)),
        f"{PROJECT}/attestors/missing",
    ]
    await world.delete_note(gone)

    assert sorted(await found(world, *attestors)) == [
        ("attestor-not-found", "[4]"),
        ("attestor-without-keys", "[1]"),
        ("key-id-form", "[3]"),
        ("note-not-found", "[2]"),
    ]


async def test_an_attestor_that_we_may_not_read_is_an_error_and_its_note_a_remark(world: GoogleWorld) -> None:
    """Whoever sets a policy must read its attestors; the note is read by another identity than ours."""
    keys = FakeSigningKeys()
    keys.add("k")
    note = await world.note("ci")
    closed = await world.note("closed")
    seen = await world.attestor("seen", closed, replace(await keys.public_key("k"), id=KMS))
    unseen = await world.attestor("unseen", note, replace(await keys.public_key("k"), id=KMS))
    world.faults.deny(unseen)
    world.faults.deny(closed)

    assert sorted(await found(world, seen, unseen)) == [("attestor-not-readable", "[1]"), ("note-unchecked", "[0]")]
