"""Pub/Sub v1 (https://cloud.google.com/pubsub/docs/reference/rest): topics and subscriptions that are pulled.

Served: topics (create, get, list, update, delete, publish, list of subscriptions), subscriptions (create, get, list,
update, delete), Pull, StreamingPull, Acknowledge and ModifyAckDeadline. Messages are kept until they are acknowledged
or the subscription's retention is over, also over a restart. Really done: leases and redelivery after the deadline,
flow control of streams, retry policies, dead letter topics, ordering keys, exactly-once delivery, limits of a request.

Differences: a message of an ordering key waits until all earlier ones sent are acknowledged, and a redelivery repeats
the later ones that are not acknowledged, not those that are. A message goes to the dead letter topic when it is asked
for once too often. Expiration policies and the retention of topics are kept and never applied. A stream ends only with
its client, its subscription or the server.

Left out: snapshots and seek (so nothing reads acknowledged messages again), detaching, filters, push, BigQuery, Cloud
Storage and Bigtable subscriptions, schemas, ingestion, transforms, customer-managed keys, tags and IAM (all refused).
"""

from __future__ import annotations

from workers.local.google.api import Api, Ground
from workers.local.google.pubsub.bell import Bell
from workers.local.google.pubsub.deliveries import Deliveries
from workers.local.google.pubsub.pulling import Pulling
from workers.local.google.pubsub.streaming import Streaming
from workers.local.google.pubsub.subscriptions import Subscriptions
from workers.local.google.pubsub.topics import Topics
from workers.local.google.table import Source, read

_PUBLISHER = "/google.pubsub.v1.Publisher/"
_SUBSCRIBER = "/google.pubsub.v1.Subscriber/"


def build(ground: Ground) -> Api:
    """Return the API on *ground*."""
    deliveries, bell = Deliveries(ground.store), Bell()
    topics = Topics(ground.store, deliveries, bell)
    subscriptions = Subscriptions(ground.store, topics, deliveries, bell)
    pulling = Pulling(subscriptions, deliveries, bell)
    rooms = ((_PUBLISHER, topics), (_SUBSCRIBER, subscriptions), (_SUBSCRIBER, pulling))
    methods = [
        *read(Source("google.pubsub_v1.services.publisher", "Publisher")),
        *read(Source("google.pubsub_v1.services.subscriber", "Subscriber")),
    ]
    handlers = {prefix + name: answer for prefix, room in rooms for name, answer in room.handlers().items()}
    streams = {f"{_SUBSCRIBER}StreamingPull": Streaming(pulling, bell).answer}
    return Api("pubsub", methods, handlers, streams)
