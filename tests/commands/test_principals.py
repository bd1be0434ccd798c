"""`sealane principals`: keys that are shown once, and a policy in words."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.commands.command import Sealane
from tests.gateway.issuer import AUDIENCE
from workers.__main__ import app
from workers.failures import Invalid
from workers.gateway.callers import SHORTEST_KEY, hash_of
from workers.gateway.principals import read_policy

GRANT = {"type": "image.pushed", "where": {"image": "europe-docker.pkg.dev/acme/**"}}
GITHUB = {"name": "gh", "kind": "github", "audience": AUDIENCE}


def run(*arguments: str, stdin: str = "", **settings: str) -> Result:
    """Run the command in this process; an Invalid comes out as it is."""
    environment = {"SEALANE_PRINCIPALS": "", **settings}
    done = CliRunner(env=environment).invoke(app, ["principals", *arguments], input=stdin)
    if isinstance(done.exception, Invalid):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done


def policy(*principals: dict[str, Any], issuers: tuple[dict[str, Any], ...] = (GITHUB,)) -> str:
    """Return a policy as JSON."""
    return json.dumps({"issuers": issuers, "principals": principals})


def github(name: str, *grants: dict[str, Any], **claims: Any) -> dict[str, Any]:
    """Return a principal that bears GitHub's tokens."""
    known = {"repository_id": "1296269"} | claims
    return {"name": name, "issuer": "gh", "claims": known, "may_publish": grants or (GRANT,)}


def explained(*principals: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what is said of each principal."""
    lines = run("check", "-", "--json", stdin=policy(*principals)).stdout.splitlines()
    return {record["principal"]: record for record in map(json.loads, lines)}


def test_key_is_made_for_a_policy() -> None:
    """It is long, never the same, and its hash is what a policy takes."""
    made = [json.loads(run("key", "--json").stdout) for _ in range(2)]

    assert made[0]["key"] != made[1]["key"]
    for one in made:
        assert len(one["key"]) >= SHORTEST_KEY
        assert one["hash"] == hash_of(one["key"])
        read_policy(policy({"name": "x", "api_keys": [one["hash"]], "may_publish": [GRANT]}))


def test_key_is_shown_to_a_person() -> None:
    """Key and hash are in the table, once each."""
    shown = run("key").stdout

    assert shown.count("slk_") == shown.count("sha256:") == 1


def test_policy_is_said_in_words(tmp_path: Path) -> None:
    """Who it is, by which proof, what it may bring, as whom and how much: from a file, stdin or the settings alike."""
    sight = {"type": "image.*", "subject": "europe-docker.pkg.dev/acme/**"}
    more = {"sources": ["/shop/**"], "rate": 90, "open_streams": 20, "may_see": [sight], "may_act": True}
    shop = github("acme/shop", ref=["refs/heads/main", "refs/tags/*"]) | more
    text = policy(shop, {"name": "jenkins", "api_keys": [hash_of("a"), hash_of("b")], "may_publish": [GRANT]})
    file = tmp_path / "principals.json"
    file.write_text(text)
    found = [
        run("check", str(file), "--json").stdout,
        run("check", "-", "--json", stdin=text).stdout,
        run("check", "--json", SEALANE_PRINCIPALS=text).stdout,
    ]

    assert found[0] == found[1] == found[2]
    one, other = map(json.loads, found[0].splitlines())
    assert one == {
        "principal": "acme/shop",
        "proof": f"a token of gh (https://token.actions.githubusercontent.com) for {AUDIENCE} with "
        "repository_id 1296269, ref refs/heads/main or refs/tags/*",
        "may_publish": ["image.pushed with image europe-docker.pkg.dev/acme/**"],
        "may_see": ["runs of image.* about europe-docker.pkg.dev/acme/**"],
        "may_act": True,
        "sources": "/shop/**",
        "rate": "90 a minute, 100 at once",
        "open_streams": 20,
        "remarks": [],
    }
    assert (other["proof"], other["sources"]) == ("one of 2 API keys", "any that no other names")
    assert other["open_streams"] == 200
    table = run("check", str(file)).stdout
    assert "KNOWN BY" in table
    assert "jenkins" in table
    assert "may act" in table


def test_what_is_hardly_meant_is_remarked_on() -> None:
    """Any image, any branch, nothing at all: each is allowed, and said."""
    anything = {"name": "ci", "api_keys": [hash_of("a")], "may_publish": [{"type": "image.pushed"}]}
    nothing = {"name": "idle", "api_keys": [hash_of("b")], "may_publish": []}
    found = explained(github("acme/shop"), anything, nothing)

    assert found["acme/shop"]["remarks"][0].startswith("is any workflow on any branch")
    assert found["ci"]["remarks"] == ["may announce any image: bind the field `image`"]
    assert found["idle"]["remarks"] == ["may publish nothing, and see nothing"]


BEHIND = [
    ({}, {"ref": "refs/heads/main"}, True),
    ({"ref": "refs/heads/*"}, {"ref": "refs/heads/main"}, True),
    ({"ref": ["refs/heads/*", "refs/tags/*"]}, {"ref": ["refs/tags/*", "refs/heads/main"]}, True),
    ({"ref": "refs/heads/main"}, {}, False),
    ({"ref": "refs/heads/main"}, {"ref": "refs/heads/*"}, False),
    ({"environment": "prod"}, {"ref": "refs/heads/main"}, False),
    ({}, {"event_name": "pull_request"}, False),
    ({}, {"runner_environment": "self-hosted"}, False),
]


@pytest.mark.parametrize(("first", "second", "behind"), BEHIND)
def test_principal_behind_a_wider_one_is_found(
    first: dict[str, Any],
    second: dict[str, Any],
    behind: bool,  # noqa: FBT001 - a table
) -> None:
    """The first match counts: who stands behind a wider one is never asked for; who is only alike is."""
    remarks = explained(github("wide", **first), github("narrow", **second))["narrow"]["remarks"]

    assert any("is never asked for: whoever it is meant for is wide already" in remark for remark in remarks) == behind


def test_issuer_that_nobody_uses_is_named() -> None:
    """An issuer without a principal is a leftover, or a mistake."""
    done = run("check", "-", stdin=policy())

    assert "Nobody may bring anything." in done.stderr
    assert "nobody bears tokens of the issuer 'gh'" in done.stderr


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("hello", "what is on stdin is no JSON object"),
        ('{"principals": 7}', "principals: is a JSON list, and this is none"),
        (policy(github("x", {"type": "image.attested"})), "lets x publish image.attested, which only a worker says"),
    ],
)
def test_wrong_policy_is_a_sentence(text: str, sentence: str) -> None:
    """What no door would open with is refused here already."""
    with pytest.raises(Invalid) as refused:
        run("check", "-", stdin=text)
    assert sentence in str(refused.value)


def test_policy_that_is_away_is_a_sentence(tmp_path: Path) -> None:
    """A file that cannot be read is named."""
    with pytest.raises(Invalid, match=r"absent\.json cannot be read"):
        run("check", str(tmp_path / "absent.json"))


def test_policy_that_nobody_gave_is_said() -> None:
    """Who forgot the file, or mistyped the variable, reads why nobody may do anything."""
    done = run("check", SEALANE_NATS="nats://127.0.0.1:1")

    assert "Nobody may bring anything." in done.stderr
    assert "SEALANE_PRINCIPALS names none" in done.stderr


async def test_mistyped_variable_of_a_policy_is_said(tmp_path: Path) -> None:
    """The variable is named with the one that is meant, without its value."""
    done = await Sealane("nats://127.0.0.1:1", tmp_path, prinicpals="hunter2")("principals", "check")

    said, *rest = done.err.splitlines()
    assert said == "SEALANE_PRINICPALS is no setting and is ignored: did you mean SEALANE_PRINCIPALS?"
    assert rest[0] == "Nobody may bring anything."
