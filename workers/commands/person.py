"""Who types: named in what they publish, replay and decide. The bus knows them all as `operator`."""

import os
import pwd


def who() -> str:
    """Return `operator/NAME` with this process's user name (its number where it has no name)."""
    uid = os.getuid()
    try:
        return f"operator/{pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"operator/{uid}"
