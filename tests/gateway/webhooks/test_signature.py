"""The signature, tried with GitHub's documented vector; and the secrets behind it, which change meanwhile."""

import hashlib
import hmac
import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.failures import NotFound, Unavailable
from workers.gateway.problems import Problem
from workers.gateway.webhooks.keyring import Keyring
from workers.gateway.webhooks.signature import Seal, signature_of

VECTOR_SECRET, VECTOR_BODY = b"It's a Secret to Everybody", b"Hello, World!"
VECTOR = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


def fits(body: bytes, signature: str, *secrets: bytes) -> bool:
    """Whether one of the secrets made a signature."""
    seal = Seal(secrets)
    seal.update(body)
    return seal.fits(signature_of([signature]))


def test_documented_vector_fits() -> None:
    """Secret, body and signature of docs.github.com, "Validating webhook deliveries", alone and among others."""
    assert fits(VECTOR_BODY, VECTOR, VECTOR_SECRET)
    assert fits(VECTOR_BODY, VECTOR, b"another", VECTOR_SECRET, b"a third")
    assert not fits(VECTOR_BODY, VECTOR, b"another")
    assert not fits(VECTOR_BODY, VECTOR)


@pytest.mark.parametrize("place", range(len(VECTOR_BODY)))
def test_one_changed_byte_fits_no_more(place: int) -> None:
    """Any byte of the body counts."""
    changed = bytearray(VECTOR_BODY)
    changed[place] ^= 1

    assert not fits(bytes(changed), VECTOR, VECTOR_SECRET)


@settings(deadline=None)
@given(body=st.binary(), cuts=st.lists(st.integers(0, 300), max_size=5))
def test_seal_of_pieces_is_the_seal_of_the_whole(body: bytes, cuts: list[int]) -> None:
    """However the body arrives, its hash and signatures are the same."""
    pieces, whole = Seal([VECTOR_SECRET]), Seal([VECTOR_SECRET])
    whole.update(body)
    for begin, end in itertools.pairwise([0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]):
        pieces.update(body[begin:end])

    assert pieces.body_hash == whole.body_hash == hashlib.sha256(body).hexdigest()
    assert pieces.fits(hmac.digest(VECTOR_SECRET, body, "sha256"))


@pytest.mark.parametrize(
    "values",
    [
        [],
        [""],
        [VECTOR, VECTOR],
        [VECTOR.upper()],
        [VECTOR.replace("sha256", "sha1")],
        [VECTOR[:-1]],
        [f"{VECTOR}0"],
        [f"{VECTOR}\n"],
        [VECTOR.replace("7", "\uff17")],
        [f"{VECTOR}, {VECTOR}"],
        ["sha256=" + "é" * 64],
    ],
)
def test_header_that_is_no_signature_is_refused_unseen(values: list[str]) -> None:
    """It is sent once, in one form; the answer does not repeat it."""
    with pytest.raises(Problem) as refused:
        signature_of(values)
    assert refused.value.status == 401
    assert "757107ea" not in refused.value.detail


class Vault:
    """Secrets by reference, which can be changed, taken away, or out of reach; and a clock."""

    def __init__(self, **secrets: str) -> None:
        self.secrets = secrets
        self.away = False
        self.reads = 0
        self.now = 0.0

    async def read(self, reference: str) -> str:
        """Return a secret."""
        self.reads += 1
        if self.away:
            raise Unavailable("the vault does not answer")
        if reference not in self.secrets:
            raise NotFound(f"the secret {reference} is not there")
        return self.secrets[reference]

    def keyring(self, *references: str) -> Keyring:
        """Return a keyring over it."""
        return Keyring(references, self.read, clock=lambda: self.now)


@pytest.fixture
def vault() -> Iterator[Vault]:
    """Give a vault with one secret."""
    yield Vault(old="first")  # noqa: PT022 - the type says that nothing is shared


async def test_secrets_are_read_once_in_a_while(vault: Vault) -> None:
    """They are kept for half a minute: a burst of deliveries reads them once."""
    keyring = vault.keyring("old")

    assert [await keyring.secrets() for _ in range(3)] == [(b"first",)] * 3
    assert vault.reads == 1
    vault.now, vault.secrets["old"] = 29.0, "second"
    assert await keyring.secrets() == (b"first",)
    vault.now = 30.0
    assert await keyring.secrets() == (b"second",)


async def test_doubt_reads_again_once_in_a_while(vault: Vault) -> None:
    """A signature that fits none is a reason to look again; a thousand of them are no more of one."""
    keyring = vault.keyring("old", "new")
    await keyring.secrets()
    vault.secrets["new"] = "second"

    assert await keyring.secrets() == (b"first",)
    assert await keyring.read_again() == (b"first", b"second")
    reads = vault.reads
    for _ in range(1000):
        await keyring.read_again()
    assert vault.reads == reads


async def test_withdrawn_secret_is_good_no_more(vault: Vault) -> None:
    """A secret that leaked is taken away, and half a minute later nobody can sign with it."""
    vault.secrets["new"] = "second"
    keyring = vault.keyring("old", "new")
    assert await keyring.secrets() == (b"first", b"second")
    del vault.secrets["old"]
    vault.now = 30.0

    assert await keyring.secrets() == (b"second",)
    del vault.secrets["new"]
    vault.now = 60.0
    with pytest.raises(Unavailable, match="no secret of the webhook can be read"):
        await keyring.secrets()


async def test_vault_that_is_away_changes_nothing(vault: Vault) -> None:
    """What was read stays good while it cannot be read again."""
    keyring = vault.keyring("old")
    await keyring.secrets()
    vault.away, vault.now = True, 3600.0

    assert await keyring.secrets() == (b"first",)


async def test_vault_that_is_away_at_first_is_asked_again_soon(vault: Vault) -> None:
    """Nothing is good yet: the door does not wait half a minute to find out."""
    keyring = vault.keyring("old")
    vault.away = True
    with pytest.raises(Unavailable):
        await keyring.secrets()
    vault.away, vault.now = False, 1.0

    assert await keyring.secrets() == (b"first",)
