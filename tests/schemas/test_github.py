"""What commits changed together, merged in a way that never says less than they do."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.github import NetChange, net_change

lists = st.lists(st.tuples(*(st.sets(st.sampled_from("abcdef")) for _ in range(3))), max_size=6)


@given(commits=lists)
def test_every_path_is_named_once(commits: list[tuple[set[str], set[str], set[str]]]) -> None:
    """In one of the three lists, sorted."""
    found = net_change(commits)
    named = [*found.added, *found.modified, *found.removed]

    assert sorted(named) == sorted({path for commit in commits for paths in commit for path in paths})
    assert all(list(paths) == sorted(paths) for paths in found)


def test_what_anyone_removed_is_looked_up() -> None:
    """Whoever added or changed it besides, before or after."""
    removed = NetChange((), (), ("a",))

    assert net_change([(["a"], [], []), ([], [], ["a"])]) == removed
    assert net_change([([], [], ["a"]), (["a"], [], [])]) == removed
    assert net_change([([], [], ["a"]), ([], ["a"], [])]) == removed


def test_added_and_then_changed_is_added() -> None:
    """As the trees would say it."""
    assert net_change([(["a"], ["b"], []), ([], ["a"], [])]) == NetChange(("a",), ("b",), ())
