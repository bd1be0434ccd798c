"""The tree that the house rules are about: what is kept in version control, or would be."""

import ast
import gc
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def files(*suffixes: str) -> tuple[Path, ...]:
    """Return the kept files with one of these suffixes; all of them when none is given."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    found = (ROOT / name for name in listed if name)
    return tuple(path for path in found if path.is_file() and (not suffixes or path.suffix in suffixes))


@cache
def python(folder: str) -> tuple[tuple[Path, ast.Module], ...]:
    """Return the parsed Python files below a folder; generated ones are nobody's style."""
    inside = (path for path in files(".py") if path.is_relative_to(ROOT / folder) and "pb" not in path.parts)
    # All of it is kept, so that to look for garbage among half a million nodes again and again finds none.
    gc.disable()
    try:
        return tuple((path, ast.parse(path.read_text(encoding="utf-8"))) for path in inside)
    finally:
        gc.freeze()
        gc.enable()


def name(path: Path) -> str:
    """Return a path as the tree knows it."""
    return path.relative_to(ROOT).as_posix()
