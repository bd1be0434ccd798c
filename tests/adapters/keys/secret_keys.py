"""Keys as people have them: made by openssl and gpg, not by us."""

import os
import re
import subprocess
from pathlib import Path
from typing import Self

PASSPHRASE = "canary-passphrase-correct-horse"


def openssl(*arguments: str) -> str:
    """Run openssl and return what it printed."""
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True, timeout=60).stdout


class Gpg:
    """GnuPG with a folder of its own. Use as a context manager: its agent ends with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700)
        (folder / "gpg-agent.conf").write_text("allow-loopback-pinentry\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["gpgconf", "--kill", "all"], check=True, env=self._environment, timeout=60)

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, "GNUPGHOME": str(self.folder), "LC_ALL": "C"}

    def run(self, *arguments: str, passphrase: str = "") -> str:
        """Run gpg and return what it printed."""
        command = ["gpg", "--batch", "--yes", "--quiet", "--pinentry-mode", "loopback", "--passphrase", passphrase]
        done = subprocess.run(
            [*command, *arguments], check=False, capture_output=True, text=True, env=self._environment, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def key(
        self, name: str, kind: str = "rsa2048", use: str = "sign", expiry: str = "never", *, passphrase: str = ""
    ) -> str:
        """Make a key for NAME@example.com and return its fingerprint."""
        self.run("--quick-gen-key", f"{name}@example.com", kind, use, expiry, passphrase=passphrase)
        return self.fingerprint(name)

    def fingerprint(self, name: str) -> str:
        """Return the fingerprint of a primary key."""
        listed = self.run("--list-keys", "--with-colons", f"{name}@example.com")
        (primary, *_) = re.findall(r":([0-9A-F]{40}):", listed)
        return str(primary)

    def secret(self, name: str, *, what: str = "--export-secret-keys", passphrase: str = "") -> str:
        """Return an armored secret key."""
        return self.run("--armor", what, f"{name}@example.com", passphrase=passphrase)

    def revoke(self, name: str) -> None:
        """Import the revocation that gpg keeps beside each key, disarmed by a colon."""
        fingerprint = self.fingerprint(name)
        revocation = self.folder / "openpgp-revocs.d" / f"{fingerprint}.rev"
        revocation.write_text(revocation.read_text().replace(":-----BEGIN", "-----BEGIN"))
        self.run("--import", str(revocation))
