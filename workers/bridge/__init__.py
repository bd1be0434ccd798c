"""bridge: carries what other message systems say onto the bus, losing none and doubling none.

Law of this room: `worker.py` consumes what a subscription delivered and emits the event that it means; `built_in.py`
holds the mappings that come with the project, written as a user writes them; `mapping.py` applies one. It asks nobody:
a message and the mappings are all it knows.
"""

from workers.card import Card

CARD = Card(
    name="bridge",
    summary="Carries messages of Pub/Sub onto the bus: pushed images, occurrences, requests to scan, and your own.",
    carries=True,
    concurrency=256,
)
