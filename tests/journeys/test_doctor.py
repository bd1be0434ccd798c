"""`sealane doctor`: says what is wrong and what to do."""

import json
from collections.abc import Callable

from tests.journeys.conftest import Up, eventually, sealane
from workers.app.connecting import connect_as
from workers.bus.transport.jetstream import JetStreamApi

Start = Callable[..., Up]


def test_a_world_at_work_is_good(world: Up) -> None:
    """Bus, streams, permissions, workers, lines and every port are asked, and all are good."""

    def healthy() -> list[dict[str, object]] | None:
        asked = sealane("doctor", "--json", "--data", str(world.data))
        return [json.loads(line) for line in asked.stdout.splitlines()] if asked.returncode == 0 else None

    findings = eventually(healthy, "a healthy world")

    areas = {str(finding["area"]) for finding in findings}
    assert areas >= {
        "bus",
        "streams",
        "workers",
        "lines",
        "permissions",
        "images",
        "signing keys",
        "attestors",
        "feeds",
        "GitHub",
    }
    assert all(finding["good"] for finding in findings)


def test_missing_workers_are_wrong(start: Start) -> None:
    """Without workers it exits 1 and names the command that starts each."""
    up = start("up", "--no-workers").ready()
    asked = sealane("doctor", "--data", str(up.data))

    assert asked.returncode == 1
    assert "sealane worker attest" in asked.stdout
    assert "WRONG" in asked.stdout


def test_a_subscription_and_a_repository_that_are_not_there_are_wrong(world: Up) -> None:
    """What the bridge and dispatch need is asked for as well, and named with what to do."""
    subscription = f"projects/{world.endpoints['project']}/subscriptions/forgotten"
    feeds = json.dumps([{"subscription": subscription, "mapping": "gcr"}])
    rule = {"repository_id": 7, "paths": "onboarding/{tenant}/*.yaml", "event": "tenant.onboarded"}
    github = json.dumps(world.endpoints["github_settings"] | {"rules": [rule], "package_hosts": ["ghcr.io"]})
    asked = sealane("doctor", "--json", "--data", str(world.data), SEALANE_FEEDS=feeds, SEALANE_GITHUB=github)

    wrong = {str(one["subject"]): one for one in map(json.loads, asked.stdout.splitlines()) if not one["good"]}
    assert set(wrong) == {subscription, "repository 7, refs/heads/main", "ghcr.io"}
    assert "list ghcr.io in SEALANE_REGISTRIES" in wrong["ghcr.io"]["said"]
    assert "it does not exist: check its name" in wrong[subscription]["said"]
    assert "install it there" in wrong["repository 7, refs/heads/main"]["said"]


def test_a_rule_whose_key_is_not_there_is_wrong(world: Up) -> None:
    """A signing rule that names a key which does not exist is found before an image needs it; so is its next key."""
    key = f"{world.endpoints['key'].rpartition('/')[0]}/99"
    missing = "file:///nowhere/next.pem"
    rules = [{"match": "*/**", "attestor": world.endpoints["attestor"], "key": key, "next_key": missing}]
    asked = sealane("doctor", "--json", "--data", str(world.data), SEALANE_SIGNING_RULES=json.dumps(rules))

    assert asked.returncode == 1
    wrong = [finding for finding in map(json.loads, asked.stdout.splitlines()) if not finding["good"]]
    assert {finding["subject"] for finding in wrong} == {key, missing}


async def test_a_deleted_stream_is_found_and_mended(start: Start) -> None:
    """Drift is named with its remedy, and the remedy works."""
    up = start("up", "--no-workers").ready()
    async with connect_as("provisioner", up.data) as connection:
        await JetStreamApi(connection).request("STREAM.DELETE.DEAD")

    def streams() -> list[dict[str, object]]:
        asked = sealane("doctor", "--json", "--data", str(up.data))
        return [found for found in map(json.loads, asked.stdout.splitlines()) if found["area"] == "streams"]

    (wrong,) = streams()
    assert (wrong["subject"], wrong["good"]) == ("DEAD", False)
    assert "streams apply" in str(wrong["said"])
    applied = sealane("streams", "apply", "--data", str(up.data))
    assert applied.returncode == 0, applied.stderr
    assert [found["good"] for found in streams()] == [True]


def test_a_stopped_line_is_said_once(start: Start) -> None:
    """Nobody is told to start a worker that runs: its line is what must be resumed."""
    up = start("up").ready()
    assert sealane("line", "stop", "echo", "--reason", "a try", "--data", str(up.data)).returncode == 0

    def wrong() -> list[str]:
        found = map(json.loads, sealane("doctor", "--json", "--data", str(up.data)).stdout.splitlines())
        return [f"{finding['subject']} {finding['said']}" for finding in found if not finding["good"]]

    # The workers hear of it a moment later, and only then say why they are not ready.
    (only,) = eventually(lambda: found if len(found := wrong()) == 1 else None, "one thing that is wrong")
    assert only.startswith("echo stopped since ")
    assert "a try; `sealane line resume echo`" in only
    assert sealane("line", "resume", "echo", "--data", str(up.data)).returncode == 0
