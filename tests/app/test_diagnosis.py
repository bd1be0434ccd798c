"""What the doctor says of workers: one with its hands full is no patient."""

from collections.abc import Iterator

import pytest

from workers.app import diagnosis
from workers.bus.transport.connection import Connection
from workers.gateway.health import Health, WorkerState

FULL = WorkerState("attest", "Signs.", lag=26, in_hand=16, pulling=0)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[WorkerState]:
    """Give a list to be filled with what the later looks at a worker find; the last one stays."""
    found: list[WorkerState] = []

    def each() -> Iterator[WorkerState]:
        yield from found
        while True:
            yield found[-1]

    seen = each()

    async def examine(_: Connection) -> Health:
        return Health(0.001, (), (next(seen),))

    monkeypatch.setattr(diagnosis, "examine", examine)
    monkeypatch.setattr(diagnosis, "_BETWEEN_LOOKS", 0.0)
    return found


async def judged(first: WorkerState) -> diagnosis.Finding:
    """Return the finding about one worker."""
    [worker] = await diagnosis._looked_at_again(Connection.__new__(Connection), (first,))
    return diagnosis._worker(worker)


@pytest.mark.parametrize(
    "later",
    [
        WorkerState("attest", "Signs.", lag=40, in_hand=15, pulling=0),
        WorkerState("attest", "Signs.", lag=26, in_hand=16, pulling=1),
    ],
)
async def test_a_worker_with_its_hands_full_is_at_work(looks: list[WorkerState], later: WorkerState) -> None:
    """It finished something, or asked for more, between two looks; new events alone say nothing."""
    looks += [WorkerState("attest", "Signs.", lag=30, in_hand=16, pulling=0), later, FULL]

    assert (await judged(FULL)).good


async def test_a_worker_that_died_with_its_hands_full_is_named(looks: list[WorkerState]) -> None:
    """What was handed out stays where it is, whatever is published: the sentence says what may be, and what to do."""
    looks += [WorkerState("attest", "Signs.", lag=lag, in_hand=16, pulling=0) for lag in (27, 28, 29)]

    finding = await judged(FULL)

    assert not finding.good
    assert "29 wait, of which 16 were handed out" in finding.said
    assert "sealane worker attest" in finding.said


async def test_a_worker_that_was_never_there_is_named_at_once() -> None:
    """Nothing was handed out: nobody needs to look twice."""
    finding = await judged(WorkerState("attest", "Signs.", lag=3, in_hand=0, pulling=0))

    assert (finding.good, finding.said) == (False, "no process asks for work, 3 wait: `sealane worker attest`")
