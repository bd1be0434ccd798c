"""What is no key to sign with, and the sentence for each."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.adapters.keys.secret_keys import PASSPHRASE, Gpg, openssl
from workers.adapters.keys.local import LocalSigningKeys
from workers.failures import Denied, Invalid, NotFound

Keep = Callable[..., str]
EC = ec.generate_private_key(ec.SECP256R1())


def pem(form: PrivateFormat = PrivateFormat.PKCS8) -> str:
    """Return the EC key as PEM."""
    return EC.private_bytes(Encoding.PEM, form, NoEncryption()).decode()


def certificate() -> str:
    """Return a certificate for the EC key."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ci")])
    now = datetime.now(UTC)
    until = now + timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, EC.public_key(), x509.random_serial_number(), now, until)
    signed = builder.sign(EC, hashes.SHA256())
    return signed.public_bytes(Encoding.PEM).decode()


async def refusal(reference: str) -> str:
    """Return why neither reading nor signing works: both say the same."""
    keys = LocalSigningKeys()
    with pytest.raises(Invalid) as read:
        await keys.public_key(reference)
    with pytest.raises(Invalid) as signed:
        await keys.sign(reference, b"payload", timeout=30)
    assert str(read.value) == str(signed.value)
    assert "canary" not in str(read.value)
    return str(read.value)


async def test_a_certificate_is_no_key(keep: Keep) -> None:
    """It is often taken for one; a key beside its certificate is found, though."""
    kept = keep(certificate())

    assert await refusal(kept) == (
        f"the key in {kept} is a certificate, which holds only a public key: name the private key, which alone can sign"
    )
    await LocalSigningKeys().public_key(keep(certificate() + pem(), "both"))


async def test_a_public_key_is_no_key(keep: Keep) -> None:
    """Its private half is meant."""
    public = EC.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    assert "is a public key: name the private key" in await refusal(keep(public))


async def test_an_openssh_key_is_told_how_to_be_converted(keep: Keep) -> None:
    """Its form is OpenSSH's own."""
    assert "convert a copy with `ssh-keygen -p -m PKCS8" in await refusal(keep(pem(PrivateFormat.OpenSSH)))


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("RSA", ["-pkeyopt", "rsa_keygen_bits:1024"], "RSA with 1024 bits"),
        ("EC", ["-pkeyopt", "ec_paramgen_curve:secp256k1"], "EC on secp256k1"),
        ("ED25519", [], "Ed25519"),
        ("ED448", [], "Ed448"),
    ],
)
async def test_a_kind_that_binary_authorization_does_not_know(
    keep: Keep, kind: str, options: list[str], said: str
) -> None:
    """The sentence says what it is and what it may be."""
    text = openssl("genpkey", "-algorithm", kind, *options)

    assert f"is {said}, which Binary Authorization does not know: make a key of EC (P-256" in await refusal(keep(text))


async def test_a_dsa_key_is_one_of_them(keep: Keep) -> None:
    """Its file begins with parameters, which are no key."""
    assert "is DSA, which Binary Authorization does not know" in await refusal(
        keep(openssl("dsaparam", "-genkey", "1024"))
    )


async def test_an_algorithm_that_the_key_cannot(keep: Keep) -> None:
    """The sentence names those that it can."""
    text = rsa.generate_private_key(65537, 3072).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    kept = keep(text.decode())

    assert await refusal(f"{kept}?algorithm=RSA_PSS_4096_SHA512") == (
        f"the key in {kept} is RSA with 3072 bits, which cannot sign with RSA_PSS_4096_SHA512: write one of"
        " RSA_PSS_3072_SHA256, RSA_SIGN_PKCS1_3072_SHA256 as its `algorithm`, or none"
    )


async def test_an_encrypted_key_without_its_passphrase_or_with_a_wrong_one(keep: Keep) -> None:
    """In the form of today and in that of yesterday; neither sentence holds a passphrase."""
    new = openssl(
        "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-aes256", "-pass", f"pass:{PASSPHRASE}"
    )
    old = openssl("genrsa", "-aes128", "-passout", f"pass:{PASSPHRASE}", "-traditional", "2048")
    wrong, right = keep("canary-wrong", "wrong"), keep(PASSPHRASE, "right")
    for number, text in enumerate((new, old)):
        kept = keep(text, f"encrypted-{number}")

        assert await refusal(kept) == (
            f"the key in {kept} is encrypted: name its passphrase in the key's reference, ?passphrase=env://NAME or"
            " ?passphrase=file:///PATH"
        )
        assert await refusal(f"{kept}?passphrase={wrong}") == (
            f"the passphrase does not open the key in {kept}: check the secret that `passphrase` names"
        )
        assert (await LocalSigningKeys().public_key(f"{kept}?passphrase={right}")).pem


async def test_a_passphrase_that_is_not_there(keep: Keep) -> None:
    """Its reference is named, as is that of the key."""
    keys = LocalSigningKeys()
    with pytest.raises(NotFound, match="the secret env://SEALANE_TEST_ABSENT is not there"):
        await keys.public_key(f"{keep(pem())}?passphrase=env://SEALANE_TEST_ABSENT")
    with pytest.raises(NotFound, match="the secret file /nowhere/key does not exist"):
        await keys.public_key("file:///nowhere/key")


async def test_a_file_that_all_can_read_is_refused(keep: Keep) -> None:
    """A private key that every user of the machine may read is none."""
    kept = keep(pem(), mode=0o644)
    with pytest.raises(Denied, match="is open to every user of the machine: run chmod o-rw"):
        await LocalSigningKeys().public_key(kept)


@pytest.mark.parametrize("text", ["canary, the key itself", "-----BEGIN PRIVATE KEY-----\ncanary"])
async def test_what_is_no_pem_at_all(keep: Keep, text: str) -> None:
    """Or only half of one."""
    assert "is no private key: a PEM block (BEGIN PRIVATE KEY" in await refusal(keep(text))


async def test_a_damaged_key_and_two_keys(keep: Keep) -> None:
    """The first cannot be read, of the second nobody knows which is meant."""
    damaged = pem().splitlines()
    damaged[1] = "canary" + damaged[1][6:]

    assert "is a damaged private key: put it there again, whole" in await refusal(keep("\n".join(damaged)))
    assert "holds 2 private keys: keep one key in one place" in await refusal(keep(pem() + pem(), "two"))


async def test_an_openpgp_key_that_only_certifies_has_no_signing_subkey(keep: Keep, gpg: Gpg) -> None:
    """The sentence holds the command that adds one."""
    fingerprint = gpg.key("ci", use="cert")
    kept = keep(gpg.secret("ci"))

    assert await refusal(kept) == (
        f"the key in {kept} (fingerprint {fingerprint}) has no signing subkey: add one with `gpg --quick-add-key"
        f" {fingerprint} rsa3072 sign`, and export it again"
    )


async def test_an_expired_openpgp_key(keep: Keep, gpg: Gpg) -> None:
    """It says since when, and how to extend it."""
    gpg.run("--faked-system-time", "20200101T000000", "--quick-gen-key", "ci@example.com", "rsa2048", "sign", "1d")

    said = await refusal(keep(gpg.secret("ci")))
    assert "expired on 2020-01-02: extend it with `gpg --quick-set-expire" in said


async def test_an_openpgp_key_whose_signing_subkey_expired(keep: Keep, gpg: Gpg) -> None:
    """The primary key lives on, and cannot sign."""
    clock = ("--faked-system-time", "20200101T000000")
    gpg.run(*clock, "--quick-gen-key", "ci@example.com", "rsa2048", "cert", "never")
    gpg.run(*clock, "--quick-add-key", gpg.fingerprint("ci"), "rsa2048", "sign", "1d")

    assert "cannot sign now: its signing subkey expired, was revoked" in await refusal(keep(gpg.secret("ci")))


async def test_a_revoked_openpgp_key(keep: Keep, gpg: Gpg) -> None:
    """It shall leave the attestor as well."""
    fingerprint = gpg.key("ci")
    gpg.revoke("ci")

    assert f"(fingerprint {fingerprint}) was revoked: sign with another key" in await refusal(keep(gpg.secret("ci")))


async def test_an_encrypted_openpgp_key_without_its_passphrase_or_with_a_wrong_one(keep: Keep, gpg: Gpg) -> None:
    """The same sentences as for a PEM."""
    fingerprint = gpg.key("ci", passphrase=PASSPHRASE)
    kept = keep(gpg.secret("ci", passphrase=PASSPHRASE))
    wrong, right = keep("canary-wrong", "wrong"), keep(PASSPHRASE, "right")

    assert f"the key in {kept} is encrypted: name its passphrase" in await refusal(kept)
    assert "the passphrase does not open the key" in await refusal(f"{kept}?passphrase={wrong}")
    assert (await LocalSigningKeys().public_key(f"{kept}?passphrase={right}")).id == fingerprint


async def test_an_openpgp_key_of_dsa(keep: Keep, gpg: Gpg) -> None:
    """Nothing new should be signed with it."""
    gpg.key("ci", "dsa2048")

    assert "signs with DSA, which is not accepted any more" in await refusal(keep(gpg.secret("ci")))


async def test_an_openpgp_export_without_the_secret_that_signs(keep: Keep, gpg: Gpg) -> None:
    """Not an encrypted one, though it looks like it."""
    fingerprint = gpg.key("ci")
    gpg.run("--quick-add-key", fingerprint, "rsa2048", "sign", "never")
    text = gpg.secret("ci", what="--export-secret-subkeys")

    assert "lacks the secret of its primary key, which may sign as well as its subkey" in await refusal(keep(text))


async def test_openpgp_keys_that_are_no_single_secret_key(keep: Keep, gpg: Gpg) -> None:
    """A public key, a keyring, a damaged one, and one with an algorithm."""
    gpg.key("ci")
    gpg.key("other")
    one = gpg.secret("ci")

    assert "is an OpenPGP public key: name the private key" in await refusal(keep(gpg.run("--armor", "--export")))
    assert "holds 2 OpenPGP keys: export the one that shall sign" in await refusal(keep(one + gpg.secret("other")))
    assert "is a damaged OpenPGP key: export it again" in await refusal(keep(one[: len(one) // 2], "half"))
    assert "leave `algorithm` out" in await refusal(f"{keep(one)}?algorithm=RSA_PSS_4096_SHA512")
