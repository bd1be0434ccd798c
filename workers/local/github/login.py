"""How git gets in: a file of configuration that shows a token to this GitHub alone.

    git -c include.path=DATA/gitconfig clone http://127.0.0.1:PORT/acme/onboarding.git

The token is in no address, no argument and no repository.
"""

import base64
import os
from pathlib import Path


def write_git_config(file: Path, url: str, token: str) -> None:
    """Write the file, by rename, readable by its owner alone."""
    login = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    fresh = file.with_name(f".{file.name}")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(f'[http "{url}/"]\n\textraHeader = Authorization: Basic {login}\n')
    fresh.replace(file)
