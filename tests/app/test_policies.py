"""Asking about all that a policy names: what is missing, what we may not see, and what nobody could be asked."""

from tests.fakes.attestations import FakeAttestations
from tests.fakes.attestors import FakeAttestors
from tests.fakes.clock import FakeClock
from tests.fakes.images import FakeImages
from tests.fakes.notes import FakeNotes
from tests.fakes.policies import FakePolicies
from workers.app.policies import PolicyPorts, gather
from workers.failures import Denied, SealaneError, Unavailable
from workers.policy.lint import lint
from workers.policy.model import AdmissionRule, Policy
from workers.ports import Attestor, Note

NOTES = {"good": "ci", "noteless": "gone"}
NAMES = ("good", "missing", "foreign", "silent", "noteless")


class Troubled(FakeAttestors):
    """Attestors of which some cannot be read."""

    def __init__(self, *attestors: Attestor, **problems: SealaneError) -> None:
        super().__init__(*attestors)
        self._problems = problems
        self.asked: list[str] = []

    async def get(self, name: str) -> Attestor:
        """Return the attestor, or raise what is the matter with it."""
        short = name.rpartition("/")[2]
        self.asked.append(short)
        if short in self._problems:
            raise self._problems[short]
        return await super().get(name)


def named(short: str) -> str:
    """Return the full name of an attestor."""
    return f"projects/acme/attestors/{short}"


def policy(*names: str) -> Policy:
    """Return a policy that wants these attestors."""
    rule = AdmissionRule(
        evaluation_mode="REQUIRE_ATTESTATION",
        enforcement_mode="ENFORCED_BLOCK_AND_AUDIT_LOG",
        require_attestations_by=names,
    )
    return Policy(name="projects/acme/policy", global_policy_evaluation_mode="ENABLE", default_admission_rule=rule)


async def ports(**problems: SealaneError) -> PolicyPorts:
    """Return ports to attestors with these problems; the note of `noteless` is gone."""
    notes = FakeNotes()
    await notes.create(Note("projects/acme/notes/ci", "ATTESTATION", "ci"), timeout=1)
    known = [Attestor(named(name), f"projects/acme/notes/{note}", ()) for name, note in NOTES.items()]
    return PolicyPorts(
        policies=FakePolicies(),
        attestors=Troubled(*known, **problems),
        notes=notes,
        attestations=FakeAttestations(FakeClock()),
        images=FakeImages(),
        project="acme",
        usual_project="acme",
    )


async def test_each_attestor_is_answered_for_itself() -> None:
    """There, missing, denied, unknown; and the note of one that is there."""
    troubled = await ports(
        foreign=Denied(f"we may not read {named('foreign')} (PERMISSION_DENIED)"), silent=Unavailable("no answer")
    )
    facts = await gather(policy(*map(named, NAMES), "misspelt"), troubled)

    assert {name.rpartition("/")[2]: fact.answer for name, fact in facts.attestors.items()} == {
        "good": "there",
        "missing": "missing",
        "foreign": "denied",
        "silent": "unknown",
        "noteless": "there",
    }
    assert facts.attestors[named("noteless")].note == "missing"
    assert facts.attestors[named("good")].note == "there"


async def test_who_has_no_credentials_is_told_so_once() -> None:
    """Being denied everything says nothing about an attestor: it is no error of the policy, and one warning."""
    nobody = Denied("this process has no Google credentials")
    troubled = await ports(good=nobody, noteless=nobody)
    found = policy(named("good"), named("noteless"))
    findings = lint(found, await gather(found, troubled))

    assert [(one.code, one.severity) for one in findings] == [("attestor-unchecked", "warning")]
    assert "this process has no Google credentials" in findings[0].sentence
    assert isinstance(troubled.attestors, Troubled)
    assert troubled.attestors.asked == ["good"]
