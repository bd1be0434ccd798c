"""The method table: everything that is served has both wire forms, read from the client libraries."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

import pytest
from google.api_core import path_template

from workers.local.google import Faults
from workers.local.google.api import ROOMS, Api, Apis, Ground, Room
from workers.local.google.store import Store
from workers.local.google.table import compile_rule


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    """Give what services stand on."""
    store = Store(tmp_path)
    with ThreadPoolExecutor(1) as threads:
        yield Ground(store, Faults(), threads)
    store.close()


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_every_served_method_has_both_forms(ground: Ground, room: Room) -> None:
    """A gRPC path with message types, and at least one REST rule that leads back to it."""
    api: Api = import_module(room.module).build(ground)

    assert api.handlers
    for path in api.handlers:
        method = api.methods[path]
        assert method.request is not None
        assert method.response is not None
        assert method.rules
        assert path[1:].startswith(room.packages)
    assert set(api.streams) == set(room.streams)


@pytest.mark.parametrize(
    ("uri", "path", "variables"),
    [
        ("/v1/{name=projects/*/notes/*}", "/v1/projects/p/notes/n", {"name": "projects/p/notes/n"}),
        ("/v1/{name=projects/*/notes/*}", "/v1/projects/p/notes/n:verb", None),
        ("/v1/{name=projects/*/notes/*}", "/v1/projects/p/notes/n/more", None),
        ("/v1/{name=images/*}", f"/v1/images/a@sha256:{'0' * 64}", {"name": f"images/a@sha256:{'0' * 64}"}),
        ("/v1/{name=images/*}", f"/v1/images/a@sha256:{'0' * 63}", None),
        ("/v1/{name=projects/*/notes/*}:verb", "/v1/projects/p/notes/n:verb", {"name": "projects/p/notes/n"}),
        ("/v1/{parent=projects/*}/notes", "/v1/projects/example.com:p/notes", {"parent": "projects/example.com:p"}),
        ("/v1/{key.name=keys/**}:encrypt", "/v1/keys/a/b:encrypt", {"key.name": "keys/a/b"}),
        ("/v1/{name=projects/*/policy}", "/v1/projects/p%2Bq/policy", {"name": "projects/p+q/policy"}),
    ],
)
def test_a_path_template_matches_what_it_says(uri: str, path: str, variables: dict[str, str] | None) -> None:
    """Variables span their segments, and a custom verb is never part of one."""
    assert compile_rule("get", uri).match("GET", path) == variables


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_what_a_client_expands_is_what_the_server_matches(ground: Ground, room: Room) -> None:
    """Google's own template code and ours agree on every rule of the table."""
    api: Api = import_module(room.module).build(ground)
    for path in api.handlers:
        for rule in api.methods[path].rules:
            sample = rule.pattern.pattern.replace("\\", "")
            for part, word in (("(?::[0-9a-f]{64})?", ""), ("(", ""), (")", ""), ("[^/:]+", "x"), ("[^/]+", "x")):
                sample = sample.replace(part, word)
            found = api.route(rule.verb, sample)
            assert found is not None
            assert found[0].path == path
            for variable in found[2].values():
                template = "/".join("*" if part == "x" else part for part in variable.split("/"))
                assert path_template.validate(template, variable)  # type: ignore[no-untyped-call]  # no types there


async def test_services_are_built_when_they_are_asked_for(ground: Ground) -> None:
    """Nothing is imported for a service that nobody calls; a host or a path names the one."""
    apis = Apis(ground)

    assert [api.name for api in await apis.at_host("cloudkms.googleapis.com:443")] == ["cloudkms"]
    assert list(apis.built) == ["cloudkms"]
    assert await apis.of_rpc("/grpc.health.v1.Health/Check") is None
    found = await apis.of_rpc("/grafeas.v1.Grafeas/GetNote")
    assert found is not None
    assert sorted(apis.built) == ["cloudkms", "containeranalysis"]


def test_a_handler_for_no_method_is_a_mistake() -> None:
    """A typing error in a handler's name is found when the API is built."""
    with pytest.raises(ValueError, match=r"has no /a\.B/C"):
        Api("a", [], {"/a.B/C": lambda request: request})
