"""What `sealane keys` does: makes signing keys, takes in existing ones, and says how an attestor knows them."""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workers.adapters.keys.folder import KeyFolder
from workers.adapters.keys.local import read_private_key
from workers.adapters.keys.making import ALGORITHMS, new_private_key
from workers.adapters.secrets import read_secret
from workers.app.clouds import Clouds
from workers.app.environment import load_settings
from workers.attestors.listing import natural_id
from workers.failures import Invalid
from workers.key_references import OPENPGP, LocalKey, checked_key_reference, is_kms_key
from workers.ports import KeyMaker, PublicKey, SigningKeys
from workers.redaction import conceal

FOLDER = Path("~/.config/sealane/keys")
"""Where local keys are kept unless somebody says otherwise: not in the local world's folder, which is put back and
removed as a whole."""


@dataclass(frozen=True, slots=True)
class Described:
    """A signing key, and how others know it."""

    reference: str
    """For a signing rule."""
    public: PublicKey
    """The id is the one under which an attestor lists the key."""

    @property
    def attestor_key(self) -> dict[str, Any]:
        """The public half as `AttestorPublicKey` in JSON; an OpenPGP key's id is left to Binary Authorization."""
        if self.public.algorithm == OPENPGP:
            return {"asciiArmoredPgpPublicKey": self.public.pem}
        pkix = {"publicKeyPem": self.public.pem, "signatureAlgorithm": self.public.algorithm}
        return {"id": self.public.id, "pkixPublicKey": pkix}


def named_algorithm(text: str) -> str:
    """Return an algorithm however it was spelt (`ecdsa-p256-sha256`). Raises Invalid."""
    word = text.upper().replace("-", "_")
    if word not in ALGORITHMS:
        raise Invalid(f"{text!r} is no algorithm that an attestor knows: choose one of {', '.join(ALGORITHMS)}")
    return word


async def create_local(
    folder: KeyFolder,
    name: str,
    algorithm: str,
    *,
    passphrase: str | None = None,
    user_id: str | None = None,
    overwrite: bool = False,
) -> Described:
    """Make a key in the folder. Raises Invalid, Denied and NotFound (the passphrase)."""
    path = folder.path_of(name, algorithm, overwrite=overwrite)
    reference = _local_reference(path, passphrase, algorithm)
    secret = await read_secret(passphrase) if passphrase else None
    text = await asyncio.to_thread(new_private_key, algorithm, passphrase=secret, user_id=user_id or name)
    conceal(text)
    key = await asyncio.to_thread(read_private_key, text, f"the key {name}", secret, _option(algorithm))
    folder.keep(path, text, overwrite=overwrite)
    return Described(str(reference), key.public)


async def import_local(folder: KeyFolder, source: LocalKey, name: str, *, overwrite: bool = False) -> Described:
    """Copy a key into the folder once it is known to sign. Raises Invalid, Denied and NotFound."""
    text = await read_secret(source.secret)
    secret = await read_secret(source.passphrase) if source.passphrase else None
    key = await asyncio.to_thread(read_private_key, text, f"the key in {source.secret}", secret, source.algorithm)
    path = folder.path_of(name, key.public.algorithm, overwrite=overwrite)
    folder.keep(path, f"{text}\n", overwrite=overwrite)
    return Described(str(replace(source, secret=f"file://{path}")), key.public)


async def create_in_kms(
    ring: str, name: str, algorithm: str, data: Path | None, *, protection: str, new_version: bool
) -> Described:
    """Make a key in Cloud KMS. Raises Invalid, Denied, NotFound and Unavailable."""
    async with Clouds(load_settings(data)) as clouds:
        maker: KeyMaker = await clouds.port(KeyMaker)
        version = await maker.make(ring, name, algorithm, protection=protection, new_version=new_version)
    return await describe(version, data)


async def describe(reference: str, data: Path | None = None) -> Described:
    """Read the public half of a signing key, wherever it is. Raises Invalid, Denied, NotFound and Unavailable."""
    async with Clouds(load_settings(data) if is_kms_key(reference) else load_settings()) as clouds:
        keys: SigningKeys = await clouds.port(SigningKeys)
        public = await keys.public_key(reference)
    return Described(reference, replace(public, id=natural_id(public.id)))


def reference_of(key: str, folder: KeyFolder, *, passphrase: str | None = None, algorithm: str | None = None) -> str:
    """Return the reference that somebody means: a reference, a path with a slash, or a name in the folder.

    Raises Invalid and NotFound.
    """
    if "-----" in key or len(key.split()) != 1:
        # It might be the key itself, which no sentence repeats.
        raise Invalid("that is neither a name, a path nor a reference of a key, and a key itself is never typed")
    try:
        if "://" in key or key.startswith("projects/"):
            reference = checked_key_reference(key)
        else:
            path = Path(key).absolute() if "/" in key else folder.find(key)
            reference = str(LocalKey(f"file://{path}"))
        if is_kms_key(reference):
            if passphrase or algorithm:
                raise Invalid("a key in Cloud KMS has neither a passphrase nor another algorithm: leave them out")
            return reference
        local = LocalKey.parse(reference)
        changed = replace(local, passphrase=passphrase or local.passphrase, algorithm=algorithm or local.algorithm)
        return str(LocalKey.parse(str(changed)))
    except ValueError as error:
        raise Invalid(str(error)) from None


def _local_reference(path: Path, passphrase: str | None, algorithm: str) -> LocalKey:
    try:
        return LocalKey.parse(str(LocalKey(f"file://{path}", passphrase, _option(algorithm))))
    except ValueError as error:
        raise Invalid(str(error)) from None


def _option(algorithm: str) -> str | None:
    """Return what a reference has to say of the algorithm: RSA keys alone can sign with several."""
    return algorithm if algorithm.startswith("RSA") else None
