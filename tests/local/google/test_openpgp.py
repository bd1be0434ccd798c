"""Binary Authorization with OpenPGP keys: registered by fingerprint, verified in attached messages."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions
from pysequoia import ArmorKind, Cert, Profile, SignatureMode, Tsk, armor, sign
from pysequoia.packet import PacketPile, Tag

from tests.local.google import pgp
from tests.local.google.clients import Clients
from tests.local.google.pgp import PgpKey
from tests.local.google.scenes import ATTESTOR, DIGEST, NOTE, PROJECT, RESOURCE, Signer, attestation, payload
from workers.local.google.binauthz.armor import unarmored

OTHER = "sha256:" + "0" * 64
Gnupg = Callable[..., bytes]


@pytest.fixture(scope="module")
def key() -> PgpKey:
    """Give a key that is good."""
    return pgp.make()


def long_ago(day: int) -> tuple[str, str]:
    """Return gpg's options for a day of January 2020.

    What it makes may be a second younger than the clock it is told; the next command's clock begins anew.
    """
    return "--faked-system-time", f"202001{day:02}T000000"


async def register(clients: Clients, *armored: str, key_id: str = "") -> Any:
    """Make an attestor with OpenPGP keys and return it."""
    keys = [{"id": key_id, "ascii_armored_pgp_public_key": one, "comment": "a builder"} for one in armored]
    note = {"note_reference": NOTE, "public_keys": keys}
    return await clients.binauthz.create_attestor(
        parent=PROJECT, attestor_id="reviewer", attestor={"user_owned_grafeas_note": note}
    )


async def verdict(clients: Clients, key: PgpKey, signature: bytes, **changed: Any) -> tuple[str, str]:
    """Return the verdict on a signature, and its reason."""
    request = {
        "attestor": ATTESTOR,
        "attestation": attestation(signature, key.id),
        "occurrence_note": NOTE,
        "occurrence_resource_uri": RESOURCE,
    }
    answer = await clients.validation.validate_attestation_occurrence(**(request | changed))
    return answer.result.name, answer.denial_reason


async def test_a_message_signed_by_the_key_is_verified(clients: Clients, key: PgpKey) -> None:
    """The key's id is its fingerprint, and what its subkey signed is an attestation."""
    created = await register(clients, key.armored)
    (kept,) = created.user_owned_grafeas_note.public_keys

    assert kept.id == key.id
    assert len(kept.id) == 40
    assert kept.ascii_armored_pgp_public_key == key.armored
    assert await verdict(clients, key, key.sign(payload())) == ("VERIFIED", "")


async def test_v1beta1_sees_the_key_too(clients: Clients, key: PgpKey) -> None:
    """Both versions of the API know OpenPGP keys by the same id."""
    await register(clients, key.armored)
    older = await clients.binauthz_beta.get_attestor(name=ATTESTOR)

    assert [one.id for one in older.user_owned_drydock_note.public_keys] == [key.id]


async def test_a_given_id_is_overwritten(over_grpc: Clients, key: PgpKey) -> None:
    """Only the service computes the id of an OpenPGP key."""
    created = await register(over_grpc, key.armored, key_id="mine")

    assert [one.id for one in created.user_owned_grafeas_note.public_keys] == [key.id]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (pgp.expired, "expired on"),
        (pgp.revoked, "is revoked"),
        (pgp.certifying_only, "may not sign"),
    ],
)
async def test_a_key_that_is_not_good_verifies_nothing(
    over_grpc: Clients, key: PgpKey, change: Callable[[PgpKey], PgpKey], reason: str
) -> None:
    """The attestor keeps the key, and the denial says what is wrong with it."""
    await register(over_grpc, change(key).armored)
    result, said = await verdict(over_grpc, key, key.sign(payload()))

    assert result == "ATTESTATION_NOT_VERIFIABLE"
    assert reason in said
    assert key.id in said


async def test_a_message_that_does_not_fit_is_refused(over_grpc: Clients, key: PgpKey) -> None:
    """Another key, other content, another digest, no message, a detached or cleartext signature: each is named."""
    await register(over_grpc, key.armored)
    detached = sign(key.secret.signer(), payload(), mode=SignatureMode.DETACHED)
    cleartext = sign(key.secret.signer(), payload(), mode=SignatureMode.CLEAR)
    for signature, reason in (
        (pgp.make().sign(payload()), "no valid signatures"),
        (key.sign(payload(OTHER)), "holds other bytes than the payload"),
        (key.sign(b""), "holds other bytes than the payload"),
        (detached, "not one armored block"),
        (cleartext, "not one armored block"),
        (unarmored(key.sign(payload()), "MESSAGE"), "not one armored block"),
        (b"", "not one armored block"),
    ):
        result, said = await verdict(over_grpc, key, signature)
        assert result == "ATTESTATION_NOT_VERIFIABLE"
        assert reason in said
        assert "Stack backtrace" not in said

    elsewhere = RESOURCE.replace(DIGEST, OTHER)
    result, said = await verdict(over_grpc, key, key.sign(payload()), occurrence_resource_uri=elsewhere)
    assert (result, OTHER in said) == ("ATTESTATION_NOT_VERIFIABLE", True)
    lower = attestation(key.sign(payload()), key.id.lower())
    result, said = await verdict(over_grpc, key, b"", attestation=lower)
    assert (result, "no public key with the id" in said) == ("ATTESTATION_NOT_VERIFIABLE", True)


async def test_no_byte_of_a_message_or_payload_can_change(over_grpc: Clients, key: PgpKey) -> None:
    """A changed character anywhere in the armored message is refused, and so is one in the payload."""
    await register(over_grpc, key.armored)
    signature = key.sign(payload())
    for place in range(len(signature)):
        changed = signature[:place] + bytes([signature[place] ^ (1 + place % 255)]) + signature[place + 1 :]
        assert (await verdict(over_grpc, key, changed))[0] == "ATTESTATION_NOT_VERIFIABLE", place
    for place in range(0, len(payload()), 7):
        changed = payload()[:place] + bytes([payload()[place] ^ 1]) + payload()[place + 1 :]
        signed = attestation(signature, key.id, changed)
        assert (await verdict(over_grpc, key, b"", attestation=signed))[0] == "ATTESTATION_NOT_VERIFIABLE", place


async def test_pgp_and_pkix_keys_live_on_one_attestor(over_grpc: Clients, key: PgpKey) -> None:
    """Any one key of an attestor is enough, of either kind."""
    signer = Signer(over_grpc)
    await signer.seed()
    attestor = await over_grpc.binauthz.get_attestor(name=ATTESTOR)
    attestor.user_owned_grafeas_note.public_keys.append({"ascii_armored_pgp_public_key": key.armored})
    await over_grpc.binauthz.update_attestor(attestor=attestor)

    assert await signer.validate() == ("VERIFIED", "")
    assert await verdict(over_grpc, key, key.sign(payload())) == ("VERIFIED", "")


def keyring() -> str:
    """Return two keys in one block."""
    return armor(bytes(pgp.make().cert) + bytes(pgp.make().cert), ArmorKind.PublicKey)


@pytest.mark.parametrize(
    ("armored", "sentence"),
    [
        (lambda: "no key", "must hold -----BEGIN PGP PUBLIC KEY BLOCK----- once"),
        (lambda: pgp.make().armored + pgp.make().armored, "must hold -----BEGIN PGP PUBLIC KEY BLOCK----- once"),
        (lambda: str(pgp.make().secret), "must hold -----BEGIN PGP PUBLIC KEY BLOCK----- once"),
        (lambda: armor(bytes(pgp.make().secret), ArmorKind.PublicKey), "holds a private key"),
        (lambda: pgp.make().armored[:200], "is not an OpenPGP public key"),
        (keyring, "Additional packets found"),
        (lambda: str(Tsk.generate("six", profile=Profile.RFC9580).extract_certificate()), "is not a V4 key"),
    ],
)
async def test_what_is_no_pgp_public_key_is_refused(
    over_grpc: Clients, armored: Callable[[], str], sentence: str
) -> None:
    """One armored V4 public key and nothing else is registered."""
    with pytest.raises(exceptions.InvalidArgument, match=sentence):
        await register(over_grpc, armored())


async def test_one_key_is_registered_once(over_grpc: Clients, key: PgpKey) -> None:
    """The id of a key is its fingerprint, so that two exports of one key collide."""
    with pytest.raises(exceptions.InvalidArgument, match="is already that of public_keys"):
        await register(over_grpc, key.armored, pgp.expired(key).armored)


@pytest.fixture
def gnupg(tmp_path: Path) -> Iterator[Gnupg]:
    """Run gpg on a key ring of its own; its agent is gone afterwards."""
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    flags = ("--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "")

    def run(*arguments: str, content: bytes = b"") -> bytes:
        done = subprocess.run(["gpg", *flags, *arguments], input=content, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    yield run
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)


async def judged(clients: Clients, gnupg: Gnupg, signature: bytes) -> tuple[str, str]:
    """Register the key that gpg exports, and return the verdict on a signature that names it."""
    created = await register(clients, gnupg("--armor", "--export", "builder@example.com").decode())
    cert = Cert.from_bytes(gnupg("--export", "builder@example.com"))
    (kept,) = created.user_owned_grafeas_note.public_keys
    assert kept.id == cert.fingerprint.upper()
    signed = attestation(signature, kept.id)
    request = {"attestor": ATTESTOR, "attestation": signed, "occurrence_note": NOTE}
    answer = await clients.validation.validate_attestation_occurrence(**request, occurrence_resource_uri=RESOURCE)
    return answer.result.name, answer.denial_reason


@pytest.mark.parametrize("algorithm", ["rsa2048", "ed25519", "nistp256"])
async def test_what_gpg_signs_is_verified(over_grpc: Clients, gnupg: Gnupg, algorithm: str) -> None:
    """The way that Google's guides show: `gpg --armor --export` and `gpg --armor --sign`."""
    gnupg("--quick-generate-key", "builder@example.com", algorithm, "sign", "never")
    signature = gnupg("--armor", "--sign", content=payload())

    assert Tag.Literal in [packet.tag for packet in PacketPile.from_bytes(signature)]
    assert await judged(over_grpc, gnupg, signature) == ("VERIFIED", "")


async def test_a_signature_does_not_outlive_its_key(over_grpc: Clients, gnupg: Gnupg) -> None:
    """A message signed while the key was good is refused once the key has expired."""
    gnupg(*long_ago(1), "--quick-generate-key", "builder@example.com", "ed25519", "sign", "1y")
    result, said = await judged(over_grpc, gnupg, gnupg(*long_ago(2), "--armor", "--sign", content=payload()))

    assert result == "ATTESTATION_NOT_VERIFIABLE"
    assert "expired on 20" in said


async def test_a_signature_does_not_outlive_its_subkey(over_grpc: Clients, gnupg: Gnupg) -> None:
    """The same holds for a signing subkey of a key that goes on, beside which a newer subkey is good."""
    gnupg(*long_ago(1), "--quick-generate-key", "builder@example.com", "ed25519", "cert", "never")
    fingerprint = Cert.from_bytes(gnupg("--export", "builder@example.com")).fingerprint
    gnupg(*long_ago(2), "--quick-add-key", fingerprint, "ed25519", "sign", "1y")
    old = gnupg(*long_ago(3), "--armor", "--sign", content=payload())
    gnupg("--quick-add-key", fingerprint, "ed25519", "sign", "never")
    new = gnupg("--armor", "--sign", content=payload())
    result, said = await judged(over_grpc, gnupg, old)

    assert result == "ATTESTATION_NOT_VERIFIABLE"
    assert "by a subkey of the OpenPGP key" in said
    await over_grpc.binauthz.delete_attestor(name=ATTESTOR)
    assert await judged(over_grpc, gnupg, new) == ("VERIFIED", "")


async def test_a_key_with_weak_bindings_verifies_nothing(over_grpc: Clients, gnupg: Gnupg) -> None:
    """A key that is held together by SHA-1 is kept, and what it signs is refused with a reason."""
    weak = ("--cert-digest-algo", "SHA1")
    gnupg(*weak, "--quick-generate-key", "builder@example.com", "rsa2048", "sign", "never")
    result, said = await judged(over_grpc, gnupg, gnupg("--armor", "--sign", content=payload()))

    assert result == "ATTESTATION_NOT_VERIFIABLE"
    assert said
    assert "Stack backtrace" not in said
