"""The description of the door against the door: schemathesis makes requests of it, right ones and wrong ones.

Nothing is answered with 500, or in a way that the description does not say; what the description calls right is
taken, and what it calls wrong is not. `pytest --examples 2000` looks longer.
"""

import asyncio
import copy
import json
import re
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.bus.lane import Lane
from tests.gateway.conftest import KEY, Caller, open_door
from workers.gateway.callers import hash_of
from workers.gateway.principals import Policy
from workers.gateway.reading import BATCH_CONTENT_TYPE
from workers.gateway.webhooks.keyring import Keyring

_STREAM = "text/event-stream"
STRUCTURED = "application/cloudevents+json"
SETTINGS = """
[checks.negative_data_rejection]
enabled = {judged}
expected-statuses = [400, 401, 403, 409, 413, 415, 429, 431]
[checks.positive_data_acceptance]
enabled = {judged}
"""
Document = dict[str, Any]


def everything(document: Document) -> Document:
    """Leave the description as it is, without what is answered for as long as somebody listens."""
    paths = {path: item for path, item in document["paths"].items() if _STREAM not in json.dumps(item)}
    return document | {"paths": paths}


def only(*media: str) -> Callable[[Document], Document]:
    """Return what narrows a description to events of these media types."""

    def narrowed(document: Document) -> Document:
        post = copy.deepcopy(document["paths"]["/events"]["post"])
        content = post["requestBody"]["content"]
        post["requestBody"]["content"] = {name: content[name] for name in media}
        post["parameters"] = []
        return document | {"paths": {"/events": {"post": post}}}

    return narrowed


def binary(event_type: str, model: str) -> Callable[[Document], Document]:
    """Return what narrows a description to one type in binary mode, where OpenAPI cannot say what is required."""

    def narrowed(document: Document) -> Document:
        found = only("application/json")(document)
        post = found["paths"]["/events"]["post"]
        post["requestBody"]["content"]["application/json"] = {"schema": {"$ref": f"#/components/schemas/{model}"}}
        post["parameters"] = copy.deepcopy(document["paths"]["/events"]["post"]["parameters"])
        for parameter in post["parameters"]:
            parameter["required"] = parameter["name"] != "ce-time"
            fixed = {"ce-type": event_type, "ce-specversion": "1.0"}.get(parameter["name"])
            parameter["schema"] = parameter["schema"] if fixed is None else {"const": fixed}
        return found

    return narrowed


PARTS = {
    "everything": everything,
    "structured and batches": only(STRUCTURED, BATCH_CONTENT_TYPE),
    "echo.requested": binary("echo.requested", "EchoRequested"),
    "image.pushed": binary("image.pushed", "ImagePushed"),
}


@pytest.fixture
def policy() -> Policy:
    """Know a key that may say anything, so that nothing which is right is denied."""
    grants = [{"type": "echo.requested"}, {"type": "image.pushed"}]
    ci = {"name": "ci", "api_keys": [hash_of(KEY)], "may_publish": grants, "rate": 60_000, "burst": 100_000}
    return Policy.model_validate({"principals": [ci]})


@pytest.fixture
def keyring() -> Keyring:
    """Give the secret of a webhook."""

    async def read(_: str) -> str:
        return "canary"

    return Keyring(("env://WEBHOOK",), read)


@pytest.mark.parametrize("part", PARTS)
async def test_door_is_as_it_is_described(
    lane: Lane, tmp_path: Path, policy: Policy, keyring: Keyring, pytestconfig: pytest.Config, part: str
) -> None:
    """Schemathesis finds no answer that the description does not have, and no server error."""
    async with open_door(lane, tmp_path, policy, github=keyring) as caller:
        described = tmp_path / "openapi.json"
        described.write_text(json.dumps(PARTS[part](await _description(caller))))
        settings = tmp_path / "schemathesis.toml"
        # In binary mode what is right depends on the headers together, in the others they mean nothing, and OpenAPI
        # can say neither: what is right and what is wrong, the narrowed parts look at.
        settings.write_text(SETTINGS.format(judged=str(part != "everything").lower()))
        examples = pytestconfig.getoption("--examples") or 15
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(settings), "run", str(described)),
            *("--url", caller.url, "--header", f"Authorization: Bearer {KEY}", "--max-examples", str(examples)),
            *("--no-color", "--generation-database", "none", "--suppress-health-check", "all"),
            cwd=tmp_path,
            stdout=PIPE,
            stderr=STDOUT,
        )
        output = (await process.communicate())[0].decode()
        stored = await lane.count("EVENTS")
    counted = re.search(r"(\d+) generated", output)

    assert (process.returncode, counted is not None) == (0, True), output
    assert counted is not None
    assert int(counted[1]) >= examples
    assert stored > 0
    print(f"schemathesis, {part}: {counted[1]} requests, {stored} events stored")


async def _description(caller: Caller) -> Document:
    found: Document = (await caller.ask("GET", "/openapi.json", headers={"authorization": f"Bearer {KEY}"})).json
    return found
