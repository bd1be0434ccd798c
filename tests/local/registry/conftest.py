"""One suite, two registries: ours and the real docker-registry."""

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import ClientSession

from tests.local.registry.client import Client
from tests.local.registry.debian import docker_registry
from workers.local.registry import Registry

SERVERS = ("our-registry", "docker-registry")

LACKS = {
    "test_lists_tags_page_by_page": "2.8 sends all tags, whatever `n` says",
    "test_sorts_tags_without_regard_to_case": "2.8 lists them in the order of its disk",
    "test_begins_no_page_before_last": "2.8 sends all tags, whatever `last` says",
    "test_lists_what_refers_to_a_manifest": "2.8 predates the referrers API",
    "test_filters_referrers_by_artifact_type": "2.8 predates the referrers API",
    "test_forgets_a_deleted_referrer": "2.8 predates the referrers API",
    "test_has_an_empty_list_of_referrers_for_what_nobody_refers_to": "2.8 predates the referrers API",
    "test_deletes_a_tag_and_leaves_its_manifest": "2.8 deletes by digest only",
    "test_takes_a_chunk_back_that_is_out_of_order": "2.8 does not look at where a chunk begins",
    "test_refuses_a_manifest_that_gives_a_blob_a_wrong_size": "2.8 does not compare sizes",
    "test_finishes_an_upload_in_one_request": "2.8 answers 202 and waits for a PUT",
    "test_refuses_a_broken_tag": "2.8 has no such address",
    "test_refuses_a_range_beyond_the_end": "2.8 announces all bytes and sends none of them",
    "test_refuses_a_chunk_that_is_not_as_long_as_it_says": "2.8 takes what comes",
    "test_refuses_a_manifest_of_another_schema": "2.8 answers 500",
}
"""What Debian's docker-registry 2.8 does not do, by test. Each is run there and must fail."""
BY_LUCK = frozenset({"test_sorts_tags_without_regard_to_case"})
"""Those which may pass there by luck."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for `client` on both registries, minding what docker-registry lacks."""
    if "client" not in metafunc.fixturenames:
        return
    name = metafunc.function.__name__
    marks = [pytest.mark.xfail(reason=LACKS[name], strict=name not in BY_LUCK)] if name in LACKS else []
    metafunc.parametrize("server", [SERVERS[0], pytest.param(SERVERS[1], marks=marks)])


@pytest.fixture
async def client(server: str, tmp_path: Path) -> AsyncIterator[Client]:
    """Yield a client of a repository of its own in a registry that asks for no credentials."""
    async with AsyncExitStack() as stack:
        if server == SERVERS[0]:
            host = (await stack.enter_async_context(Registry(tmp_path / "ours"))).host
        else:
            host = stack.enter_context(docker_registry(tmp_path / "debian")).host
        session = await stack.enter_async_context(ClientSession(f"http://{host}"))
        yield Client(session, f"team/{uuid.uuid4().hex}")
