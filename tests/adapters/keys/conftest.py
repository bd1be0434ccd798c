"""Shared by the tests of local keys."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.adapters.keys.secret_keys import Gpg


@pytest.fixture
def gpg(tmp_path: Path) -> Iterator[Gpg]:
    """GnuPG with an empty keyring."""
    with Gpg(tmp_path / "gnupg") as found:
        yield found


@pytest.fixture
def keep(tmp_path: Path) -> Callable[..., str]:
    """Return what writes a secret into a private file and gives its reference."""

    def kept(text: str, name: str = "key", mode: int = 0o600) -> str:
        path = tmp_path / name
        path.write_text(text)
        path.chmod(mode)
        return f"file://{path}"

    return kept
