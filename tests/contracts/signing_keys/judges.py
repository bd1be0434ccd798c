"""Programs that are not ours, and say whether a signature holds: openssl and gpg; for ML-DSA its own library."""

import os
import subprocess
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from workers.ports import PublicKey


def holds(key: PublicKey, payload: bytes, signature: bytes, folder: Path) -> bool:
    """Whether the signature is one of the payload by the key; *folder* is for the files in between."""
    for name, content in (("public", key.pem.encode()), ("payload", payload), ("signature", signature)):
        (folder / name).write_bytes(content)
    if key.algorithm == "OPENPGP":
        return _says_gpg(key, payload, folder)
    if key.algorithm == "ML_DSA_65":
        return _says_the_library(key, payload, signature)
    return _says_openssl(key, folder)


def _says_openssl(key: PublicKey, folder: Path) -> bool:
    command = ["openssl", "dgst", f"-{key.algorithm.rpartition('_')[2].lower()}", "-verify", str(folder / "public")]
    if "PSS" in key.algorithm:
        command += ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]
    command += ["-signature", str(folder / "signature"), str(folder / "payload")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert ("Verified OK" in done.stdout) == (done.returncode == 0)
    return done.returncode == 0


def _says_gpg(key: PublicKey, payload: bytes, folder: Path) -> bool:
    """Import into a keyring of its own; the content of the message must be the payload, by this primary key."""
    home = folder / "judge"
    home.mkdir(mode=0o700, exist_ok=True)
    gpg = ["gpg", "--batch", "--quiet", "--no-autostart", "--trust-model", "always", "--homedir", str(home)]
    environment = os.environ | {"LC_ALL": "C"}
    imported = subprocess.run(
        [*gpg, "--import", str(folder / "public")], check=False, capture_output=True, env=environment, timeout=60
    )
    assert imported.returncode == 0, imported.stderr
    command = [*gpg, "--status-fd", "2", "--decrypt", str(folder / "signature")]
    done = subprocess.run(command, check=False, capture_output=True, env=environment, timeout=60)
    said = done.stderr.decode(errors="replace").splitlines()
    valid = [line.split() for line in said if line.startswith("[GNUPG:] VALIDSIG")]
    return done.returncode == 0 and done.stdout == payload and [line[-1] for line in valid] == [key.id]


def _says_the_library(key: PublicKey, payload: bytes, signature: bytes) -> bool:
    """OpenSSL learnt ML-DSA with 3.5."""
    public = load_pem_public_key(key.pem.encode())
    assert isinstance(public, MLDSA65PublicKey)
    try:
        public.verify(signature, payload)
    except InvalidSignature:
        return False
    return True
