"""The composition root: settings → adapters → bus → worker.

Law of this room: the only one that knows everyone, and it decides nothing. Commands come here for settings
(`load_settings`), for the bus under an identity (`connect_as`) and for the clouds (`Clouds`).
"""

from workers.app.connecting import connect_as
from workers.app.environment import load_settings

__all__ = ["connect_as", "load_settings"]
