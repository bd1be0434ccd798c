"""THE CLOUDS: each port against a real service. Only this room imports google, aiohttp clients and other vendors; vendor errors become ours in one table."""
