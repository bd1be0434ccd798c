"""Pub/Sub twice, with Google's own clients in front: our local room, and Google's emulator."""

import asyncio
import queue
import shutil
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1 import PublisherClient as PlainPublisher
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from workers.local.death_signal import dying_with_us
from workers.local.google import GoogleServices

TOKEN = "canary-access-token"
DEADLINE = 60.0
_READY = 90.0


class Bearer(grpc.UnaryUnaryClientInterceptor, grpc.StreamStreamClientInterceptor):
    """Sends an access token on a channel without TLS, where credentials are not sent."""

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """Add the header."""
        return continuation(_authorized(client_call_details), request)

    def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        """Add the header."""
        return continuation(_authorized(client_call_details), request_iterator)


class _Details(grpc.ClientCallDetails):
    def __init__(self, details: Any) -> None:
        self.method, self.timeout = details.method, details.timeout
        self.metadata = (*(details.metadata or ()), ("authorization", f"Bearer {TOKEN}"))
        self.credentials, self.wait_for_ready = details.credentials, details.wait_for_ready
        self.compression = details.compression


def _authorized(details: Any) -> _Details:
    return _Details(details)


@dataclass
class Service:
    """A running Pub/Sub with the real clients; every test takes names of its own."""

    publisher: PublisherClient
    subscriber: SubscriberClient
    plain: PlainPublisher
    """Publishes what it is given in one request, without the machinery of batches."""

    def topic(self, **settings: Any) -> str:
        """Make a topic and return its name."""
        name = f"projects/demo/topics/t-{uuid.uuid4().hex}"
        self.publisher.create_topic(request={"name": name, **settings})
        return name

    def subscription(self, topic: str, **settings: Any) -> str:
        """Make a subscription and return its name."""
        name = f"projects/demo/subscriptions/s-{uuid.uuid4().hex}"
        self.subscriber.create_subscription(request={"name": name, "topic": topic, **settings})
        return name

    def publish(self, topic: str, *texts: str, **more: str) -> list[str]:
        """Publish in one request and return the ids."""
        return self.publish_all(topic, [{"data": text.encode(), **more} for text in texts])

    def publish_all(self, topic: str, messages: Sequence[Mapping[str, Any]]) -> list[str]:
        """Publish these messages in one request and return the ids."""
        return list(self.plain.publish(request={"topic": topic, "messages": list(messages)}).message_ids)

    def pull(self, subscription: str, count: int, deadline: float = DEADLINE) -> list[Any]:
        """Pull until *count* messages came."""
        found: list[Any] = []
        end = time.monotonic() + deadline
        while len(found) < count:
            assert time.monotonic() < end, f"only {len(found)} of {count} messages came within {deadline:g} s"
            request = {"subscription": subscription, "max_messages": count - len(found)}
            found += self.subscriber.pull(request=request, timeout=deadline).received_messages
        return found

    def waiting(self, subscription: str) -> list[Any]:
        """Pull what is there now."""
        request = {"subscription": subscription, "max_messages": 100, "return_immediately": True}
        with pytest.warns(DeprecationWarning, match="return_immediately"):
            return list(self.subscriber.pull(request=request).received_messages)

    def stream(self, subscription: str, **settings: Any) -> "Stream":
        """Open a stream of one's own, below the client's machinery."""
        return Stream(self.subscriber, {"subscription": subscription, "stream_ack_deadline_seconds": 60, **settings})


class Stream:
    """A StreamingPull whose requests and responses a test sees one by one."""

    def __init__(self, subscriber: SubscriberClient, first: dict[str, Any]) -> None:
        self._requests: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.responses: queue.Queue[Any] = queue.Queue()
        self.send(**first)
        self._call = subscriber.streaming_pull(requests=iter(self._requests.get, None), timeout=300, retry=None)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, **request: Any) -> None:
        """Send one request."""
        self._requests.put(request)

    def receive(self, count: int) -> list[Any]:
        """Return the next *count* messages, no more. Raises what ended the stream."""
        found: list[Any] = []
        while len(found) < count:
            found += self.response().received_messages
        assert len(found) == count
        return found

    def more(self, seconds: float = 1.0) -> list[Any]:
        """Return the messages that still come, after *seconds* without a response."""
        found: list[Any] = []
        while True:
            try:
                found += self.responses.get(timeout=seconds).received_messages
            except queue.Empty:
                return found

    def response(self) -> Any:
        """Return the next response. Raises what ended the stream."""
        response = self.responses.get(timeout=DEADLINE)
        if isinstance(response, Exception):
            raise response
        return response

    def finish(self) -> None:
        """Send no more requests."""
        self._requests.put(None)

    def rest(self) -> list[Any]:
        """Return what still comes until the other side ends the stream."""
        self._reader.join(DEADLINE)
        assert not self._reader.is_alive()
        return list(self.responses.queue)

    def close(self) -> None:
        """End the stream from this side."""
        self._requests.put(None)
        self._call.cancel()
        self._reader.join(DEADLINE)

    def _read(self) -> None:
        try:
            for response in self._call:
                self.responses.put(response)
        except Exception as error:  # noqa: BLE001 - handed to the test, which raises it
            self.responses.put(error)


@contextmanager
def clients(address: str, *interceptors: Any) -> Iterator[Service]:
    """Connect Google's clients to *address*."""
    options = (("grpc.max_receive_message_length", -1),)
    with grpc.insecure_channel(address, options=options) as plain:
        grpc.channel_ready_future(plain).result(_READY)
        channel = grpc.intercept_channel(plain, *interceptors)
        transport = PublisherGrpcTransport(channel=channel)
        publisher = PublisherClient(transport=transport)
        subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
        yield Service(publisher, subscriber, PlainPublisher(transport=transport))
        publisher.stop()


@contextmanager
def local(data: Path) -> Iterator[GoogleServices]:
    """Run the local services in a thread of their own: the clients block theirs."""
    services = GoogleServices(data, token=TOKEN)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(work: Callable[[], Any]) -> None:
        asyncio.run_coroutine_threadsafe(work(), loop).result(DEADLINE)

    try:
        run(services.start)
        yield services
        run(services.stop)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(DEADLINE)
        loop.close()


class Emulator:
    """Google's emulator on one address, as often as it is started; all that it holds is gone with its process."""

    def __init__(self, log: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it answers some seconds later."""
        gcloud = shutil.which("gcloud")
        assert gcloud is not None
        root = subprocess.check_output([gcloud, "info", "--format=value(installation.sdk_root)"], text=True).strip()
        program = Path(root) / "platform" / "pubsub-emulator" / "bin" / "cloud-pubsub-emulator"
        # The script becomes the server, so what is killed is the server.
        command = [str(program), "--host=127.0.0.1", f"--port={self.address.rpartition(':')[2]}"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                dying_with_us(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self) -> None:
        """Kill it at once, and wait for its end."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """See it end: by SIGTERM, or after a while by SIGKILL."""
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.kill()


@contextmanager
def emulator(folder: Path) -> Iterator[Emulator]:
    """Run Google's emulator; it is ended by the process that was started."""
    running = Emulator(folder / "emulator.log")
    running.start()
    try:
        yield running
    finally:
        running.stop()
