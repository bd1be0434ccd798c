"""Path rules: what they take, what they never take, and how a wrong one is refused."""

import json
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.tenants import TenantOnboarded
from tests.dispatch.conftest import PATTERN, RULES, settings
from workers.github_rules import GithubSettings, PathRule
from workers.path_patterns import is_plain
from workers.settings import Settings

names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)


def rule(**said: Any) -> PathRule:
    """Return a rule about tenants."""
    return PathRule.model_validate({"repository_id": 5, "paths": PATTERN, "event": "tenant.onboarded"} | said)


@given(name=names, file=st.text("abc._-é ", max_size=9))
def test_a_good_name_is_taken(name: str, file: str) -> None:
    """With whatever file below it, in any script."""
    assert rule().fields_of(f"onboarding/{name}/{file}.yaml") == {"tenant": name}


@given(path=st.text())
@example("onboarding/acme\n/x.yaml")
@example("onboarding/acme/x.yaml\n")
@example("onboarding/acme/../x.yaml")
@example("onboarding/../../x.yaml")
@example("./onboarding/acme/x.yaml")
@example("/onboarding/acme/x.yaml")
@example("onboarding//acme/x.yaml")
@example("onboarding/acme/sub/x.yaml")
@example("onboarding/acme\\x/x.yaml")
@example("onboarding/acme/x.yaml\x00")
@example("onboarding/\u0430cme/x.yaml")
@example("onboarding/\uff41cme/x.yaml")
@example("onboarding/acm\u0065\u0301/x.yaml")
@example("onboarding/ac\u200bme/x.yaml")
@example("onboarding/\u0661/x.yaml")
@example("onboarding/ACME/x.yaml")
@example("onboarding/-acme/x.yaml")
@example("onboarding/acme-/x.yaml")
@example(f"onboarding/{'a' * 64}/x.yaml")
@example("onboarding/.git/x.yaml")
@example("onboarding/acme/\u202ex.yaml")
def test_nothing_else_is_taken(path: str) -> None:
    """Whatever a path is: it is either no match, or its tenant is a plain name in its own place."""
    fields = rule().fields_of(path)
    if fields is None:
        return
    top, tenant, file = path.split("/")
    assert (top, tenant) == ("onboarding", fields["tenant"])
    assert set(tenant) <= set(string.ascii_lowercase + string.digits + "-")
    assert file.endswith(".yaml")
    assert is_plain(path)


@given(parts=st.lists(st.text(), max_size=4), middle=st.sampled_from(["*", "**", "{tenant}", "a", "..", ""]))
def test_any_pattern_is_read_or_refused_with_a_sentence(parts: list[str], middle: str) -> None:
    """Never another exception, and what was read matches without one."""
    pattern = "/".join([*parts, middle, "{tenant}.yaml"])
    try:
        read = rule(paths=pattern)
    except ValidationError:
        return
    read.fields_of(pattern)
    assert ".." not in read.folder.split("/")


@pytest.mark.parametrize(
    ("pattern", "path", "tenant"),
    [
        ("{tenant}.yaml", "acme.yaml", "acme"),
        ("t-{tenant}/x", "t-acme/x", "acme"),
        ("{tenant}/**", "acme/deep/er/x", "acme"),
        ("**/{tenant}/x", "acme/x", "acme"),
        ("**/{tenant}/x", "a/b/acme/x", "acme"),
        ("a/{tenant}/{tenant}.yaml", "a/acme/acme.yaml", "acme"),
        ("a/{tenant}/{tenant}.yaml", "a/acme/beta.yaml", None),
        ("{tenant}/**", "acme", None),
        ("a/*/{tenant}", "a/b/c/acme", None),
        ("a/{tenant}", "ab/acme", None),
        ("a.b/{tenant}", "axb/acme", None),
    ],
)
def test_patterns_match_whole_paths(pattern: str, path: str, tenant: str | None) -> None:
    """Segment by segment, nothing in a literal is special."""
    found = rule(paths=pattern).fields_of(path)

    assert (found and found["tenant"]) == tenant


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"paths": "onboarding/*.yaml"}, "tenant.onboarded needs 'tenant'"),
        ({"paths": "/onboarding/{tenant}"}, "no plain path"),
        ({"paths": "a/../{tenant}"}, "no plain path"),
        ({"paths": "**/a/**/{tenant}"}, "twice"),
        ({"paths": "a**/{tenant}"}, r"\*\*"),
        ({"paths": "{tenant}/[ab]"}, r"\[ab\]"),
        ({"paths": "{Tenant}"}, "no pattern"),
        ({"paths": "a*b*c*d*e/{tenant}"}, "more than 3"),
        ({"paths": "{tenant}-{a}-{b}-{c}"}, "more than 3"),
        ({"event": "image.pushed"}, "no path can mean 'image.pushed'"),
        ({"event": "tenant.gone"}, "write one of"),
        ({"changes": []}, "at least 1"),
        ({"changes": ["added", "added"]}, "once"),
        ({"changes": ["renamed"]}, "added"),
        ({"fields": {"commit": "x"}}, "no field 'commit'"),
        ({"fields": {"certificate": "x"}}, "no field 'certificate'"),
        ({"fields": {"tenant": "{other}"}}, "no name {other}"),
        ({"fields": {"tenant": "a b"}}, "letters, digits"),
        ({"ref": "main"}, "write refs/heads/BRANCH"),
        ({"ref": "refs/heads/.*?"}, "refs/"),
        ({"repository_id": 0}, "greater than 0"),
        ({"repository_id": "5"}, "integer"),
        ({"repository": "acme/onboarding"}, "Extra inputs"),
    ],
)
def test_a_wrong_rule_is_refused(said: dict[str, Any], sentence: str) -> None:
    """With one sentence that says what to write."""
    with pytest.raises(ValidationError, match=sentence):
        rule(**said)


@pytest.mark.parametrize(
    ("ref", "pushed", "applies"),
    [
        ("refs/heads/main", "refs/heads/main", True),
        ("refs/heads/main", "refs/heads/main2", False),
        ("refs/heads/main", "refs/heads/x/main", False),
        ("refs/heads/*", "refs/heads/main", True),
        ("refs/heads/*", "refs/heads/a/b", False),
        ("refs/tags/v*", "refs/tags/v1", True),
        ("refs/heads/main", "refs/heads/main\n", False),
    ],
)
def test_a_rule_is_about_its_ref_alone(ref: str, pushed: str, applies: bool) -> None:  # noqa: FBT001 - a parameter
    """`*` is anything within a segment; the number of the repository must be the same."""
    assert rule(ref=ref).applies(5, pushed) is applies
    assert not rule(ref=ref).applies(6, pushed)


def test_the_folder_is_what_comes_before_anything_variable() -> None:
    """Only what is below it is ever listed."""
    assert rule(paths="a/b/{tenant}/c/*.yaml").folder == "a/b"
    assert rule(paths="{tenant}.yaml").folder == ""
    assert rule(paths="a/{tenant}.yaml").folder == "a"


def test_the_settings_are_json_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same rules either way; numbers of an App are numbers or texts."""
    facts = {"rules": RULES, "app_id": 12, "private_key": "file:///key"}
    file = tmp_path / "github.json"
    file.write_text(json.dumps(facts))
    for value in (json.dumps(facts), str(file), f"file://{file}"):
        monkeypatch.setenv("SEALANE_GITHUB", value)
        assert Settings().github == settings(app_id="12", private_key="file:///key")
    monkeypatch.setenv("SEALANE_GITHUB", "")
    assert Settings().github == GithubSettings()


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"app_id": 12}, "come together"),
        ({"private_key": "env://KEY"}, "come together"),
        ({"app_id": True, "private_key": "env://KEY"}, "string"),
        ({"private_key": "-----BEGIN RSA PRIVATE KEY-----"}, "never the secret itself"),
        ({"secrets": ["hunter2hunter2"]}, "never the secret itself"),
        ({"api": "http://github.example.com"}, "write https://"),
        ({"api": "http://127.0.0.1.example.com"}, "write https://"),
        ({"api": "https://github.example.com/api/v3/"}, "without a slash"),
        ({"api": "https://user@github.example.com"}, "pattern"),
        ({"rules": [{"repository_id": 1}]}, "Field required"),
        ({"unknown": 1}, "Extra inputs"),
    ],
)
def test_wrong_settings_are_refused_without_their_values(facts: dict[str, Any], sentence: str) -> None:
    """A secret that was written where its reference belongs is not repeated."""
    with pytest.raises(ValidationError, match=sentence) as refused:
        GithubSettings.model_validate(facts)

    assert "hunter2" not in str(refused.value)
    assert "BEGIN RSA" not in str(refused.value)


def test_settings_survive_being_written_and_read_again() -> None:
    """As the local world does when it lays its own over what is set."""
    for one in (GithubSettings(), settings(package_owners=[{"owner": "acme", "owner_id": 1}])):
        assert GithubSettings.model_validate(one.model_dump()) == one
        assert GithubSettings.model_validate_json(one.model_dump_json()) == one


def test_names_are_those_that_the_event_takes() -> None:
    """What a pattern calls a name is what a tenant may be called."""
    facts = {"repository_id": 5, "repository": "a/b", "ref": "refs/heads/main", "commit": "1" * 40}
    for name in ("a", "0", "a" * 63, "a-b"):
        event = TenantOnboarded.model_validate({"tenant": name, "change": "added", "paths": (), **facts})
        assert rule().fields_of(f"onboarding/{event.tenant}/x.yaml") == {"tenant": name}
