"""Admission: the policy of a project, read as the enforcers read it, over attestations that really verify."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions

from tests.local.google.clients import Clients
from tests.local.google.scenes import ATTESTOR, DIGEST, NOTE, PROJECT, RESOURCE, Signer, make_key, make_note, occurrence
from workers.local.google import GoogleServices
from workers.local.google.binauthz.admission import Admission, Decision, Workload, matches
from workers.local.google.store import Store

IMAGE = f"europe-docker.pkg.dev/demo/apps/shop@{DIGEST}"
ENFORCED = {"enforcement_mode": "ENFORCED_BLOCK_AND_AUDIT_LOG"}
ALLOW = {"evaluation_mode": "ALWAYS_ALLOW", **ENFORCED}
DENY = {"evaluation_mode": "ALWAYS_DENY", **ENFORCED}
REQUIRE = {"evaluation_mode": "REQUIRE_ATTESTATION", "require_attestations_by": [ATTESTOR], **ENFORCED}


@pytest.fixture
def admission(google: GoogleServices, tmp_path: Path) -> Iterator[Admission]:
    """Give admission over the state of the running services."""
    assert google.rest_port
    store = Store(tmp_path / "google")
    yield Admission(store)
    store.close()


@pytest.fixture
async def signer(over_grpc: Clients) -> Signer:
    """Give a world with a note, a key and an attestor."""
    signer = Signer(over_grpc)
    await signer.seed()
    return signer


async def put(clients: Clients, **policy: Any) -> None:
    """Replace the project's policy; its default rule denies unless said otherwise."""
    given = {"name": f"{PROJECT}/policy", "default_admission_rule": DENY} | policy
    await clients.binauthz.update_policy(policy=given)


async def attest(signer: Signer, signature: bytes | None = None, **changed: str) -> None:
    """Store an attestation of the image, signed by the attestor's key unless another signature is given."""
    made = occurrence(await signer.sign() if signature is None else signature, **changed)
    await signer.clients.grafeas.create_occurrence(parent=PROJECT, occurrence=made)


async def second_attestor(clients: Clients, keys: list[dict[str, Any]]) -> str:
    """Make another attestor, with its own note; returns its name."""
    await make_note(clients, "second")
    note = {"note_reference": f"{PROJECT}/notes/second", "public_keys": keys}
    made = await clients.binauthz.create_attestor(
        parent=PROJECT, attestor_id="second", attestor={"user_owned_grafeas_note": note}
    )
    return str(made.name)


@pytest.mark.parametrize(
    ("pattern", "image", "covered"),
    [
        ("eu.example/image", "eu.example/image", True),
        ("eu.example/image", "eu.example/image:1", False),
        ("eu.example/image", f"eu.example/image@{DIGEST}", False),
        ("eu.example/image:1", "eu.example/image:1", True),
        ("eu.example/image:1", "eu.example/image:10", False),
        ("eu.example/image*", "eu.example/image", True),
        ("eu.example/image*", "eu.example/image:1", True),
        ("eu.example/image*", f"eu.example/images@{DIGEST}", True),
        ("eu.example/image*", "eu.example/image/child", False),
        ("eu.example/*", "eu.example/image:1", True),
        ("eu.example/*", "eu.example/team/image:1", False),
        ("eu.example/**", "eu.example/team/deep/image:1", True),
        ("eu.example/team/**", "eu.example/teams/image", False),
        ("eu.example/team**", "eu.example/teams/image", True),
        ("eu.example/**", "eu.example.evil/image", False),
        ("eu.example/i.age", "eu.example/image", False),
    ],
)
def test_a_pattern_covers_what_the_reference_says(pattern: str, image: str, covered: bool) -> None:  # noqa: FBT001 - a table
    """One star stays within a path component, two do not, and everything else is literal."""
    assert matches(pattern, image) is covered


async def test_a_fresh_project_admits_everything(admission: Admission) -> None:
    """The default policy allows."""
    assert admission.decide(PROJECT, IMAGE) == Decision(admitted=True, decided_by="default admission rule")


async def test_always_deny_refuses_with_the_enforcers_words(admission: Admission, over_grpc: Clients) -> None:
    """The sentence names the image and the rule."""
    await put(over_grpc)
    decision = admission.decide(PROJECT, IMAGE)

    assert not decision.admitted
    assert decision.sentence == (
        f"Image {IMAGE} denied by Binary Authorization default admission rule. Denied by always_deny admission rule"
    )


async def test_an_attested_image_is_admitted_and_another_refused(admission: Admission, signer: Signer) -> None:
    """The attestation counts for its digest, in whichever repository the image is."""
    await put(signer.clients, default_admission_rule=REQUIRE)
    refused = admission.decide(PROJECT, IMAGE)
    await attest(signer)

    assert not refused.admitted
    assert refused.sentence.endswith(
        f"Image {IMAGE} denied by attestor {ATTESTOR}: "
        "No attestations found that were valid and signed by a key trusted by the attestor"
    )
    assert admission.decide(PROJECT, IMAGE).admitted
    assert admission.decide(PROJECT, f"elsewhere.example/copy@{DIGEST}").admitted
    assert not admission.decide(PROJECT, IMAGE[:-1] + ("0" if IMAGE[-1] != "0" else "1")).admitted


@pytest.mark.parametrize("image", ["europe-docker.pkg.dev/demo/apps/shop:1", "shop", f"{IMAGE}0", f"x@y@{DIGEST}"])
async def test_a_tag_is_refused_where_attestations_are_required(
    admission: Admission, signer: Signer, image: str
) -> None:
    """Only a digest can be attested."""
    await put(signer.clients, default_admission_rule=REQUIRE)
    await attest(signer)
    decision = admission.decide(PROJECT, image)

    assert not decision.admitted
    assert "Expected digest with sha256 scheme, but got tag or malformed digest" in decision.sentence


async def test_what_does_not_verify_does_not_count(admission: Admission, signer: Signer) -> None:
    """A forged signature and a right one moved to another image are passed over; the details say why."""
    await put(signer.clients, default_admission_rule=REQUIRE)
    await attest(signer, b"forged")
    moved = "sha256:" + "0" * 64
    await attest(signer, resource=RESOURCE.replace(DIGEST, moved))
    forged, elsewhere = admission.decide(PROJECT, IMAGE), admission.decide(PROJECT, IMAGE.replace(DIGEST, moved))

    assert not forged.admitted
    assert "The signature is not that of the key" in forged.details[0]
    assert not elsewhere.admitted
    assert f"The payload is about {DIGEST}" in elsewhere.details[0]


async def test_one_valid_attestation_among_bad_ones_is_enough(admission: Admission, signer: Signer) -> None:
    """Bad attestations in front do no harm."""
    await put(signer.clients, default_admission_rule=REQUIRE)
    await attest(signer, b"forged")
    await attest(signer)
    decision = admission.decide(PROJECT, IMAGE)

    assert decision.admitted
    assert len(decision.details) == 1


async def test_all_attestors_must_attest_and_any_key_of_each_will_do(admission: Admission, signer: Signer) -> None:
    """AND over attestors, OR over the keys of one."""
    clients = signer.clients
    version = await make_key(clients, key_id="other")
    keys = []
    for name in (version, version.replace("other", "signer")):
        pem = (await clients.kms.get_public_key(name=name)).pem
        pkix = {"public_key_pem": pem, "signature_algorithm": "ECDSA_P256_SHA256"}
        keys.append({"id": f"//cloudkms.googleapis.com/v1/{name}", "pkix_public_key": pkix})
    second = await second_attestor(clients, keys)
    await put(clients, default_admission_rule=REQUIRE | {"require_attestations_by": [ATTESTOR, second]})
    await attest(signer)
    half = admission.decide(PROJECT, IMAGE)
    await attest(signer, note=f"{PROJECT}/notes/second")

    assert not half.admitted
    assert [reason.split(":")[0] for reason in half.reasons[1:]] == [f"Image {IMAGE.split(':', maxsplit=1)[0]}"]
    assert f"denied by attestor {second}" in half.sentence
    assert f"denied by attestor {ATTESTOR}" not in half.sentence
    assert admission.decide(PROJECT, IMAGE).admitted


async def test_an_attestor_without_keys_is_never_satisfied(admission: Admission, signer: Signer) -> None:
    """Whatever was attested in its note."""
    second = await second_attestor(signer.clients, [])
    await put(signer.clients, default_admission_rule=REQUIRE | {"require_attestations_by": [second]})
    await attest(signer, note=f"{PROJECT}/notes/second")
    decision = admission.decide(PROJECT, IMAGE)

    assert not decision.admitted
    assert "no public keys" in decision.details[0]


async def test_an_attestor_that_was_deleted_is_never_satisfied(admission: Admission, signer: Signer) -> None:
    """A policy may outlive what it names."""
    await put(signer.clients, default_admission_rule=REQUIRE)
    await attest(signer)
    await signer.clients.binauthz.delete_attestor(name=ATTESTOR)
    decision = admission.decide(PROJECT, IMAGE)

    assert not decision.admitted
    assert decision.details == (f"{ATTESTOR}: Attestor {ATTESTOR} not found.",)


async def test_a_dry_run_admits_and_says_what_it_would_have_refused(admission: Admission, signer: Signer) -> None:
    """The reasons are those of a refusal."""
    dry = {"enforcement_mode": "DRYRUN_AUDIT_LOG_ONLY"}
    await put(signer.clients, default_admission_rule=REQUIRE | dry)
    decision = admission.decide(PROJECT, IMAGE)
    await attest(signer)

    assert decision.admitted
    assert decision.dry_run
    assert decision.sentence.startswith("Admitted by dry run; would be refused otherwise: Image europe-docker")
    assert not admission.decide(PROJECT, IMAGE).dry_run


@pytest.mark.parametrize(
    ("rules", "inside", "outside"),
    [
        (
            {"cluster_admission_rules": {"europe-west3.shop": ALLOW}},
            Workload(cluster="europe-west3.shop"),
            Workload(cluster="europe-west3.bank"),
        ),
        (
            {"kubernetes_namespace_admission_rules": {"shop": ALLOW}},
            Workload(cluster="europe-west3.shop", namespace="shop"),
            Workload(namespace="bank"),
        ),
        (
            {"kubernetes_service_account_admission_rules": {"shop:till": ALLOW}},
            Workload(namespace="shop", service_account="till"),
            Workload(namespace="shop", service_account="default"),
        ),
        (
            {"istio_service_identity_admission_rules": {"spiffe://example.com/ns/shop/sa/till": ALLOW}},
            Workload(istio_identity="example.com/ns/shop/sa/till"),
            Workload(istio_identity="example.com/ns/shop/sa/default"),
        ),
    ],
)
async def test_the_most_specific_rule_decides(
    admission: Admission, over_grpc: Clients, rules: dict[str, Any], inside: Workload, outside: Workload
) -> None:
    """A rule of the workload's own goes before the default; a platform without such names gets the default."""
    await put(over_grpc, **rules)
    kind, key = next(iter(rules)).removesuffix("_admission_rules").replace("_", " "), next(iter(*rules.values()))

    assert admission.decide(PROJECT, IMAGE, inside).sentence == f"Admitted by the {kind} admission rule for {key}."
    assert admission.decide(PROJECT, IMAGE, outside).decided_by == "default admission rule"
    assert not admission.decide(PROJECT, IMAGE).admitted


async def test_exempt_images_pass_every_rule(admission: Admission, over_grpc: Clients) -> None:
    """The pattern that exempts is named; a tag is fine."""
    patterns = [{"name_pattern": "other.example/**"}, {"name_pattern": "europe-docker.pkg.dev/demo/apps/*"}]
    await put(over_grpc, admission_whitelist_patterns=patterns)
    decision = admission.decide(PROJECT, "europe-docker.pkg.dev/demo/apps/shop:1")

    assert decision == Decision(admitted=True, decided_by="exempt image pattern europe-docker.pkg.dev/demo/apps/*")


async def test_the_global_policy_counts_only_where_it_is_enabled(admission: Admission, over_grpc: Clients) -> None:
    """Images that Google maintains pass before the project's rules, and like any other when it is off."""
    image = f"gke.gcr.io/deep/proxy@{DIGEST}"
    await put(over_grpc, global_policy_evaluation_mode="ENABLE")
    enabled = admission.decide(PROJECT, image)
    await put(over_grpc)

    assert enabled.decided_by == "global policy, which exempts gke.gcr.io/**"
    assert not admission.decide(PROJECT, image).admitted


async def test_the_global_policy_can_be_read(google: GoogleServices, over_grpc: Clients) -> None:
    """GetSystemPolicy lists what it exempts, wherever it is asked."""
    assert google.grpc_port
    policy = await over_grpc.system.get_system_policy(name="locations/europe-west3/policy")

    assert policy.name == "locations/europe-west3/policy"
    assert "k8s.gcr.io/**" in [pattern.name_pattern for pattern in policy.admission_whitelist_patterns]


async def test_one_identity_has_one_rule(over_grpc: Clients) -> None:
    """With and without spiffe:// is the same identity."""
    bare = "example.com/ns/shop/sa/till"
    with pytest.raises(exceptions.InvalidArgument, match=f"more than one rule for {bare}"):
        await put(over_grpc, istio_service_identity_admission_rules={bare: ALLOW, f"spiffe://{bare}": DENY})


async def test_the_digest_of_a_note_elsewhere_does_not_count(admission: Admission, signer: Signer) -> None:
    """An attestation under a note that is not the attestor's own is not found."""
    await make_note(signer.clients, "second")
    await put(signer.clients, default_admission_rule=REQUIRE)
    await attest(signer, note=f"{PROJECT}/notes/second")

    assert f"{PROJECT}/notes/second" != NOTE
    assert not admission.decide(PROJECT, IMAGE).admitted
