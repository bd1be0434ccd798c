"""Real tools use it: skopeo pushes and pulls, syft reads packages, and what we build without tools is an image."""

import asyncio
import gzip
import io
import json
import os
import shutil
import sysconfig
import tarfile
from pathlib import Path

import pytest

from workers.local.registry import Registry, build_image, build_index, push, write_layout
from workers.local.registry.push import PushError

USER, PASSWORD = "ci", "canary-pw-77"
STATUS = b"Package: libshop\nStatus: install ok installed\nVersion: 1.2-3\nArchitecture: amd64\n\n"
OS_RELEASE = b'ID=debian\nVERSION_ID="12"\nNAME="Debian"\n'
IMAGE = build_image(
    [{"etc/os-release": OS_RELEASE}, {"var/lib/dpkg/status": STATUS}], labels={"org.example.commit": "4be1c0f"}
)
INDEX = build_index([IMAGE, build_image([{"etc/os-release": OS_RELEASE}], architecture="arm64")])


async def run(program: str, *arguments: str, env: dict[str, str] | None = None) -> str:
    """Run a tool and return what it printed; it must succeed."""
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        env=os.environ | (env or {}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return output.decode()


def files(layout: Path) -> set[str]:
    """Return the names of all blobs of a layout."""
    return {path.name for path in (layout / "blobs" / "sha256").iterdir()}


def syft() -> str:
    """Return the path of syft, which is installed beside this Python."""
    found = shutil.which("syft", path=f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}")
    assert found is not None
    return found


async def test_skopeo_copies_an_image_in_and_out_unchanged(tmp_path: Path) -> None:
    """With a token, skopeo pushes a layout and pulls the very same bytes."""
    layout, out = write_layout(tmp_path / "in", IMAGE, tag="1.0"), tmp_path / "out"
    async with Registry(tmp_path / "data", credentials={USER: PASSWORD}) as registry:
        name, login = f"docker://{registry.host}/apps/shop:1.0", f"{USER}:{PASSWORD}"
        await run("skopeo", "copy", "--dest-tls-verify=false", "--dest-creds", login, f"oci:{layout}:1.0", name)
        seen = await run("skopeo", "inspect", "--tls-verify=false", "--creds", login, name)
        await run("skopeo", "copy", "--src-tls-verify=false", "--src-creds", login, name, f"oci:{out}:1.0")

    assert json.loads(seen)["Digest"] == IMAGE.digest
    assert json.loads(seen)["Labels"] == {"org.example.commit": "4be1c0f"}
    assert files(out) == files(layout)


async def test_skopeo_copies_an_index_with_all_platforms(tmp_path: Path) -> None:
    """Every platform of an index goes in, and out into a folder."""
    layout, out = write_layout(tmp_path / "in", INDEX), tmp_path / "out"
    async with Registry(tmp_path / "data") as registry:
        name = f"docker://{registry.host}/apps/shop:1.0"
        await run("skopeo", "copy", "--all", "--dest-tls-verify=false", f"oci:{layout}:latest", name)
        await run("skopeo", "copy", "--all", "--src-tls-verify=false", name, f"dir:{out}")

    assert (out / "manifest.json").read_bytes() == INDEX.manifest


async def test_skopeo_lists_and_deletes(tmp_path: Path) -> None:
    """Skopeo sees the tags, and an image that it deletes is gone."""
    layout = write_layout(tmp_path / "in", IMAGE)
    async with Registry(tmp_path / "data", credentials={USER: PASSWORD}) as registry:
        name, login = f"{registry.host}/apps/shop", f"{USER}:{PASSWORD}"
        for tag in ("1.0", "2.0"):
            await asyncio.to_thread(push, layout, f"{name}:{tag}", username=USER, password=PASSWORD)
        options = ("--tls-verify=false", "--creds", login)
        listed = json.loads(await run("skopeo", "list-tags", *options, f"docker://{name}"))
        await run("skopeo", "delete", *options, f"docker://{name}:1.0")
        left = json.loads(await run("skopeo", "list-tags", *options, f"docker://{name}"))

    assert (listed["Tags"], left["Tags"]) == (["1.0", "2.0"], [])


async def test_syft_finds_the_packages_of_an_image(tmp_path: Path) -> None:
    """Syft pulls by digest and reads the package out of the layer that we built."""
    layout = write_layout(tmp_path / "in", IMAGE)
    async with Registry(tmp_path / "data", credentials={USER: PASSWORD}) as registry:
        digest = await asyncio.to_thread(push, layout, f"{registry.host}/a/b:1", username=USER, password=PASSWORD)
        environment = {
            "SYFT_REGISTRY_INSECURE_USE_HTTP": "true",
            "SYFT_CHECK_FOR_APP_UPDATE": "false",
            "SYFT_REGISTRY_AUTH_AUTHORITY": registry.host,
            "SYFT_REGISTRY_AUTH_USERNAME": USER,
            "SYFT_REGISTRY_AUTH_PASSWORD": PASSWORD,
            "SYFT_CACHE_DIR": str(tmp_path / "cache"),
        }
        found = await run(syft(), "scan", f"registry:{registry.host}/a/b@{digest}", "-o", "json", env=environment)

    assert [(item["name"], item["version"]) for item in json.loads(found)["artifacts"]] == [("libshop", "1.2-3")]


async def test_pushes_without_any_tool(tmp_path: Path) -> None:
    """Our own push sends every part of an index, and sends nothing twice."""
    layout = write_layout(tmp_path / "in", INDEX)
    async with Registry(tmp_path / "data", credentials={USER: PASSWORD}) as registry:
        for _ in range(2):
            digest = await asyncio.to_thread(
                push, layout, f"{registry.host}/apps/shop:1.0", username=USER, password=PASSWORD
            )

    blobs = {digest for member in INDEX.members for digest in member.blobs}
    assert digest == INDEX.digest
    assert registry.faults.calls["PUT upload"] == len(blobs)


@pytest.mark.parametrize(("name", "sentence"), [("shop", "is not HOST:PORT/NAME"), ("HOST/Shop:1", "answered 400")])
async def test_says_why_it_could_not_push(tmp_path: Path, name: str, sentence: str) -> None:
    """What the registry refuses, and what is no reference, is an error with a sentence."""
    layout = write_layout(tmp_path / "in", IMAGE)
    async with Registry(tmp_path / "data") as registry:
        with pytest.raises(PushError, match=sentence):
            await asyncio.to_thread(push, layout, name.replace("HOST", registry.host))


async def test_gives_its_password_to_no_other_host(tmp_path: Path) -> None:
    """A realm elsewhere ends the push; the error holds no password."""
    layout = write_layout(tmp_path / "in", IMAGE)
    async with Registry(tmp_path / "data", credentials={USER: PASSWORD}) as registry:
        registry.faults.token_realm = "http://elsewhere.example/token"
        with pytest.raises(PushError, match="another host") as caught:
            await asyncio.to_thread(push, layout, f"{registry.host}/a:1", username=USER, password=PASSWORD)

    assert PASSWORD not in str(caught.value)


def test_builds_the_same_image_everywhere() -> None:
    """The digest is part of the promise: it may not change with the machine or the Python."""
    image = build_image([{"hello.txt": b"hello\n"}])

    assert image.digest == "sha256:8d89befa9bbd41f0fb1f3b332993fc4150d317ae525fdaf5f6413a667f296dd1"


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 200_000])
def test_builds_layers_that_any_gzip_reads(size: int) -> None:
    """A layer is a gzip of a tar with the files in it, however large they are."""
    body = os.urandom(size)
    image = build_image([{"data/file": body}])
    layer = image.blobs[json.loads(image.manifest)["layers"][0]["digest"]]

    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(layer))) as archive:
        file = archive.extractfile("data/file")
        assert file is not None
        assert file.read() == body
