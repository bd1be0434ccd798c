"""The local Pub/Sub beyond what the emulator can be compared in: both wires, restarts, policies, refusals."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from google.api_core.exceptions import MethodNotImplemented, NotFound, PermissionDenied, Unauthenticated

from tests.contracts.pubsub.services import TOKEN, Bearer, Service, clients, local
from workers.local.google.pubsub.deliveries import Deliveries, Terms
from workers.local.google.store import Store
from workers.local.rest import GoogleRest, RestError

HOST = "pubsub.googleapis.com"
TOPIC, NAME = "projects/demo/topics/gcr", "projects/demo/subscriptions/gcr-bridge"


@contextmanager
def running(data: Path) -> Iterator[tuple[Service, GoogleRest]]:
    """Run the services on a folder and give clients of both wires."""
    with local(data) as services, clients(f"127.0.0.1:{services.grpc_port}", Bearer()) as service:
        yield service, GoogleRest(services.rest_port, TOKEN)


@pytest.fixture
def deliveries(tmp_path: Path) -> Iterator[Deliveries]:
    """Give deliveries without a wire."""
    store = Store(tmp_path)
    yield Deliveries(store)
    store.close()


def never(attempts: int, body: bytes) -> bool:
    """Bury nothing."""
    return False


def test_messages_and_leases_survive_a_restart(tmp_path: Path) -> None:
    """What was leased stays leased, can be acknowledged by its old id, and what was not is delivered."""
    with running(tmp_path) as (service, _):
        topic = service.topic()
        name = service.subscription(topic, enable_exactly_once_delivery=True, ack_deadline_seconds=600)
        ids = service.publish(topic, "leased", "waiting")
        (leased,) = service.pull(name, 1)
    with running(tmp_path) as (service, _):
        waiting = service.waiting(name)
        service.subscriber.acknowledge(subscription=name, ack_ids=[leased.ack_id])
        more = service.publish(topic, "new")
        new = service.waiting(name)

    assert [received.message.data for received in (leased, *waiting, *new)] == [b"leased", b"waiting", b"new"]
    assert len({*ids, *more}) == 3


def test_the_rest_form_is_the_same_service(tmp_path: Path) -> None:
    """Created, published and pulled as JSON, errors in the words of the service."""
    with running(tmp_path) as (service, rest):
        rest.make(HOST, f"v1/{TOPIC}", {}, verb="PUT")
        rest.make(HOST, f"v1/{NAME}", {"topic": TOPIC}, verb="PUT")
        message = {"data": "eyJhY3Rpb24iOiJJTlNFUlQifQ==", "attributes": {"a": "b"}}
        _, published = rest.call("POST", HOST, f"v1/{TOPIC}:publish", {"messages": [message]})
        _, pulled = rest.call("POST", HOST, f"v1/{NAME}:pull", {"maxMessages": 1})
        (received,) = pulled["receivedMessages"]
        rest.call("POST", HOST, f"v1/{NAME}:acknowledge", {"ackIds": [received["ackId"]]})
        left = service.waiting(NAME)
        with pytest.raises(RestError) as refused:
            rest.call("GET", HOST, f"v1/{TOPIC}-not", None)

    assert [received["message"]["messageId"]] == published["messageIds"]
    assert received["message"] | message == received["message"]
    assert not left
    assert "Resource not found (resource=gcr-not)." in str(refused.value)


def test_a_stream_asks_for_token_and_permission(tmp_path: Path) -> None:
    """As every call does; with a permission taken away the stream names it."""
    with local(tmp_path) as services:
        address = f"127.0.0.1:{services.grpc_port}"
        with clients(address) as stranger:
            stream = stranger.stream(NAME)
            with pytest.raises(Unauthenticated):
                stream.receive(1)
            stream.close()
        with clients(address, Bearer()) as service:
            name = service.subscription(service.topic())
            services.faults.deny(name, "pubsub.subscriptions.consume")
            stream = service.stream(name)
            with pytest.raises(PermissionDenied, match=r"pubsub\.subscriptions\.consume"):
                stream.receive(1)
            stream.close()


def test_a_stream_ends_with_its_subscription(tmp_path: Path) -> None:
    """The deletion reaches whoever waits, and the call is on record."""
    with running(tmp_path) as (service, _):
        name = service.subscription(service.topic())
        stream = service.stream(name)
        stream.response()
        service.subscriber.delete_subscription(subscription=name)
        with pytest.raises(NotFound):
            stream.receive(1)
        stream.close()


def test_a_stream_that_its_client_ends_is_answered_to_the_end(tmp_path: Path) -> None:
    """What was acknowledged last is confirmed, and the call is on record as done."""
    with local(tmp_path) as services, clients(f"127.0.0.1:{services.grpc_port}", Bearer()) as service:
        topic = service.topic()
        name = service.subscription(topic, enable_exactly_once_delivery=True)
        service.publish(topic, "last")
        stream = service.stream(name)
        (received,) = stream.receive(1)
        stream.send(ack_ids=[received.ack_id])
        stream.finish()
        confirmed = [one for response in stream.rest() for one in response.acknowledge_confirmation.ack_ids]
        ended = [call.code for call in services.faults.log if call.method == "StreamingPull"]

    assert confirmed == [received.ack_id]
    assert ended == ["OK"]


def test_a_stream_that_is_cancelled_leaves_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The server lets go of it; what it held stays leased until its deadline."""
    with running(tmp_path) as (service, _):
        topic = service.topic()
        name = service.subscription(topic)
        service.publish(topic, "held")
        stream = service.stream(name)
        stream.receive(1)
        stream.close()
        left = service.waiting(name)

    assert not left
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_topic_is_updated_and_what_is_not_served_is_refused(tmp_path: Path) -> None:
    """Labels change; a push subscription and a filter are not pretended."""
    with running(tmp_path) as (service, _):
        topic = service.topic()
        change = {"topic": {"name": topic, "labels": {"team": "images"}}, "update_mask": {"paths": ["labels"]}}
        updated = service.publisher.update_topic(request=change)
        for settings in ({"push_config": {"push_endpoint": "https://example.com"}}, {"filter": "attributes:a"}):
            with pytest.raises(MethodNotImplemented):
                service.subscription(topic, **settings)

    assert dict(updated.labels) == {"team": "images"}


@pytest.mark.parametrize(("attempts", "wait"), [(1, 10), (2, 20), (3, 40), (9, 600)])
def test_a_retry_policy_backs_off(
    deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch, attempts: int, wait: int
) -> None:
    """Twice as long after each delivery, up to the maximum."""
    advance = clock(monkeypatch)
    terms = Terms(NAME, least_backoff=10, most_backoff=600)
    deliveries.add(NAME, "", time.time(), b"body")
    for _ in range(attempts):
        advance(601)
        deliveries.sweep(terms)
        (taken,) = deliveries.take(terms, "pull", 60, 1, never)
        assert deliveries.extend(terms, [(taken.ack_id, 0)]) == []
    advance(wait - 0.5)
    deliveries.sweep(terms)
    early = deliveries.take(terms, "pull", 60, 1, never)
    advance(1)
    deliveries.sweep(terms)

    assert not early
    assert [again.attempt for again in deliveries.take(terms, "pull", 60, 1, never)] == [attempts + 1]


def test_what_is_older_than_the_retention_is_dropped(deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting or leased."""
    advance = clock(monkeypatch)
    terms = Terms(NAME, retention=600)
    deliveries.add(NAME, "", time.time(), b"leased")
    deliveries.add(NAME, "", time.time(), b"waiting")
    deliveries.take(terms, "pull", 60, 1, never)
    advance(601)
    deliveries.add(NAME, "", time.time(), b"young")
    deliveries.sweep(terms)

    assert [taken.body for taken in deliveries.take(terms, "pull", 60, 9, never)] == [b"young"]


def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Stop the clock of the leases and give what moves it on."""
    present = [time.time()]
    monkeypatch.setattr(time, "time", lambda: present[0])

    def advance(seconds: float) -> None:
        present[0] += seconds

    return advance
