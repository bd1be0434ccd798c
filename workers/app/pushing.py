"""Builds an image and really pushes it to the local registry, with skopeo where it is installed."""

import asyncio
import shutil
import tempfile
from pathlib import Path

from workers.app.shell import registry_login
from workers.failures import Unavailable
from workers.local.folder import WorldFolder
from workers.local.registry import build_image, push, write_layout


async def push_image(folder: WorldFolder, reference: str, content: str) -> str:
    """Push an image whose one file holds `content` to HOST/PATH:TAG and return its manifest digest."""
    image = build_image([{"etc/motd": content.encode()}], labels={"org.opencontainers.image.title": "sealane demo"})
    with tempfile.TemporaryDirectory(prefix="sealane-image-") as temporary:
        layout = await asyncio.to_thread(write_layout, Path(temporary), image, tag="latest")
        if shutil.which("skopeo") is not None:
            await _skopeo(folder, layout, reference)
        else:
            endpoints = folder.endpoints() or {}
            user = str(endpoints.get("registry_user", ""))
            await asyncio.to_thread(push, layout, reference, username=user, password=folder.token())
    return image.digest


def pusher() -> str:
    """Return what pushes here, for people."""
    return "skopeo" if shutil.which("skopeo") else "our own client"


async def _skopeo(folder: WorldFolder, layout: Path, reference: str) -> None:
    process = await asyncio.create_subprocess_exec(
        "skopeo",
        "copy",
        "--quiet",
        "--dest-tls-verify=false",
        f"--dest-authfile={registry_login(folder)}",
        f"oci:{layout}:latest",
        f"docker://{reference}",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise Unavailable(f"skopeo could not push {reference}: {said.decode(errors='replace').strip()[-300:]}")
