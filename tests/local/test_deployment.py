"""Deploying to the local Cloud Run over REST, and what is read of it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from workers.local.deployment import deploy
from workers.local.google import GoogleServices
from workers.local.rest import GoogleRest, RestError
from workers.local.seed import seed

SERVICE = "projects/demo/locations/europe-west1/services/shop"
IMAGE = "eu.example/apps/shop@sha256:" + "0" * 64
ENFORCED = "ENFORCED_BLOCK_AND_AUDIT_LOG"


@pytest.fixture
async def google(tmp_path: Path) -> AsyncIterator[GoogleServices]:
    """Run the services, seeded with a policy that asks for an attestation."""
    async with GoogleServices(tmp_path / "google", token="t") as services:
        await seed(services.rest_port, "t", "demo")
        yield services


async def test_what_nobody_signed_is_not_ready(google: GoogleServices) -> None:
    """The deployment holds the reason that Cloud Run stores."""
    deployment = await deploy(google.rest_port, "t", SERVICE, IMAGE, "one")

    assert not deployment.ready
    assert deployment.reason == "CONTAINER_IMAGE_UNAUTHORIZED"
    assert "denied by attestor projects/demo/attestors/built-by-ci" in deployment.message
    assert deployment.serving == ""


async def test_what_the_policy_allows_is_ready_and_serves(google: GoogleServices) -> None:
    """A later revision of the same service is judged by the policy as it is then."""
    await deploy(google.rest_port, "t", SERVICE, IMAGE, "one")
    policy = {"name": "projects/demo/policy"}
    rule = {"defaultAdmissionRule": {"evaluationMode": "ALWAYS_ALLOW", "enforcementMode": ENFORCED}}
    put = GoogleRest(google.rest_port, "t").call
    host, path = "binaryauthorization.googleapis.com", "v1/projects/demo/policy"
    await asyncio.to_thread(put, "PUT", host, path, policy | rule)
    deployment = await deploy(google.rest_port, "t", SERVICE, IMAGE, "two")

    assert deployment.ready
    assert deployment.serving == deployment.revision == f"{SERVICE}/revisions/shop-two"
    assert deployment.image == IMAGE
    assert deployment.message == ""


async def test_a_call_that_is_refused_names_the_call(google: GoogleServices) -> None:
    """The sentence holds the answer of the service."""
    with pytest.raises(RestError, match=r"PATCH run.googleapis.com/v2/projects/demo/.* was answered 400"):
        await deploy(google.rest_port, "t", SERVICE, IMAGE, "One")
