"""Stands in for the docker command of the CI snippets: no daemon, but a real push to the registry of the world.

IMAGE_LAYOUT: the image that a build makes. WORLD_TOKEN_FILE: what the registry takes as a password.
"""

import json
import os
import sys
from pathlib import Path

from workers.local.registry import push


def main(words: list[str]) -> None:
    """Do what `docker build`, `buildx build --push`, `push` and `inspect` of one image do."""
    here = Path("pushed-digest")
    if words[:2] == ["buildx", "build"]:
        digest = _push(words[words.index("--tag") + 1])
        described = {"containerimage.digest": digest, "image.name": words[words.index("--tag") + 1]}
        Path(words[words.index("--metadata-file") + 1]).write_text(json.dumps(described, indent=2))
    elif words[0] == "push":
        here.write_text(_push(words[1]))
    elif words[0] == "inspect":
        repository = words[-1].rpartition(":")[0]
        print(f"{repository}@{here.read_text()}")
    elif words[0] not in {"build", "login"}:
        sys.exit(f"docker {words[0]} is not spoken here")


def _push(reference: str) -> str:
    password = Path(os.environ["WORLD_TOKEN_FILE"]).read_text().strip()
    return push(Path(os.environ["IMAGE_LAYOUT"]), reference, username="oauth2accesstoken", password=password)


if __name__ == "__main__":
    main(sys.argv[1:])
