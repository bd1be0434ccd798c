"""Setting attestors up when others do so too, when the quota is used up, and when something is in the way."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from tests.contracts.attestor_admin.public_keys import public_key
from tests.contracts.google import google_world
from tests.fakes.attestations import FakeAttestations
from tests.fakes.attestor_admin import FakeAttestorAdmin
from tests.fakes.attestors import FakeAttestors
from tests.fakes.clock import FakeClock
from tests.fakes.notes import FakeNotes
from tests.fakes.signing_keys import FakeSigningKeys
from workers.adapters.clock import SystemClock
from workers.adapters.google.attestor_admin import BinauthzAttestorAdmin
from workers.adapters.google.notes import GrafeasNotes
from workers.app.attestor_views import requirements, shown
from workers.app.attestors import AttestorPorts, Outcome, Setup
from workers.app.images import UnsharedClaims
from workers.attestors.wanted import WantedAttestor, WantedKey, wanted_attestor
from workers.failures import Denied, Invalid, NotFound, QuotaExhausted, Unavailable
from workers.policy.model import AdmissionRule, Policy
from workers.ports import AttestorRecord, Images, Note, Policies
from workers.signing import SigningRules

KMS = "projects/acme/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1"
NAME = "projects/acme/attestors/ci"


class LimitedAdmin(FakeAttestorAdmin):
    """Refuses calls as told."""

    def __init__(self) -> None:
        super().__init__()
        self.refusals: list[Exception] = []
        self.lost: list[Exception] = []
        self.meanwhile: list[Callable[[AttestorRecord], AttestorRecord]] = []

    async def read(self, name: str) -> AttestorRecord:
        """Read, and let somebody else change it right after."""
        if self.refusals:
            raise self.refusals.pop()
        found = await super().read(name)
        if self.meanwhile:
            change, *later = self.meanwhile
            self.meanwhile = []
            await super().update(change(found), timeout=1)
            self.meanwhile = later
        return found

    async def create(self, attestor: AttestorRecord, *, timeout: float) -> AttestorRecord:
        """Create; the answer may be lost."""
        made = await super().create(attestor, timeout=timeout)
        if self.lost:
            raise self.lost.pop()
        return made


@dataclass
class Desk:
    """Everything in memory."""

    admin: LimitedAdmin = field(default_factory=LimitedAdmin)
    notes: FakeNotes = field(default_factory=FakeNotes)
    keys: FakeSigningKeys = field(default_factory=FakeSigningKeys)
    clock: FakeClock = field(default_factory=FakeClock)
    said: list[str] = field(default_factory=list)
    rules: SigningRules = field(default_factory=SigningRules)
    policy: Policy | Exception = field(default_factory=Policy)

    def __post_init__(self) -> None:
        """Make the key."""
        self.keys.add(KMS)

    @property
    def ports(self) -> AttestorPorts:
        """Return the ports."""
        return AttestorPorts(
            admin=self.admin,
            notes=self.notes,
            keys=self.keys,
            attestors=FakeAttestors(),
            attestations=FakeAttestations(self.clock),
            policies=cast("Policies", self),
            images=cast("Images", None),
            clock=self.clock,
            rules=self.rules,
            project="acme",
            claims=UnsharedClaims(),
        )

    async def get(self, project: str) -> Policy:
        """Be the port Policies."""
        if isinstance(self.policy, Exception):
            raise self.policy
        return self.policy

    async def ensure(self, wanted: WantedAttestor, **options: Any) -> Outcome:
        """Make it so."""
        return await Setup(self.ports, self.said.append, **options).ensure(wanted)


def wanted(*keys: str, name: str = "ci", **more: Any) -> WantedAttestor:
    """Return an attestor with these keys."""
    return wanted_attestor(name, "acme", keys=tuple(WantedKey(key=key) for key in keys or (KMS,)), **more)


def did(outcome: Outcome) -> list[tuple[str, str]]:
    """Return what became of what."""
    return [(change.part, change.did) for change in outcome.changes]


async def test_note_attestor_and_key_are_made_once() -> None:
    """A repeat finds all as wanted and writes nothing."""
    desk = Desk()
    first = await desk.ensure(wanted())
    second = await desk.ensure(wanted())

    assert did(first) == [("note", "created"), ("attestor", "created"), ("key", "added")]
    assert did(second) == [("note", "as wanted"), ("attestor", "as wanted"), ("key", "as wanted")]
    assert (first.has_changed, second.has_changed, desk.admin.updates) == (True, False, 0)


async def test_a_dry_run_changes_nothing() -> None:
    """It says what would be."""
    desk = Desk()
    outcome = await desk.ensure(wanted(), dry_run=True)

    assert did(outcome) == [("note", "created"), ("attestor", "created"), ("key", "added")]
    assert (desk.admin.records, desk.notes.notes) == ({}, {})


async def test_a_key_that_somebody_else_adds_meanwhile_stays() -> None:
    """Read again, apply again: no update is lost."""
    desk = Desk()
    await desk.ensure(wanted())
    other, third = public_key("ECDSA_P256_SHA256"), KMS.replace("/k/", "/third/")
    desk.keys.add(third)
    # The first read only looks; the second is followed by an update.
    desk.admin.meanwhile = [lambda found: found, lambda found: replace(found, keys=(*found.keys, other))]
    outcome = await desk.ensure(wanted(third))

    assert len(desk.admin.records[NAME].keys) == 3
    assert [change.did for change in outcome.changes if change.part == "key"].count("added") == 1


async def test_two_who_ensure_at_once_both_add_their_key() -> None:
    """Whoever is second goes on from what the first did, also when both make it."""
    desk = Desk()
    names = [KMS.replace("/k/", f"/k{number}/") for number in range(4)]
    for name in names:
        desk.keys.add(name)
    await asyncio.gather(*(desk.ensure(wanted(name)) for name in names))

    assert {key.id.partition("/v1/")[2] for key in desk.admin.records[NAME].keys} == set(names)


async def test_a_lost_answer_is_no_failure() -> None:
    """What was made is found there."""
    desk = Desk()
    desk.admin.lost = [Unavailable("no answer")]

    assert ("key", "as wanted") in did(await desk.ensure(wanted()))


async def test_a_used_up_quota_is_waited_for_and_said() -> None:
    """Until the service admits more."""
    desk = Desk()
    desk.admin.refusals = [QuotaExhausted("the quota is used up", after=timedelta(seconds=43))]
    await desk.ensure(wanted())

    assert desk.clock.slept == [timedelta(seconds=43)]
    assert "the quota is used up: waiting 43 s, until " in desk.said[0]


async def test_a_quota_that_never_comes_back_is_given_up() -> None:
    """After the deadline that it has."""
    desk = Desk()
    desk.admin.refusals = [QuotaExhausted("used up", after=timedelta(hours=2)) for _ in range(9)]
    with pytest.raises(QuotaExhausted):
        await desk.ensure(wanted())


async def test_a_note_elsewhere_without_permission_is_denied() -> None:
    """Before the attestor is made."""
    desk = Desk(notes=FakeNotes(closed=frozenset({"projects/other"})))
    with pytest.raises(Denied, match="projects/other/notes/n"):
        await desk.ensure(wanted(note="projects/other/notes/n"))

    assert desk.admin.records == {}


async def test_a_note_elsewhere_needs_a_reader() -> None:
    """Whom to grant what is said when the attestor is made."""
    outcome = await Desk().ensure(wanted(note="projects/other/notes/n"))

    assert outcome.advice == (
        "let binauthz@example.test read the attestations: grant it"
        " roles/containeranalysis.notes.occurrences.viewer on projects/other/notes/n"
    )


async def test_the_note_of_an_attestor_cannot_change() -> None:
    """Both notes are named, and nothing is made."""
    desk = Desk()
    await desk.ensure(wanted())
    with pytest.raises(Invalid, match="has the note projects/acme/notes/ci, and the note of an attestor cannot change"):
        await desk.ensure(wanted(note="another"))

    assert list(desk.notes.notes) == ["projects/acme/notes/ci"]


async def test_a_note_for_something_else_is_refused() -> None:
    """Attestations cannot hang on it."""
    desk = Desk(notes=FakeNotes(Note("projects/acme/notes/ci", "BUILD")))
    with pytest.raises(Invalid, match="is a note of kind BUILD"):
        await desk.ensure(wanted())


async def test_a_certificate_is_no_key(tmp_path: Path) -> None:
    """Its file is named."""
    (tmp_path / "ci.pem").write_text("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n")
    with pytest.raises(Invalid, match=r"ci\.pem is a certificate"):
        await Desk().ensure(wanted("ci.pem", folder=tmp_path))


async def test_show_says_what_is_wrong_and_who_uses_which_key() -> None:
    """A rule whose key is not listed, an id that never verifies, a note that is gone."""
    rules = [{"match": "*/**", "attestor": NAME, "key": key} for key in (KMS, KMS.replace("/k/", "/new/"))]
    desk = Desk(rules=SigningRules.model_validate(rules))
    public = desk.keys.add(KMS.replace("/k/", "/new/"))
    await desk.ensure(wanted())
    found = desk.admin.records[NAME]
    await desk.admin.update(replace(found, keys=(*found.keys, public_key("ECDSA_P256_SHA256", KMS))), timeout=1)
    desk.notes.notes.clear()
    record = await shown(desk.ports, NAME, desk.said.append)
    problems = "\n".join(record["problems"])

    assert [key["rules"] for key in record["keys"]] == [["rule 1, key"], []]
    assert record["note_state"] == "missing"
    assert "lacks the //cloudkms.googleapis.com/v1/" in problems
    assert f"rule 2, key: {NAME} does not list {public.id}" in problems
    assert "there is no note projects/acme/notes/ci" in problems


async def test_a_policy_that_requires_an_attestor_is_named() -> None:
    """With the rule; one that cannot be read may require it as well."""
    rule = AdmissionRule(evaluation_mode="REQUIRE_ATTESTATION", require_attestations_by=(NAME,))
    desk = Desk(policy=Policy(default_admission_rule=rule))
    assert await requirements(desk.ports, NAME) == ["the policy of acme requires it in defaultAdmissionRule"]
    assert await requirements(desk.ports, "projects/acme/attestors/other") == []

    desk.policy = Denied("not for us")
    assert await requirements(desk.ports, NAME) == ["whether the policy of acme requires it cannot be said: not for us"]


async def test_a_key_may_be_a_reference_a_name_or_a_file(tmp_path: Path) -> None:
    """A public key's file says its algorithm after a question mark, as a reference does."""
    rsa = public_key("RSA_SIGN_PKCS1_2048_SHA256")
    (tmp_path / "rsa.pub").write_text(rsa.pem)
    desk = Desk()
    option = "?algorithm=RSA_SIGN_PKCS1_2048_SHA256"
    await desk.ensure(wanted(f"gcp-kms://{KMS}", f"rsa.pub{option}", folder=tmp_path))
    again = await desk.ensure(wanted(f"file://{tmp_path}/rsa.pub{option}"))
    listed = desk.admin.records[NAME].keys

    assert [key.algorithm for key in listed] == ["ECDSA_P256_SHA256", rsa.algorithm]
    found = next(change for change in again.changes if change.part == "key")
    assert (found.did, found.subject) == ("as wanted", listed[1].id)


@pytest.mark.parametrize(
    ("key", "failure", "sentence"),
    [
        (WantedKey(key="no-such-name"), NotFound, "there is no key 'no-such-name'"),
        (WantedKey(key=KMS, algorithm="ML_DSA_65"), Invalid, "brings its own algorithm"),
        (WantedKey(key="-----BEGIN PRIVATE KEY-----"), Invalid, "a key itself is never typed"),
        (WantedKey(pem="-----BEGIN PRIVATE KEY-----"), Invalid, "the key in --key holds a private key"),
    ],
)
async def test_a_key_that_is_none_is_said(key: WantedKey, failure: type[Exception], sentence: str) -> None:
    """Never repeating what might be a secret."""
    with pytest.raises(failure) as problem:
        await Desk().ensure(WantedAttestor(NAME, keys=(key,)))
    assert sentence in str(problem.value)


async def test_many_attestors_are_made_at_the_pace_that_the_service_admits(tmp_path: Path) -> None:
    """On the real protocol: the refusal says when it goes on, and none is left out."""
    (tmp_path / "ci.pub").write_text(public_key("ECDSA_P256_SHA256").pem)
    said: list[str] = []
    async with google_world(tmp_path) as world:
        world.faults.quota("CreateAttestor", 2, per=1.0)
        ports = replace(
            Desk().ports,
            admin=BinauthzAttestorAdmin(world.connection),
            notes=GrafeasNotes(world.connection),
            clock=SystemClock(),
        )
        for number in range(5):
            await Setup(ports, said.append).ensure(wanted("ci.pub", name=f"ci-{number}", folder=tmp_path))
        made = await ports.admin.list("projects/acme")

    assert [len(one.keys) for one in made] == [1] * 5
    assert "the quota to make the attestor projects/acme/attestors/ci-2 in Binary Authorization is used up" in said[0]
