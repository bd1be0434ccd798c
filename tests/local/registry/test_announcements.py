"""What the registry says of its images while they come and go: what Artifact Registry publishes on `gcr`."""

from collections.abc import Mapping
from pathlib import Path

from aiohttp import ClientSession

from tests.local.registry.client import Client
from workers.local.registry import Registry, build_image

IMAGE = build_image([{"etc/name": b"shop"}])


async def test_announces_what_is_pushed_tagged_and_deleted(tmp_path: Path) -> None:
    """Each notification names the digest, the tag or both, as whole references, in the order of what happened."""
    heard: list[Mapping[str, str]] = []
    async with Registry(tmp_path, announce=heard.append) as registry:
        name = f"{registry.host}/apps/shop"
        async with ClientSession(f"http://{registry.host}") as session:
            await come_and_go(Client(session, "apps/shop"))

    digest = f"{name}@{IMAGE.digest}"
    assert heard == [
        {"action": "INSERT", "digest": digest},
        {"action": "INSERT", "digest": digest, "tag": f"{name}:1.0"},
        {"action": "DELETE", "tag": f"{name}:1.0"},
        {"action": "DELETE", "digest": digest},
    ]


async def come_and_go(client: Client) -> None:
    """Push by digest and by tag, delete the tag, then the image."""
    await client.put_image(IMAGE)
    await client.put_image(IMAGE, "1.0")
    await client.ask("DELETE", f"{client.base}/manifests/1.0")
    await client.ask("DELETE", f"{client.base}/manifests/{IMAGE.digest}")
