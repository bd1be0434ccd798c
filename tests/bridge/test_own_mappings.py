"""A user's own topic: mappings as data, checked when they are read."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.images import ImagePushed
from tests.bridge.messages import PLACE, REPOSITORY, mappings, message
from workers import subscriptions
from workers.bridge.mapping import Mappings
from workers.failures import Invalid
from workers.settings import Settings
from workers.subscriptions import Subscriptions

NEXUS = {
    "cases": [
        {"when": "attributes.kind != 'component'", "ignore": "not about a component"},
        {
            "when": "data.action == 'CREATED' && matches(data.component.format, 'docker')",
            "emit": "image.pushed",
            "fields": {
                "image": "join('', ['nexus.example.com/', data.component.name, ':', data.component.version])",
                "labels": "{repository: data.repositoryName}",
                "pushed_at": "publishTime",
            },
        },
    ]
}


def test_an_own_mapping_reads_an_own_topic() -> None:
    """Cases in order, functions of JMESPath, attributes and times: as the example for users says."""
    own = mappings(nexus=NEXUS)
    body = {
        "action": "CREATED",
        "repositoryName": "apps",
        "component": {"format": "docker", "name": "apps/shop", "version": "1.4.2"},
    }

    event = own.apply(message("nexus", body, kind="component"))

    assert isinstance(event, ImagePushed)
    assert (event.image, event.labels) == ("nexus.example.com/apps/shop:1.4.2", {"repository": "apps"})
    assert event.pushed_at is not None
    assert own.apply(message("nexus", body, kind="asset")) is None
    with pytest.raises(Invalid, match="no case of its mapping"):
        own.apply(message("nexus", body | {"action": "PURGED"}, kind="component"))


def test_the_example_for_users_is_a_mapping() -> None:
    """What the module shows can be copied, and does what it says."""
    shown = "[" + (subscriptions.__doc__ or "").partition("\n    [")[2]
    own = Mappings(Subscriptions.model_validate(shown))
    component = {"format": "docker", "name": "apps/shop", "version": "1"}

    pushed = own.apply(message("nexus-bridge", {"action": "CREATED", "component": component, "repositoryName": "a"}))

    assert pushed == ImagePushed(image="nexus.example.com/apps/shop:1", labels={"repository": "a"})
    assert own.apply(message("nexus-bridge", {"action": "DELETED", "component": component})) is None


def test_a_body_may_be_plain_text() -> None:
    """With `text` the body is one string."""
    own = mappings(plain={"body": "text", "cases": [{"emit": "image.pushed", "fields": {"image": "data"}}]})

    assert own.apply(message("plain", f"{REPOSITORY}:1".encode())) == ImagePushed(image=f"{REPOSITORY}:1")
    with pytest.raises(Invalid, match="not UTF-8 text"):
        own.apply(message("plain", b"\xff"))


def test_an_expression_that_does_not_apply_is_a_dead_letter_not_a_crash() -> None:
    """A function that is given what it does not take says so, without the value."""
    own = mappings(bad={"cases": [{"when": "length(data.secret) > `1`", "ignore": "long"}]})

    with pytest.raises(Invalid, match=r"length\(\) was given a value of type number") as refused:
        own.apply(message("bad", {"secret": 4711}))
    assert "4711" not in str(refused.value)


def test_a_message_of_an_unlisted_subscription_says_where_to_list_it() -> None:
    """A replay of what came from a subscription that nobody lists any more."""
    with pytest.raises(Invalid, match="list the subscription in SEALANE_FEEDS"):
        mappings().apply(message("unknown", {}))


@pytest.mark.parametrize(
    ("mapping", "wrong"),
    [
        ("gcp", "feed 1, field 'mapping': Input should be 'gcr'"),
        ({"cases": []}, "feed 1, field 'mapping': is empty"),
        ([], "feed 1, field 'mapping': is no JSON object"),
        (
            {"cases": [{"ignore": "x", "if": "data"}]},
            "feed 1, field 'mapping', case 1, field 'if': there is no such field",
        ),
        ({"cases": [{"ignore": "x"}, {"ignore": "y"}]}, "case 1 has no `when`, so no case after it is ever tried"),
        (
            {"cases": [{"when": "dta.a == 'x'", "ignore": "x"}]},
            "case 1, field 'when': .*reads 'dta', which no message has",
        ),
        ({"cases": [{"when": 'data.a == "x"', "ignore": "x"}]}, "reads 'x'.*write texts in single quotes"),
        ({"cases": [{"when": "length()", "ignore": "x"}]}, r"calls length\(\) with 0 arguments: it takes 1"),
        ({"cases": [{"when": "not_null()", "ignore": "x"}]}, "it takes at least 1"),
        ({"cases": [{"emit": "image.pushed", "ignore": "both"}]}, "either `emit`, an event, or `ignore`"),
        ({"cases": [{"when": "data.a"}]}, "either `emit`, an event, or `ignore`"),
        ({"cases": [{"ignore": "x", "fields": {"image": "data"}}]}, "has no `fields`"),
        ({"cases": [{"emit": "image.attested"}]}, "emit"),
        ({"cases": [{"when": "data ==", "ignore": "x"}]}, "no JMESPath expression"),
        ({"cases": [{"when": "guess(a)", "ignore": "x"}]}, r"guess\(\), a function that neither"),
        ({"cases": [{"when": "before(a)", "ignore": "x"}]}, "it takes two"),
        ({"cases": [{"when": "matches(a, '(')", "ignore": "x"}]}, "regular expression"),
        ({"cases": [{"emit": "image.pushed", "fields": {"imgae": "data"}}]}, "imgae"),
        ({"cases": [{"emit": "image.pushed", "fields": {"digest": "data"}}]}, "needs the field 'image'"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused_when_it_is_read(mapping: Any, wrong: str) -> None:
    """The settings say which feed, which field and why, before the first message."""
    with pytest.raises(ValidationError, match=wrong) as refused:
        Subscriptions.model_validate([{"subscription": f"{PLACE}/own", "mapping": mapping}])

    assert "feed 1" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('{"subscription": 1}', "not a list"),
        ("[", "not JSON"),
        ("/nowhere/feeds.json", "cannot be read"),
        ('[{"subscription": "gcr-bridge", "mapping": "gcr"}]', "subscription"),
        (json.dumps([{"subscription": f"{PLACE}/own", "mapping": "gcr"}] * 2), "listed twice"),
        (json.dumps([{"subscription": f"{PLACE}/own", "mapping": "gcr", "most": 0}]), "most"),
    ],
)
def test_feeds_that_are_none_are_refused_with_the_place(text: str, wrong: str) -> None:
    """A wrong setting is one sentence."""
    with pytest.raises(ValidationError, match=wrong):
        Subscriptions.model_validate(text)


def test_feeds_come_from_the_environment_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SEALANE_FEEDS holds the list, or the path of a file with it; written out again it is the same."""
    file = tmp_path / "feeds.json"
    file.write_text(json.dumps([{"subscription": f"{PLACE}/own", "mapping": NEXUS, "most": 10}]))
    monkeypatch.setenv("SEALANE_FEEDS", str(file))

    feeds = Settings().feeds

    assert feeds.subscriptions[0].most == 10
    assert Subscriptions.model_validate(feeds.model_dump()) == feeds
