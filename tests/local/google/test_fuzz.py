"""No request makes a service fail inside: every one is answered or refused with a status."""

import asyncio
import inspect
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.local.google.guesses import LOCATION, Guesser, valid
from tests.local.google.scenes import DIGEST
from workers.local.google import Faults, ServedRegistry
from workers.local.google.api import ROOMS, Api, Ground
from workers.local.google.pubsub import pulling
from workers.local.google.status import ApiError
from workers.local.google.store import Store
from workers.local.google.transcode import to_json
from workers.local.registry.manifests import OCI_MANIFEST
from workers.local.registry.storage import Storage, StoredManifest

SEEDED = (
    "KeyRing",
    "CryptoKey",
    "CryptoKeyVersion",
    "Note",
    "Attestor",
    "Occurrence",
    "Service",
    "Topic",
    "Subscription",
)
MANIFEST = b'{"schemaVersion": 2, "config": {"size": 2}, "layers": []}'


class World:
    """All services without a wire before them, holding one valid resource of each kind."""

    def __init__(self, ground: Ground) -> None:
        self.apis: list[Api] = [import_module(room.module).build(ground) for room in ROOMS]
        self.occurrence = ""

    async def ask(self, api: Api, path: str, request: Any) -> Any:
        """Send a request to its handler."""
        answer = api.handlers[path](request)
        return await answer if inspect.isawaitable(answer) else answer

    async def seed(self) -> None:
        """Make the resources that the valid requests are about."""
        for api in self.apis:
            for kind in SEEDED:
                for path in api.handlers:
                    if path.endswith(f"/Create{kind}") and "v1beta1" not in path:
                        answer = await self.ask(api, path, valid(api.methods[path], self.occurrence))
                        self.occurrence = answer.name if kind == "Occurrence" else self.occurrence

    async def try_spoiled(self, api: Api, path: str, guesser: Guesser) -> None:
        """Send one spoiled request; only a status may refuse it, and an answer has a JSON form."""
        method = api.methods[path]
        request = valid(method, self.occurrence)
        guesser.spoil(request)
        refused = answer = None
        try:
            answer = await self.ask(api, path, request)
        except ApiError as error:
            refused = error
        if refused is None:
            assert isinstance(answer, method.response)
            assert to_json(answer)
        else:
            assert refused.code not in {"INTERNAL", "UNKNOWN", "OK"}
            assert refused.message
            assert refused.body()["error"]["code"] >= 400


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give the seeded services; a Pull that finds nothing is answered at once."""
    data = tmp_path_factory.mktemp("fuzz")
    store, registry = Store(data), Storage(data / "registry")
    registry.put_manifest("apps/shop", StoredManifest(DIGEST, OCI_MANIFEST, MANIFEST))
    registry.put_tag("apps/shop", "1", DIGEST)
    served = ServedRegistry(data / "registry", "127.0.0.1:1", LOCATION)
    with ThreadPoolExecutor(1) as threads, pytest.MonkeyPatch.context() as patch:
        patch.setattr(pulling, "PATIENCE", 0.0)
        world = World(Ground(store, Faults(), threads, served))
        asyncio.run(world.seed())
        yield world
    store.close()


@settings(deadline=None)
@given(seed=st.integers(min_value=0, max_value=2**32))
def test_any_request_is_answered_or_refused(world: World, seed: int) -> None:
    """Whatever is in the fields, no handler raises anything but a status."""

    async def ask_all() -> None:
        guesser = Guesser(seed)
        for api in world.apis:
            for path in api.handlers:
                await world.try_spoiled(api, path, guesser)

    asyncio.run(ask_all())
