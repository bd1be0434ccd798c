"""`sealane streams` as it is typed."""

import asyncio
import json
import os
from pathlib import Path

from tests.commands.command import forked
from workers.bus.transport.connection import Connection
from workers.bus.transport.jetstream import JetStreamApi
from workers.local.nats import NatsServer


async def _sealane(server: NatsServer | None, data: Path, *arguments: str) -> tuple[int, str, str]:
    """Run the command and return exit code, output and errors."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SEALANE_")}
    environment |= {"SEALANE_NATS": server.url if server else "nats://127.0.0.1:1", "SEALANE_DATA": str(data)}
    done = await asyncio.to_thread(forked, ["streams", *arguments], environment)
    return done.code, done.out, done.err


async def test_a_new_bus_is_shown_dry_run_applied_and_shown_again(nats_server: NatsServer, tmp_path: Path) -> None:
    """Show and dry run change nothing; apply makes it match; afterwards there is nothing to say."""
    shown = await _sealane(nats_server, tmp_path, "show")
    tried = await _sealane(nats_server, tmp_path, "apply", "--dry-run")
    applied = await _sealane(nats_server, tmp_path, "apply", "--json")
    after = await _sealane(nats_server, tmp_path, "show")

    assert (shown[0], tried[0], applied[0], after[0]) == (1, 1, 0, 0)
    assert "stream EVENTS is missing" in shown[1]
    assert tried[1] == shown[1]
    outcomes = [json.loads(line) for line in applied[1].splitlines()]
    assert {outcome["outcome"] for outcome in outcomes} == {"applied"}
    assert {"EVENTS", "EVENTS/attest", "RETRY_echo/echo"} <= {outcome["name"] for outcome in outcomes}
    assert after[1] == "The bus is as declared.\n"


async def test_what_is_refused_is_said_and_fails(
    nats_server: NatsServer, connection: Connection, tmp_path: Path
) -> None:
    """A refusal is a line with its reason, and exit code 1."""
    api = JetStreamApi(connection)
    wrong = {"name": "DEAD", "subjects": ["dead.>"], "storage": "memory"}
    await api.request("STREAM.CREATE.DEAD", wrong)
    await api.store("dead.echo.echo.requested", b"{}", {})

    code, output, _ = await _sealane(nats_server, tmp_path, "apply")

    assert code == 1
    assert "stream DEAD: storage is memory instead of file; it cannot be changed while the stream holds 1 " in output


async def test_permissions_are_for_people_programs_and_the_server(tmp_path: Path) -> None:
    """One derivation, three forms; the server's block holds public keys only."""
    _, table, _ = await _sealane(None, tmp_path, "permissions")
    _, lines, _ = await _sealane(None, tmp_path, "permissions", "--json")
    _, block, _ = await _sealane(None, tmp_path, "permissions", "--conf")

    rows = [json.loads(line) for line in lines.splitlines()]
    assert "worker-attest" in table
    assert {"provisioner", "operator", "gateway", "worker-echo"} <= {row["identity"] for row in rows}
    assert block.startswith("authorization {")
    for seed in (tmp_path / "identities").glob("*.seed"):
        assert seed.read_text() not in block
    async with NatsServer(tmp_path / "nats", authorization=block):
        pass


async def test_without_a_server_it_says_so(tmp_path: Path) -> None:
    """No bus is one sentence, not a stack."""
    code, _, errors = await _sealane(None, tmp_path, "show")

    assert code == 1
    assert "no NATS server answers at nats://127.0.0.1:1" in errors
    assert "Traceback" not in errors
