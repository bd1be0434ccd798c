"""The envelope survives both modes, whatever its attributes hold, and says what is wrong with a bad one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.envelope import MAX_ATTRIBUTE, Envelope, EnvelopeError, from_headers, from_structured, read
from schemas.identity import run_id

AWKWARD = st.sampled_from(
    ["42", "a b", 'say "hi"', "100%", "%41", "a\r\nce-actor: root", "\u202eevil", "ü→🦭", "\x00", " x "]
)
TEXT = st.one_of(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60), AWKWARD)
OPTIONAL = st.one_of(st.none(), TEXT)
RUN = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
ENVELOPES = st.builds(
    Envelope,
    id=TEXT,
    source=TEXT,
    type=TEXT,
    run=RUN,
    time=st.just("2026-11-02T09:30:00.000Z"),
    subject=OPTIONAL,
    cause=OPTIONAL,
    parentrun=st.one_of(st.none(), RUN),
    hops=st.integers(0, 999_999),
    actor=OPTIONAL,
    traceparent=st.just("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    tracestate=st.one_of(st.none(), st.just("vendor=value")),
)
MINIMAL = {"ce-id": "1", "ce-source": "s", "ce-type": "image.pushed"}


@given(ENVELOPES)
def test_binary_mode_round_trip(envelope: Envelope) -> None:
    """What goes into the headers comes out of them, through printable ASCII only."""
    headers = envelope.headers()

    assert all(value.isascii() and value.isprintable() and " " not in value for value in headers.values())
    assert read(headers, b"{}") == (envelope, b"{}")


@given(ENVELOPES)
def test_structured_mode_round_trip(envelope: Envelope) -> None:
    """What goes into the JSON object comes out of it, body included."""
    body = json.dumps(envelope.structured(b'{"a": [1, null, "\\u00fc"]}')).encode()

    found, data = read({"Content-Type": "application/cloudevents+json; charset=utf-8"}, body)

    assert (found, json.loads(data)) == (envelope, {"a": [1, None, "ü"]})


@given(st.dictionaries(st.text(max_size=12), st.text(max_size=40), max_size=6))
def test_any_headers_are_read_or_refused(headers: dict[str, str]) -> None:
    """No header makes the reader fail in another way than with its own error."""
    try:
        from_headers(MINIMAL | headers)
    except EnvelopeError as error:
        assert str(error)  # noqa: PT017 - either outcome is right, another exception is not


@given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode)))
def test_any_structured_body_is_read_or_refused(body: bytes) -> None:
    """No body makes the reader fail in another way than with its own error."""
    with pytest.raises(EnvelopeError):
        from_structured(body)


@pytest.mark.parametrize("spelling", ["CE-Id", "Ce-ID", "ce-id", "cE-iD"])
def test_header_names_count_in_any_case(spelling: str) -> None:
    """A header is found however its name is written."""
    assert from_headers({spelling: "7", "CE-SOURCE": "s", "Ce-Type": "t"}).id == "7"


def test_content_type_counts_in_any_case() -> None:
    """A structured event is recognised however its content type is written."""
    body = b'{"specversion":"1.0","id":"1","source":"s","type":"t","data":{}}'

    assert read({"CONTENT-TYPE": "Application/CloudEvents+JSON"}, body)[0].id == "1"


def test_event_without_run_opens_its_own() -> None:
    """The run of a first event is derived from its identity, so that a repeat joins it."""
    assert from_headers(MINIMAL).run == run_id("s", "1")


def test_broken_tracing_is_dropped_not_refused() -> None:
    """A trace header that no tracer wrote costs the trace, never the event."""
    envelope = from_headers(MINIMAL | {"traceparent": "00-xyz\r\nce-actor: root", "tracestate": "a=b"})

    assert (envelope.traceparent, envelope.tracestate) == (None, None)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"ce-id": ""}, "attribute 'id' is missing: every event needs"),
        ({"ce-source": ""}, "attribute 'source' is missing"),
        ({"ce-type": ""}, "attribute 'type' is missing"),
        ({"ce-specversion": "0.3"}, "specversion '0.3' is not supported: send 1.0"),
        ({"ce-run": "a.b"}, "run 'a.b' is not a run id: 1 to 64 of"),
        ({"ce-run": "abc%0A"}, "is not a run id"),
        ({"ce-parentrun": "*"}, "parentrun '*' is not a run id"),
        ({"ce-hops": "-1"}, "hops '-1' is not a small whole number"),
        ({"ce-hops": "٣"}, "is not a small whole number"),
        ({"ce-time": "yesterday"}, "time 'yesterday' is not an RFC 3339 time: write"),
        ({"ce-actor": "x" * (MAX_ATTRIBUTE + 1)}, f"'actor' is longer than {MAX_ATTRIBUTE} characters"),
        ({"ce-subject": "%ff"}, "ce-subject is not percent-encoded UTF-8"),
        ({"CE-ID": "2"}, "ce-id is there twice"),
        ({"ce-subject": "\ud800"}, "'subject' holds half a surrogate pair"),
    ],
)
def test_bad_header_is_named(changed: dict[str, str], sentence: str) -> None:
    """The sentence names the attribute and what to do."""
    with pytest.raises(EnvelopeError) as caught:
        from_headers(MINIMAL | changed)

    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"not json", "is not JSON"),
        (b"[]", "is not a JSON object"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"id":"1","source":"s","type":"t","data_base64":"e30="}', "data_base64 is not accepted"),
        (b'{"id":"1","source":"s","type":"t"}', "has no `data`"),
        (b'{"id":42,"source":"s","type":"t","data":{}}', "'id' is not a string"),
        (b'{"id":"1","source":"s","type":"t","hops":true,"data":{}}', "'hops' is not a string"),
        (b'{"id":"1","source":"s","type":"t","data":NaN}', "is not JSON"),
    ],
)
def test_bad_structured_event_is_named(body: bytes, sentence: str) -> None:
    """The sentence names what is wrong with the object."""
    with pytest.raises(EnvelopeError) as caught:
        from_structured(body)

    assert sentence in str(caught.value)


def test_null_attribute_counts_as_absent() -> None:
    """`"subject": null` is no subject, not one called None."""
    envelope, _ = from_structured(b'{"id":"1","source":"s","type":"t","subject":null,"data":{}}')

    assert envelope.subject is None
