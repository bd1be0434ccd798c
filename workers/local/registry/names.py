"""What may be named: repositories, tags and digests. Everything that becomes a path on disk passes here first."""

import re

from workers.local.registry.errors import RegistryError

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_UPLOAD = re.compile(r"[0-9a-f]{32}")
_LONGEST_NAME = 255


def repository(name: str) -> str:
    """Return the name if a repository may be called so. Raises NAME_INVALID."""
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        raise RegistryError("NAME_INVALID", "a repository name is lower-case path components, 255 characters at most")
    return name


def digest(text: str) -> str:
    """Return the text if it is a SHA-256 digest. Raises DIGEST_INVALID."""
    if not _DIGEST.fullmatch(text):
        raise RegistryError("DIGEST_INVALID", "a digest is sha256: and 64 lower-case hexadecimal digits")
    return text


def is_digest(text: str) -> bool:
    """Tell a digest from a tag: only a digest holds a colon."""
    return ":" in text


def reference(text: str) -> str:
    """Return the text if it is a tag or a digest. Raises DIGEST_INVALID or MANIFEST_INVALID."""
    if is_digest(text):
        return digest(text)
    if not _TAG.fullmatch(text):
        raise RegistryError(
            "MANIFEST_INVALID", "a tag is 1 to 128 letters, digits, '_', '.' or '-', not led by '.' or '-'"
        )
    return text


def upload(text: str) -> str:
    """Return the text if an upload session may be called so. Raises BLOB_UPLOAD_UNKNOWN."""
    if not _UPLOAD.fullmatch(text):
        raise RegistryError("BLOB_UPLOAD_UNKNOWN", "there is no such upload")
    return text
