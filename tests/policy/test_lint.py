"""What lint says of policies that differ from a right one in a single thing."""

from typing import Any

import pytest

from tests.policy.samples import DENY, REQUIRE
from workers.policy.facts import AttestorFact, Facts
from workers.policy.findings import Finding
from workers.policy.lint import PolicyFile, lint
from workers.policy.model import Policy, WhitelistPattern

RIGHT = Policy(name="projects/acme/policy", global_policy_evaluation_mode="ENABLE", default_admission_rule=DENY)
DIGEST = "@sha256:" + "a" * 64


def found(facts: Facts | None = None, **changed: Any) -> list[Finding]:
    """Return what is wrong with the right policy after a change."""
    return list(lint(RIGHT.model_copy(update=changed), facts))


def codes(**changed: Any) -> list[tuple[str, str, bool]]:
    """Return code, severity and whether the API refuses it."""
    return [(one.code, one.severity, one.is_refused) for one in found(**changed)]


def exempt(*patterns: str) -> dict[str, Any]:
    """Return the change that exempts these patterns."""
    return {"admission_whitelist_patterns": tuple(WhitelistPattern(name_pattern=one) for one in patterns)}


def test_nothing_is_wrong_with_what_is_right() -> None:
    """Neither with the plain one, nor with one that has rules and patterns of all good forms."""
    good = exempt(f"gcr.io/acme/proxy{DIGEST}", "gcr.io/acme/tools/*", "localhost:5000/acme/**", "gcr.io/acme/shop:*")
    specific = {"europe-west1.prod": REQUIRE, "global.on-prem": REQUIRE, "us-central1-a.test": REQUIRE}

    assert found() == []
    assert found(**good, cluster_admission_rules=specific) == []
    assert found(kubernetes_namespace_admission_rules={"kube-system": REQUIRE, "prod.eu": REQUIRE}) == []
    assert found(kubernetes_service_account_admission_rules={"prod:default": REQUIRE}) == []
    assert found(global_policy_evaluation_mode="DISABLE") == []


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", ("pattern-form", "error", True)),
        ("*", ("exempts-everything", "error", True)),
        ("**", ("exempts-everything", "error", True)),
        ("*/**", ("exempts-everything", "error", True)),
        ("*.gcr.io/acme/shop:1", ("pattern-form", "error", True)),
        ("gcr.io/*/shop:1", ("pattern-form", "error", True)),
        ("gcr.io/acme/***", ("pattern-form", "error", True)),
        ("gcr.io/acme/my shop:1", ("pattern-form", "error", True)),
        ("eu.gcr.io/**", ("exempts-registry", "error", False)),
        ("gke.gcr.io/**", ("exempts-registry", "warning", False)),
        ("registry.acme.example/**", ("exempts-registry", "warning", False)),
        ("docker.io/acme**", ("exempts-neighbours", "error", False)),
        ("europe-docker.pkg.dev/acme*", ("pattern-matches-nothing", "warning", False)),
        ("gcr.io/acme/Shop:*", ("pattern-matches-nothing", "warning", False)),
        ("nginx", ("pattern-without-registry", "warning", False)),
        ("library/nginx", ("pattern-without-registry", "warning", False)),
        ("gcr.io/acme/shop", ("pattern-without-version", "warning", False)),
        ("gcr.io/acme/shop:1.4", ("pattern-by-tag", "note", False)),
    ],
)
def test_each_pattern_that_is_not_meant_is_found(pattern: str, expected: tuple[str, str, bool]) -> None:
    """What it is, how bad, and whether Binary Authorization itself refuses it."""
    assert codes(**exempt(pattern)) == [expected]


def test_patterns_that_change_nothing_are_found() -> None:
    """There already, or covered by a wider one, whatever the order."""
    assert codes(**exempt("gcr.io/acme/*", "gcr.io/acme/*")) == [("pattern-twice", "warning", False)]
    covered = found(**exempt("gcr.io/acme/shop@*", "gcr.io/acme/**"))
    assert [(one.code, one.path[1]) for one in covered] == [("pattern-never-reached", 0)]


def test_what_google_exempts_itself_need_not_be_exempted() -> None:
    """Where the policy lets Google's own list count, as far as that list is known."""
    facts = Facts(system=Policy(**exempt("gke.gcr.io/**")))
    ours = exempt("gke.gcr.io/pause:*", "gcr.io/acme/proxy:*")

    assert [(one.code, one.path[1]) for one in found(facts, **ours)] == [("pattern-of-the-system", 0)]
    assert found(facts, **ours, global_policy_evaluation_mode="DISABLE") == []
    assert found(**ours) == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"name": "acme"}, ("policy-name", "error", True)),
        ({"default_admission_rule": DENY.model_copy(update={"evaluation_mode": None})}, "no-evaluation-mode"),
        ({"default_admission_rule": DENY.model_copy(update={"enforcement_mode": None})}, "no-enforcement-mode"),
        ({"cluster_admission_rules": {"us-east1-b.prod": DENY}}, ("same-as-default", "note", False)),
        ({"cluster_admission_rules": {"us-east1-b/prod": REQUIRE}}, "rule-key"),
        ({"cluster_admission_rules": {"us-east1-b.": REQUIRE}}, "rule-key"),
        ({"kubernetes_namespace_admission_rules": {"a:b": REQUIRE}}, "rule-key"),
        ({"kubernetes_service_account_admission_rules": {"default": REQUIRE}}, "rule-key"),
        ({"istio_service_identity_admission_rules": {"ns/a/sa/b": REQUIRE}}, "rule-key"),
    ],
)
def test_each_rule_that_is_not_meant_is_found(changed: dict[str, Any], expected: str | tuple[str, str, bool]) -> None:
    """What it is, how bad, and whether Binary Authorization itself refuses it."""
    assert codes(**changed) == [(expected, "error", True) if isinstance(expected, str) else expected]


def test_too_many_attestors_are_found() -> None:
    """All of a rule's have to agree; and a project has 200 at most."""
    many = tuple(f"projects/acme/attestors/a{number}" for number in range(201))
    rule = REQUIRE.model_copy(update={"require_attestations_by": many})

    assert {one.code for one in found(default_admission_rule=rule)} == {"many-attestors", "too-many-attestors"}


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("built-by-ci", "write projects/PROJECT/attestors/built-by-ci"),
        ("//binaryauthorization.googleapis.com/v1/projects/a/attestors/b", "write projects/a/attestors/b"),
        ("projects/acme/attestors/", "write projects/PROJECT/attestors/attestors"),
        ("", "write projects/PROJECT/attestors/ATTESTOR"),
    ],
)
def test_a_misnamed_attestor_is_found_with_its_name(name: str, fix: str) -> None:
    """As far as it can be guessed."""
    rule = REQUIRE.model_copy(update={"require_attestations_by": (name,)})

    assert [(one.code, one.fix) for one in found(default_admission_rule=rule)] == [("attestor-name", fix)]


def test_what_nobody_could_be_asked_is_one_warning() -> None:
    """Never silence, never an error."""
    silent = Facts(dict.fromkeys(REQUIRE.require_attestations_by, AttestorFact("unknown", why="no answer")))

    (one,) = found(silent, default_admission_rule=REQUIRE)
    assert (one.code, one.severity) == ("attestor-unchecked", "warning")
    assert all(name in one.sentence for name in REQUIRE.require_attestations_by)


def test_an_older_time_tells_of_a_change_where_there_is_no_etag() -> None:
    """As in what an older gcloud exported."""
    live = RIGHT.model_copy(update={"update_time": "2026-02-02T00:00:00Z", "etag": '"2"'})

    assert [one.code for one in found(Facts(live=live), update_time="2026-01-01T00:00:00Z")] == ["stale-update-time"]
    assert found(Facts(live=live), etag='"2"', update_time="2026-02-02T00:00:00Z") == []


@pytest.mark.parametrize(
    ("text", "sentence", "fix"),
    [
        (
            "apiVersion: v1\n",
            "this is a Kubernetes resource; give the mapping below its `spec` alone",
            "give the policy",
        ),
        ("gkePolicy: {}\n", "this is a platform policy of continuous validation", "give the policy"),
        ("bindings: []\n", "this is an IAM policy", "give the policy"),
        ("xyz: 1\n", "'xyz' is no field of a policy", "remove it; there are name, description,"),
        ("defaultAdmissionRules: {}\n", "'defaultAdmissionRules' is no field", "write defaultAdmissionRule"),
        ("name: 7\n", "name is the int 7, where a text belongs", "write a text"),
        ("defaultAdmissionRule: null\n", "there is no defaultAdmissionRule", "add one"),
        ("etag:\n  - 1\n", "etag is a list, where a text belongs", "write a text"),
        ("globalPolicyEvaluationMode: on\n", "True is no value of globalPolicyEvaluationMode", "write one of ENABLE"),
        ("globalPolicyEvaluationMode: enabled\n", "'enabled' is no value", "write ENABLE"),
        (
            "admissionWhitelistPatterns: [gcr.io/a/b]\n",
            "admissionWhitelistPatterns[0] is 'gcr.io/a/b'",
            "write a mapping",
        ),
    ],
)
def test_what_is_no_policy_is_said_in_plain_words(text: str, sentence: str, fix: str) -> None:
    """With what it probably is, or should be."""
    said = [(one.sentence, one.fix) for one in PolicyFile(text, "p.yaml").lint()]

    assert [one for one in said if sentence in one[0] and one[1].startswith(fix)], said
