"""What the catalogue and the workers are can be read without a bus."""

import json
from pathlib import Path

import pytest

from schemas.catalogue import CATALOGUE
from tests.commands.command import Sealane

NOWHERE = "nats://127.0.0.1:1"


@pytest.fixture
def offline(tmp_path: Path) -> Sealane:
    """Run commands where no server is."""
    return Sealane(NOWHERE, tmp_path)


async def test_schema_list_names_every_event(offline: Sealane) -> None:
    """Each with who emits and who consumes it."""
    done = await offline("schema", "list", "--json")

    assert {line["type"] for line in done.lines} == set(CATALOGUE)
    assert next(line for line in done.lines if line["type"] == "echo.requested")["consumed_by"] == ["echo"]


async def test_schema_show_has_fields_and_an_example(offline: Sealane) -> None:
    """An unknown type is one sentence that names those there are."""
    shown, programs = (
        await offline("schema", "show", "image.pushed"),
        await offline("schema", "show", "image.pushed", "--json"),
    )
    unknown = await offline("schema", "show", "image.pushd")

    assert "seen[].digest" in shown.out
    assert json.loads(shown.out.partition("Example:\n")[2])["image"]
    assert programs.lines[0]["additionalProperties"] is False
    assert unknown.code == 2
    assert "there is no event 'image.pushd': the types are" in unknown.err


async def test_schema_export_writes_every_form(offline: Sealane, tmp_path: Path) -> None:
    """JSON Schema and AsyncAPI are JSON; `-o` writes a file."""
    schema, api = await offline("schema", "export"), await offline("schema", "export", "--format", "asyncapi")
    done = await offline("schema", "export", "--format", "markdown", "-o", str(tmp_path / "page.md"))

    assert set(json.loads(schema.out)["events"]) == set(CATALOGUE)
    assert json.loads(api.out)["asyncapi"] == "3.0.0"
    assert (done.code, done.out) == (0, "")
    assert "# The event catalogue" in (tmp_path / "page.md").read_text()


async def test_workers_says_what_each_may_do(offline: Sealane) -> None:
    """Wiring and permissions are derived from the signature, and shown."""
    table, records = await offline("workers"), await offline("workers", "--json")

    [echo] = [line for line in records.lines if line["worker"] == "echo"]
    assert (echo["consumes"], echo["emits"], echo["ports"]) == (["echo.requested"], ["echo.answered"], ["Progress"])
    assert "echo.answered" in echo["permissions"]["publish"]
    assert "image.pushed" not in echo["permissions"]["publish"]
    assert echo["google_roles"] == []
    [attest] = [line for line in records.lines if line["worker"] == "attest"]
    assert {"roles/cloudkms.signerVerifier", "roles/artifactregistry.reader"} < set(attest["google_roles"])
    assert "progress.echo.>" in table.out
    assert "$JS" not in table.out


@pytest.mark.parametrize("command", ["publish", "tail", "runs", "workers", "dead list", "dead replay", "line stop"])
async def test_help_has_examples(offline: Sealane, command: str) -> None:
    """Every command shows how it is typed."""
    done = await offline(*command.split(), "--help")

    assert done.code == 0
    assert f"Examples:\n    sealane {command}" in done.out
