"""The world in a box where it must not begin."""

from pathlib import Path

import pytest

from workers.app.world import World
from workers.failures import Unavailable
from workers.local.folder import WorldFolder


def contents(folder: Path) -> dict[str, str]:
    """Return the text of each file in a folder."""
    return {path.name: path.read_text() for path in folder.iterdir()}


async def test_a_folder_of_somebody_else_is_left_as_it_is(tmp_path: Path) -> None:
    """Neither a lock appears in it, nor does a file go that is called like one of ours."""
    held = {"endpoints.json": '{"mine": true}', "thesis.tex": "chapter 1"}
    for name, text in held.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(Unavailable, match="holds files of somebody else, not a local world"):
        async with World(WorldFolder(tmp_path), with_workers=False):
            pass
    assert contents(tmp_path) == held
