"""What a policy decides, step by step, and what would change it."""

import pytest

from tests.policy.samples import ATTESTORS, DENY, DIGESTS, REQUIRE
from workers.policy.evaluation import Attested, Decision, Workload, decide, select
from workers.policy.model import AdmissionRule, Policy, WhitelistPattern

IMAGE = f"gcr.io/acme/shop@{DIGESTS[0]}"
ALLOW = AdmissionRule(evaluation_mode="ALWAYS_ALLOW", enforcement_mode="ENFORCED_BLOCK_AND_AUDIT_LOG")
YES, NO, NOBODY_KNOWS = Attested(is_verified=True), Attested(is_verified=False), Attested(is_verified=None)
SYSTEM = Policy(admission_whitelist_patterns=(WhitelistPattern(name_pattern="gke.gcr.io/**"),))


def decided(
    policy: Policy,
    image: str = IMAGE,
    workload: Workload | None = None,
    system: Policy | None = SYSTEM,
    **said: Attested,
) -> Decision:
    """Decide with what `ci` and `scan` say."""
    attested = {name: said[short] for name in ATTESTORS if (short := name.rpartition("/")[2]) in said}
    return decide(select(policy, image, workload or Workload(), system), image, attested)


@pytest.mark.parametrize(
    ("ci", "scan", "verdict", "remedies"),
    [
        (YES, YES, "ADMITTED", ()),
        (YES, NO, "REFUSED", (f"Attest it: sealane attest {IMAGE} --attestor {ATTESTORS[1]}",)),
        (NO, NOBODY_KNOWS, "REFUSED", None),
        (YES, NOBODY_KNOWS, "UNKNOWN", (f"Ask again: {ATTESTORS[1]} could not be asked.",)),
    ],
)
def test_every_attestor_has_to_attest(
    ci: Attested, scan: Attested, verdict: str, remedies: tuple[str, ...] | None
) -> None:
    """What could not be asked never admits; one clear no refuses whatever the others say."""
    decision = decided(Policy(default_admission_rule=REQUIRE), ci=ci, scan=scan)

    assert (decision.verdict, decision.decided_by) == (verdict, "defaultAdmissionRule")
    assert remedies is None or decision.remedies == remedies


def test_what_helps_where_asking_again_does_not_is_said_once() -> None:
    """As for an image from a registry that is not to be asked, whatever the attestor."""
    unlisted = Attested(None, "the digest is not known", "Name the image by its digest.")
    decision = decided(Policy(default_admission_rule=REQUIRE), ci=unlisted, scan=unlisted)

    assert (decision.verdict, decision.remedies) == ("UNKNOWN", ("Name the image by its digest.",))


def test_nothing_was_asked_is_unknown() -> None:
    """Attestors that nobody asked about are no yes."""
    assert decided(Policy(default_admission_rule=REQUIRE)).verdict == "UNKNOWN"


def test_a_tag_is_refused_whatever_was_attested() -> None:
    """Attestations are about digests; the remedy names the one that the tag has."""
    selection = select(Policy(default_admission_rule=REQUIRE), "localhost:5000/acme/shop:1", Workload())
    decision = decide(selection, "localhost:5000/acme/shop:1", dict.fromkeys(ATTESTORS[:2], YES), DIGESTS[0])

    assert decision.verdict == "REFUSED"
    assert decision.remedies == (f"Deploy it by its digest: localhost:5000/acme/shop@{DIGESTS[0]}",)


def test_a_dry_run_admits_and_says_so() -> None:
    """Neither hidden in the verdict, nor without what would be missing."""
    trial = REQUIRE.model_copy(update={"enforcement_mode": "DRYRUN_AUDIT_LOG_ONLY"})
    decision = decided(Policy(default_admission_rule=trial), ci=YES, scan=NO)

    assert (decision.verdict, decision.is_dry_run) == ("ADMITTED", True)
    assert decision.remedies
    assert not decided(Policy(default_admission_rule=trial), ci=YES, scan=YES).is_dry_run


@pytest.mark.parametrize(
    ("workload", "decided_by"),
    [
        (Workload(), "defaultAdmissionRule"),
        (Workload(cluster="us-east1-b.prod"), "clusterAdmissionRules['us-east1-b.prod']"),
        (Workload(cluster="us-east1-b.test"), "defaultAdmissionRule"),
    ],
)
def test_the_specific_rule_counts_before_the_default(workload: Workload, decided_by: str) -> None:
    """A workload of which nothing is said, as on Cloud Run, has the default rule alone."""
    policy = Policy(cluster_admission_rules={"us-east1-b.prod": ALLOW}, default_admission_rule=DENY)

    assert decided(policy, workload=workload).decided_by == decided_by


@pytest.mark.parametrize("key", ["acme.example/ns/a/sa/b", "spiffe://acme.example/ns/a/sa/b"])
@pytest.mark.parametrize("asked", ["acme.example/ns/a/sa/b", "spiffe://acme.example/ns/a/sa/b"])
def test_an_identity_is_the_same_with_and_without_its_scheme(key: str, asked: str) -> None:
    """In the policy as well as in what is asked about."""
    policy = Policy(istio_service_identity_admission_rules={key: ALLOW}, default_admission_rule=DENY)

    assert decided(policy, workload=Workload(identity=asked)).verdict == "ADMITTED"


def test_exempt_images_are_looked_at_before_any_rule() -> None:
    """First Google's own list, where the policy enables it, then the policy's patterns."""
    ours = (WhitelistPattern(name_pattern="gcr.io/acme/*"),)
    policy = Policy(
        global_policy_evaluation_mode="ENABLE", admission_whitelist_patterns=ours, default_admission_rule=DENY
    )

    assert decided(policy).decided_by == "admissionWhitelistPatterns[0]"
    assert decided(policy, "gke.gcr.io/pause:3").decided_by == "globalPolicyEvaluationMode"
    assert decided(policy, "docker.io/library/nginx").verdict == "REFUSED"
    assert decided(Policy(default_admission_rule=DENY), "gke.gcr.io/pause:3").verdict == "REFUSED"


def test_a_list_that_could_not_be_read_leaves_a_refusal_open() -> None:
    """The image may be one of Google's; an admission does not depend on it."""
    policy = Policy(global_policy_evaluation_mode="ENABLE", default_admission_rule=DENY)

    assert decided(policy, system=None).verdict == "UNKNOWN"
    assert decided(policy.model_copy(update={"default_admission_rule": ALLOW}), system=None).verdict == "ADMITTED"


def test_a_policy_that_is_none_decides_nothing() -> None:
    """Without a default rule, or a mode in it, nobody can say what happens."""
    assert decided(Policy()).verdict == "UNKNOWN"
    assert decided(Policy(default_admission_rule=AdmissionRule())).verdict == "UNKNOWN"


def test_the_walk_tells_what_was_passed_by() -> None:
    """Every kind of specific rule that does not apply is named, in the order in which it was looked at."""
    policy = Policy(kubernetes_namespace_admission_rules={"prod": ALLOW}, default_admission_rule=DENY)
    steps = decided(policy, workload=Workload(namespace="test")).steps

    assert [(step.place, step.outcome) for step in steps] == [
        ("globalPolicyEvaluationMode", "passes by"),
        ("kubernetesNamespaceAdmissionRules", "passes by"),
        ("defaultAdmissionRule", "applies"),
        ("defaultAdmissionRule", "denies"),
    ]
