"""Trees that GitHub cuts off are read level by level, and nothing is missing."""

import pytest

from tests.adapters.github.conftest import MAIN, Setting
from workers.adapters.github import repositories
from workers.failures import Invalid
from workers.local.github.rest import contents

FILES = {f"onboarding/t{number}/deep/{name}.yaml": "1" for number in range(6) for name in "ab"} | {
    "onboarding/top.yaml": "1",
    "elsewhere/x": "1",
}


@pytest.fixture
def head(setting: Setting) -> str:
    """Let main hold many folders."""
    sha = setting.objects.commit(FILES)
    setting.objects.point(MAIN, sha)
    return sha


@pytest.mark.parametrize("most", [100_000, 24, 8])
async def test_a_truncated_tree_is_read_below(
    setting: Setting, head: str, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Whether it is cut off nowhere, at the top or in the folder as well."""
    monkeypatch.setattr(contents, "MOST_ENTRIES", most)

    below = await setting.github.files(setting.repository, head, frozenset({"onboarding"}))
    whole = await setting.github.files(setting.repository, head, frozenset({""}))

    assert set(below) == {path for path in FILES if path.startswith("onboarding/")}
    assert set(whole) == set(FILES)


async def test_a_folder_that_cannot_be_listed_is_an_error(
    setting: Setting, head: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An incomplete list would mean that somebody is gone."""
    monkeypatch.setattr(contents, "MOST_ENTRIES", 3)

    with pytest.raises(Invalid, match="more files than GitHub lists"):
        await setting.github.files(setting.repository, head, frozenset({"onboarding"}))


async def test_too_many_folders_are_an_error(setting: Setting, head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules ask for too much; the sentence says so."""
    monkeypatch.setattr(contents, "MOST_ENTRIES", 8)
    monkeypatch.setattr(repositories, "_MOST_TREES", 5)

    with pytest.raises(Invalid, match="narrower"):
        await setting.github.files(setting.repository, head, frozenset({"onboarding"}))
