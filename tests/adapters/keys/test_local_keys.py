"""Local keys as they live: made by others, exchanged in their place, expiring while the worker runs."""

import asyncio
import os
import stat
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from pysequoia import CipherSuite, Profile, Tsk

from tests.adapters.keys.secret_keys import PASSPHRASE, Gpg, openssl
from workers.adapters.keys import local
from workers.adapters.keys.folder import KeyFolder
from workers.adapters.keys.local import LocalSigningKeys
from workers.adapters.keys.making import new_private_key
from workers.adapters.keys.verifying import is_signature_of
from workers.failures import Denied, Invalid, NotFound, Unavailable
from workers.ports import PublicKey

Keep = Callable[..., str]
PAYLOAD = b"payload"


async def require_signing(reference: str, keys: LocalSigningKeys | None = None) -> PublicKey:
    """Sign, verify, and return the public half."""
    keys = keys or LocalSigningKeys()
    public = await keys.public_key(reference)
    assert is_signature_of(public, await keys.sign(reference, PAYLOAD, timeout=60), PAYLOAD)
    return public


@pytest.mark.parametrize(
    ("command", "algorithm"),
    [
        (["ecparam", "-name", "prime256v1", "-genkey"], "ECDSA_P256_SHA256"),
        (["ecparam", "-name", "secp521r1", "-genkey", "-noout"], "ECDSA_P521_SHA512"),
        (["genrsa", "-traditional", "2048"], "RSA_PSS_2048_SHA256"),
        (["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"], "RSA_PSS_3072_SHA256"),
        (["genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"], "RSA_PSS_2048_SHA256"),
        (["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"], "ECDSA_P384_SHA384"),
    ],
)
async def test_a_key_in_any_form_of_openssl_signs(keep: Keep, command: list[str], algorithm: str) -> None:
    """PKCS #8, SEC1 with and without parameters before it, PKCS #1; RSA signs with PSS unless told otherwise."""
    public = await require_signing(keep(openssl(*command)))

    assert public.algorithm == algorithm
    assert public.id.startswith("ni:///sha-256;")


@pytest.mark.parametrize("kind", ["rsa3072", "nistp256", "ed25519"])
async def test_a_key_in_any_kind_of_gpg_signs(keep: Keep, gpg: Gpg, kind: str) -> None:
    """Its id is the fingerprint of its primary key."""
    fingerprint = gpg.key("ci", kind)

    assert (await require_signing(keep(gpg.secret("ci")))).id == fingerprint


async def test_a_signing_subkey_signs_without_the_secret_of_its_primary_key(keep: Keep, gpg: Gpg) -> None:
    """As people keep the primary key elsewhere; the id is still that of the primary key."""
    fingerprint = gpg.key("ci", use="cert")
    gpg.run("--quick-add-key", fingerprint, "rsa2048", "sign", "never")

    assert (await require_signing(keep(gpg.secret("ci", what="--export-secret-subkeys")))).id == fingerprint


async def test_a_key_and_its_passphrase_may_be_in_the_environment(keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    """A passphrase that is not needed does no harm: the key may be encrypted later, in its place."""
    monkeypatch.setenv("CI_KEY", new_private_key("ECDSA_P256_SHA256", passphrase=PASSPHRASE))
    monkeypatch.setenv("CI_PASS", PASSPHRASE)
    await require_signing("env://CI_KEY?passphrase=env://CI_PASS")
    await require_signing(f"{keep(new_private_key('ML_DSA_65'))}?passphrase=env://CI_PASS")


async def test_a_path_with_odd_characters_is_percent_encoded(keep: Keep) -> None:
    """A question mark would begin the options."""
    reference = keep(new_private_key("ECDSA_P256_SHA256"), "a?b=c&d%e")
    await require_signing(reference.replace("%", "%25").replace("?", "%3F"))


async def test_a_key_exchanged_in_its_place_signs_at_once(keep: Keep) -> None:
    """The new one, never the old one; while it is no key, none."""
    keys = LocalSigningKeys()
    reference = keep(new_private_key("ECDSA_P256_SHA256"))
    old = await require_signing(reference, keys)
    keep(new_private_key("ECDSA_P384_SHA384"))

    assert (await require_signing(reference, keys)).id != old.id
    keep("half of a key")
    with pytest.raises(Invalid, match="is no private key"):
        await keys.sign(reference, PAYLOAD, timeout=30)
    keep(new_private_key("ML_DSA_65"))
    assert (await require_signing(reference, keys)).algorithm == "ML_DSA_65"


async def test_a_key_is_opened_once_however_many_ask(keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    """A passphrase is slow to try, on purpose."""
    opened = []
    read = local.read_private_key

    def counted(*arguments: str | None) -> local.PrivateKey:
        opened.append(arguments)
        return read(*arguments)  # type: ignore[arg-type]  # handed on as they came

    monkeypatch.setattr(local, "read_private_key", counted)
    keys = LocalSigningKeys()
    text, passphrase = new_private_key("ECDSA_P256_SHA256", passphrase=PASSPHRASE), keep(PASSPHRASE, "passphrase")
    reference = f"{keep(text)}?passphrase={passphrase}"
    await asyncio.gather(*(keys.sign(reference, PAYLOAD, timeout=60) for _ in range(20)))

    assert len(opened) == 1


async def test_a_key_that_expires_while_it_is_known_signs_no_more(keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end is looked at for every signature."""
    tsk = Tsk.generate("ci", profile=Profile.RFC4880, cipher_suite=CipherSuite.P256, validity_seconds=86400)
    keys, reference = LocalSigningKeys(), keep(str(tsk))
    await require_signing(reference, keys)

    later = SimpleNamespace(now=lambda _: datetime.now(UTC) + timedelta(days=2))
    monkeypatch.setattr("workers.adapters.keys.local.datetime", later)
    monkeypatch.setattr("workers.adapters.keys.openpgp.datetime", later)
    with pytest.raises(Invalid, match="expired on"):
        await keys.sign(reference, PAYLOAD, timeout=30)


async def test_a_signature_that_takes_too_long_is_asked_for_again(keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop goes on meanwhile; RSA, which is slow, is signed beside it."""
    keys, reference = LocalSigningKeys(), keep(new_private_key("RSA_PSS_2048_SHA256"))
    private = await keys._key(reference)
    release, where = threading.Event(), []

    def slowly(_: object, payload: bytes) -> bytes:
        where.append(threading.current_thread() is threading.main_thread())
        release.wait(60)
        return payload

    monkeypatch.setattr(type(private), "sign", slowly)
    try:
        with pytest.raises(Unavailable, match=r"did not sign within 0\.2 s; trying again"):
            await keys.sign(reference, PAYLOAD, timeout=0.2)
    finally:
        release.set()
    assert where == [False]


def test_a_kept_key_is_whole_and_private_whatever_the_mask(tmp_path: Path) -> None:
    """Nothing is left beside it; a folder that cannot be made is said."""
    folder = KeyFolder(tmp_path / "keys")
    before = os.umask(0)
    try:
        folder.keep(folder.path_of("ci", "ML_DSA_65"), "the key")
    finally:
        os.umask(before)

    (file,) = folder.root.iterdir()
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode), folder.find("ci")) == ("the key", 0o600, file)
    assert stat.S_IMODE(folder.root.stat().st_mode) == 0o700
    with pytest.raises(Invalid, match="is there already"):
        folder.keep(file, "another")
    assert file.read_text() == "the key"
    blocked = KeyFolder(file / "below")
    with pytest.raises(Denied, match="cannot be kept in"):
        blocked.keep(blocked.path_of("ci", "ML_DSA_65"), "the key")
    with pytest.raises(NotFound, match="there is no key 'other'"):
        folder.find("other")
