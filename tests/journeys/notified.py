"""Images that are pushed, to be announced by somebody else, and whether they are attested."""

from pathlib import Path

from tests.journeys.conftest import Up, sealane
from workers.local.registry import build_image, push, write_layout


def pushed(world: Up, name: str, folder: Path) -> tuple[str, str]:
    """Push an image to the local registry, and return HOST/PATH:TAG and its digest."""
    reference = f"{world.endpoints['registry']}/apps/{name}:1"
    image = build_image([{"etc/motd": name.encode()}])
    token = Path(world.endpoints["token"]).read_text()
    push(
        write_layout(folder, image, tag="latest"), reference, username=world.endpoints["registry_user"], password=token
    )
    return reference, image.digest


def is_attested(world: Up, digest: str) -> bool:
    """Whether the local attestor has attested a digest."""
    listed = sealane("attestation", "list", "--attestor", world.endpoints["attestor"], "--data", str(world.data))
    return digest in listed.stdout
