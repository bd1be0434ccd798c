"""The whole worker on the bus: what goes wrong outside is said there in one sentence, lost never, and no secret is."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from schemas.images import ImagePushed
from tests.attest.whole_lane import PASSWORD, SECRETS, WholeLane, whole_lane
from tests.bus.lane import until
from workers.bus.transport import headers as names
from workers.local.registry import Image, build_image, build_index

NO_DIGEST = "sha256:" + "b" * 64


@pytest.fixture
async def whole(tmp_path: Path) -> AsyncIterator[WholeLane]:
    """Start everything."""
    async with whole_lane(tmp_path) as lane:
        yield lane


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Return the file that holds the registry's password."""
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    file.chmod(0o600)
    return file


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Collect the spans of this process."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    return exporter


async def _bad_inputs(whole: WholeLane) -> dict[str, tuple[ImagePushed, str]]:
    """Return, by event id, what is wrong and a part of the sentence that says so."""
    disabled, _ = await whole.rule("disabled")
    await whole.google.disable(disabled)
    await whole.rule("keyless", listed=False)
    _, note = await whole.rule("noteless")
    await whole.google.delete_note(note)
    await whole.rule("indexes")
    nested = build_index([build_index([build_image([{"n": b"1"}])])])
    sparse = build_index([build_image([{"n": b"2"}])])
    odd = Image("application/vnd.acme.odd+json", b'{"schemaVersion": 2}')
    host, good = whole.registry.host, whole.push("apps/shop")
    return {
        "absent": (ImagePushed(image=f"{host}/apps/nowhere:1"), f"{host} has no image apps/nowhere:1"),
        "denied": (whole.push("secret/shop"), "does not let us pull secret/shop"),
        "mismatch": (good.model_copy(update={"digest": NO_DIGEST}), f"is {good.digest} in the registry, but the event"),
        "unlisted": (
            ImagePushed(image="quay.io/acme/shop:1"),
            "quay.io is not a listed registry: add it to",
        ),
        "realm": (ImagePushed(image=f"{whole.hostile.host}/apps/shop:1"), "elsewhere.example"),
        "disabled": (whole.push("disabled/shop"), "gcloud kms keys versions enable 1"),
        "keyless": (whole.push("keyless/shop"), "has no public keys, so it accepts no attestation at all"),
        "nested": (whole.store("indexes/nested", nested), "names another index, sha256:"),
        "sparse": (whole.store("indexes/sparse", sparse), "does not hold: push all platforms, as in `skopeo copy"),
        "odd": (whole.store("indexes/odd", odd), "is of the unknown media type 'application/vnd.acme.odd+json'"),
        "noteless": (whole.push("noteless/shop"), f"the attestations of {note}, it does not exist"),
    }


async def test_every_bad_input_is_a_dead_letter_with_its_sentence(
    whole: WholeLane, secret: Path, spans: InMemorySpanExporter, caplog: pytest.LogCaptureFixture
) -> None:
    """Through the real adapters; and neither bus, nor logs, nor traces hold the password or the token."""
    caplog.set_level(logging.DEBUG)
    bad = await _bad_inputs(whole)
    await whole.rule("fine")
    for name, (event, _) in bad.items():
        await whole.lane.publish(event, event_id=name)
    await whole.lane.publish(whole.push("fine/shop"), event_id="fine")

    async with whole.working(secret, tracing=True):
        await until(lambda: _finished(whole, len(bad) + 1), within=60, what="all have their result")

    letters = {headers["ce-id"]: headers for headers, _ in await whole.lane.messages("DEAD")}
    said = {name: unquote(headers[names.DEAD_MESSAGE]) for name, headers in letters.items()}
    assert {name: said.get(name) for name, (_, part) in bad.items() if part not in said.get(name, "")} == {}
    assert {headers[names.DEAD_REASON] for headers in letters.values()} == {"permanent"}
    traced = "".join(span.to_json() for span in spans.get_finished_spans())
    shown = [await whole.everything(), caplog.text, traced]
    assert all("fine" in text for text in shown[::2])
    assert [secret for secret in SECRETS for text in shown if secret in text] == []


async def test_who_published_is_learned_from_the_envelope(whole: WholeLane, secret: Path) -> None:
    """The principal whom the door wrote down counts; what the event's body says of anybody does not."""
    _, note = await whole.rule("apps", actor="ci@*")
    event = whole.push("apps/shop")
    forged = event.model_copy(update={"labels": {"actor": "ci@acme.example"}})
    await whole.lane.publish(forged, event_id="stranger", headers={"ce-actor": "somebody@acme.example"})

    async with whole.working(secret):
        await until(lambda: _finished(whole, 1), within=60, what="the first is done")
        assert await whole.stored(note, event) == ()
        await whole.lane.publish(event, event_id="ci", headers={"ce-actor": "ci@acme.example"})
        await until(lambda: _finished(whole, 2), within=60, what="the second is done")

    assert len(await whole.stored(note, event)) == 1
    assert await whole.lane.lines() == ["not signed: rule 1 wants actor 'ci@*', the event's is 'somebody@acme.example'"]


async def test_a_registry_that_is_down_is_asked_again_until_it_is_back(whole: WholeLane, secret: Path) -> None:
    """Temporary: said as a retry, and attested as soon as the registry answers again."""
    _, note = await whole.rule("apps")
    event, port = whole.push("apps/shop"), whole.registry.port
    await whole.registry.stop()
    await whole.lane.publish(event, event_id="1")

    async with whole.working(secret):
        await until(lambda: _has(whole, "retry"), what="it is tried again")
        await whole.registry.start(port)
        await until(lambda: _has(whole, "done"), within=60, what="it is done")

    assert len(await whole.stored(note, event)) == 1
    assert await whole.lane.count("DEAD") == 0


async def test_an_exhausted_quota_is_said_as_waiting_and_nothing_is_lost(whole: WholeLane, secret: Path) -> None:
    """Twelve images against four creates in two seconds: some wait, without an attempt counted, and all are done."""
    _, note = await whole.rule("apps")
    events = [whole.push(f"apps/shop-{number}", str(number)) for number in range(12)]
    whole.google.faults.quota("CreateOccurrence", 4, per=2.0)
    for number, event in enumerate(events):
        await whole.lane.publish(event, event_id=str(number))

    async with whole.working(secret):
        await until(lambda: _finished(whole, len(events)), within=280, what="all are done")

    waiting = await whole.lane.results(outcome="waiting")
    assert waiting
    assert {result["attempt"] for result in waiting} == {1}
    assert all(result["retry_at"] and "quota" in result["message"] for result in waiting)
    assert [len(await whole.stored(note, event)) for event in events] == [1] * len(events)


async def _finished(whole: WholeLane, count: int) -> bool:
    results = await whole.lane.results()
    return sum(result["outcome"] in {"done", "dead"} for result in results) >= count


async def _has(whole: WholeLane, outcome: str) -> bool:
    return bool(await whole.lane.results(outcome=outcome))
