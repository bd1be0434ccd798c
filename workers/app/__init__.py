"""The composition root: settings → adapters → bus → worker.

Law of this room: the only one that knows everyone, and it decides nothing. Commands come here for settings
(`environment`), for the bus under an identity (`connecting`) and for the clouds (`clouds`), each where it is needed:
what a command does not use it does not load.
"""
