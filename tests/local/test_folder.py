"""The folder of a local world."""

import os
import socket
import stat
from pathlib import Path

import pytest

from workers.local.folder import FolderError, WorldFolder

NAMES = ("nats", "http")


async def test_one_world_per_folder(tmp_path: Path) -> None:
    """A second lock is refused with the holder's process id, and granted once the first is given back."""
    first, second = WorldFolder(tmp_path), WorldFolder(tmp_path)
    await first.lock()

    assert second.holder() == os.getpid()
    with pytest.raises(FolderError, match=str(os.getpid())):
        await second.lock()
    first.unlock()
    assert second.holder() is None
    await second.lock()
    second.unlock()


async def test_ports_are_chosen_once(tmp_path: Path) -> None:
    """The same names get the same ports ever after, and a new name gets its own."""
    folder = WorldFolder(tmp_path)
    chosen = await folder.ports(NAMES)

    again = await WorldFolder(tmp_path).ports((*NAMES, "grpc"))

    assert {name: again[name] for name in NAMES} == chosen
    assert len(set(again.values())) == 3


async def test_taken_port_is_named_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When somebody listens on a kept port, the sentence says which, what for, and what to do."""
    monkeypatch.setattr("workers.local.folder._LETTING_GO", 0.1)
    folder = WorldFolder(tmp_path)
    chosen = await folder.ports(NAMES)
    with (
        socket.create_server(("127.0.0.1", chosen["http"])),
        pytest.raises(FolderError, match=r"\(http\).*ports\.json"),
    ):
        await folder.ports(NAMES)


async def test_endpoints_count_only_while_their_world_lives(tmp_path: Path) -> None:
    """What a dead world left behind is no world."""
    folder = WorldFolder(tmp_path)
    await folder.lock()
    folder.publish({"nats": "x"})
    found = folder.endpoints()
    left = (tmp_path / "endpoints.json").read_text()
    folder.unlock()
    (tmp_path / "endpoints.json").write_text(left)

    assert found == {"nats": "x", "pid": os.getpid()}
    assert folder.endpoints() is None


async def test_half_written_endpoints_are_none(tmp_path: Path) -> None:
    """A file that is no JSON yet is as good as none."""
    folder = WorldFolder(tmp_path)
    await folder.lock()
    (tmp_path / "endpoints.json").write_text('{"nats": ')

    assert folder.endpoints() is None
    folder.unlock()


def test_token_is_kept_and_private(tmp_path: Path) -> None:
    """The access token is made once, for its owner alone."""
    folder = WorldFolder(tmp_path)

    assert folder.token() == WorldFolder(tmp_path).token()
    assert len(folder.token()) >= 32
    assert stat.S_IMODE(folder.token_file.stat().st_mode) == 0o600


async def test_what_cannot_be_a_folder_is_said(tmp_path: Path) -> None:
    """A file in its place is named, with what to do."""
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match=r"file cannot be the folder of a local world .*: name one that may be"):
        await WorldFolder(tmp_path / "file").lock()
