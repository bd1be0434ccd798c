"""dispatch: turns what GitHub signed into what it means, by rules that bind repositories, refs and paths.

Law of this room: `worker.py` consumes `github.pushed` and `github.package_published`; `position.py` says from which
commit to which a push is taken, so that none is missed or taken twice, in whatever order they come; `reading.py` asks
GitHub where the push itself does not say enough; `declarations.py` and `packages.py` decide without asking anybody.
A push that says who is gone is never believed: the ref itself is read.
"""

from datetime import timedelta

from workers.card import Card

CARD = Card(
    name="dispatch",
    summary="Turns signed pushes and packages of GitHub into events of tenants, certificates and images.",
    claims=True,
    carries=True,
    concurrency=16,  # each may hold the files of two commits
    # After a death, the pushes of its ref wait for this and then for its lease.
    ack_wait=timedelta(seconds=15),
)
