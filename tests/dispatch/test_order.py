"""Whatever happens to a branch, and in whatever order: who listens ends up with what the branch holds."""

from collections.abc import Iterable
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.events import Event
from schemas.github import GithubPushed
from schemas.tenants import TenantOffboarded, TenantOnboarded
from tests.dispatch.conftest import MAIN, Scene, tenant
from workers.failures import NotYet

NAMES = ("acme", "beta", "gamma", "delta")
FILES = tuple(tenant(name, file) for name in NAMES for file in ("one", "two"))
changes = st.dictionaries(st.sampled_from(FILES), st.sampled_from(["1", "2", None]), min_size=1, max_size=4)
steps = st.lists(changes, min_size=1, max_size=3)
actions = st.lists(
    st.one_of(
        st.tuples(st.just("push"), steps, st.booleans()),
        st.tuples(st.just("force"), changes, st.integers(0, 5)),
        st.tuples(st.just("hear"), st.integers(0, 9), st.booleans()),
        st.tuples(st.just("lag"), st.booleans(), st.none()),
    ),
    min_size=1,
    max_size=12,
)


class Listener:
    """Somebody who follows the events and nothing else."""

    def __init__(self, tenants: Iterable[str]) -> None:
        self.tenants = set(tenants)

    def hear(self, events: Iterable[Event]) -> None:
        """Take what is said."""
        for event in events:
            if isinstance(event, TenantOnboarded):
                self.tenants.add(event.tenant)
            elif isinstance(event, TenantOffboarded):
                self.tenants.discard(event.tenant)


def held(scene: Scene) -> set[str]:
    """Return the tenants that main holds."""
    return {path.split("/")[1] for path in scene.stored.commits[scene.stored.refs[MAIN]].files}


def force(scene: Scene, change: dict[str, str | None], back: int) -> GithubPushed:
    """Leave some commits behind, and push another one instead."""
    line = scene.stored.ancestors(scene.stored.refs[MAIN])
    base = line[min(back, len(line) - 1)]
    files = dict(scene.stored.commits[base].files) | {path: text for path, text in change.items() if text is not None}
    kept = {path: text for path, text in files.items() if change.get(path, text) is not None}
    return scene.moved(MAIN, None, scene.stored.commit(kept, on=base), forced=True, pushed_at=scene.clock.now())


@pytest.mark.parametrize("known", [True, False], ids=["known", "new"])
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=actions, rest=st.randoms(use_true_random=False))
async def test_who_listens_ends_up_with_what_the_branch_holds(known: bool, actions: list, rest: object) -> None:  # type: ignore[type-arg]  # noqa: FBT001 - a parameter
    """Pushes are listed or not, forced, heard of late, twice, or in any other order, while the API lags behind."""
    scene = Scene()
    scene.stored.refs[MAIN] = scene.stored.commit({tenant("acme", "one"): "1", tenant("beta", "one"): "1"})
    listener, waiting = Listener(held(scene)), []
    if known:
        listener.hear(await scene.take(scene.push({tenant("beta", "two"): "1"})))
    for word, what, how in actions:
        if word == "push":
            present = scene.stored.commits[scene.stored.refs[MAIN]].files
            real = [{path: text for path, text in step.items() if text is not None or path in present} for step in what]
            waiting.append(scene.push(*real, complete=how, pushed_at=scene.clock.now()))
        elif word == "force":
            waiting.append(force(scene, what, how))
        elif word == "lag":
            scene.stored.shown = dict(scene.stored.refs) if what else None
            # What was pushed before is old by then: the API lags for a minute, no longer.
            scene.clock.time += timedelta(minutes=2)
        elif waiting:
            push = waiting[what % len(waiting)]
            if await heard(scene, push, listener) and how:
                waiting.remove(push)
    scene.stored.shown = None
    scene.clock.time += timedelta(minutes=2)
    rest.shuffle(waiting)  # type: ignore[attr-defined]  # hypothesis' own random
    for push in waiting:
        assert await heard(scene, push, listener)

    assert listener.tenants == held(scene)


async def heard(scene: Scene, push: GithubPushed, listener: Listener) -> bool:
    """Let the worker take a push and the listener hear what follows; False where it comes back later."""
    try:
        listener.hear(await scene.take(push))
    except NotYet:
        return False
    return True
