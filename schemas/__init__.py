"""The event catalogue: what may travel on the bus, as strict pydantic models.

Law of this room: a leaf. It imports pydantic and the standard library, nothing of ours, so that anybody may read
an event without running a worker. One file per noun; `catalogue.py` is the list.
"""
