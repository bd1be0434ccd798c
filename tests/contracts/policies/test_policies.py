"""What every Policies does: in memory, and on Binary Authorization's wire protocol."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.contracts.google import PROJECT, GoogleWorld, google_world
from tests.fakes.policies import FakePolicies
from workers.adapters.google.policies import BinauthzPolicies
from workers.failures import Invalid, Mismatch
from workers.policy.changes import changes
from workers.policy.model import AdmissionRule, Policy, WhitelistPattern
from workers.ports import Policies

NAME = f"{PROJECT}/policy"
DENY = AdmissionRule(evaluation_mode="ALWAYS_DENY", enforcement_mode="ENFORCED_BLOCK_AND_AUDIT_LOG")
TRIAL = AdmissionRule(evaluation_mode="ALWAYS_DENY", enforcement_mode="DRYRUN_AUDIT_LOG_ONLY")


class Place(Protocol):
    """Somewhere policies are, and what an administrator does there."""

    policies: Policies

    async def attestor(self, name: str) -> str:
        """Make an attestor and return its name."""


class InMemory:
    """The fake."""

    def __init__(self) -> None:
        self.policies: Policies = FakePolicies()

    async def attestor(self, name: str) -> str:
        """Say the name: the fake takes any."""
        return f"{PROJECT}/attestors/{name}"


class OnBinauthz:
    """The adapter in front of the local Binary Authorization."""

    def __init__(self, world: GoogleWorld) -> None:
        self.world = world
        self.policies: Policies = BinauthzPolicies(world.connection)

    async def attestor(self, name: str) -> str:
        """Make the attestor with a note of its own."""
        return await self.world.attestor(name, await self.world.note(name))


@pytest.fixture(params=["memory", "binauthz"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """Give each place in turn."""
    if request.param == "memory":
        yield InMemory()
    else:
        async with google_world(tmp_path) as world:
            yield OnBinauthz(world)


async def test_a_project_begins_with_a_policy_that_allows_everything(place: Place) -> None:
    """It is enforced, and Google's own list counts."""
    policy = await place.policies.get(PROJECT)

    assert policy.name == NAME
    assert policy.etag
    assert policy.applies_global
    assert policy.default_admission_rule is not None
    assert policy.default_admission_rule.evaluation_mode == "ALWAYS_ALLOW"


async def test_a_policy_comes_back_as_it_was_set(place: Place) -> None:
    """Every field of it, with a new etag and the time."""
    required = AdmissionRule(
        evaluation_mode="REQUIRE_ATTESTATION",
        enforcement_mode="ENFORCED_BLOCK_AND_AUDIT_LOG",
        require_attestations_by=(await place.attestor("ci"), await place.attestor("scan")),
    )
    before = await place.policies.get(PROJECT)
    wanted = Policy(
        name=NAME,
        description="ours",
        global_policy_evaluation_mode="DISABLE",
        admission_whitelist_patterns=(WhitelistPattern(name_pattern="gcr.io/acme/proxy@*"),),
        kubernetes_service_account_admission_rules={"prod:default": required, "prod:cron": TRIAL},
        default_admission_rule=DENY,
        etag=before.etag,
    )

    stored = await place.policies.set(wanted, timeout=30)
    found = await place.policies.get(PROJECT)

    assert found == stored
    assert stored.etag not in {None, before.etag}
    assert stored.update_time
    assert stored.model_copy(update={"etag": None, "update_time": None}) == wanted.model_copy(update={"etag": None})
    assert changes(before, found) != ()


async def test_a_policy_that_somebody_else_changed_is_not_overwritten(place: Place) -> None:
    """The second of two who read the same is told, and what the first one set stays."""
    read = await place.policies.get(PROJECT)
    first = read.model_copy(update={"default_admission_rule": DENY})
    await place.policies.set(first, timeout=30)

    with pytest.raises(Mismatch, match="projects/acme/policy"):
        await place.policies.set(read.model_copy(update={"default_admission_rule": TRIAL}), timeout=30)
    assert (await place.policies.get(PROJECT)).default_admission_rule == DENY


async def test_a_policy_without_name_or_etag_is_not_set(place: Place) -> None:
    """It would undo what others did."""
    read = await place.policies.get(PROJECT)

    for missing in ("name", "etag"):
        with pytest.raises(Invalid):
            await place.policies.set(read.model_copy(update={missing: None}), timeout=30)


@pytest.mark.parametrize(
    "wrong",
    [
        {"default_admission_rule": None},
        {"default_admission_rule": DENY.model_copy(update={"require_attestations_by": (f"{PROJECT}/attestors/a",)})},
        {"default_admission_rule": DENY.model_copy(update={"evaluation_mode": "REQUIRE_ATTESTATION"})},
        {"default_admission_rule": DENY.model_copy(update={"enforcement_mode": None})},
        {"admission_whitelist_patterns": (WhitelistPattern(name_pattern="**"),)},
        {"cluster_admission_rules": {"prod": DENY}},
        {"cluster_admission_rules": {"us-east1-b.prod": DENY}, "kubernetes_namespace_admission_rules": {"prod": DENY}},
        {
            "istio_service_identity_admission_rules": {
                "acme.example/ns/a/sa/b": DENY,
                "spiffe://acme.example/ns/a/sa/b": DENY,
            }
        },
    ],
)
async def test_what_the_reference_forbids_is_refused_and_changes_nothing(
    place: Place, wrong: dict[str, object]
) -> None:
    """So what lint calls refused is refused: the two agree."""
    read = await place.policies.get(PROJECT)

    with pytest.raises(Invalid):
        await place.policies.set(read.model_copy(update=wrong), timeout=30)
    assert await place.policies.get(PROJECT) == read


async def test_google_has_a_list_of_its_own(place: Place) -> None:
    """Images without which a cluster does not start."""
    patterns = {pattern for _, pattern in (await place.policies.system()).patterns}

    assert "gke.gcr.io/**" in patterns
