"""Live: what happens in runs, followed over HTTP without a gap.

Law of this room: `progress.py` answers `GET /progress/{run}`, `listing.py` answers `GET /runs`; `tale.py` tells one
follower what is said of a run, from where it stopped listening; `wire.py` is Server-Sent Events. What is told is read
from the stream, so that a follower goes on at any replica of the door, by the sequence after the last one that it has.
"""
