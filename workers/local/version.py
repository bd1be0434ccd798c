"""The version of a data folder's layout, in `DIR/version`: an older folder becomes a present one, in place.

    0   as 1, without the file
    1   as `workers.local.folder` says

The number is written last, by rename: whoever is killed in the middle of an upgrade takes the same steps again, so each
step must be harmless when it is repeated.
"""

from collections.abc import Callable
from pathlib import Path

from workers.local.folder import FolderError


def _number(_root: Path) -> None:
    """0 to 1: nothing but the number is new."""


STEPS: tuple[Callable[[Path], None], ...] = (_number,)
"""What leads from each version to the next one."""
VERSION = len(STEPS)
_MARKS = ("version", "ports.json", "token", "identities")
_EMPTY = {"lock", ".version", "lost+found"}
"""What may be there before the first of the marks is: ours, and what an empty disk holds."""


def is_world(root: Path) -> bool:
    """Whether a folder is empty, or was made by a local world: what else somebody named by mistake is left alone."""
    return any((root / name).exists() for name in _MARKS) or all(path.name in _EMPTY for path in root.iterdir())


def require_world(root: Path) -> None:
    """Raise FolderError when a folder holds something else than a local world, or cannot be looked into."""
    try:
        is_ours = is_world(root)
    except OSError as error:
        raise FolderError(f"{root} cannot be read ({error.strerror}): name another folder with --data") from error
    if not is_ours:
        raise FolderError(f"{root} holds files of somebody else, not a local world: name another folder with --data")


def version_of(root: Path) -> int:
    """Return the version of a folder. Raises FolderError when its file holds no number."""
    try:
        text = (root / "version").read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise FolderError(f"{root / 'version'} holds no version number: restore the folder from a back-up")
    return int(text)


def upgrade(root: Path) -> int | None:
    """Bring a folder, whose lock is held, to the present version; return the older one it had, if it had.

    Raises FolderError when a newer release made it, or when it holds something else.
    """
    require_world(root)
    found = version_of(root)
    if found > VERSION:
        raise FolderError(
            f"{root} was made by a newer release (version {found}, this one knows {VERSION}): use that one, or name"
            " another folder"
        )
    is_fresh = not any(path.name != "lock" for path in root.iterdir())
    for step in () if is_fresh else STEPS[found:]:
        step(root)
    if found < VERSION:
        draft = root / ".version"
        draft.write_text(f"{VERSION}\n")
        draft.replace(root / "version")
    return None if is_fresh or found == VERSION else found
