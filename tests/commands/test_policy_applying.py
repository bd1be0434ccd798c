"""Setting a policy while others do: nothing of theirs is undone, and nothing is said that was not read back."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from tests.fakes.attestations import FakeAttestations
from tests.fakes.attestors import FakeAttestors
from tests.fakes.clock import FakeClock
from tests.fakes.images import FakeImages
from tests.fakes.notes import FakeNotes
from tests.fakes.policies import EVERYTHING, FakePolicies
from workers.app.policies import PolicyPorts
from workers.commands.policy_applying import apply_now
from workers.failures import Mismatch
from workers.policy.model import Policy

GOOD = """
globalPolicyEvaluationMode: ENABLE
defaultAdmissionRule:
  evaluationMode: ALWAYS_DENY
  enforcementMode: ENFORCED_BLOCK_AND_AUDIT_LOG
"""


class Crowded(FakePolicies):
    """Policies that somebody else changes as well: before we set ours, or after."""

    def __init__(self, *, before: bool) -> None:
        super().__init__()
        self._before = before

    async def set(self, policy: Policy, *, timeout: float) -> Policy:
        """Put the policy, with another one put before or after it."""
        theirs = policy.model_copy(update={"default_admission_rule": EVERYTHING})
        if self._before:
            await super().set(theirs, timeout=timeout)
            return await super().set(policy, timeout=timeout)
        stored = await super().set(policy, timeout=timeout)
        await super().set(theirs.model_copy(update={"etag": stored.etag}), timeout=timeout)
        return stored


def opened(policies: FakePolicies) -> Callable[..., AbstractAsyncContextManager[PolicyPorts]]:
    """Return what opens ports to these policies."""

    @asynccontextmanager
    async def open_ports(data: Path | None) -> AsyncIterator[PolicyPorts]:
        yield PolicyPorts(
            policies, FakeAttestors(), FakeNotes(), FakeAttestations(FakeClock()), FakeImages(), "acme", "acme"
        )

    return open_ports


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Write a policy and give the name of its file."""
    path = tmp_path / "policy.yaml"
    path.write_text(GOOD)
    return str(path)


async def apply(file: str, policies: FakePolicies) -> bool:
    """Apply the file without a question."""
    return await apply_now(
        file, None, None, dry_run=False, force=False, yes=True, as_json=True, open_ports=opened(policies)
    )


async def test_what_somebody_set_meanwhile_is_not_undone(file: str) -> None:
    """The etag that was read is no longer that of the policy in force."""
    policies = Crowded(before=True)

    with pytest.raises(Mismatch, match="projects/acme/policy was changed meanwhile"):
        await apply(file, policies)
    assert (await policies.get("projects/acme")).default_admission_rule == EVERYTHING


async def test_what_reads_back_otherwise_is_not_called_set(file: str) -> None:
    """Somebody was quicker with the next change."""
    with pytest.raises(Mismatch, match="reads back otherwise"):
        await apply(file, Crowded(before=False))


async def test_what_is_in_force_is_set_once(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The second time there is nothing to set."""
    policies = FakePolicies()

    assert await apply(file, policies)
    assert await apply(file, policies)
    assert policies.sets == 1
    assert '"set": true' in capsys.readouterr().out
