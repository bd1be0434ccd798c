"""A newcomer brings an event with curl."""

import json
import subprocess
from collections.abc import Callable

from tests.journeys.conftest import DEADLINE, Up, eventually, sealane

Start = Callable[..., Up]


def test_newcomer_brings_an_event_with_curl(world: Up) -> None:
    """One line of curl is stored and worked on; the same line again is the same answer; the key is in no argv."""
    command = ["curl", "--silent", "--show-error", "-K", str(world.data / "door.curl")]
    command += ["-H", "ce-type: echo.requested", "-H", "ce-id: newcomer", "-d", '{"message": "hello"}']
    first = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=True)
    again = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=True)

    assert json.loads(first.stdout)["type"] == "echo.requested"
    assert first.stdout == again.stdout
    identity = ("--id", "newcomer", "--source", "/curl", "--set", "message=hello")
    followed = sealane("publish", "echo.requested", *identity, "--wait", "--data", str(world.data))
    assert followed.returncode == 0, followed.stderr
    assert "was there already" in followed.stdout


def test_door_is_a_process_of_its_own_beside_the_world(start: Start) -> None:
    """It waits for the world, opens on its ports, stays while the world is started anew, and ends on SIGTERM."""
    gateway = start("gateway", really=True)
    gateway.says("no world is running")
    up = start("up", "--no-workers", "--no-door").ready()
    gateway.says("ready: the door")
    assert up.endpoints["http"] in gateway.said
    command = ["curl", "--silent", "--show-error", "--fail", "-K", str(up.data / "door.curl")]
    command += ["-H", "ce-type: echo.requested", "-d", '{"message": "hello"}']

    def brings(event_id: str) -> bool:
        return subprocess.run([*command, "-H", f"ce-id: {event_id}"], capture_output=True, check=False).returncode == 0

    assert brings("first")
    assert up.stop() == 0, up.said
    again = start("up", "--no-workers", "--no-door").ready()
    assert again.endpoints["http"] in gateway.said
    eventually(lambda: brings("second"), "the door finds the bus of the new world")
    assert gateway.stop() == 0, gateway.said
    assert "stopped: the door" in gateway.said
