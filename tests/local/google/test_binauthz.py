"""Binary Authorization: attestors, their keys, and the policy."""

import base64
import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, rsa
from google.api_core import exceptions

from tests.local.google.clients import Clients
from tests.local.google.scenes import ATTESTOR, KEY_ID, NOTE, PROJECT, make_attestor

POLICY = f"{PROJECT}/policy"
ALLOW = {"evaluation_mode": "ALWAYS_ALLOW", "enforcement_mode": "ENFORCED_BLOCK_AND_AUDIT_LOG"}
REQUIRE = ALLOW | {"evaluation_mode": "REQUIRE_ATTESTATION", "require_attestations_by": [ATTESTOR]}


def pem_of(private: Any) -> str:
    """Return the public half as PEM."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return str(private.public_key().public_bytes(serialization.Encoding.PEM, form).decode())


P256 = pem_of(ec.generate_private_key(ec.SECP256R1()))
P384 = pem_of(ec.generate_private_key(ec.SECP384R1()))
P521 = pem_of(ec.generate_private_key(ec.SECP521R1()))
ML_DSA = pem_of(mldsa.MLDSA65PrivateKey.generate())
ML_DSA_44 = pem_of(mldsa.MLDSA44PrivateKey.generate())
RSA2048 = pem_of(rsa.generate_private_key(65537, 2048))


async def test_an_attestor_keeps_the_key_id_it_was_given(clients: Clients) -> None:
    """The id is compared byte for byte at admission, so it is stored byte for byte."""
    created = await make_attestor(clients, P256)

    assert created.name == ATTESTOR
    assert created.user_owned_grafeas_note.public_keys[0].id == KEY_ID
    assert created.user_owned_grafeas_note.delegation_service_account_email
    assert await clients.binauthz.get_attestor(name=ATTESTOR) == created
    assert await clients.binauthz.list_attestors(parent=PROJECT) == [created]


async def test_a_key_without_id_is_named_by_its_digest(clients: Clients) -> None:
    """The default id is RFC 6920's name of the key's DER."""
    created = await make_attestor(clients, P256, key_id="")
    der = serialization.load_pem_public_key(P256.encode()).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    digest = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).decode().rstrip("=")

    assert created.user_owned_grafeas_note.public_keys[0].id == f"ni:///sha-256;{digest}"


async def test_v1beta1_shows_the_same_attestor(clients: Clients) -> None:
    """What v1 calls a Grafeas note is a Drydock note in v1beta1, both ways."""
    created = await make_attestor(clients, P256)
    older = await clients.binauthz_beta.get_attestor(name=ATTESTOR)
    older.description = "changed by v1beta1"
    await clients.binauthz_beta.update_attestor(attestor=older)
    newer = await clients.binauthz.get_attestor(name=ATTESTOR)

    assert older.user_owned_drydock_note.note_reference == NOTE
    assert newer.description == "changed by v1beta1"
    assert newer.user_owned_grafeas_note.public_keys == created.user_owned_grafeas_note.public_keys


async def test_an_outdated_etag_aborts_the_update(clients: Clients) -> None:
    """Whoever read before somebody else's change must read again."""
    first = await make_attestor(clients, P256)
    second = await clients.binauthz.get_attestor(name=ATTESTOR)
    second.description = "second"
    updated = await clients.binauthz.update_attestor(attestor=second)
    with pytest.raises(exceptions.Conflict, match="etag"):
        await clients.binauthz.update_attestor(attestor=first)

    assert updated.etag != first.etag
    assert (await clients.binauthz.get_attestor(name=ATTESTOR)).description == "second"


async def test_the_note_of_an_attestor_stays(clients: Clients) -> None:
    """The reference may not be updated."""
    attestor = await make_attestor(clients, P256)
    attestor.user_owned_grafeas_note.note_reference = f"{PROJECT}/notes/other"
    with pytest.raises(exceptions.BadRequest, match="note of an attestor cannot change"):
        await clients.binauthz.update_attestor(attestor=attestor)


async def test_a_deleted_attestor_is_not_found(clients: Clients) -> None:
    """Delete, then NOT_FOUND for every use; a taken name conflicts before."""
    attestor = await make_attestor(clients, P256)
    with pytest.raises(exceptions.Conflict):
        await make_attestor(clients, P256)
    await clients.binauthz.delete_attestor(name=ATTESTOR)
    with pytest.raises(exceptions.NotFound, match=f"Attestor {ATTESTOR} not found"):
        await clients.binauthz.get_attestor(name=ATTESTOR)
    with pytest.raises(exceptions.NotFound):
        await clients.binauthz.update_attestor(attestor=attestor)


@pytest.mark.parametrize(
    ("pem", "algorithm", "key_id", "sentence"),
    [
        (P256, "ECDSA_P384_SHA384", KEY_ID, "not one for"),
        (P384, "ECDSA_P256_SHA256", KEY_ID, "not one for"),
        (RSA2048, "ECDSA_P256_SHA256", KEY_ID, "not one for"),
        (RSA2048, "RSA_PSS_3072_SHA256", KEY_ID, "not one for"),
        (P256, "SIGNATURE_ALGORITHM_UNSPECIFIED", KEY_ID, "not set to a signature algorithm"),
        (P256, "ML_DSA_65", KEY_ID, "not one for ML_DSA_65"),
        (P521, "ECDSA_P384_SHA384", KEY_ID, "not one for"),
        (ML_DSA, "ECDSA_P256_SHA256", KEY_ID, "not one for"),
        (ML_DSA_44, "ML_DSA_65", KEY_ID, "not one for ML_DSA_65"),
        ("no key", "ECDSA_P256_SHA256", KEY_ID, "is no PEM public key"),
        (P256, "ECDSA_P256_SHA256", "an id with spaces", "is not a URI"),
    ],
)
async def test_keys_that_could_never_verify_are_refused(
    over_grpc: Clients, pem: str, algorithm: str, key_id: str, sentence: str
) -> None:
    """PEM, algorithm and id must fit each other."""
    with pytest.raises(exceptions.InvalidArgument, match=sentence):
        await make_attestor(over_grpc, pem, algorithm, key_id)


@pytest.mark.parametrize(
    ("attestor", "sentence"),
    [
        ({}, "has no note"),
        ({"user_owned_grafeas_note": {"note_reference": "reviewed"}}, "note_reference is 'reviewed'"),
        ({"user_owned_grafeas_note": {"note_reference": NOTE, "public_keys": [{"id": "a:b"}]}}, "holds no key"),
    ],
)
async def test_bad_attestors_are_refused(over_grpc: Clients, attestor: dict[str, Any], sentence: str) -> None:
    """An attestor without a note, or with keys that cannot be read, is INVALID_ARGUMENT."""
    with pytest.raises(exceptions.InvalidArgument, match=sentence):
        await over_grpc.binauthz.create_attestor(parent=PROJECT, attestor_id="a", attestor=attestor)


def numbered(count: int) -> dict[str, Any]:
    """Return an attestor with as many keys, each with an id of its own."""
    pkix = {"public_key_pem": P256, "signature_algorithm": "ECDSA_P256_SHA256"}
    keys = [{"id": f"key:{number}", "pkix_public_key": pkix} for number in range(count)]
    return {"user_owned_grafeas_note": {"note_reference": NOTE, "public_keys": keys}}


async def test_an_attestor_has_at_most_a_thousand_keys(over_grpc: Clients) -> None:
    """1,000 are kept, and one more is refused without a change."""
    create = {"parent": PROJECT, "attestor_id": "reviewer"}
    with pytest.raises(exceptions.InvalidArgument, match="has 1001 public keys; it may have 1000"):
        await over_grpc.binauthz.create_attestor(**create, attestor=numbered(1001))
    await over_grpc.binauthz.create_attestor(**create, attestor=numbered(1000))
    with pytest.raises(exceptions.InvalidArgument, match="has 1001 public keys"):
        await over_grpc.binauthz.update_attestor(attestor=numbered(1001) | {"name": ATTESTOR})

    attestor = await over_grpc.binauthz.get_attestor(name=ATTESTOR)
    assert len(attestor.user_owned_grafeas_note.public_keys) == 1000


async def test_a_project_has_at_most_two_hundred_attestors(clients: Clients) -> None:
    """One more is refused with a QuotaFailure, until one is deleted; a taken name stays a conflict."""
    for number in range(200):
        await clients.binauthz.create_attestor(parent=PROJECT, attestor_id=f"a{number}", attestor=numbered(0))
    with pytest.raises(exceptions.TooManyRequests, match="There are 200 attestors in projects/demo already"):
        await clients.binauthz.create_attestor(parent=PROJECT, attestor_id="more", attestor=numbered(0))
    with pytest.raises(exceptions.Conflict):
        await clients.binauthz.create_attestor(parent=PROJECT, attestor_id="a0", attestor=numbered(0))
    await clients.binauthz.create_attestor(parent="projects/other", attestor_id="more", attestor=numbered(0))
    await clients.binauthz.delete_attestor(name=f"{PROJECT}/attestors/a0")
    await clients.binauthz.create_attestor(parent=PROJECT, attestor_id="more", attestor=numbered(0))

    assert len(await clients.binauthz.list_attestors(parent=PROJECT)) == 200


async def test_the_ids_of_keys_are_unique(over_grpc: Clients) -> None:
    """Two keys under one id, given or computed, are refused; one key under two ids is not."""
    pkix = {"public_key_pem": P256, "signature_algorithm": "ECDSA_P256_SHA256"}
    other = {"public_key_pem": P384, "signature_algorithm": "ECDSA_P384_SHA384"}
    for keys, sentence in (
        ([{"id": "a:b", "pkix_public_key": pkix}, {"id": "a:b", "pkix_public_key": other}], "'a:b' is already that of"),
        ([{"pkix_public_key": pkix}, {"pkix_public_key": pkix}], "is already that of public_keys.0."),
    ):
        note: dict[str, Any] = {"note_reference": NOTE, "public_keys": keys}
        with pytest.raises(exceptions.InvalidArgument, match=sentence):
            await over_grpc.binauthz.create_attestor(
                parent=PROJECT, attestor_id="a", attestor={"user_owned_grafeas_note": note}
            )
    note = {"note_reference": NOTE, "public_keys": [{"id": "a:b", "pkix_public_key": pkix}, {"pkix_public_key": pkix}]}
    created = await over_grpc.binauthz.create_attestor(
        parent=PROJECT, attestor_id="a", attestor={"user_owned_grafeas_note": note}
    )
    assert len(created.user_owned_grafeas_note.public_keys) == 2


async def test_a_project_has_a_policy_from_the_start(clients: Clients) -> None:
    """The default policy allows everything, under the global policy."""
    policy = await clients.binauthz.get_policy(name=POLICY)

    assert policy.default_admission_rule.evaluation_mode.name == "ALWAYS_ALLOW"
    assert policy.global_policy_evaluation_mode.name == "ENABLE"


async def test_a_policy_is_replaced_and_its_etag_guards_it(clients: Clients) -> None:
    """An update answers the new policy; an old etag aborts; both versions see it."""
    await make_attestor(clients, P256)
    old = await clients.binauthz.get_policy(name=POLICY)
    wanted = {"name": POLICY, "default_admission_rule": REQUIRE, "etag": old.etag}
    new = await clients.binauthz.update_policy(policy=wanted)

    assert list(new.default_admission_rule.require_attestations_by) == [ATTESTOR]
    assert await clients.binauthz.get_policy(name=POLICY) == new
    older = await clients.binauthz_beta.get_policy(name=POLICY)
    assert older.default_admission_rule.evaluation_mode.name == "REQUIRE_ATTESTATION"
    with pytest.raises(exceptions.Conflict, match="etag"):
        await clients.binauthz.update_policy(policy=wanted)


@pytest.mark.parametrize(
    ("policy", "sentence"),
    [
        ({}, "default_admission_rule is not set"),
        ({"default_admission_rule": REQUIRE | {"require_attestations_by": []}}, "needs at least one attestor"),
        ({"default_admission_rule": REQUIRE | {"evaluation_mode": "ALWAYS_DENY"}}, "must be empty when .* ALWAYS_DENY"),
        ({"default_admission_rule": REQUIRE | {"evaluation_mode": "ALWAYS_ALLOW"}}, "must be empty when"),
        ({"default_admission_rule": REQUIRE | {"require_attestations_by": ["reviewer"]}}, "form is projects"),
        (
            {"default_admission_rule": REQUIRE | {"require_attestations_by": [f"{PROJECT}/attestors/nobody"]}},
            "nobody, which does not exist",
        ),
        ({"default_admission_rule": {"enforcement_mode": "DRYRUN_AUDIT_LOG_ONLY"}}, "evaluation_mode is not set"),
        ({"default_admission_rule": {"evaluation_mode": "ALWAYS_DENY"}}, "enforcement_mode is not set"),
        ({"cluster_admission_rules": {"here": ALLOW}}, "cluster_admission_rules has the key 'here'"),
        (
            {"cluster_admission_rules": {"a.b": ALLOW}, "kubernetes_namespace_admission_rules": {"n": ALLOW}},
            "Only one map",
        ),
        ({"cluster_admission_rules": {"europe-west3.c": {}}}, "evaluation_mode is not set"),
        ({"admission_whitelist_patterns": [{"name_pattern": "eu*/image"}]}, "name_pattern"),
    ],
)
async def test_illegal_policies_are_refused(over_grpc: Clients, policy: dict[str, Any], sentence: str) -> None:
    """What the API reference forbids is INVALID_ARGUMENT and changes nothing."""
    await make_attestor(over_grpc, P256)
    before = await over_grpc.binauthz.get_policy(name=POLICY)
    given = {"name": POLICY} | ({"default_admission_rule": ALLOW} if policy else {}) | policy
    with pytest.raises(exceptions.InvalidArgument, match=sentence):
        await over_grpc.binauthz.update_policy(policy=given)

    assert await over_grpc.binauthz.get_policy(name=POLICY) == before


@pytest.mark.parametrize(
    "pattern", ["eu.example/image", "eu.example/*", "eu.example/team/**", "eu.example/image@sha256:*"]
)
async def test_patterns_of_exempt_images_are_kept(over_grpc: Clients, pattern: str) -> None:
    """A wildcard may end the path."""
    given = {
        "name": POLICY,
        "default_admission_rule": ALLOW,
        "admission_whitelist_patterns": [{"name_pattern": pattern}],
    }
    policy = await over_grpc.binauthz.update_policy(policy=given)

    assert policy.admission_whitelist_patterns[0].name_pattern == pattern
