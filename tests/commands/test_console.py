"""Somebody is signed out of the console from the command line."""

from tests.bus.lane import Lane
from tests.commands.command import Sealane
from workers.bus.claims.ledger import Ledger
from workers.gateway.console.sessions import of_person
from workers.gateway.console.signed_out import key_of


async def test_an_operator_signs_somebody_out_with_its_own_permissions(lane: Lane, sealane: Sealane) -> None:
    """The note is where every door reads it; a second one counts for what began since the first."""
    ledger = Ledger(lane.connection, lane.publisher)
    revisions = []
    for _ in range(2):
        done = await sealane("console", "sign-out", "alice")
        assert (done.code, done.out.startswith("whatever alice had open")) == (0, True), done.err
        revisions.append((await ledger.look(key_of(of_person("alice")))).revision)

    assert 0 < revisions[0] < revisions[1]


async def test_nobody_is_signed_out_by_a_name_that_no_policy_can_have(sealane: Sealane) -> None:
    """An empty variable of a script is refused, where a note for nobody would look like success."""
    for name in ("", "alice bob", "-"):
        done = await sealane("console", "sign-out", name)

        assert (done.code, done.out) == (2, "")
        assert f"no principal is called {name!r}: give the name as the policy has it" in done.err
