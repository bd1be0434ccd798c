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
