"""`sealane local` on the folder of a world that stands still."""

import os
import resource
from pathlib import Path

import pytest

from tests.commands.command import Sealane
from tests.commands.test_terminal import on_a_terminal


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a folder that holds something."""
    folder = tmp_path / "world"
    (folder / "nats").mkdir(parents=True)
    (folder / "nats" / "1.blk").write_bytes(b"x" * 1234)
    (folder / "ports.json").write_text("{}")
    return folder


@pytest.fixture
def sealane(data: Path) -> Sealane:
    """Run commands on the folder, where no server is."""
    return Sealane("nats://127.0.0.1:1", data)


def names(folder: Path) -> list[str]:
    """Return what a folder holds."""
    return sorted(path.name for path in folder.iterdir())


async def test_info_says_what_is_there(data: Path, sealane: Sealane) -> None:
    """Version, state, and how much each part holds; what a killed process left is named."""
    left = data.with_name(".world.abcd.next")
    left.mkdir()
    (left / "lock").touch()
    shown = await sealane("local", "info")

    assert shown.code == 0, shown.err
    assert f"{data}: version 0 (`sealane up` makes it 1)" in shown.out
    assert "not running" in shown.out
    assert ["nats", "1", "1,234"] in [line.split() for line in shown.out.splitlines()]
    assert str(left) in shown.out


async def test_reset_asks_first(data: Path, sealane: Sealane) -> None:
    """No and Ctrl-C change nothing, yes removes all but what is to be kept."""
    refused, question = await on_a_terminal(sealane, "local", "reset", typed="n\n")
    interrupted, _ = await on_a_terminal(sealane, "local", "reset", interrupted_at="for good?")
    before = names(data)
    agreed, _ = await on_a_terminal(sealane, "local", "reset", "--keep-ports", typed="y\n")

    assert "Remove the 2 files of" in question
    assert (refused, interrupted, before) == (1, 130, ["nats", "ports.json"])
    assert (agreed, names(data)) == (0, ["lock", "ports.json", "version"])


async def test_archive_is_named_by_the_time(data: Path, sealane: Sealane, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a name, it is written here; a terminal is no place for one."""
    monkeypatch.chdir(data.parent)
    shown, screen = await on_a_terminal(sealane, "local", "backup", "-")
    done = await sealane("local", "backup")
    [archive] = data.parent.glob("sealane-*.tar.gz")

    assert (shown, "an archive is nothing for a terminal" in screen) == (2, True)
    assert done.code == 0, done.err
    assert f"{archive.name} holds 2 files of 1,236 bytes" in done.out


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("restore", "none.tar.gz"), 2, "none.tar.gz cannot be read: No such file or directory"),
        (("restore", "/dev/null", "--replace"), 2, "/dev/null: it is damaged"),
        (("info", "--data", "/nowhere"), 1, "there is no local world in /nowhere: `sealane up` makes one"),
        (("backup", "/nowhere/a.tar.gz"), 2, "there is no folder /nowhere"),
    ],
)
async def test_what_is_not_there_is_said(
    sealane: Sealane, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    """One sentence, and nothing is changed."""
    done = await sealane("local", *arguments)

    assert done.code == code
    assert sentence in done.err
    assert done.err.count("\n") == 1


async def test_full_disk_is_said_with_what_to_do(data: Path, sealane: Sealane) -> None:
    """The archive does not appear by half, the folder stays."""
    archive = data.parent / "a.tar.gz"
    (data / "nats" / "2.blk").write_bytes(os.urandom(100_000))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        process = await sealane.start("local", "backup", str(archive))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    _, said = await process.communicate()

    assert (process.returncode, said.decode()) == (
        1,
        "sealane: nothing was changed: File too large; make room or name a place that may be written\n",
    )
    assert names(data.parent) == ["world"]
