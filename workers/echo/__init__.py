"""echo: the living example of a worker, and the probe whether the lane is alive.

Law of this room: it stays the smallest complete worker. Copy it to begin another.
"""

from workers.card import Card

CARD = Card(name="echo", summary="Says what it heard and sends it back: the probe of the lane.")
