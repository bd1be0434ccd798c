"""Pushes become events of tenants: in order by what they list, else by what the ref really holds."""

import asyncio
from datetime import timedelta

import pytest

from schemas.certificates import CertificateExpiring
from schemas.github import ZERO
from schemas.tenants import TenantOnboarded
from tests.dispatch.conftest import MAIN, RULES, Scene, said, settings, tenant
from workers.failures import NotFound, NotYet, Unavailable
from workers.retention import Retention

ADDED, MODIFIED, REMOVED = "tenant.onboarded: added", "tenant.onboarded: modified", "tenant.offboarded: removed"


async def started(scene: Scene) -> None:
    """Let main have the tenants acme and beta, known to the worker."""
    push = scene.push({tenant("acme"): "1", tenant("beta"): "1", "README.md": "hello"})
    assert await scene.tenants(push) == {"acme": ADDED, "beta": ADDED}
    scene.github.calls.clear()


async def test_a_push_in_order_is_taken_as_it_lists(scene: Scene) -> None:
    """Nobody is asked where the push says enough; what no rule is about says nothing."""
    await started(scene)

    push = scene.push({tenant("gamma"): "1", tenant("acme"): "2", "README.md": "2"})

    assert await scene.tenants(push) == {"acme": MODIFIED, "gamma": ADDED}
    assert scene.github.calls == []


async def test_a_merge_may_leave_out_what_its_commits_changed(scene: Scene) -> None:
    """Several commits are compared: one merged with `-s ours` is listed, and yet nothing of it is there."""
    await started(scene)
    push = scene.push({tenant("gamma"): "1"}, {"README.md": "2"})
    merged = push.model_copy(update={"added": (*push.added, tenant("left-out")), "commits": 3})

    assert await scene.tenants(merged) == {"gamma": ADDED}


async def test_without_an_app_the_lists_of_several_commits_are_taken(scene: Scene) -> None:
    """There is nobody to ask; what needs asking is an error still."""
    await started(scene)
    scene.settings = settings(app_id=None, private_key=None)

    assert await scene.tenants(scene.push({tenant("gamma"): "1"}, {tenant("delta"): "1"})) == {
        "delta": ADDED,
        "gamma": ADDED,
    }
    assert scene.github.calls == []


async def test_the_event_says_where_it_is_declared(scene: Scene) -> None:
    """Repository, ref, commit and paths are those of the push."""
    await started(scene)

    push = scene.push({tenant("gamma"): "1", tenant("gamma", "extra"): "1"})
    (event,) = await scene.take(push)

    assert isinstance(event, TenantOnboarded)
    assert (event.repository_id, event.ref, event.commit) == (5, MAIN, push.after)
    assert event.paths == (tenant("gamma", "extra"), tenant("gamma"))


async def test_many_files_of_one_tenant_are_one_event(scene: Scene) -> None:
    """It names 64 of them, and says how many more there are."""
    await started(scene)

    (event,) = await scene.take(scene.push({tenant("gamma", f"f{number:03}"): "1" for number in range(100)}))

    assert isinstance(event, TenantOnboarded)
    assert (len(event.paths), event.more_paths) == (64, 36)


async def test_a_tenant_is_gone_only_with_its_last_file(scene: Scene) -> None:
    """One of two files removed is a change; the ref itself is read."""
    await started(scene)
    await scene.take(scene.push({tenant("acme", "extra"): "1"}))

    assert await scene.tenants(scene.push({tenant("acme", "extra"): None})) == {"acme": MODIFIED}
    assert await scene.tenants(scene.push({tenant("acme"): None})) == {"acme": REMOVED}
    assert "head" in scene.github.calls


async def test_a_removal_that_is_undone_removes_nobody(scene: Scene) -> None:
    """Between the push and our look somebody put it back: the ref counts, not the push."""
    await started(scene)
    removing = scene.push({tenant("acme"): None})
    restoring = scene.push({tenant("acme"): "1"})

    assert await scene.tenants(removing) == {}
    assert await scene.tenants(restoring) == {}


async def test_a_file_that_moves_within_a_tenant_is_a_change(scene: Scene) -> None:
    """Renamed files are one removed and one added, of the same tenant."""
    await started(scene)

    push = scene.push({tenant("acme"): None, tenant("acme", "other"): "1"})

    assert await scene.tenants(push) == {"acme": ADDED}


async def test_pushes_out_of_order_lose_nothing_and_repeat_nothing(scene: Scene) -> None:
    """The second comes first: it is taken together with the first, which then is known already."""
    await started(scene)
    first = scene.push({tenant("gamma"): "1", tenant("beta"): None})
    second = scene.push({tenant("delta"): "1"})

    assert await scene.tenants(second) == {"beta": REMOVED, "delta": ADDED, "gamma": ADDED}
    assert await scene.tenants(first) == {}
    assert "taken already" in scene.progress.lines[-1]


async def test_an_old_push_cannot_bring_back_who_left(scene: Scene) -> None:
    """A push that added a tenant arrives after the one which removed it."""
    await started(scene)
    adding = scene.push({tenant("gamma"): "1"})
    removing = scene.push({tenant("gamma"): None})

    assert await scene.tenants(removing) == {}
    assert await scene.tenants(adding) == {}


async def test_pushes_before_the_first_one_seen_are_not_lost(scene: Scene) -> None:
    """An installation hears of the third push first, then of the first, then of the second."""
    scene.stored.refs[MAIN] = scene.stored.commit({tenant("old"): "1"})
    first, second, third = (scene.push({tenant(name): "1"}) for name in ("one", "two", "three"))

    assert await scene.tenants(third) == {"three": ADDED}
    assert await scene.tenants(first) == {"one": ADDED, "two": ADDED}
    assert await scene.tenants(second) == {}


async def test_a_missed_push_is_made_up_for_by_the_next(scene: Scene) -> None:
    """Its delivery was lost: the next push does not begin where we are."""
    await started(scene)
    scene.push({tenant("gamma"): "1"})

    assert await scene.tenants(scene.push({tenant("delta"): "1"})) == {"delta": ADDED, "gamma": ADDED}


async def test_a_forced_push_is_taken_by_comparison(scene: Scene) -> None:
    """What the commits left behind had brought is taken back, and nothing is told twice."""
    await started(scene)
    base = scene.stored.refs[MAIN]
    await scene.take(scene.push({tenant("gamma"): "1"}))
    other = scene.stored.commit({tenant("acme"): "1", tenant("beta"): "2", tenant("delta"): "1"}, on=base)

    push = scene.moved(MAIN, None, other, [([tenant("delta")], [], [])], forced=True)

    assert await scene.tenants(push) == {"beta": MODIFIED, "delta": ADDED, "gamma": REMOVED}


async def test_commits_that_are_cleaned_away_count_as_nothing(scene: Scene) -> None:
    """After a forced push GitHub may forget the old commits: then everything is new, and nobody is removed."""
    await started(scene)
    forgotten = scene.stored.refs[MAIN]
    push = scene.moved(MAIN, None, scene.stored.commit({tenant("acme"): "1"}), forced=True)
    del scene.stored.commits[forgotten]

    assert await scene.tenants(push) == {"acme": ADDED}
    assert any("not there any more" in line for line in scene.progress.lines)


@pytest.mark.parametrize("tenants", [3, 400])
async def test_an_incomplete_push_yields_what_the_trees_say(scene: Scene, tenants: int) -> None:
    """Whether GitHub's comparison lists all files or not, the lists of such a push are never used."""
    await started(scene)
    many: dict[str, str | None] = {tenant(f"t{number}"): "1" for number in range(tenants)}
    push = scene.push(many | {tenant("beta"): None}, complete=False, added=(tenant("liar"),), removed=(tenant("acme"),))

    assert await scene.tenants(push) == {f"t{number}": ADDED for number in range(tenants)} | {"beta": REMOVED}


async def test_a_new_branch_is_taken_whole(scene: Scene) -> None:
    """Whatever the commits of its first push were about: everything that it holds is new there."""
    scene.settings = settings([{**rule, "ref": "refs/heads/*"} for rule in RULES])
    await started(scene)
    head = scene.stored.refs[MAIN]

    push = scene.push({tenant("gamma"): "1"}, ref="refs/heads/next", base=head)

    assert push.created
    assert await scene.tenants(push) == {"acme": ADDED, "beta": ADDED, "gamma": ADDED}


async def test_a_tag_is_taken_whole_and_by_comparison_when_it_moves(scene: Scene) -> None:
    """A tag's `after` may be an object of its own; its commit is asked for."""
    scene.settings = settings([{**rule, "ref": "refs/tags/*"} for rule in RULES])
    one = scene.stored.commit({tenant("acme"): "1"})
    two = scene.stored.commit({tenant("beta"): "1"}, on=one)
    created = scene.moved("refs/tags/v1", None, one).model_copy(update={"after": "f" * 40})
    assert await scene.tenants(created) == {"acme": ADDED}
    ends = {"before": "f" * 40, "after": "e" * 40, "forced": True}
    moved = scene.moved("refs/tags/v1", None, two).model_copy(update=ends)
    assert await scene.tenants(moved) == {"acme": REMOVED, "beta": ADDED}


async def test_the_deletion_of_the_branch_removes_nobody(scene: Scene) -> None:
    """Unless a rule says otherwise; when the branch is back, it is compared with what was there before."""
    await started(scene)
    head = scene.stored.refs[MAIN]

    assert await scene.tenants(scene.moved(MAIN, None, None)) == {}
    back = scene.push({tenant("beta"): None, tenant("gamma"): "1"}, base=head, created=True)
    assert await scene.tenants(back) == {"beta": REMOVED, "gamma": ADDED}


async def test_the_deletion_of_the_branch_removes_where_a_rule_says_so(scene: Scene) -> None:
    """With `when_deleted: remove` all its files are gone with it, and new when it is back."""
    scene.settings = settings([{**rule, "when_deleted": "remove"} for rule in RULES])
    await started(scene)
    head = scene.stored.refs[MAIN]

    deleted = await scene.take(scene.moved(MAIN, None, None))
    assert said(deleted) == {"acme": REMOVED, "beta": REMOVED}
    assert {getattr(event, "commit", "") for event in deleted} == {ZERO}
    back = scene.push({tenant("beta"): None, tenant("gamma"): "1"}, base=head, created=True)
    assert await scene.tenants(back) == {"acme": ADDED, "gamma": ADDED}


async def test_a_branch_that_is_there_again_was_not_deleted(scene: Scene) -> None:
    """The deletion arrives when the branch is back already: what it holds now is compared."""
    scene.settings = settings([{**rule, "when_deleted": "remove"} for rule in RULES])
    await started(scene)
    head = scene.stored.refs[MAIN]
    deletion = scene.moved(MAIN, None, None)
    creation = scene.push({tenant("gamma"): "1"}, base=head, created=True)

    assert await scene.tenants(deletion) == {"gamma": ADDED}
    assert await scene.tenants(creation) == {}


async def test_an_api_that_lags_is_waited_for(scene: Scene) -> None:
    """Right after a push the API may show the ref as it was: that is no reason to believe that nothing happened."""
    await started(scene)
    scene.stored.shown = dict(scene.stored.refs)
    push = scene.push({tenant("beta"): None}, pushed_at=scene.clock.now())

    with pytest.raises(NotYet):
        await scene.take(push, event_id="lagging")
    scene.stored.shown = None

    assert said(await scene.take(push, event_id="lagging")) == {"beta": REMOVED}


async def test_an_api_that_shows_an_older_push_is_waited_for(scene: Scene) -> None:
    """It has moved, but not as far as the push that we know of."""
    await started(scene)
    await_first = scene.push({tenant("gamma"): "1"})
    scene.stored.shown = dict(scene.stored.refs)
    push = scene.push({tenant("beta"): None}, pushed_at=scene.clock.now())

    with pytest.raises(NotYet):
        await scene.take(push)
    scene.clock.time += timedelta(minutes=2)
    assert await scene.tenants(await_first) == {"gamma": ADDED}


async def test_a_repeat_says_the_same_though_the_place_has_moved_on(scene: Scene) -> None:
    """The process ended before its events were stored; others went on meanwhile, for as long as dead letters wait."""
    await started(scene)
    first = scene.push({tenant("gamma"): "1"})
    lost = await scene.take(first, event_id="first")
    await scene.take(scene.push({tenant("delta"): "1"}))

    again = await scene.take(first, event_id="first")

    assert [event.model_dump() for event in again] == [event.model_dump() for event in lost]
    assert await scene.tenants(scene.push({tenant("epsilon"): "1"})) == {"epsilon": ADDED}
    decided = [entry.lasts for key, entry in scene.claims.entries.items() if key.startswith("push|")]
    assert set(decided) == {Retention().dead_age}


@pytest.mark.parametrize("call", range(4))
async def test_a_failure_of_the_api_loses_nothing(scene: Scene, call: int) -> None:
    """Whichever question fails: the repeat finds everything."""
    await started(scene)
    many: dict[str, str | None] = {tenant(f"t{number}"): "1" for number in range(400)}
    push = scene.push(many, complete=False)
    original = scene.github._asked
    left = [call]

    def failing(name: str, repository: object) -> object:
        left[0] -= 1
        if left[0] == -1:
            raise Unavailable("GitHub is away")
        return original(name, repository)  # type: ignore[arg-type]  # the fake's own

    scene.github._asked = failing  # type: ignore[method-assign,assignment]  # it breaks once
    with pytest.raises(Unavailable):
        await scene.take(push, event_id="failing")

    assert len(await scene.take(push, event_id="failing")) == 400


async def test_a_repository_that_is_not_there_is_an_error(scene: Scene) -> None:
    """A rule is about it, so somebody must hear that it cannot be read."""
    push = scene.push({tenant("acme"): "1"})
    scene.github.repositories.clear()

    with pytest.raises(NotFound, match="repository 5"):
        await scene.take(push)


async def test_what_no_rule_is_about_asks_nobody(scene: Scene) -> None:
    """Another ref, another repository with the same name: nothing follows, and the run says why."""
    for push in (
        scene.push({tenant("acme"): "1"}, ref="refs/heads/other"),
        scene.push({tenant("acme"): "1"}).model_copy(update={"repository_id": 6}),
    ):
        assert await scene.tenants(push) == {}
        assert "no rule is about" in scene.progress.lines[-1]
    assert scene.github.calls == []


async def test_look_alike_names_are_not_taken_and_shown(scene: Scene) -> None:
    """Neither capital, Cyrillic or full-width letters nor a path that climbs becomes a tenant."""
    await started(scene)
    paths = ["onboarding/Acme/t.yaml", "onboarding/\u0430cme/t.yaml", "onboarding/../t.yaml", "onboarding/-acme/t.yaml"]

    assert await scene.tenants(scene.push(dict.fromkeys(paths, "1"))) == {}
    assert sum("not taken" in line for line in scene.progress.lines) == 4
    assert all(line.isascii() for line in scene.progress.lines)


async def test_a_rule_fills_the_fields_of_its_event(scene: Scene) -> None:
    """`certificate.expiring` gets its certificate from the path."""
    rule = {
        "repository_id": 5,
        "paths": "certificates/{tenant}/{name}.renew",
        "event": "certificate.expiring",
        "fields": {"certificate": "{tenant}/{name}"},
    }
    scene.settings = settings([rule])

    (event,) = await scene.take(scene.push({"certificates/acme/edge.renew": "1"}))

    assert isinstance(event, CertificateExpiring)
    assert (event.tenant, event.certificate, event.change) == ("acme", "acme/edge", "added")


async def test_who_takes_a_ref_over_does_not_wait_again_for_the_push(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that died while it asked held two leases: of both, the ref's is the one that had to run out."""
    await started(scene)
    push = scene.push({tenant("gamma"): "1"}, complete=False)
    asked = asyncio.Event()

    async def never(*_: object) -> str:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    with monkeypatch.context() as patched:
        patched.setattr(scene.github, "head", never)
        dying = asyncio.create_task(scene.take(push, event_id="push"))
        await asked.wait()
    scene.claims.entries[f"ref|{push.repository_id}|{push.ref}"].silent = True

    async with asyncio.timeout(60):
        assert said(await scene.take(push, event_id="push")) == {"gamma": ADDED}
    dying.cancel()
    await asyncio.wait([dying])
