"""What differs between two policies, and whether more or fewer images run."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tests.policy.samples import DENY, REQUIRE, policies
from workers.policy.changes import changes
from workers.policy.model import Policy, WhitelistPattern


def patterns(*names: str) -> tuple[WhitelistPattern, ...]:
    """Return patterns of these names."""
    return tuple(WhitelistPattern(name_pattern=name) for name in names)


def said(before: Policy, after: Policy) -> list[tuple[str, str, str | None, str | None, str]]:
    """Return the differences as they are shown."""
    return [(one.kind, one.field, one.before, one.after, one.effect) for one in changes(before, after)]


def test_order_spelling_and_what_the_server_adds_are_no_difference() -> None:
    """Patterns and attestors are sets, UNSPECIFIED is DISABLE, and an identity may have its scheme or not."""
    turned = REQUIRE.model_copy(update={"require_attestations_by": REQUIRE.require_attestations_by[::-1]})
    ours = Policy(
        admission_whitelist_patterns=patterns("a.example/a", "b.example/b"),
        istio_service_identity_admission_rules={"acme.example/ns/a/sa/b": REQUIRE},
        default_admission_rule=REQUIRE,
        etag="1",
    )
    theirs = Policy(
        name="projects/acme/policy",
        description="",
        global_policy_evaluation_mode="DISABLE",
        admission_whitelist_patterns=patterns("b.example/b", "a.example/a", "a.example/a"),
        istio_service_identity_admission_rules={"spiffe://acme.example/ns/a/sa/b": turned},
        default_admission_rule=turned,
        etag="2",
        update_time="2026-01-01T00:00:00Z",
    )

    assert said(ours, theirs) == []


def test_each_difference_has_its_place_and_what_it_means() -> None:
    """What loosens the policy is marked, so that a reviewer sees it among fifty lines."""
    first, second = REQUIRE.require_attestations_by
    before = Policy(
        global_policy_evaluation_mode="DISABLE",
        admission_whitelist_patterns=patterns("gcr.io/acme/old@*"),
        cluster_admission_rules={"us-east1-b.prod": DENY},
        default_admission_rule=REQUIRE,
    )
    after = Policy(
        global_policy_evaluation_mode="ENABLE",
        admission_whitelist_patterns=patterns("gcr.io/acme/new@*"),
        default_admission_rule=REQUIRE.model_copy(
            update={"require_attestations_by": (first,), "enforcement_mode": "DRYRUN_AUDIT_LOG_ONLY"}
        ),
    )

    assert said(before, after) == [
        ("changed", "globalPolicyEvaluationMode", "DISABLE", "ENABLE", "loosens"),
        ("removed", "admissionWhitelistPatterns", "gcr.io/acme/old@*", None, "tightens"),
        ("added", "admissionWhitelistPatterns", None, "gcr.io/acme/new@*", "loosens"),
        (
            "changed",
            "defaultAdmissionRule.enforcementMode",
            "ENFORCED_BLOCK_AND_AUDIT_LOG",
            "DRYRUN_AUDIT_LOG_ONLY",
            "loosens",
        ),
        ("removed", "defaultAdmissionRule.requireAttestationsBy", second, None, "loosens"),
        (
            "removed",
            "clusterAdmissionRules['us-east1-b.prod']",
            "ALWAYS_DENY, ENFORCED_BLOCK_AND_AUDIT_LOG",
            None,
            "",
        ),
    ]


@given(policies(), policies())
def test_no_difference_means_the_same_and_the_way_back_is_as_long(before: Policy, after: Policy) -> None:
    """A policy does not differ from itself, and what was added one way is removed the other way."""
    there, back = changes(before, after), changes(after, before)

    assert changes(before, before) == ()
    assert sorted((one.field, str(one.before), str(one.after)) for one in there) == sorted(
        (one.field, str(one.after), str(one.before)) for one in back
    )


@given(policies(), st.randoms())
def test_a_shuffled_policy_is_the_same(policy: Policy, random: Random) -> None:
    """Whatever the order of patterns, rules and attestors."""
    shuffled = list(policy.admission_whitelist_patterns)
    random.shuffle(shuffled)
    rules = list(policy.cluster_admission_rules.items())
    random.shuffle(rules)
    other = policy.model_copy(
        update={"admission_whitelist_patterns": tuple(shuffled), "cluster_admission_rules": dict(rules)}
    )

    assert changes(policy, other) == ()
