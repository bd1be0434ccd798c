"""What the ports Github and Deliveries promise, whoever gives them."""

import pytest

from schemas.github import NetChange
from tests.contracts.github.conftest import Place
from workers.failures import NotFound

MAIN = "refs/heads/main"
NOWHERE = "1" * 40


async def test_a_branch_names_a_commit(place: Place) -> None:
    """The latest one, also right after it moved; slashes are part of a name."""
    one = place.commit({"a": "1"})
    two = place.commit({"a": "2"}, on=one)
    for ref in (MAIN, "refs/heads/feature/one"):
        place.point(ref, one)
        assert await place.github.head(place.repository, ref) == one
        place.point(ref, two)
        assert await place.github.head(place.repository, ref) == two


async def test_a_ref_that_is_not_there_names_none(place: Place) -> None:
    """Never made, or deleted; a longer name that begins alike is another ref."""
    one = place.commit({"a": "1"})
    place.point("refs/heads/gone", one)
    place.point("refs/heads/gone-not", one)
    place.point("refs/heads/gone", None)

    assert await place.github.head(place.repository, "refs/heads/gone") is None
    assert await place.github.head(place.repository, "refs/heads/never") is None
    assert await place.github.head(place.repository, "refs/tags/never") is None


async def test_a_tag_names_its_commit(place: Place) -> None:
    """Also where the tag is an object of its own."""
    one = place.commit({"a": "1"})
    place.point("refs/tags/light", one)
    place.tag("refs/tags/annotated", one)

    assert await place.github.head(place.repository, "refs/tags/light") == one
    assert await place.github.head(place.repository, "refs/tags/annotated") == one


async def test_a_comparison_says_how_commits_stand(place: Place) -> None:
    """Ahead, behind, diverged or identical."""
    root = place.commit({"a": "1"})
    left = place.commit({"a": "1", "left": "1"}, on=root)
    right = place.commit({"a": "1", "right": "1"}, on=root)
    for ref, sha in (("refs/heads/left", left), ("refs/heads/right", right)):
        place.point(ref, sha)

    async def status(base: str, head: str) -> str:
        return (await place.github.compare(place.repository, base, head)).status

    assert await status(root, left) == "ahead"
    assert await status(left, root) == "behind"
    assert await status(left, right) == "diverged"
    assert await status(left, left) == "identical"


async def test_a_comparison_lists_what_changed(place: Place) -> None:
    """Over all commits between, each path once; what moves is removed here and added there."""
    old = place.commit({"same": "1", "changed": "1", "gone": "1" * 99, "from/there": "a long text\n" * 9})
    middle = place.commit({"same": "1", "changed": "2", "passing": "1"}, on=old)
    new = place.commit({"same": "1", "changed": "3", "new": "2", "to/here": "a long text\n" * 9}, on=middle)
    place.point(MAIN, new)

    found = await place.github.compare(place.repository, old, new)

    assert found.status == "ahead"
    assert found.change == NetChange(("new", "to/here"), ("changed",), ("from/there", "gone"))


@pytest.mark.parametrize(("files", "listed"), [(299, True), (300, False), (450, False)])
async def test_a_comparison_says_when_it_does_not_list_all(place: Place, files: int, listed: bool) -> None:  # noqa: FBT001 - a parameter
    """GitHub lists 300 files; with so many nobody knows whether there are more."""
    old = place.commit({"a": "1"})
    new = place.commit({"a": "1"} | {f"many/{number:03}": str(number) for number in range(files)}, on=old)
    place.point(MAIN, new)

    change = (await place.github.compare(place.repository, old, new)).change

    assert (change is not None) is listed
    assert change is None or len(change.added) == files


async def test_the_files_below_folders_are_listed(place: Place) -> None:
    """However deep, with whole paths; other folders that begin alike are not meant, and a missing one holds none."""
    files = {"a/b/one": "1", "a/b/c/two": "2", "a/bc/three": "3", "b/four": "4", "five": "5"}
    sha = place.commit(files)
    place.point(MAIN, sha)

    async def listed(*folders: str) -> set[str]:
        return set(await place.github.files(place.repository, sha, frozenset(folders)))

    assert await listed("a/b") == {"a/b/one", "a/b/c/two"}
    assert await listed("a/b", "b", "nowhere", "a/nowhere/b") == {"a/b/one", "a/b/c/two", "b/four"}
    assert await listed("") == set(files)
    assert await listed("five") == set()


async def test_the_same_content_has_the_same_hash(place: Place) -> None:
    """So that two trees can be compared."""
    sha = place.commit({"x/a": "1", "x/b": "1", "x/c": "2"})
    place.point(MAIN, sha)

    found = await place.github.files(place.repository, sha, frozenset({"x"}))

    assert found["x/a"] == found["x/b"] != found["x/c"]


async def test_a_commit_that_is_not_there_is_not_found(place: Place) -> None:
    """Cleaned away after a forced push, for instance."""
    sha = place.commit({"a": "1"})
    place.point(MAIN, sha)

    with pytest.raises(NotFound):
        await place.github.compare(place.repository, NOWHERE, sha)
    with pytest.raises(NotFound):
        await place.github.compare(place.repository, sha, NOWHERE)
    with pytest.raises(NotFound):
        await place.github.files(place.repository, NOWHERE, frozenset({"a"}))


async def test_a_repository_that_we_may_not_see_is_not_found(place: Place) -> None:
    """Whatever is asked: never an empty answer, which would mean that everything is gone."""
    with pytest.raises(NotFound):
        await place.github.head(place.hidden, MAIN)
    with pytest.raises(NotFound):
        await place.github.compare(place.hidden, NOWHERE, NOWHERE)
    with pytest.raises(NotFound):
        await place.github.files(place.hidden, NOWHERE, frozenset({""}))


async def test_deliveries_are_listed_the_newest_first(place: Place) -> None:
    """With how they ended."""
    before = [attempt async for attempt in place.deliveries.attempts()]
    for guid, ok in (("one", True), ("two", False), ("three", True)):
        await place.deliver(guid, ok)

    found = [attempt async for attempt in place.deliveries.attempts()][:3]

    assert place.deliveries.configured
    assert [attempt.ok for attempt in found] == [True, False, True]
    assert len({attempt.guid for attempt in found}) == 3
    assert found[0].delivered_at >= found[-1].delivered_at
    assert len(before) + 3 == len([attempt async for attempt in place.deliveries.attempts()])


async def test_a_delivery_can_be_asked_for_again(place: Place) -> None:
    """That makes another attempt; one that nobody knows is not found."""
    await place.deliver("one", False)
    attempts = [attempt async for attempt in place.deliveries.attempts()]
    made = await place.attempts_made()

    await place.deliveries.redeliver(attempts[0].id)

    assert await place.attempts_made() == made + 1
    with pytest.raises(NotFound):
        await place.deliveries.redeliver(987_654_321)
