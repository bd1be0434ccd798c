"""`sealane keys`: what it makes, takes in and shows, and what it never does."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pysequoia import CipherSuite, Profile, Tsk
from pysequoia.packet import PacketPile
from typer.testing import CliRunner

from tests.adapters.keys.secret_keys import PASSPHRASE, Gpg, openssl
from tests.commands.command import Finished, Sealane
from tests.contracts.google import RING, TOKEN, GoogleWorld, google_world
from workers.__main__ import app
from workers.adapters.keys.local import LocalSigningKeys
from workers.adapters.keys.verifying import is_signature_of
from workers.failures import Invalid, SealaneError

PAYLOAD = b"payload"


class Keys:
    """The command with a home of its own; in this process, since each of its own takes a second to start."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            "HOME": str(folder),
            "CI_PASSPHRASE": PASSPHRASE,
            "CI_WRONG": "canary-wrong",
            "SEALANE_NATS": "nats://127.0.0.1:1",
            "SEALANE_DATA": str(folder / "nowhere"),
        }

    async def __call__(self, *arguments: str) -> Finished:
        """Run `sealane keys …`; whatever comes of it, nothing private is written anywhere but into the folder."""
        done = await asyncio.to_thread(CliRunner(env=self.environment).invoke, app, ["keys", *arguments])
        if isinstance(problem := done.exception, SealaneError):
            finished = Finished(2 if isinstance(problem, Invalid) else 1, done.stdout, str(problem))
        else:
            finished = Finished(done.exit_code, done.stdout, done.stderr)
        self.require_silence(finished)
        return finished

    def require_silence(self, done: Finished) -> None:
        """Find nothing private in what was written."""
        for text in (done.out, done.err):
            assert "canary" not in text
            assert "PRIVATE KEY" not in text
            # An armored OpenPGP secret key holds the public one, line by line.
            for file in (one for one in self.files() if one.suffix == ".pem"):
                assert not [line for line in file.read_text().splitlines() if len(line) > 20 and line in text]

    async def made(self, *arguments: str) -> dict[str, Any]:
        """Run it, expect success and return the record."""
        done = await self(*arguments, "--json")
        assert done.code == 0, done.err
        (record,) = done.lines
        return record

    def files(self) -> list[Path]:
        """Return the keys in the default folder."""
        return sorted((self.folder / ".config/sealane/keys").glob("*"))


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """Give the command an empty home."""
    return Keys(tmp_path)


@pytest.fixture
def gpg(tmp_path: Path) -> Iterator[Gpg]:
    """GnuPG with an empty keyring."""
    with Gpg(tmp_path / "gnupg") as found:
        yield found


async def require_signing(record: dict[str, Any]) -> None:
    """Sign with the printed reference, and verify with the printed public half."""
    local = LocalSigningKeys()
    public = await local.public_key(record["reference"])
    assert (public.id, public.algorithm) == (record["id"], record["algorithm"])
    assert is_signature_of(public, await local.sign(record["reference"], PAYLOAD, timeout=60), PAYLOAD)


@pytest.mark.parametrize("algorithm", ["ECDSA_P256_SHA256", "ECDSA_P521_SHA512", "RSA_PSS_3072_SHA256", "ML_DSA_65"])
async def test_a_local_key_is_made_for_its_owner_alone(keys: Keys, algorithm: str) -> None:
    """0600 in a folder of 0700; the reference that is printed signs, the public half that is printed verifies."""
    record = await keys.made("create", "--name", "ci", "--algorithm", algorithm.lower().replace("_", "-"))

    (file,) = keys.files()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert record["reference"].startswith(f"file://{file}")
    assert record["algorithm"] == algorithm
    assert record["attestor_public_key"]["id"] == record["id"]
    assert record["attestor_public_key"]["pkixPublicKey"]["signatureAlgorithm"] == algorithm
    await require_signing(record)


async def test_a_key_with_a_passphrase_is_encrypted(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """The passphrase is given by reference, and its reference is part of the key's."""
    record = await keys.made("create", "--name", "ci", "--passphrase", "env://CI_PASSPHRASE")

    (file,) = keys.files()
    assert file.read_text().startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert record["reference"] == f"file://{file}?passphrase=env://CI_PASSPHRASE"
    monkeypatch.setenv("CI_PASSPHRASE", PASSPHRASE)
    await require_signing(record)


async def test_an_openpgp_key_is_known_to_gpg_by_its_fingerprint(keys: Keys, gpg: Gpg) -> None:
    """Upper case, version 4; what it signs is good for gpg; its id is left to Binary Authorization."""
    record = await keys.made("create", "--name", "ci", "--algorithm", "OPENPGP", "--user-id", "ci@example.com")
    public = keys.folder / "public.asc"
    public.write_text((await keys("show", "ci", "--public")).out)
    gpg.run("--import", str(public))

    assert not [packet for packet in PacketPile.from_file(str(public)) if "Secret" in str(packet.tag)]
    assert gpg.fingerprint("ci") == record["id"]
    assert list(record["attestor_public_key"]) == ["asciiArmoredPgpPublicKey"]
    await require_signing(record)
    signed = keys.folder / "signed"
    signed.write_bytes(await LocalSigningKeys().sign(record["reference"], PAYLOAD, timeout=60))
    assert gpg.run("--decrypt", str(signed)) == PAYLOAD.decode()


async def test_what_is_there_is_never_overwritten_unawares(keys: Keys) -> None:
    """Not by create, not by import, not in the other form; with --overwrite it is replaced whole."""
    await keys.made("create", "--name", "ci")
    (file,) = keys.files()
    before = file.read_text()

    for arguments in (["create", "--name", "ci"], ["import", str(file), "--name", "ci"]):
        refused = await keys(*arguments)
        assert (refused.code, refused.out) == (2, "")
        assert f"{file} is there already: choose another --name, or replace it with --overwrite" in refused.err
    assert (await keys("create", "--name", "ci", "--algorithm", "OPENPGP")).code == 2
    assert file.read_text() == before

    source = keys.folder / "source.asc"
    source.touch(0o600)
    source.write_text(str(Tsk.generate("ci", profile=Profile.RFC4880, cipher_suite=CipherSuite.P256)))
    record = await keys.made("import", str(source), "--name", "ci", "--overwrite")
    assert [one.name for one in keys.files()] == ["ci.asc"]
    await require_signing(record)


async def test_a_folder_that_everybody_may_change_is_no_place_for_keys(keys: Keys) -> None:
    """Whoever may write there can put a key of their own in the place of ours."""
    folder = keys.folder / "for all"
    folder.mkdir()
    folder.chmod(0o777)
    refused = await keys("create", "--name", "ci", "--folder", str(folder))
    folder.chmod(0o775)
    made = await keys("create", "--name", "ci", "--folder", str(folder))

    assert f"run chmod o-w '{folder}', or choose another --folder" in refused.err
    assert (refused.code, made.code) == (1, 0)


async def test_an_encrypted_key_asks_for_the_option_at_hand(keys: Keys) -> None:
    """Not for a part of a reference that nobody wrote."""
    await keys.made("create", "--name", "ci", "--passphrase", "env://CI_PASSPHRASE")
    (file,) = keys.files()
    for arguments in (("show", "ci"), ("import", str(file), "--name", "other")):
        refused = await keys(*arguments)
        assert refused.code == 2
        assert "is encrypted: say where its passphrase is, --passphrase env://NAME or --passphrase file" in refused.err
    assert (await keys("show", "ci", "--passphrase", "env://CI_PASSPHRASE")).code == 0


async def test_an_existing_key_is_copied_once_it_is_known_to_sign(keys: Keys, gpg: Gpg) -> None:
    """PEM and OpenPGP, byte for byte; the source stays where it is."""
    gpg.key("ci")
    for name, text in (("pem", openssl("ecparam", "-name", "secp384r1", "-genkey")), ("asc", gpg.secret("ci"))):
        source = keys.folder / f"source.{name}"
        source.touch(0o600)
        source.write_text(text)
        record = await keys.made("import", str(source), "--name", name)

        copy = keys.folder / f".config/sealane/keys/{name}.{name}"
        assert (copy.read_text(), copy.stat().st_mode & 0o777) == (source.read_text(), 0o600)
        await require_signing(record)


async def test_what_cannot_sign_is_not_taken_in(keys: Keys) -> None:
    """Wrong passphrase, a key of no use, a file for all to read, no file at all: said, and nothing is written."""
    encrypted = openssl("genpkey", "-algorithm", "RSA", "-aes256", "-pass", f"pass:{PASSPHRASE}")
    cases = {
        "encrypted": (encrypted, 0o600, "the passphrase does not open the key in"),
        "ed25519": (openssl("genpkey", "-algorithm", "ED25519"), 0o600, "is Ed25519, which Binary Authorization"),
        "open": (openssl("genpkey", "-algorithm", "RSA"), 0o644, "is open to every user of the machine"),
    }
    for name, (text, mode, sentence) in cases.items():
        source = keys.folder / name
        source.write_text(text)
        source.chmod(mode)
        refused = await keys("import", str(source), "--name", "ci", "--passphrase", "env://CI_WRONG")
        assert refused.code in {1, 2}
        assert sentence in refused.err
    assert "does not exist" in (await keys("import", str(keys.folder / "missing"), "--name", "ci")).err
    assert keys.files() == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["create", "--name", "../ci"], "'../ci' is no name of a key: begin with a letter or a digit"),
        (["create", "--name", "x" * 101], "at most 100 in all"),
        (["create", "--name", "ci", "--folder", "/dev/null"], "/dev/null is no folder: choose another --folder"),
        (["create", "--name", "ci", "--folder", ""], "--folder is empty: name a folder, or leave the option out"),
        (["create", "--name", "ci", "--user-id", "Ci <ci@example.com>"], "--user-id is for OpenPGP keys: say"),
        (["create", "--name", "ci", "--algorithm", "OPENPGP", "--user-id", "a\nb"], "--user-id is one line of text"),
        (
            ["create", "--name", "ci", "--algorithm", "ED25519"],
            "'ED25519' is no algorithm that an attestor knows",
        ),
        (["create", "--name", "ci", "--passphrase", "secret"], "a passphrase is given by reference, env://NAME or"),
        (["create", "--name", "ci", "--passphrase", "env://CI_ABSENT"], "the secret env://CI_ABSENT is not there: set"),
        (
            ["create", "--name", "ci", "--algorithm", "OPENPGP", "--passphrase", "env://CI_PASSPHRASE"],
            "an OpenPGP key with a passphrase is made by gpg",
        ),
        (["create", "--name", "ci", "--hsm"], "--new-version and --hsm are for Cloud KMS"),
        (["create", "--name", "ci", "--kms", RING, "--overwrite"], "are for local keys: drop them or --kms"),
        (["create", "--name", "ci", "--kms", "europe/ci"], "'europe/ci' is no key ring: write projects/PROJECT"),
        (
            ["create", "--name", "ci", "--kms", RING, "--algorithm", "ECDSA_P521_SHA512"],
            "Cloud KMS has no ECDSA_P521_SHA512: choose one of RSA_PSS_2048_SHA256",
        ),
        (["show", "missing"], "there is no key 'missing' in"),
        (["show", "MIIE canary/canary\n-----END SECRET-----"], "a key itself is never typed"),
        (["import", f"{RING}/cryptoKeys/k/cryptoKeyVersions/1", "--name", "ci"], "a key in Cloud KMS never leaves it"),
    ],
)
async def test_what_was_typed_wrong_is_said_in_a_sentence(keys: Keys, arguments: list[str], sentence: str) -> None:
    """And nothing is made."""
    refused = await keys(*arguments)

    assert sentence in refused.err
    assert (refused.code in {1, 2}, refused.out, keys.files()) == (True, "", [])


async def test_a_process_with_all_its_logs_tells_nobody(keys: Keys) -> None:
    """At the level DEBUG, where a failure shows its stack: not the key, not its passphrase."""
    sealane = Sealane("nats://127.0.0.1:1", keys.folder / "nowhere", log_level="DEBUG")
    sealane._environment |= keys.environment
    made = await sealane("keys", "create", "--name", "ci", "--passphrase", "env://CI_PASSPHRASE")
    (file,) = keys.files()
    refused = await sealane("keys", "import", str(file), "--name", "copy", "--passphrase", "env://CI_WRONG")

    assert (made.code, refused.code) == (0, 2)
    assert "Traceback" in refused.err
    assert "sealane: the passphrase does not open the key in" in refused.err
    for done in (made, refused):
        keys.require_silence(done)


async def test_shown_is_a_key_by_name_path_or_reference(keys: Keys) -> None:
    """All three mean the same; --public is nothing but a PEM."""
    record = await keys.made("create", "--name", "ci", "--algorithm", "RSA_PSS_2048_SHA256")
    (file,) = keys.files()
    by_name = (await keys("show", "ci", "--json")).lines
    shown = await keys("show", "ci")

    assert by_name == (await keys("show", str(file), "--json")).lines == [record["attestor_public_key"]]
    assert by_name == (await keys("show", record["reference"], "--json")).lines
    assert record["id"] in shown.out
    assert "reference" in shown.out
    public = (await keys("show", "ci", "--public")).out
    assert load_pem_public_key(public.encode()).key_size == 2048  # type: ignore[union-attr]  # it is one of RSA
    other = (await keys("show", "ci", "--algorithm", "RSA_SIGN_PKCS1_2048_SHA256", "--json")).lines
    assert other[0]["pkixPublicKey"]["signatureAlgorithm"] == "RSA_SIGN_PKCS1_2048_SHA256"


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[GoogleWorld]:
    """Run the local Google services."""
    async with google_world(tmp_path) as world:
        yield world


@pytest.fixture
def on_cloud(keys: Keys, cloud: GoogleWorld, tmp_path: Path) -> Keys:
    """Give the command the services."""
    keys.environment |= {
        "SEALANE_GOOGLE_ENDPOINT": f"127.0.0.1:{cloud.services.grpc_port}",
        "SEALANE_GOOGLE_TOKEN": f"file://{tmp_path}/token",
    }
    return keys


async def test_a_key_in_cloud_kms_is_made_with_its_ring(on_cloud: Keys) -> None:
    """It is listed under the id that gcloud gives it; a second of that name is refused, a further version is not."""
    place = ("--name", "ci", "--kms", RING, "--algorithm", "ML_DSA_65")
    record = await on_cloud.made("create", *place)
    version = f"{RING}/cryptoKeys/ci/cryptoKeyVersions/1"

    assert (record["reference"], record["id"]) == (version, f"//cloudkms.googleapis.com/v1/{version}")
    assert load_pem_public_key(record["attestor_public_key"]["pkixPublicKey"]["publicKeyPem"].encode())
    assert (await on_cloud("show", f"gcp-kms://{version}", "--json")).lines == [record["attestor_public_key"]]
    refused = await on_cloud("create", *place)
    assert (refused.code, refused.out) == (2, "")
    assert "is there already: choose another --name, or add a version to it with --new-version" in refused.err
    second = await on_cloud.made("create", *place, "--new-version")
    assert second["reference"] == version.replace("Versions/1", "Versions/2")
    other = await on_cloud("create", "--name", "ci", "--kms", RING, "--new-version")
    assert "makes versions of PQ_SIGN_ML_DSA_65, not EC_SIGN_P256_SHA256" in other.err
    assert on_cloud.files() == []


async def test_who_may_not_make_keys_is_told_the_role(on_cloud: Keys, cloud: GoogleWorld) -> None:
    """One of an administrator; no worker has it."""
    cloud.faults.fail("CreateCryptoKey", code="PERMISSION_DENIED")
    refused = await on_cloud("create", "--name", "ci", "--kms", RING)

    assert refused.code == 1
    assert "grant roles/cloudkms.admin (permission cloudkms.cryptoKeys.create)" in refused.err
    assert TOKEN not in refused.err
