"""An older folder becomes a present one, a newer one is left alone."""

from pathlib import Path

import pytest

from workers.local import version
from workers.local.folder import FolderError
from workers.local.version import VERSION, upgrade, version_of


def test_fresh_folder_gets_the_present_version(tmp_path: Path) -> None:
    """There is nothing to upgrade in a folder that holds nothing but its lock."""
    (tmp_path / "lock").touch()

    assert upgrade(tmp_path) is None
    assert version_of(tmp_path) == VERSION
    assert upgrade(tmp_path) is None


def test_folder_without_a_version_is_upgraded_once(tmp_path: Path) -> None:
    """What was made before versions were written down counts as 0."""
    (tmp_path / "token").touch()

    assert version_of(tmp_path) == 0
    assert upgrade(tmp_path) == 0
    assert version_of(tmp_path) == VERSION
    assert upgrade(tmp_path) is None


def test_newer_folder_is_left_alone(tmp_path: Path) -> None:
    """The sentence says which versions, and what to do; nothing is changed."""
    (tmp_path / "version").write_text(f"{VERSION + 1}\n")
    with pytest.raises(FolderError, match=rf"newer release \(version {VERSION + 1}, this one knows {VERSION}\): use"):
        upgrade(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["version"]


def test_version_that_is_no_number_is_named(tmp_path: Path) -> None:
    """A damaged file is not taken for an old folder."""
    (tmp_path / "version").write_bytes(b"\xff1")
    with pytest.raises(FolderError, match="holds no version number"):
        upgrade(tmp_path)


def test_folder_of_somebody_else_is_never_made_a_world(tmp_path: Path) -> None:
    """Else a reset would remove what no world put there."""
    (tmp_path / "thesis.txt").write_text("years")
    with pytest.raises(FolderError, match="holds files of somebody else, not a local world: name another folder"):
        upgrade(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_upgrade_that_was_cut_short_is_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number is written when all steps are done, so each is taken, in order, until then."""
    taken: list[str] = []

    def failing(_root: Path) -> None:
        taken.append("second")
        if taken.count("second") == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(version, "STEPS", (lambda _root: taken.append("first"), failing))
    monkeypatch.setattr(version, "VERSION", 2)
    (tmp_path / "token").touch()
    with pytest.raises(KeyboardInterrupt):
        upgrade(tmp_path)

    assert version_of(tmp_path) == 0
    assert upgrade(tmp_path) == 0
    assert taken == ["first", "second", "first", "second"]
    assert version_of(tmp_path) == 2
