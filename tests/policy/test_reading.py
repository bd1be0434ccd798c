"""YAML and JSON, each value with its line."""

import json

from hypothesis import given
from hypothesis import strategies as st

from tests.policy.samples import policies
from workers.failures import Invalid
from workers.policy.changes import changes
from workers.policy.lint import PolicyFile, lint
from workers.policy.model import Policy


def exported(policy: Policy) -> dict[str, object]:
    """Return the policy as gcloud writes it: what is not set is left out."""
    plain = policy.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {name: value for name, value in plain.items() if value not in ([], {})}


@given(policies(), st.sampled_from([None, 1, "\t"]))
def test_json_is_read_as_it_was_written(policy: Policy, indent: int | str | None) -> None:
    """In one line, or indented with blanks or tabs."""
    read = PolicyFile(json.dumps(exported(policy), indent=indent), "p.json")

    assert read.is_whole
    assert changes(read.policy, policy) == ()


@given(policies())
def test_a_file_is_found_fault_with_as_the_live_policy_is(policy: Policy) -> None:
    """The lines are all that a file adds; every finding has one, and what Binary Authorization takes is no refusal."""
    found = PolicyFile(json.dumps(exported(policy), indent=2), "p.json").lint()

    assert sorted((one.code, one.field) for one in found) == sorted((one.code, one.field) for one in lint(policy))
    assert all(one.line for one in found)
    assert not any(one.is_refused for one in found)


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_any_text_is_a_policy_with_findings_or_one_sentence(text: str | bytes) -> None:
    """Nothing that somebody may give ends in a stack."""
    sentence = ""
    try:
        read = PolicyFile(text, "p.yaml")
    except Invalid as problem:
        sentence = str(problem)
    else:
        assert read.lint()
    assert "\n" not in sentence


def test_a_number_too_long_for_any_machine_is_a_text() -> None:
    """No advice about the interpreter of ours."""
    assert PolicyFile(f"description: {'9' * 5000}\n", "p.yaml").policy.description == "9" * 5000


_KEYS = st.sampled_from(
    [
        *("name", "etag", "updateTime", "description", "defaultAdmissionRule", "admissionWhitelistPatterns"),
        *("namePattern", "evaluationMode", "enforcementMode", "requireAttestationsBy", "clusterAdmissionRules"),
        *("kubernetesNamespaceAdmissionRules", "globalPolicyEvaluationMode", "prod", "default_admission_rule", "x y"),
    ]
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(_KEYS, _VALUES, max_size=6))
def test_any_shape_of_a_policy_is_found_fault_with(content: dict[str, object]) -> None:
    """Wrong types at every depth are named, and the rest is still looked at."""
    read = PolicyFile(json.dumps(content), "p.json")

    for finding in read.lint():
        assert finding.sentence
        assert finding.line == 1


def test_escapes_aliases_and_merges_are_understood() -> None:
    """An emoji in two JSON escapes, and YAML that names a rule once and uses it twice."""
    emoji = PolicyFile('{"description": "\\ud83d\\ude00 \\/"}', "p.json")
    text = """
name: projects/acme/policy
globalPolicyEvaluationMode: ENABLE
defaultAdmissionRule: &rule
  evaluationMode: ALWAYS_DENY
  enforcementMode: ENFORCED_BLOCK_AND_AUDIT_LOG
clusterAdmissionRules:
  us-east1-b.test:
    <<: *rule
    evaluationMode: ALWAYS_ALLOW
updateTime: 2026-01-01T00:00:00Z
"""
    merged = PolicyFile(text, "p.yaml")

    assert emoji.policy.description == "\N{GRINNING FACE} /"
    assert merged.is_whole
    assert merged.policy.cluster_admission_rules["us-east1-b.test"].enforcement_mode == "ENFORCED_BLOCK_AND_AUDIT_LOG"
    assert merged.policy.update_time == "2026-01-01T00:00:00Z"
    assert [finding.code for finding in merged.lint()] == []
