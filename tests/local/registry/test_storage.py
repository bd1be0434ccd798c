"""Files appear whole or not at all, what was given up is swept away, and no input breaks the parsers."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.local.registry.client import OCI_INDEX, OCI_MANIFEST
from workers.local.registry import build_image, names
from workers.local.registry.errors import RegistryError
from workers.local.registry.manifests import Manifest
from workers.local.registry.storage import Storage, StoredManifest
from workers.local.registry.tokens import TokenAuthority
from workers.local.registry.uploads import ABANDONED_AFTER, Uploads

OLD, NEW = (build_image([{"etc/name": text}]) for text in (b"old", b"new"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("sha256:" + "a" * 64),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["digest", "size", "mediaType", "urls", "config", "layers", "manifests", "subject", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("moment", ["write_bytes", "replace"])
def test_keeps_the_old_state_when_it_dies_while_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Cut off before the rename, a tag still is what it was, and the debris is swept away at the next start."""
    storage = Storage(tmp_path)
    storage.put_manifest("a", StoredManifest(OLD.digest, OLD.media_type, OLD.manifest))
    storage.put_tag("a", "stable", OLD.digest)
    write = Path.write_bytes

    def die(path: Path, body: Any) -> int:
        if isinstance(body, bytes):
            write(path, body[: len(body) // 2])
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(Path, moment, die)
        with pytest.raises(KeyboardInterrupt):
            storage.put_tag("a", "stable", NEW.digest)
    again = Storage(tmp_path)

    assert again.digest_of_tag("a", "stable") == OLD.digest
    assert list((tmp_path / "incoming").iterdir()) == []


def test_sweeps_uploads_away_that_were_given_up(tmp_path: Path) -> None:
    """At start, an upload without a byte for a day is gone, a younger one is not."""
    uploads = Uploads(tmp_path, Storage(tmp_path), limit=100)
    old, young = uploads.open("a"), uploads.open("a")
    then = time.time() - ABANDONED_AFTER - 60
    os.utime(tmp_path / "uploads" / old / "data", (then, then))

    again = Uploads(tmp_path, Storage(tmp_path), limit=100)

    assert again.offset("a", young) == 0
    with pytest.raises(RegistryError, match="no such upload"):
        again.offset("a", old)


@settings(deadline=None)
@given(fields=st.dictionaries(st.sampled_from(["config", "layers", "manifests", "subject", "annotations"]), JSON))
def test_refuses_or_reads_every_manifest(fields: dict[str, Any]) -> None:
    """Whatever JSON is pushed, it is a manifest or refused as one, never an accident."""
    body = json.dumps({"schemaVersion": 2, **fields}).encode()
    for media_type in (OCI_MANIFEST, OCI_INDEX):
        try:
            manifest = Manifest.parse(body, media_type)
            parts = [*manifest.blobs(), *manifest.children()]
            assert all(part.size >= 0 for part in parts)
            assert manifest.subject is None or names.digest(manifest.subject)
            assert manifest.describe()["digest"] == manifest.digest
        except RegistryError as error:
            assert error.code == "MANIFEST_INVALID"  # noqa: PT017 - that it is refused at all is not demanded


@settings(deadline=None)
@given(name=st.text(st.sampled_from("ab0./_-%A\\\0"), max_size=12))
def test_lets_no_name_through_that_climbs(name: str) -> None:
    """What passes as a repository name stays below its folder and hides nothing."""
    try:
        passed = names.repository(name)
    except RegistryError:
        return
    parts = passed.split("/")
    assert all(part and part[0] not in "._-" and ".." not in part for part in parts)
    assert set(passed) <= set("ab0./_-")


@settings(deadline=None)
@given(header=st.text() | st.text().map("Bearer {}".format) | st.text().map("Basic {}".format))
def test_reads_no_authorization_out_of_noise(header: str) -> None:
    """Noise is no token and no password, and never an accident."""
    authority = TokenAuthority({"ci": "canary"})

    assert authority.read(header) is None
    with pytest.raises(RegistryError):
        authority.issue(header, [])
