"""Seeds are made once, and are their owner's alone."""

import stat
from pathlib import Path

import pytest

from workers.bus.topology.identities import ensure_identities, public_key, read_seed, seed_file
from workers.failures import Denied, Invalid, NotFound


def test_a_seed_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    """A second start finds the same identities; nobody else may read them."""
    first = ensure_identities(tmp_path, ["operator", "worker-probe"])

    assert ensure_identities(tmp_path, ["operator", "worker-probe", "gateway"]).items() >= first.items()
    assert first["operator"] != first["worker-probe"]
    assert first["operator"].startswith("U")
    assert public_key(read_seed(tmp_path, "operator")) == first["operator"]
    assert stat.S_IMODE(seed_file(tmp_path, "operator").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "identities").stat().st_mode) == 0o700
    assert sorted(file.name for file in (tmp_path / "identities").iterdir()) == [
        "gateway.seed",
        "operator.seed",
        "worker-probe.seed",
    ]


def test_a_seed_that_others_may_read_is_refused(tmp_path: Path) -> None:
    """A secret that everybody could have read is none any more."""
    ensure_identities(tmp_path, ["operator"])
    seed_file(tmp_path, "operator").chmod(0o644)

    with pytest.raises(Denied, match="may be read by others: `chmod 600` it"):
        ensure_identities(tmp_path, ["operator"])


def test_a_file_without_a_seed_is_refused_without_showing_it(tmp_path: Path) -> None:
    """The sentence says what a seed looks like, never what was there."""
    ensure_identities(tmp_path, ["operator"])
    seed_file(tmp_path, "operator").write_text("hunter2")

    with pytest.raises(Invalid, match="no nkey seed") as caught:
        ensure_identities(tmp_path, ["operator"])
    assert "hunter2" not in str(caught.value)


def test_an_identity_that_nobody_made_is_named(tmp_path: Path) -> None:
    """A worker whose identity is not there learns which, and what to do."""
    with pytest.raises(NotFound, match="no identity 'worker-probe'"):
        read_seed(tmp_path, "worker-probe")
