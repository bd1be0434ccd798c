"""The configuration for production is one that nats-server takes, with the permissions as they are derived now."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from workers.bus.rooms import all_wirings
from workers.bus.topology.identities import ensure_identities
from workers.bus.topology.permissions import derive, render

EXAMPLE = Path(__file__).parents[3] / "deploy" / "nats" / "nats-server.conf"


def test_nats_server_takes_the_example_for_production(tmp_path: Path) -> None:
    """The example, with the derived permissions beside it, passes the server's own test of configurations."""
    permissions = derive(all_wirings().values())
    shutil.copy(EXAMPLE, tmp_path)
    (tmp_path / "authorization.conf").write_text(render(permissions, ensure_identities(tmp_path, permissions)))
    environment = {"NATS_NAME": "n1", "NATS_ROUTES": '["nats://127.0.0.1:6222"]', "NATS_STORE": f'"{tmp_path}/store"'}

    tested = subprocess.run(
        [Path(sys.executable).parent / "nats-server", "-t", "-c", tmp_path / EXAMPLE.name],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )

    assert tested.returncode == 0, tested.stderr
    assert "is valid" in tested.stderr
