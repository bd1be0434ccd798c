"""The mappings that come with the project: what Google publishes, and what it means."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.events import Event
from schemas.images import ImagePushed, split_reference
from schemas.occurrences import OccurrenceCreated
from schemas.scans import ScanRequested
from tests.bridge.messages import AT, DIGEST, REPOSITORY, mappings, message
from workers.failures import Invalid

BUILT_IN = mappings()
TAG, PINNED = f"{REPOSITORY}:1.4.2", f"{REPOSITORY}@{DIGEST}"


@pytest.mark.parametrize(
    ("notification", "pushed"),
    [
        ({"action": "INSERT", "digest": PINNED, "tag": TAG}, ImagePushed(image=TAG, digest=DIGEST)),
        ({"action": "INSERT", "digest": PINNED}, ImagePushed(image=PINNED, digest=DIGEST)),
        ({"action": "INSERT", "tag": TAG}, ImagePushed(image=TAG)),
        ({"action": "INSERT", "digest": PINNED, "tag": None}, ImagePushed(image=PINNED, digest=DIGEST)),
        ({"action": "DELETE", "digest": PINNED}, None),
        ({"action": "DELETE", "tag": TAG}, None),
    ],
)
def test_a_push_is_announced_with_what_is_known_of_it(notification: Any, pushed: ImagePushed | None) -> None:
    """A digest pins the image, a tag alone is left to the registry, and what was deleted means nothing."""
    assert BUILT_IN.apply(message("gcr", notification)) == pushed


def test_a_registry_on_a_port_is_a_registry() -> None:
    """The colon of a port is not that of a tag."""
    local = {"action": "INSERT", "digest": f"127.0.0.1:5000/a/b@{DIGEST}", "tag": "127.0.0.1:5000/a/b:1"}

    assert BUILT_IN.apply(message("gcr", local)) == ImagePushed(image="127.0.0.1:5000/a/b:1", digest=DIGEST)


@pytest.mark.parametrize(
    "notification",
    [
        {},
        [],
        "INSERT",
        {"action": "INSERT"},
        {"action": "UPDATE", "tag": TAG},
        {"action": ["INSERT"], "tag": TAG},
        {"action": "INSERT", "tag": 5},
        {"action": "INSERT", "digest": f"{REPOSITORY}@sha256:short"},
        {"action": "INSERT", "digest": f"https://{PINNED}"},
        {"action": "INSERT", "digest": REPOSITORY},
        {"action": "INSERT", "digest": f"{REPOSITORY}@"},
        {"action": "INSERT", "tag": REPOSITORY},
        {"action": "INSERT", "tag": "127.0.0.1:5000/acme/shop"},
        {"action": "INSERT", "digest": REPOSITORY, "tag": REPOSITORY},
        {"action": "INSERT", "digest": PINNED, "tag": f"evil.example.com/acme/apps/shop:1@{DIGEST}"},
        {"action": "INSERT", "digest": f"evil.example.com/apps/shop@{DIGEST}", "tag": TAG},
        {"action": "INSERT", "tag": f"{REPOSITORY}/../../other:1"},
        {"action": "INSERT", "tag": "еurope-docker.pkg.dev/acme/apps/shop:1"},  # noqa: RUF001 - a Cyrillic letter
        b"",
        b"\xff",
        b"{",
        b"[" * 100_000,
        b"[" + b"[]," * 400_000 + b"[]]",
        b'{"action": NaN}',
    ],
)
def test_what_google_does_not_send_is_refused(notification: Any) -> None:
    """Nothing is guessed: it becomes a dead letter, with a sentence that does not repeat the content."""
    with pytest.raises(Invalid) as refused:
        BUILT_IN.apply(message("gcr", notification))

    assert "evil" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "location"),
    [
        ("projects/acme/occurrences/6f1c", None),
        ("projects/acme/locations/europe-west1/occurrences/6f1c", "europe-west1"),
    ],
)
@pytest.mark.parametrize("kind", ["VULNERABILITY", "DISCOVERY"])
def test_an_occurrence_is_a_pointer_with_either_form_of_name(name: str, location: str | None, kind: str) -> None:
    """Project and location are read from the name, whether it has a location or not."""
    notified = {"name": name, "kind": kind, "notificationTime": "2023-03-30T23:09:28.471565Z"}

    assert BUILT_IN.apply(message("occurrences", notified)) == OccurrenceCreated(
        name=name,
        project="acme",
        location=location,
        kind=kind,
        notified_at=datetime(2023, 3, 30, 23, 9, 28, 471565, tzinfo=UTC),
    )


@pytest.mark.parametrize("kind", ["ATTESTATION", "BUILD", "A_KIND_OF_THE_FUTURE"])
def test_other_kinds_are_ignored_before_anything_else_is_read(kind: str) -> None:
    """Our own attestations come back on the topic: they mean nothing, whatever else the message says."""
    assert BUILT_IN.apply(message("occurrences", {"kind": kind, "name": 5})) is None


@pytest.mark.parametrize(
    "notification",
    [
        {"name": "projects/acme/occurrences/6f1c"},
        {"kind": "vulnerability", "name": "projects/acme/occurrences/6f1c"},
        {"kind": "VULNERABILITY"},
        {"kind": "VULNERABILITY", "name": "projects/acme/notes/6f1c"},
        {"kind": "VULNERABILITY", "name": "projects/acme/locations/x/y/occurrences/6f1c"},
        {"kind": "VULNERABILITY", "name": "projects/../occurrences/6f1c"},
        {"kind": "VULNERABILITY", "name": "projects/acme/occurrences/6f1c", "notificationTime": "yesterday"},
        {"kind": 7, "name": "projects/acme/occurrences/6f1c"},
    ],
)
def test_an_occurrence_that_is_none_is_refused(notification: Any) -> None:
    """A name of another form, or a kind that is none, becomes a dead letter."""
    with pytest.raises(Invalid):
        BUILT_IN.apply(message("occurrences", notification))


def test_a_scheduler_asks_for_a_scan_whatever_it_sends() -> None:
    """The body does not matter; attributes may name one image and a reason."""
    assert BUILT_IN.apply(message("scans", b"\xff not JSON")) == ScanRequested(requested_at=AT)
    asked = BUILT_IN.apply(message("scans", b"", image=TAG, reason="nightly"))
    assert asked == ScanRequested(image=TAG, reason="nightly", requested_at=AT)


def _said(name: str, body: Any, attributes: dict[str, str]) -> Event | None:
    """Return what a message means, or nothing for a dead letter; anything else is a crash."""
    try:
        return BUILT_IN.apply(message(name, body, **attributes))
    except Invalid:
        return None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
REFERENCES = st.sampled_from([TAG, PINNED, REPOSITORY, "evil.example.com/x:1", f"evil.example.com/x@{DIGEST}"])
FIELDS = REFERENCES | JSON
NOTIFICATIONS = st.fixed_dictionaries(
    {},
    optional={
        "action": st.sampled_from(["INSERT", "DELETE"]) | JSON,
        "digest": FIELDS,
        "tag": FIELDS,
        "kind": st.sampled_from(["VULNERABILITY", "DISCOVERY", "ATTESTATION"]) | JSON,
        "name": st.sampled_from(["projects/acme/occurrences/1", "projects/acme/locations/eu/occurrences/1"]) | JSON,
        "notificationTime": st.just("2023-03-30T23:09:28.471565Z") | JSON,
    },
)


@settings(max_examples=500, deadline=None)
@given(
    name=st.sampled_from(["gcr", "occurrences", "scans"]),
    body=NOTIFICATIONS | JSON | st.binary(max_size=200),
    attributes=st.dictionaries(st.sampled_from(["image", "reason", "x"]), st.text(max_size=20), max_size=3),
)
@example(name="gcr", body={"action": "INSERT", "digest": PINNED, "tag": f"evil.example.com/x@{DIGEST}"}, attributes={})
def test_no_message_makes_an_event_that_should_not_be(name: str, body: Any, attributes: dict[str, str]) -> None:
    """Whatever arrives: no crash, and an event only of the topic's own type, saying no more than the message does."""
    event = _said(name, body, attributes)

    if isinstance(event, ImagePushed):
        assert name == "gcr"
        assert body["action"] == "INSERT"
        host, path, tag, digest = split_reference(event.image)
        assert tag or digest, "a name alone means what nobody pushed"
        given = [text for text in (body.get("digest"), body.get("tag")) if text]
        assert event.image in given
        assert all(text.startswith(f"{host}/{path}") for text in given)
        assert event.digest is None or str(body["digest"]).endswith(event.digest)
        assert digest in {None, event.digest}
    elif isinstance(event, OccurrenceCreated):
        assert name == "occurrences"
        assert (event.name, event.kind) == (body["name"], body["kind"])
        assert event.kind in {"VULNERABILITY", "DISCOVERY"}
    elif event is not None:
        assert isinstance(event, ScanRequested)
        assert name == "scans"
        assert event.image == attributes.get("image")


@settings(max_examples=200, deadline=None)
@given(body=JSON)
def test_what_is_said_can_be_said_on_the_bus(body: Any) -> None:
    """Each event survives being written and read."""
    event = _said("gcr", {"action": "INSERT", "tag": TAG, "extra": body}, {})

    assert event is not None
    assert type(event).model_validate(json.loads(event.model_dump_json())) == event
