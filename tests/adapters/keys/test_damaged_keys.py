"""Whatever is made of a key or a signature, by accident or on purpose: a sentence, or no; never anything else."""

import base64

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pysequoia import ArmorKind, CipherSuite, Profile, Tsk, armor
from pysequoia.packet import PacketPile, Tag

from workers.adapters.keys.local import read_private_key
from workers.adapters.keys.making import new_private_key
from workers.adapters.keys.verifying import is_signature_of
from workers.failures import Invalid
from workers.key_references import PKIX_ALGORITHMS
from workers.ports import PublicKey

PAYLOAD = b"payload"
OPENPGP = bytes(Tsk.generate("ci", profile=Profile.RFC4880, cipher_suite=CipherSuite.P256))
PEMS = [new_private_key(algorithm) for algorithm in ("ECDSA_P256_SHA256", "RSA_PSS_2048_SHA256", "ML_DSA_65")]
PEMS.append(new_private_key("ECDSA_P256_SHA256", passphrase="a passphrase"))
KEY = read_private_key(armor(OPENPGP, ArmorKind.SecretKey), "the key", None, None)
SIGNATURE = KEY.sign(PAYLOAD)

EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 5), st.binary(max_size=5)), min_size=1, max_size=4)


def edited(content: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    """Put bytes in the place of others."""
    for where, length, put in edits:
        at = int(where * len(content))
        content = content[:at] + put + content[at + length :]
    return content


def read(text: str, passphrase: str | None = None) -> None:
    """Read a key: it is one, or there is a sentence that does not hold it."""
    said = ""
    try:
        key = read_private_key(text, "the key", passphrase, None)
    except Invalid as problem:
        said = str(problem)
    else:
        assert is_signature_of(key.public, key.sign(PAYLOAD), PAYLOAD)
    assert "\n" not in said
    assert len(said) < 400


@given(EDITS)
@settings(max_examples=300, deadline=None)
def test_a_damaged_openpgp_key_is_a_sentence(edits: list[tuple[float, int, bytes]]) -> None:
    """Not the library's error, which brings a stack along."""
    read(armor(edited(OPENPGP, edits), ArmorKind.SecretKey))


@given(st.sampled_from(PEMS), EDITS)
@settings(max_examples=200, deadline=None)
def test_a_damaged_pem_is_a_sentence(text: str, edits: list[tuple[float, int, bytes]]) -> None:
    """Inside the armor, where the library reads it."""
    head, *body, foot = text.strip().split("\n")
    inside = base64.encodebytes(edited(base64.b64decode("".join(body)), edits)).decode()
    read(f"{head}\n{inside}{foot}\n", "a passphrase")


@given(EDITS, st.sampled_from((*PKIX_ALGORITHMS, "OPENPGP", "NONE")))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_damaged_signature_or_public_key_is_no(edits: list[tuple[float, int, bytes]], algorithm: str) -> None:
    """What is stored was written by anybody: it is refused, never an error."""
    if (broken := edited(SIGNATURE, edits)).strip() != SIGNATURE.strip():
        assert is_signature_of(KEY.public, broken, b"another payload") is False
    damaged = PublicKey(KEY.public.id, algorithm, edited(KEY.public.pem.encode(), edits).decode(errors="replace"))
    assert is_signature_of(damaged, SIGNATURE, b"another payload") is False


def test_an_openpgp_key_that_sha1_holds_together_is_told_how_to_be_renewed() -> None:
    """Without the signatures that bind it, as with those that are too weak to count."""
    bare = [packet for packet in PacketPile.from_bytes(OPENPGP) if packet.tag != Tag.Signature]
    with pytest.raises(Invalid, match="is bound together by no signature that holds today"):
        read_private_key(str(Tsk.from_packets(bare)), "the key", None, None)
