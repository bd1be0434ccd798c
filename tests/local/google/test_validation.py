"""ValidateAttestationOccurrence verifies really: one changed byte anywhere is enough to be refused."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from google.api_core import exceptions
from google.cloud.binaryauthorization_v1.types import service
from hypothesis import given
from hypothesis import strategies as st

from tests.local.google.clients import Clients
from tests.local.google.scenes import (
    ATTESTOR,
    DIGEST,
    KEY_ID,
    NOTE,
    PROJECT,
    RESOURCE,
    Signer,
    attestation,
    make_attestor,
    make_key,
    make_note,
    payload,
)
from workers.local.google.binauthz.attestors import Attestors
from workers.local.google.binauthz.validation import Validation
from workers.local.google.store import Store

Validate = service.ValidateAttestationOccurrenceRequest


async def test_a_signed_attestation_is_verified(clients: Clients) -> None:
    """Note, payload, digest, key and signature all fit."""
    signer = Signer(clients)
    await signer.seed()

    assert await signer.validate() == ("VERIFIED", "")


@pytest.mark.parametrize(
    ("algorithm", "stated"),
    [
        ("EC_SIGN_P384_SHA384", "ECDSA_P384_SHA384"),
        ("RSA_SIGN_PKCS1_2048_SHA256", "RSA_SIGN_PKCS1_2048_SHA256"),
        ("RSA_SIGN_PSS_2048_SHA256", "RSA_PSS_2048_SHA256"),
        ("RSA_SIGN_PSS_2048_SHA256", "RSA_SIGN_PSS_2048_SHA256"),
        ("PQ_SIGN_ML_DSA_65", "ML_DSA_65"),
    ],
)
async def test_every_kind_of_key_verifies(over_grpc: Clients, algorithm: str, stated: str) -> None:
    """What Cloud KMS signs with an algorithm, an attestor that states the same one accepts."""
    version = await make_key(over_grpc, algorithm)
    await make_note(over_grpc)
    pem = (await over_grpc.kms.get_public_key(name=version, public_key_format="PEM")).pem
    await make_attestor(over_grpc, pem, stated)
    signature = (await over_grpc.kms.asymmetric_sign(name=version, data=payload())).signature

    assert await Signer(over_grpc).validate(attestation=attestation(signature)) == ("VERIFIED", "")


async def test_the_stated_padding_counts(over_grpc: Clients) -> None:
    """A PKCS #1 signature does not pass for an attestor that states PSS for the same key."""
    version = await make_key(over_grpc, "RSA_SIGN_PKCS1_2048_SHA256")
    pem = (await over_grpc.kms.get_public_key(name=version)).pem
    await make_attestor(over_grpc, pem, "RSA_PSS_2048_SHA256")
    signature = (await over_grpc.kms.asymmetric_sign(name=version, data=payload())).signature
    verdict, reason = await Signer(over_grpc).validate(attestation=attestation(signature))

    assert verdict == "ATTESTATION_NOT_VERIFIABLE"
    assert "The signature is not that of the key" in reason


OTHER = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("content", "changed", "reason"),
    [
        (payload(), {"occurrence_note": f"{PROJECT}/notes/other"}, "is not the attestor's"),
        (payload(), {"occurrence_resource_uri": "https://example/shop:latest"}, "does not end in @sha256:"),
        (payload(), {"occurrence_resource_uri": f"https://example/shop@{OTHER}"}, f"but the resource is {OTHER}"),
        (payload(OTHER), {}, f"The payload is about {OTHER}"),
        (payload(kind="cosign container image signature"), {}, "critical.type is 'cosign container image signature'"),
        (b"not json", {}, "The payload is not JSON"),
        (b"\xff", {}, "The payload is not JSON"),
        (b"[" * 60_000, {}, "The payload is not JSON"),
        (b"{}", {}, "The payload lacks critical"),
        (json.dumps({"critical": []}).encode(), {}, "The payload lacks critical"),
    ],
)
async def test_a_failed_check_is_named(
    over_grpc: Clients, content: bytes, changed: dict[str, Any], reason: str
) -> None:
    """The denial reason says which check failed, although the signature is good."""
    signer = Signer(over_grpc)
    await signer.seed()
    signed = attestation(await signer.sign(content), content=content)
    verdict, said = await signer.validate(**({"attestation": signed} | changed))

    assert verdict == "ATTESTATION_NOT_VERIFIABLE"
    assert reason in said


async def test_the_key_id_must_be_the_attestors_own(over_grpc: Clients) -> None:
    """The right key under another id does not verify; one good signature among bad ones does."""
    signer = Signer(over_grpc)
    await signer.seed()
    signature = await signer.sign()
    short = KEY_ID.removeprefix("//cloudkms.googleapis.com/v1/")
    verdict, reason = await signer.validate(attestation=attestation(signature, short))

    assert verdict == "ATTESTATION_NOT_VERIFIABLE"
    assert f"no public key with the id '{short}'" in reason
    several = attestation(signature)
    several["signatures"] = [{"signature": b"x", "public_key_id": short}, *several["signatures"]]
    assert await signer.validate(attestation=several) == ("VERIFIED", "")


async def test_an_attestor_without_keys_verifies_nothing(over_grpc: Clients) -> None:
    """No key, no valid attestation."""
    signer = Signer(over_grpc)
    await signer.seed()
    attestor = await over_grpc.binauthz.get_attestor(name=ATTESTOR)
    attestor.user_owned_grafeas_note.public_keys = []
    await over_grpc.binauthz.update_attestor(attestor=attestor)
    verdict, reason = await signer.validate()

    assert verdict == "ATTESTATION_NOT_VERIFIABLE"
    assert "no public keys" in reason


@pytest.mark.parametrize("field", ["occurrence_note", "occurrence_resource_uri", "attestation"])
async def test_a_request_without_a_required_part_is_refused(over_grpc: Clients, field: str) -> None:
    """What is missing is INVALID_ARGUMENT, not a verdict."""
    signer = Signer(over_grpc)
    await signer.seed()
    with pytest.raises(exceptions.InvalidArgument, match=field):
        await signer.validate(**{field: None})


async def test_an_unknown_attestor_is_not_found(over_grpc: Clients) -> None:
    """The attestor of a request must exist."""
    signer = Signer(over_grpc)
    await signer.seed()
    with pytest.raises(exceptions.NotFound, match="Attestor projects/demo/attestors/nobody not found"):
        await signer.validate(attestor=f"{PROJECT}/attestors/nobody")


class Bench:
    """The validation alone, with a key of its own and one good request."""

    def __init__(self, data: Path, private: Any, algorithm: str, *how: Any) -> None:
        self.store = Store(data)
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        pem = private.public_key().public_bytes(serialization.Encoding.PEM, form)
        attestors = Attestors(self.store)
        key = {"id": KEY_ID, "pkix_public_key": {"public_key_pem": pem, "signature_algorithm": algorithm}}
        attestor = {"user_owned_grafeas_note": {"note_reference": NOTE, "public_keys": [key]}}
        request = service.CreateAttestorRequest(parent=PROJECT, attestor_id="reviewer", attestor=attestor)
        attestors.create(service.CreateAttestorRequest.pb(request))
        self.signature = private.sign(payload(), *how)
        self.validation = Validation(attestors)

    def verdict(self, content: bytes, signature: bytes, resource: str = RESOURCE, key_id: str = KEY_ID) -> str:
        """Return the verdict on one attestation."""
        signed = attestation(signature, key_id, content)
        request = Validate(
            attestor=ATTESTOR, occurrence_note=NOTE, occurrence_resource_uri=resource, attestation=signed
        )
        answer = self.validation.validate(Validate.pb(request))
        return str(service.ValidateAttestationOccurrenceResponse.Result(answer.result).name)


P256 = (ec.generate_private_key(ec.SECP256R1()), "ECDSA_P256_SHA256", ec.ECDSA(hashes.SHA256()))
P521 = (ec.generate_private_key(ec.SECP521R1()), "ECDSA_P521_SHA512", ec.ECDSA(hashes.SHA512()))
ML_DSA = (mldsa.MLDSA65PrivateKey.generate(), "ML_DSA_65")


@pytest.fixture(scope="module", params=[P256, P521, ML_DSA], ids=lambda scheme: scheme[1])
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Give a validation with one good attestation, by each kind of key that Cloud KMS does not make as well."""
    bench = Bench(tmp_path_factory.mktemp("validation"), *request.param)
    assert bench.verdict(payload(), bench.signature) == "VERIFIED"
    yield bench
    bench.store.close()


def flipped(content: bytes, place: int, mask: int) -> bytes:
    """Return *content* with one byte changed."""
    place %= len(content)
    return content[:place] + bytes([content[place] ^ mask]) + content[place + 1 :]


PLACES = st.integers(min_value=0, max_value=4095)
MASKS = st.integers(min_value=1, max_value=255)


@given(place=PLACES, mask=MASKS)
def test_no_byte_of_the_payload_can_change(bench: Bench, place: int, mask: int) -> None:
    """Any flipped byte of the payload is refused."""
    assert bench.verdict(flipped(payload(), place, mask), bench.signature) == "ATTESTATION_NOT_VERIFIABLE"


@given(place=PLACES, mask=MASKS)
def test_no_byte_of_the_signature_can_change(bench: Bench, place: int, mask: int) -> None:
    """Any flipped byte of the signature is refused."""
    assert bench.verdict(payload(), flipped(bench.signature, place, mask)) == "ATTESTATION_NOT_VERIFIABLE"


@given(place=PLACES, mask=st.integers(min_value=1, max_value=15))
def test_no_digit_of_the_digest_can_change(bench: Bench, place: int, mask: int) -> None:
    """Any other digest, in the resource or in the payload, is refused."""
    digits = DIGEST.removeprefix("sha256:")
    place %= len(digits)
    digit = f"{int(digits[place], 16) ^ mask:x}"
    digest = f"sha256:{digits[:place]}{digit}{digits[place + 1 :]}"

    assert bench.verdict(payload(), bench.signature, RESOURCE.replace(DIGEST, digest)) == "ATTESTATION_NOT_VERIFIABLE"
    assert bench.verdict(payload(digest), bench.signature) == "ATTESTATION_NOT_VERIFIABLE"


@given(text=st.text(max_size=80).filter(lambda text: text != KEY_ID))
def test_no_other_key_id_passes(bench: Bench, text: str) -> None:
    """The id is compared byte for byte."""
    assert bench.verdict(payload(), bench.signature, key_id=text) == "ATTESTATION_NOT_VERIFIABLE"
