"""The bridge of a process gets the subscriptions that its settings list."""

import json
from pathlib import Path

import pytest

from workers.app.clouds import Clouds
from workers.app.environment import overlay
from workers.bus.rooms import wiring
from workers.local.folder import WorldFolder
from workers.ports import Feeds
from workers.settings import Settings

ENDPOINTS = {
    "nats": "nats://127.0.0.1:1",
    "project": "acme",
    "google_grpc": "127.0.0.1:2",
    "token": "/nowhere/token",
    "registries": [],
    "signing_rules": [],
    "github_settings": {},
}
MINE = [{"subscription": "projects/acme/subscriptions/mine", "mapping": "gcr", "most": 7}]


def test_the_local_world_feeds_the_bridge_with_what_it_seeded(tmp_path: Path) -> None:
    """Each topic of a fresh world has a subscription with the mapping for it."""
    feeds = overlay(Settings(), WorldFolder(tmp_path), ENDPOINTS).feeds

    place = "projects/acme/subscriptions"
    assert {one.subscription: one.mapping for one in feeds.subscriptions} == {
        f"{place}/gcr-bridge": "gcr",
        f"{place}/container-analysis-occurrences-v1-bridge": "occurrences",
        f"{place}/scans-bridge": "scans",
    }


def test_feeds_that_somebody_set_count_in_the_local_world_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SEALANE_FEEDS is not overlaid."""
    monkeypatch.setenv("SEALANE_FEEDS", json.dumps(MINE))

    feeds = overlay(Settings(), WorldFolder(tmp_path), ENDPOINTS).feeds

    assert [one.subscription for one in feeds.subscriptions] == [MINE[0]["subscription"]]


async def test_the_clouds_give_a_feed_for_each_subscription(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the bridge asks for, its feeds and its mappings, comes of one setting."""
    monkeypatch.setenv("SEALANE_FEEDS", json.dumps(MINE))
    async with Clouds(Settings()) as clouds:
        ports = await clouds.ports_for(wiring("bridge"))

    assert [feed.subscription for feed in ports[Feeds]] == [MINE[0]["subscription"]]
    assert [feed.problem for feed in ports[Feeds]] == [None]
