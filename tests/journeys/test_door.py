"""A newcomer brings an event with curl."""

import json
import subprocess

from tests.journeys.conftest import Up, sealane


def test_newcomer_brings_an_event_with_curl(world: Up) -> None:
    """One line of curl is stored and worked on; the same line again is the same answer; the key is in no argv."""
    command = ["curl", "--silent", "--show-error", "-K", str(world.data / "door.curl")]
    command += ["-H", "ce-type: echo.requested", "-H", "ce-id: newcomer", "-d", '{"message": "hello"}']
    first = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    again = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)

    assert json.loads(first.stdout)["type"] == "echo.requested"
    assert first.stdout == again.stdout
    identity = ("--id", "newcomer", "--source", "/curl", "--set", "message=hello")
    followed = sealane("publish", "echo.requested", *identity, "--wait", "--data", str(world.data))
    assert followed.returncode == 0, followed.stderr
    assert "was there already" in followed.stdout
