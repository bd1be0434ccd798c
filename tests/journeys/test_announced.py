"""`sealane up --announce-pushes`: what really happens in the registry ends, by way of Pub/Sub, in what it should."""

import asyncio
import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.conftest import Up, eventually, sealane, shared_world
from tests.journeys.test_multi_platform import COSIGN_TAG, INDEX, attestations, cosign_signature, skopeo
from tests.journeys.test_shell import in_shell
from workers.local.registry import build_image, write_layout


@pytest.fixture(scope="module")
def announcing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Give a world whose registry announces every push."""
    with shared_world(tmp_path_factory.mktemp("announcing"), "--announce-pushes") as up:
        yield up


def lines_of(world: Up, *arguments: str) -> list[dict[str, Any]]:
    """Return what a command lists as JSON."""
    done = sealane(*arguments, "--json", "--data", str(world.data))
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def runs_about(world: Up, text: str) -> list[dict[str, Any]]:
    """Return the runs whose images' names hold a text, as long as all of them are over."""
    found = [run for run in lines_of(world, "runs") if text in json.dumps(run)]
    return [] if any(run["state"] == "running" for run in found) else found


def attested(world: Up, *digests: str) -> Callable[[], bool]:
    """Return what tells whether all these digests are attested."""
    return lambda: set(digests) <= set(asyncio.run(attestations(world)))


def test_an_image_copied_with_skopeo_is_attested(announcing: Up, tmp_path: Path) -> None:
    """Nobody publishes an event: the registry announces the push, the bridge carries it, the worker signs."""
    image = build_image([{"etc/motd": b"announced"}])
    skopeo(announcing, write_layout(tmp_path / "image", image), f"{announcing.endpoints['registry']}/apps/plain:1")

    eventually(attested(announcing, image.digest), "an attestation of what was pushed")
    verified = sealane("verify", f"{announcing.endpoints['registry']}/apps/plain:1", "--data", str(announcing.data))
    assert verified.returncode == 0, verified.stdout


def test_an_index_is_attested_with_its_platforms_and_its_signature_is_not(announcing: Up, tmp_path: Path) -> None:
    """Each platform is announced before the index: all three are attested once. A cosign signature is no image."""
    repository = f"{announcing.endpoints['registry']}/team/announced"
    skopeo(announcing, write_layout(tmp_path / "index", INDEX), f"{repository}:1")
    digests = [INDEX.digest, *(member.digest for member in INDEX.members)]
    eventually(attested(announcing, *digests), "attestations of the index and its platforms")

    signature = f"{repository}:{COSIGN_TAG}.sig"
    skopeo(announcing, write_layout(tmp_path / "sig", cosign_signature(repository, as_referrer=False)), signature)
    [run] = eventually(lambda: runs_about(announcing, COSIGN_TAG), "a run about the signature")

    assert run["state"] == "done"
    assert [branch.get("emitted", []) for branch in run["branches"]] == [[]]
    everything = asyncio.run(attestations(announcing))
    assert sorted(one for one in everything if one in digests) == sorted(digests)


def test_a_deleted_image_means_nothing(announcing: Up, tmp_path: Path) -> None:
    """It is announced as well, and ignored knowingly: no run, no dead letter."""
    registry = announcing.endpoints["registry"]
    image = build_image([{"etc/motd": b"to be deleted"}])
    skopeo(announcing, write_layout(tmp_path / "image", image), f"{registry}/apps/gone:1")
    eventually(attested(announcing, image.digest), "an attestation before it is deleted")
    before = len(runs_about(announcing, "apps/gone"))
    deletions = ignored(announcing)

    deleted = in_shell(announcing.data, f"skopeo delete --tls-verify=false docker://{registry}/apps/gone:1")
    assert deleted.returncode == 0, deleted.stderr

    eventually(lambda: ignored(announcing) > deletions, "a notification that is ignored")
    assert len(runs_about(announcing, "apps/gone")) == before
    assert lines_of(announcing, "dead", "list") == []


def ignored(world: Up) -> float:
    """Return how many messages of the topic `gcr` the bridge has ignored, by its own metrics."""
    started = re.search(r"metrics: (http://[0-9.:]+/metrics)", (world.data / "logs" / "workers.log").read_text())
    assert started is not None
    with urllib.request.urlopen(started[1], timeout=30) as page:  # noqa: S310 - loopback
        found = re.search(r'sealane_fed_total\{outcome="ignored".*gcr-bridge.* ([0-9.]+)', page.read().decode())
    return float(found[1]) if found else 0.0
