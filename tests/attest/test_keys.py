"""Which of the attestor's keys is ours, and which of the rule's keys signs."""

from dataclasses import replace

import pytest

from tests.attest.world import ATTESTOR, KEY, KEY_ID, NOTE, rule
from tests.fakes.signing_keys import FakeSigningKeys
from workers.attest.keys import chosen_key, is_listed, signing_key
from workers.attestors.listing import is_same_key
from workers.failures import Invalid, NotFound
from workers.ports import Attestor, PublicKey
from workers.signing import SigningRule

COMMAND = f"sealane attestor ensure {ATTESTOR} --key {KEY}"
NEXT = KEY.replace("/1", "/2")
FINGERPRINT = "0123456789ABCDEF0123456789ABCDEF01234567"
PGP = PublicKey(FINGERPRINT, "OPENPGP", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nours")


@pytest.fixture
def signing() -> PublicKey:
    """Make a key and return its public half."""
    return FakeSigningKeys().add(KEY)


def attestor_with(*keys: PublicKey) -> Attestor:
    """Return the attestor with these keys."""
    return Attestor(ATTESTOR, NOTE, keys)


def test_the_key_is_chosen_by_its_public_half(signing: PublicKey) -> None:
    """Other keys, other line breaks and other ids do not confuse it."""
    other = FakeSigningKeys().add(KEY)
    rewrapped = signing.pem.replace("\n", "\r\n") + "\n\n"
    attestor = attestor_with(replace(other, id="other"), PublicKey("mine", signing.algorithm, rewrapped))

    assert chosen_key(attestor, signing).id == "mine"


def test_the_id_that_gcloud_derives_is_preferred(signing: PublicKey) -> None:
    """A key listed twice has one natural id, so that all sign under the same."""
    attestor = attestor_with(replace(signing, id="ni:///sha-256;x"), replace(signing, id=KEY_ID))

    assert chosen_key(attestor, signing).id == KEY_ID


def test_an_attestor_without_keys_is_named(signing: PublicKey) -> None:
    """Such an attestor accepts nothing at all."""
    with pytest.raises(Invalid) as failure:
        chosen_key(attestor_with(), signing)

    assert str(failure.value) == (
        f"attestor {ATTESTOR} has no public keys, so it accepts no attestation at all: add it with `{COMMAND}`"
    )


def test_a_key_that_the_attestor_lacks_is_named_with_the_command(signing: PublicKey) -> None:
    """Which attestor, which key, and how to add it."""
    other = FakeSigningKeys().add(KEY)
    with pytest.raises(Invalid) as failure:
        chosen_key(attestor_with(replace(other, id="other")), signing)

    assert str(failure.value) == (
        f"none of the 1 public keys of attestor {ATTESTOR} is that of {KEY}: add it with `{COMMAND}`,"
        " or name another key in the signing rule"
    )


def test_a_right_id_with_a_wrong_key_is_named(signing: PublicKey) -> None:
    """Somebody listed another key under the KMS id."""
    other = FakeSigningKeys().add(KEY)
    with pytest.raises(Invalid, match=f"lists the id {KEY_ID} with another public key than Cloud KMS holds"):
        chosen_key(attestor_with(replace(other, id=KEY_ID)), signing)


def test_a_wrong_algorithm_is_named(signing: PublicKey) -> None:
    """The attestor would check with another algorithm than the key signs with."""
    listed = replace(signing, id=KEY_ID, algorithm="ECDSA_P384_SHA384")
    with pytest.raises(Invalid) as failure:
        chosen_key(attestor_with(listed), signing)

    assert str(failure.value) == (
        f"attestor {ATTESTOR} lists the key {KEY} with the algorithm ECDSA_P384_SHA384, but it signs with"
        " ECDSA_P256_SHA256: list it with ECDSA_P256_SHA256, or name a key of ECDSA_P384_SHA384"
    )


@pytest.mark.parametrize(
    "text", ["", "-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----BEGIN PUBLIC KEY-----\nA\n-----END PUBLIC KEY-----"]
)
def test_what_is_no_pem_equals_nothing(text: str) -> None:
    """Not even itself."""
    assert not is_same_key(text, text)


def test_an_openpgp_key_is_chosen_by_its_fingerprint(signing: PublicKey) -> None:
    """The armor differs with every signature that is added to a key; the attestor's spelling of the id is kept."""
    listed = PublicKey(FINGERPRINT, "OPENPGP", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nanother armor")
    attestor = attestor_with(replace(signing, id=KEY_ID), listed)

    assert chosen_key(attestor, PGP) == listed
    with pytest.raises(Invalid, match=f"add it with `sealane attestor ensure {ATTESTOR} --key {FINGERPRINT}`"):
        chosen_key(attestor_with(signing), PGP)


def test_a_pkix_key_is_never_taken_for_an_openpgp_key(signing: PublicKey) -> None:
    """An id that looks like a fingerprint does not make a key one."""
    assert not is_listed(attestor_with(replace(signing, id=FINGERPRINT)), PGP)
    assert not is_listed(attestor_with(replace(PGP, pem=signing.pem)), signing)


def test_a_local_key_is_told_how_to_be_added(signing: PublicKey) -> None:
    """By its reference, quoted for a shell."""
    local, reference = replace(signing, id="ni:///sha-256;x"), "file:///ci.pem?passphrase=env://A&algorithm=ML_DSA_65"
    with pytest.raises(Invalid) as failure:
        chosen_key(attestor_with(), local, reference)

    assert f"add it with `sealane attestor ensure {ATTESTOR} --key '{reference}'`" in str(failure.value)


def test_a_local_rsa_key_is_told_how_to_sign_as_it_is_listed() -> None:
    """It can sign with several algorithms; one on a curve cannot."""
    public = replace(FakeSigningKeys().add(KEY, "RSA_PSS_2048_SHA256"), id="ni:///sha-256;x")
    listed = replace(public, algorithm="RSA_SIGN_PKCS1_2048_SHA256")

    with pytest.raises(Invalid, match=r"or write \?algorithm=RSA_SIGN_PKCS1_2048_SHA256 behind the key's reference"):
        chosen_key(attestor_with(listed), public)


async def test_the_next_key_signs_as_soon_as_the_attestor_lists_it(signing: PublicKey) -> None:
    """Until then the key signs; afterwards the key need not even exist."""
    keys = FakeSigningKeys()
    old, new = keys.add(KEY), keys.add(NEXT)
    both = SigningRule.model_validate(rule() | {"next_key": NEXT})

    assert (await signing_key(both, attestor_with(replace(old, id=KEY_ID)), keys)).reference == KEY
    chosen = await signing_key(both, attestor_with(replace(old, id=KEY_ID), replace(new, id="new")), keys)
    assert (chosen.reference, chosen.listed.id) == (NEXT, "new")
    del keys.private[KEY]
    assert (await signing_key(both, attestor_with(replace(new, id="new")), keys)).reference == NEXT


async def test_a_next_key_that_does_not_exist_takes_nobodys_place(signing: PublicKey) -> None:
    """The key signs on; only when it is gone as well, the sentence names both."""
    keys = FakeSigningKeys()
    old = keys.add(KEY)
    both = SigningRule.model_validate(rule() | {"next_key": NEXT})

    assert (await signing_key(both, attestor_with(old), keys)).reference == KEY
    del keys.private[KEY]
    with pytest.raises(NotFound, match=r"there is no key .*/1; nor is there its next key: there is no key .*/2"):
        await signing_key(both, attestor_with(old), keys)
