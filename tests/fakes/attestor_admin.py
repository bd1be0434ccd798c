"""Binary Authorization in memory, for who sets attestors up: etags guard updates, keys are really looked at."""

import base64
import hashlib
from dataclasses import replace
from itertools import count

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from pysequoia import Cert

from tests.fakes.attestors import FakeAttestors
from workers.failures import Invalid, NotFound, Unavailable
from workers.key_references import OPENPGP
from workers.ports import Attestor, AttestorRecord, PublicKey

MOST_KEYS = 1000
_CURVES = {"P256": ec.SECP256R1, "P384": ec.SECP384R1, "P521": ec.SECP521R1}


class FakeAttestorAdmin:
    """Keeps attestors, and shows them to a FakeAttestors as well if one is given."""

    def __init__(self, seen_by: FakeAttestors | None = None) -> None:
        self.records: dict[str, AttestorRecord] = {}
        self.updates = 0
        """How often an attestor was changed."""
        self._seen_by = seen_by
        self._etags = count(1)

    async def list(self, project: str) -> tuple[AttestorRecord, ...]:
        """Return those of the project."""
        return tuple(self.records[name] for name in sorted(self.records) if name.startswith(f"{project}/attestors/"))

    async def read(self, name: str) -> AttestorRecord:
        """Return the attestor."""
        if name not in self.records:
            raise NotFound(f"there is no attestor {name}")
        return self.records[name]

    async def create(self, attestor: AttestorRecord, *, timeout: float) -> AttestorRecord:
        """Keep the attestor."""
        if attestor.name in self.records:
            raise Unavailable(f"the attestor {attestor.name} exists already")
        return self._keep(attestor)

    async def update(self, attestor: AttestorRecord, *, timeout: float) -> AttestorRecord:
        """Put the attestor in place of the one there, if that did not change since it was read."""
        old = await self.read(attestor.name)
        if not attestor.etag:
            raise Invalid(f"the attestor {attestor.name} carries no etag")
        if attestor.etag != old.etag:
            raise Unavailable(f"the attestor {attestor.name} was changed meanwhile")
        if attestor.note != old.note:
            raise Invalid(f"the note of {attestor.name} cannot change")
        self.updates += 1
        return self._keep(attestor)

    async def delete(self, name: str) -> None:
        """Forget the attestor, if it is there."""
        self.records.pop(name, None)
        if self._seen_by is not None:
            self._seen_by.attestors.pop(name, None)

    def _keep(self, attestor: AttestorRecord) -> AttestorRecord:
        if len(attestor.keys) > MOST_KEYS:
            raise Invalid(f"{attestor.name} may not have {len(attestor.keys)} keys, {MOST_KEYS} at most")
        keys = tuple(replace(key, id=_id_of(key)) for key in attestor.keys)
        if len({key.id for key in keys}) < len(keys):
            raise Invalid(f"two keys of {attestor.name} have one id")
        kept = replace(attestor, keys=keys, etag=f'"{next(self._etags)}"', service_account="binauthz@example.test")
        self.records[attestor.name] = kept
        if self._seen_by is not None:
            self._seen_by.attestors[attestor.name] = Attestor(kept.name, kept.note, kept.keys)
        return kept


def _id_of(key: PublicKey) -> str:
    """Return the id of a key, given or its own. Raises Invalid when the key is none of its algorithm."""
    if key.algorithm == OPENPGP:
        return Cert.from_bytes(key.pem.encode()).fingerprint.upper()
    try:
        public = load_pem_public_key(key.pem.encode())
    except ValueError:
        raise Invalid("that is no public key in PEM") from None
    if isinstance(public, ec.EllipticCurvePublicKey):
        fits = key.algorithm.startswith("ECDSA_") and isinstance(public.curve, _CURVES[key.algorithm.split("_")[1]])
    elif isinstance(public, rsa.RSAPublicKey):
        fits = key.algorithm.startswith("RSA_") and f"_{public.key_size}_" in key.algorithm
    else:
        fits = key.algorithm == "ML_DSA_65"
    if not fits:
        raise Invalid(f"the key is none of {key.algorithm}")
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    name = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).decode().rstrip("=")
    return key.id or f"ni:///sha-256;{name}"
