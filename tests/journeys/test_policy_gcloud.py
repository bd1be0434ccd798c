"""The real gcloud and `sealane policy` see one policy, whoever set it."""

from pathlib import Path

import pytest

from tests.journeys.conftest import Up, sealane
from tests.journeys.test_shell import in_shell

pytestmark = pytest.mark.gcloud


def test_gcloud_and_we_read_and_set_the_same_policy(world: Up, tmp_path: Path) -> None:
    """What gcloud exports we find nothing wrong with; what either sets the other has in force, and no difference."""
    place = ("--data", str(world.data))
    exported, ours = tmp_path / "exported.yaml", tmp_path / "ours.yaml"
    first = in_shell(world.data, f"gcloud container binauthz policy export >{exported}")
    assert first.returncode == 0, first.stderr
    linted = sealane("policy", "lint", str(exported), *place)
    same = sealane("policy", "diff", str(exported), *place)
    assert (linted.returncode, same.returncode) == (0, 0), linted.stdout + same.stdout

    pattern = "admissionWhitelistPatterns:\n- namePattern: gcr.io/acme/proxy@*\n"
    ours.write_text(pattern + exported.read_text())
    applied = sealane("policy", "apply", str(ours), "--yes", *place)
    assert applied.returncode == 0, applied.stdout + applied.stderr
    shown = in_shell(world.data, f"gcloud container binauthz policy export | tee {ours}")
    assert "namePattern: gcr.io/acme/proxy@*" in shown.stdout

    imported = in_shell(world.data, f"gcloud container binauthz policy import {exported}")
    assert "is the subject of a conflict" in imported.stderr, "the etag of the first export is stale"
    exported.write_text("".join(line for line in exported.read_text().splitlines(keepends=True) if "etag" not in line))
    imported = in_shell(world.data, f"gcloud container binauthz policy import {exported}")
    assert imported.returncode == 0, imported.stderr
    differs = sealane("policy", "diff", str(ours), *place)
    stale = sealane("policy", "apply", str(ours), "--yes", *place)
    assert "+ admissionWhitelistPatterns: gcr.io/acme/proxy@*  (loosens)" in differs.stdout
    assert (differs.returncode, stale.returncode) == (1, 1)
    assert "was changed since" in stale.stderr
