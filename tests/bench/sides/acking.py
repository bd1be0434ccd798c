"""Google's subscriber as its documentation shows it: a callback that only acknowledges.

`python -m tests.bench.sides.acking ADDRESS COUNT SUBSCRIPTION…`; the clock runs from the first message to the last.
"""

import sys
import threading
from typing import Any

import grpc
from google.cloud.pubsub_v1 import SubscriberClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from tests.bench.sides.measure import Stopwatch


def main(address: str, count: int, subscriptions: list[str]) -> None:
    """Acknowledge so many different messages."""
    done = threading.Event()
    watches: list[Stopwatch] = []
    seen: set[tuple[str, str]] = set()

    def callback_of(subscription: str) -> Any:
        def callback(message: Any) -> None:
            if not watches:
                watches.append(Stopwatch())
            message.ack()
            seen.add((subscription, message.message_id))
            if len(seen) >= count:
                done.set()

        return callback

    pulls = []
    for subscription in subscriptions:
        channel = grpc.insecure_channel(address, options=(("grpc.max_receive_message_length", -1),))
        client = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
        pulls.append(client.subscribe(subscription, callback_of(subscription)))
    done.wait()
    watches[0].stop(len(seen))
    for pull in pulls:
        pull.cancel()
        pull.result()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
