"""redeliver: asks GitHub again for webhook deliveries that failed, since GitHub itself never does.

Law of this room: `worker.py` is woken by a clock, lists the App's deliveries and asks for those that are due;
`rules.py` decides which ones, without asking anybody. How often a delivery was tried is what GitHub lists; what is
remembered is only how far back there is anything to look at.
"""

from datetime import timedelta

from workers.card import Card

CARD = Card(
    name="redeliver",
    summary="Lists failed webhook deliveries by GitHub's API and asks for them again, ever less often.",
    tick="@every 5m",
    claims=True,
    concurrency=1,  # one look at a time
    ack_wait=timedelta(minutes=1),
)
