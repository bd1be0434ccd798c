"""Deliveries at a door on a real bus: stored once, known again, ignored with a reason."""

import asyncio
import hashlib
import json
from contextlib import AsyncExitStack
from pathlib import Path

import jsonschema

from tests.bus.lane import Lane, until
from tests.gateway.webhooks.conftest import Github, Secrets, open_webhooks
from tests.gateway.webhooks.deliveries import NEXT_SECRET, SECRET, encoded, headers, payload, raw
from workers.gateway.openapi import document
from workers.gateway.principals import Principal


async def test_push_is_stored_before_it_is_answered(lane: Lane, github: Github) -> None:
    """The event is identified by the hash of what was signed, and says who pushed."""
    body = raw("push")
    answer = await github.deliver(body)
    (stored,) = await lane.messages("EVENTS")

    assert (answer.status, answer.json["outcome"]) == (202, "accepted")
    assert stored[0]["ce-type"] == answer.json["type"] == "github.pushed"
    assert stored[0]["ce-id"] == answer.json["id"] == hashlib.sha256(body).hexdigest()
    assert stored[0]["ce-source"] == answer.json["source"] == "//github.com/repositories/186853002"
    assert stored[0]["ce-run"] == answer.json["run"]
    assert stored[0]["ce-actor"] == "github/mona"
    assert stored[0]["ce-subject"] == "acme/onboarding"
    event = json.loads(stored[1])
    assert (event["ref"], event["complete"], event["delivery"]) == ("refs/heads/main", True, "d-1")
    assert event["removed"] == ["onboarding/coyote/tenant.yaml", "onboarding/rocket/README.md"]


async def test_package_is_stored(lane: Lane, github: Github) -> None:
    """Both events about a package lead to the same fact."""
    for event in ("package", "registry_package"):
        assert (await github.deliver(raw(f"{event}_published"), event)).status == 202

    bodies = await lane.bodies("EVENTS", "github.package_published")
    assert [body["tag"] for body in bodies] == ["1.4.2", "1.4.2"]


async def test_ping_and_what_nobody_needs_store_nothing(lane: Lane, github: Github) -> None:
    """A ping is answered with 200; an event that leads to nothing is taken, with the reason."""
    ping = await github.deliver(raw("ping"), "ping")
    star = await github.deliver(raw("star_created"), "star")

    assert (ping.status, ping.json["outcome"]) == (200, "pong")
    assert (star.status, star.json["outcome"]) == (202, "ignored")
    assert "star" in star.json["detail"]
    assert await lane.count("EVENTS") == 0


async def test_redelivery_and_replay_are_known(lane: Lane, github: Github) -> None:
    """The id of a delivery is not signed: whatever it says, the same body leads to the first one's run, once."""
    first = await github.deliver(raw("push"), delivery="d-1")
    redelivered = await github.deliver(raw("push"), delivery="d-1")
    replayed = await github.deliver(raw("push"), delivery="d-2")
    odd = await github.deliver(raw("push"), delivery="not an id")

    assert [answer.status for answer in (redelivered, replayed, odd)] == [200, 200, 200]
    assert {answer.json["outcome"] for answer in (redelivered, replayed, odd)} == {"known"}
    assert {answer.json["run"] for answer in (first, redelivered, replayed, odd)} == {first.json["run"]}
    assert "the same delivery" in redelivered.json["detail"]
    assert "another delivery" in replayed.json["detail"]
    assert await lane.count("EVENTS") == 1


async def test_body_is_known_after_the_duplicate_window(lane: Lane, github: Github) -> None:
    """The server forgets message ids after a while; the ledger does not."""
    stream = lane.connection.client.jetstream()
    config = (await stream.stream_info("EVENTS")).config
    config.duplicate_window = 0.1
    await stream.update_stream(config)
    first = await github.deliver(raw("push"))

    async def forgotten() -> bool:
        return not (await stream.publish("echo.requested", b"{}", headers={"Nats-Msg-Id": first.json["id"]})).duplicate

    await until(forgotten)
    await until(forgotten)
    again = await github.deliver(raw("push"), delivery="d-2")

    assert (again.status, again.json["run"]) == (200, first.json["run"])
    assert len(await lane.messages("EVENTS", "github.pushed")) == 1


async def test_body_is_known_for_90_days(lane: Lane, github: Github) -> None:
    """The note of a body, under its hash, lasts that long, and nothing else in the ledger's stream ends it sooner."""
    await github.deliver(raw("push"))
    ((noted, _),) = await lane.messages("KV_ledger", "$KV.ledger.delivery.")
    ledger = (await lane.connection.client.jetstream().stream_info("KV_ledger")).config

    assert noted["Nats-TTL"] == f"{90 * 24 * 3600}s"
    assert not ledger.max_age


async def test_body_that_was_stored_and_not_noted_is_noted_then(lane: Lane, github: Github) -> None:
    """Whatever ended in between: the same delivery again stores nothing twice, and is known from then on."""
    first = await github.deliver(raw("push"))
    await lane.connection.client.jetstream().purge_stream("KV_ledger")
    again = await github.deliver(raw("push"))

    assert (again.status, again.json["run"]) == (200, first.json["run"])
    assert (await lane.count("EVENTS"), await lane.count("KV_ledger")) == (1, 1)


async def test_one_body_at_several_doors_is_one_event(lane: Lane, tmp_path: Path, secrets: Secrets) -> None:
    """Replicas of the door know together: one event, one run, whoever asks and how often."""
    async with AsyncExitStack() as stack:
        doors = [await stack.enter_async_context(open_webhooks(lane, tmp_path, secrets.keyring())) for _ in range(3)]
        deliveries = (door.deliver(raw("push"), delivery=f"d-{turn}") for turn in range(5) for door in doors)
        answers = await asyncio.gather(*deliveries)

    assert sorted(answer.status for answer in answers) == [*[200] * 14, 202]
    assert len({answer.json["run"] for answer in answers}) == 1
    assert (await lane.count("EVENTS"), await lane.count("KV_ledger")) == (1, 1)


async def test_secret_is_rotated_without_losing_a_delivery(lane: Lane, github: Github, secrets: Secrets) -> None:
    """Both are good while both are named; the old one is good no more once it was taken away."""

    async def deliver(number: int, secret: str) -> int:
        return (await github.deliver(encoded(payload("push", compare=f"{number}")), secret=secret)).status

    assert [await deliver(1, SECRET), await deliver(2, NEXT_SECRET)] == [202, 401]
    secrets.now = 30.0
    secrets.values["env://TWO"] = NEXT_SECRET
    assert [await deliver(3, SECRET), await deliver(4, NEXT_SECRET)] == [202, 202]
    secrets.now = 60.0
    del secrets.values["env://ONE"]
    assert [await deliver(5, SECRET), await deliver(6, NEXT_SECRET)] == [401, 202]
    assert await lane.count("EVENTS") == 4


async def test_secret_that_was_just_named_is_good_at_once(github: Github, secrets: Secrets) -> None:
    """A signature that fits none makes the door look again, before it refuses."""
    assert (await github.deliver(raw("push"))).status == 202
    secrets.values["env://TWO"] = NEXT_SECRET

    assert (await github.deliver(raw("push_forced"), secret=NEXT_SECRET)).status == 202


async def test_bus_that_takes_nothing_is_said(lane: Lane, github: Github) -> None:
    """A delivery that cannot be stored is answered with 503 and when to come again; later it is stored."""
    stream = lane.connection.client.jetstream()
    config = (await stream.stream_info("EVENTS")).config
    await github.deliver(raw("push_forced"))
    limit, config.max_msgs = config.max_msgs, 1
    await stream.update_stream(config)
    refused = await github.deliver(raw("push"))
    config.max_msgs = limit
    await stream.update_stream(config)

    assert (refused.status, refused.headers["retry-after"]) == (503, "5")
    assert (await github.deliver(raw("push"))).status == 202


async def test_headers_are_believed_no_further_than_the_body(lane: Lane, github: Github) -> None:
    """A signed body is not what an unsigned header calls it."""
    body = raw("push")
    answers = [await github.post(body, headers(body, event)) for event in ("package", "registry_package", "ping")]
    form = await github.post(body, headers(body, "push") | {"Content-Type": "application/x-www-form-urlencoded"})

    assert [answer.status for answer in answers] == [400, 400, 400]
    assert all("X-GitHub-Event" in answer.json["detail"] for answer in answers)
    assert form.status == 415
    assert await lane.count("EVENTS") == 0


async def test_description_is_true_of_deliveries(github: Github) -> None:
    """What is answered to a delivery is as the OpenAPI document says."""
    found = document(Principal(name="x", api_keys=("sha256:" + "0" * 64,), may_publish=()))
    responses = found["paths"]["/webhooks/github"]["post"]["responses"]
    sent = [(raw("push"), "push"), (raw("push"), "push"), (raw("ping"), "ping"), (raw("push"), "ping"), (b"", "push")]
    answers = [await github.deliver(body, event) for body, event in sent]
    answers.append(await github.deliver(raw("push"), secret="guessed"))

    assert [answer.status for answer in answers] == [202, 200, 200, 400, 400, 401]
    for answer in answers:
        media = answer.headers["content-type"].partition(";")[0]
        schema = responses[str(answer.status)]["content"][media]["schema"]
        jsonschema.Draft202012Validator({"components": found["components"]} | schema).validate(answer.json)


async def test_deliveries_are_counted(github: Github) -> None:
    """Answers by status, what was stored by type, and forgeries: for whom it may concern, with no name from outside."""
    await github.deliver(raw("push"))
    await github.deliver(raw("push"))
    await github.deliver(raw("push"), secret="guessed")

    metrics = github.door.metrics
    assert metrics.events == {("github.pushed", "github"): 1}
    assert metrics.denials == {"signature": 1}
    assert metrics.requests == {
        ("/webhooks/github", "202", "github"): 1,
        ("/webhooks/github", "200", "github"): 1,
        ("/webhooks/github", "401", ""): 1,
    }
