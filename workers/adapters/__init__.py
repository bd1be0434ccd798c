"""THE CLOUDS: each port against a real service.

Law of this room: only here are google, aiohttp as a client, and other vendors imported; vendor errors become ours in
one table; clients are imported when they are first needed.
"""
