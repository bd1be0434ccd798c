"""A skipped test is never silent."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.tree import ROOT

SKIPPING = '"""A test that cannot run."""\nimport pytest\ndef test_x():\n    pytest.skip("no such program here")\n'


@pytest.mark.parametrize(("ci", "parallel", "code"), [("true", ("-n", "1"), 1), ("", ("-p", "no:xdist"), 0)])
def test_a_skip_is_printed_and_fails_the_run_in_ci(
    tmp_path: Path, ci: str, parallel: tuple[str, ...], code: int
) -> None:
    """Each skip is printed with its reason; with CI=true the run fails, in many processes too."""
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_skipping.py").write_text(SKIPPING)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    run = subprocess.run(
        # With a place of its own: in the shared one it would first delete what large runs before it left.
        [sys.executable, "-m", "pytest", *parallel, "-p", "no:cacheprovider", "--basetemp", "made", "."],
        cwd=tmp_path,
        env=dict(os.environ) | {"CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == code, run.stdout
    assert "no such program here" in run.stdout
