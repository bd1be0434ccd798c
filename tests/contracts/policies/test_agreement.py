"""Our reading of a policy and that of the enforcers are written apart, and say the same of every image and workload."""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.contracts.google import PROJECT, GoogleWorld, google_world
from tests.fakes.signing_keys import FakeSigningKeys
from tests.policy.samples import ATTESTORS, DIGESTS, images, policies, workloads
from workers.adapters.google.attestations import GrafeasAttestations
from workers.adapters.google.attestors import BinauthzAttestors
from workers.adapters.google.policies import BinauthzPolicies
from workers.attest.rules import resource_uri, signature_payload
from workers.attest.verification import findings
from workers.local.google.binauthz.admission import Admission
from workers.local.google.binauthz.admission import Workload as EnforcedWorkload
from workers.local.google.store import Store
from workers.manifests import OCI_MANIFEST, Manifest
from workers.policy.evaluation import Attested, Workload, decide, select
from workers.policy.model import Policy
from workers.ports import Attestation, ResolvedImage

KEY = "//cloudkms.googleapis.com/v1/projects/acme/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1"
ATTESTED = {ATTESTORS[0]: DIGESTS[:2], ATTESTORS[1]: DIGESTS[1:3]}
"""Which attestor really attested what: one digest has both, two have one, one has none."""


@dataclass(frozen=True)
class Both:
    """The local Binary Authorization, and what our own verification found of each attestor and digest there."""

    policies: BinauthzPolicies
    admission: Admission
    found: Mapping[tuple[str, str], Attested]


def image_of(digest: str) -> ResolvedImage:
    """Return an image of that digest; attestations count wherever it is."""
    return ResolvedImage("gcr.io", "acme/shop", None, Manifest(digest, OCI_MANIFEST))


async def sign(world: GoogleWorld, name: str, note: str, digests: tuple[str, ...]) -> None:
    """Make an attestor with a key, and attestations by it; one that is broken beside each good one."""
    keys = FakeSigningKeys()
    keys.add("k")
    await world.attestor(name, note, replace(await keys.public_key("k"), id=KEY))
    store = GrafeasAttestations(world.connection)
    for digest in digests:
        payload = signature_payload(image_of(digest))
        signature = await keys.sign("k", payload, timeout=5)
        for made in (signature[:-2] + b"\0\0", signature):
            made_by = Attestation(note, resource_uri(image_of(digest)), payload, KEY, made)
            await store.create(PROJECT, made_by, timeout=30)


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[Both]:
    """Run the services, with two attestors that attested some digests and one without keys."""
    async with google_world(tmp_path) as world:
        for name in ATTESTORS:
            short = name.rpartition("/")[2]
            note = await world.note(short)
            if name in ATTESTED:
                await sign(world, short, note, ATTESTED[name])
            else:
                await world.attestor(short, note)
        asked = BinauthzAttestors(world.connection), GrafeasAttestations(world.connection)
        found = {
            (name, digest): Attested(any(one.is_verified for one in await findings(image_of(digest), name, *asked)))
            for name in ATTESTORS
            for digest in DIGESTS
        }
        assert sum(bool(one.is_verified) for one in found.values()) == 4
        state = Store(tmp_path / "google")
        yield Both(BinauthzPolicies(world.connection), Admission(state), found)
        state.close()


def enforced(workload: Workload) -> EnforcedWorkload:
    """Return the workload as the enforcers name it."""
    account = workload.service_account.partition(":")[2]
    return EnforcedWorkload(workload.cluster, workload.namespace, account, workload.identity)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=policies(), image=images(), workload=workloads())
async def test_both_admit_the_same_images_by_the_same_rule(
    both: Both, wanted: Policy, image: str, workload: Workload
) -> None:
    """Random policies that were really stored, images by tag and digest, workloads of every platform."""
    etag = (await both.policies.get(PROJECT)).etag
    policy = await both.policies.set(wanted.model_copy(update={"etag": etag}), timeout=30)
    theirs = both.admission.decide(PROJECT, image, enforced(workload))

    digest = image.partition("@")[2]
    said = {name: both.found.get((name, digest), Attested(is_verified=False)) for name in ATTESTORS}
    selection = select(policy, image, workload, await both.policies.system())
    ours = decide(selection, image, said)

    assert (ours.verdict == "ADMITTED", ours.is_dry_run) == (theirs.admitted, theirs.dry_run), theirs.sentence
    assert theirs.decided_by.startswith(
        {
            "globalPolicyEvaluationMode": "global policy",
            "admissionWhitelistPatterns": "exempt image pattern",
            "defaultAdmissionRule": "default admission rule",
            "clusterAdmissionRules": f"cluster admission rule for {workload.cluster}",
            "kubernetesNamespaceAdmissionRules": f"kubernetes namespace admission rule for {workload.namespace}",
            "kubernetesServiceAccountAdmissionRules": "kubernetes service account admission rule",
            "istioServiceIdentityAdmissionRules": "istio service identity admission rule",
        }[re.split(r"[.\[]", ours.decided_by)[0]]
    )
