"""The door under pressure: a burst, a bus that takes nothing, and what its own bus identity may do."""

import asyncio
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from schemas.catalogue import CATALOGUE
from tests.bus.lane import Lane
from tests.gateway.conftest import SLOW_KEY, Caller, attributes
from workers.bus.rooms import all_wirings
from workers.bus.topology.permissions import derive, doors
from workers.failures import Invalid
from workers.gateway.patterns import matches
from workers.gateway.principals import Policy, read_policy


async def test_burst_is_stored_or_told_to_come_again(lane: Lane, caller: Caller) -> None:
    """Of a thousand at once each is stored once, or told when to come again; none fails otherwise."""
    answers = await asyncio.gather(*(caller.echo(f"n-{number}") for number in range(1000)))
    stored = [answer for answer in answers if answer.status == 202]

    assert {answer.status for answer in answers} <= {202, 503}
    assert all(answer.headers["retry-after"] for answer in answers if answer.status == 503)
    assert await lane.count("EVENTS") == len(stored) > 0


async def test_full_bus_says_when_to_come_again(lane: Lane, caller: Caller) -> None:
    """An event that the stream does not take is answered with 503, and is not lost: it was never taken."""
    stream = lane.connection.client.jetstream()
    config = (await stream.stream_info("EVENTS")).config
    await caller.echo("one")
    config.max_msgs = 1
    await stream.update_stream(config)
    answer = await caller.echo("two")

    assert (answer.status, answer.headers["retry-after"]) == (503, "5")


async def test_description_is_true(caller: Caller) -> None:
    """Every example of the OpenAPI document fits its schema and is taken; each principal sees what it may bring."""
    found = (await caller.ask("GET", "/openapi.json", headers={"authorization": f"Bearer {SLOW_KEY}"})).json
    content = found["paths"]["/events"]["post"]["requestBody"]["content"]
    examples: dict[str, Any] = content["application/json"]["examples"]
    validator = jsonschema.Draft202012Validator(
        {"components": found["components"]} | content["application/cloudevents+json"]["schema"]
    )

    assert set(examples) == {"echo.requested", "image.pushed"}
    event = {"specversion": "1.0", "id": "o", "source": "/slow/1", "type": "echo.requested"}
    for name, example in examples.items():
        validator.validate(event | {"type": name, "data": example["value"]})
    body = json.dumps(event | {"data": examples["echo.requested"]["value"]})
    answer = await caller.send(body, token=SLOW_KEY, content_type="application/cloudevents+json")
    assert answer.status == 202
    receipt = {"components": found["components"], "$ref": "#/components/schemas/Receipt"}
    jsonschema.Draft202012Validator(receipt).validate(answer.json)
    problem = {"components": found["components"], "$ref": "#/components/schemas/Problem"}
    refused = await caller.send("{}", token=SLOW_KEY, **attributes("o"))
    jsonschema.Draft202012Validator(problem).validate(refused.json)
    assert str(refused.status) in found["paths"]["/events"]["post"]["responses"]


async def test_description_names_all_that_is_served(caller: Caller) -> None:
    """What the document lists answers, and nothing but health is served to nobody."""
    found = (await caller.ask("GET", "/openapi.json", headers={"authorization": f"Bearer {SLOW_KEY}"})).json
    public = {path for path, item in found["paths"].items() if item.get("get", {}).get("security") == []}

    served = ("/events", "/events/{id}", "/openapi.json", "/runs", "/runs/{run}", "/progress/{run}", "/webhooks/github")
    assert set(found["paths"]) >= {*served, *public}
    assert public == {"/livez", "/readyz"}
    assert {(await caller.ask("GET", path)).status for path in public} == {200}
    assert (await caller.ask("GET", "/")).status == 404
    assert (await caller.ask("GET", "/events")).status == 405
    assert (await caller.ask("GET", "/docs")).status == 404


def test_what_workers_say_does_not_come_through_a_door() -> None:
    """The bus identity of the door may publish what GitHub signed and what no worker says, and nothing else."""
    wirings = all_wirings().values()
    through = doors(wirings)

    assert "image.pushed" in through
    assert "image.attested" not in through
    published = set(derive(wirings)["gateway"].publish)
    assert {event_type for event_type in CATALOGUE if event_type in published} == set(through) | {
        event_type for event_type, event in CATALOGUE.items() if event.door == "webhook"
    }
    grants = ({"type": "image.attested"},)
    policy = Policy.model_validate(
        {"principals": [{"name": "x", "api_keys": ["sha256:" + "0" * 64], "may_publish": grants}]}
    )
    with pytest.raises(Invalid, match=r"lets x publish image\.attested, which only a worker says"):
        policy.within(through)


NO_KEY = "0" * 64
WRONG_POLICIES = {
    "no JSON": ("{", "SEALANE_PRINCIPALS are not JSON"),
    "a list": ("[]", "SEALANE_PRINCIPALS: the policy, with `issuers` and `principals`, is a JSON object"),
    "a member twice": ('{"principals": [], "principals": []}', "'principals' is there twice"),
    "a member that is none": (
        '{"principal": []}',
        "principal: there is no such field, the fields are issuers, principals",
    ),
    "an object for a list": ('{"principals": {}}', "principals: is a JSON list"),
    "a field of a principal that is none": (
        '"clams": {}',
        "principals.0.clams: there is no such field, the fields are name",
    ),
    "a field of a grant that is none": (
        '"type": "image.pushed", "were": {}',
        "may_publish.0.were: there is no such field",
    ),
    "an id that is a number": (
        '"claims": {"repository_id": 1}',
        "claims.repository_id: is no text: write it in quotes",
    ),
    "a claim that nothing matches": ('"claims": {"repository_id": []}', "claims.repository_id"),
    "claims of a key": (f'"issuer": null, "api_keys": ["sha256:{NO_KEY}"]', "binds claims, and only tokens"),
    "a source of ours": ('"sources": ["/sealane/**"]', "names a source below /sealane/"),
    "no name": ('"name": "a b"', "principals.0.name: is no name: letters, digits"),
    "a type that is none": ('"type": "image.pusht"', "there is no event 'image.pusht'"),
    "a field that is none": ('"type": "image.pushed", "where": {"img": "a/**"}', "image.pushed has no field 'img'"),
    "anybody on GitHub": ('"claims": {"ref": "refs/heads/main"}', "would be anybody with a token"),
    "the subject": ('"claims": {"repository_id": "1", "sub": "repo:acme/shop"}', "binds `sub`"),
    "a pattern for an id": ('"claims": {"repository_id": "1*"}', "is compared exactly"),
    "no proof": ('"issuer": null', "proves itself by"),
    "a key itself": ('"api_keys": ["slk_secret"]', "is no hash of an API key: `sealane principals key`"),
}


@pytest.mark.parametrize("case", WRONG_POLICIES)
def test_wrong_policy_is_refused_with_the_place(case: str) -> None:
    """A door never opens with a policy that says something else than was meant."""
    changed, sentence = WRONG_POLICIES[case]
    principal = json.dumps(
        {"name": "shop", "issuer": "gh", "claims": {"repository_id": "1"}, "may_publish": [{"type": "image.pushed"}]}
    )
    text = changed
    if not changed.startswith(("{", "[")):
        given = json.loads(f"{{{changed}}}")
        known = json.loads(principal)
        known |= {"may_publish": [given]} if "type" in given else given
        issuers = [{"name": "gh", "kind": "github", "audience": "https://sealane.example.com"}]
        text = json.dumps({"issuers": issuers, "principals": [known]})

    with pytest.raises(Invalid) as refused:
        read_policy(text)
    assert sentence in str(refused.value)
    assert "slk_secret" not in str(refused.value)


def test_policy_is_read_from_a_file(tmp_path: Path) -> None:
    """A path stands for its content; nothing means nobody; a file that is away is a sentence."""
    file = tmp_path / "principals.json"
    file.write_text('{"issuers": [{"name": "google", "kind": "google", "audience": "x"}]}')

    assert read_policy(str(file)).issuers[0].keys_url == "https://www.googleapis.com/oauth2/v3/certs"
    assert read_policy("") == Policy()
    with pytest.raises(Invalid, match="cannot be read"):
        read_policy(str(tmp_path / "absent.json"))


@pytest.mark.parametrize(
    ("pattern", "value", "fits"),
    [
        ("a/*", "a/b", True),
        ("a/*", "a/b/c", False),
        ("a/*", "a/", False),
        ("a/**", "a/b/c", True),
        ("a/**", "a", False),
        ("a.b", "axb", False),
        ("a/**", "a/b\nc", True),
        ("a", "a\n", False),
    ],
)
def test_pattern_means_what_it_says(pattern: str, value: str, fits: bool) -> None:  # noqa: FBT001 - a table
    """A star stays within its segment, and nothing is a substring."""
    assert matches(pattern, value) is fits
