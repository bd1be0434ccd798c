"""The list of registries says what may be asked, and refuses what would be unsafe."""

import json
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from workers.registries import SETTING, RegistryAccess, is_loopback
from workers.settings import Settings

CANARY = "canary-hunter2-9d1"


def test_reads_the_list_as_the_environment_has_it() -> None:
    """A list in JSON is enough."""
    text = json.dumps([{"host": "europe-docker.pkg.dev", "paths": ["acme/**"], "google": True}])

    (access,) = TypeAdapter(tuple[RegistryAccess, ...]).validate_python(json.loads(text), strict=False)

    assert access.google
    assert access.scheme == "https"


@pytest.mark.parametrize(
    ("pattern", "path", "allowed"),
    [
        ("**", "a", True),
        ("**", "a/b/c", True),
        ("acme/**", "acme/shop", True),
        ("acme/**", "acme/apps/shop", True),
        ("acme/**", "acme", False),
        ("acme/**", "acme-evil/shop", False),
        ("acme/*", "acme/apps/shop", False),
        ("acme/*-prod/shop", "acme/eu-prod/shop", True),
        ("**/shop", "shop", True),
        ("**/shop", "a/b/shop", True),
        ("a/**/shop", "a/shop", True),
        ("a.b", "axb", False),
    ],
)
def test_matches_paths_by_segments(pattern: str, path: str, allowed: bool) -> None:  # noqa: FBT001 - the expected value
    """A pattern is about whole segments, never about a part of the text."""
    assert RegistryAccess(host="r.example", paths=(pattern,)).allows(path) is allowed


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"host": "https://r.example"}, "host"),
        ({"host": "r.example/apps"}, "host"),
        ({"host": "R.example"}, "host"),
        ({"host": ""}, "host"),
        ({"host": "r.example", "insecure": True}, "plain HTTP to another machine"),
        ({"host": "r.example", "username": "u"}, "come together"),
        ({"host": "r.example", "password": "env://P"}, "come together"),
        ({"host": "r.example", "username": "u", "password": "env://P", "google": True}, "brings its own"),
        ({"host": "r.example", "paths": []}, "paths"),
        ({"host": "r.example", "paths": ["Acme/**"]}, "path pattern"),
        ({"host": "r.example", "paths": ["a**/b"]}, "path pattern"),
        ({"host": "r.example", "paths": ["/a"]}, "path pattern"),
        ({"host": "r.example", "token_hosts": ["https://t.example"]}, "token_hosts"),
        ({"host": "r.example", "pasword": "env://P"}, "pasword"),
    ],
)
def test_refuses_an_entry_that_cannot_be_meant(fields: dict[str, Any], sentence: str) -> None:
    """An entry that could not work, or would be unsafe, is refused with the field or the reason."""
    with pytest.raises(ValidationError, match=sentence):
        RegistryAccess(**fields)


@pytest.mark.parametrize("host", ["127.0.0.1:5000", "localhost", "localhost:5000", "dev.localhost"])
def test_allows_plain_http_on_this_machine(host: str) -> None:
    """On this machine nobody listens in."""
    assert RegistryAccess(host=host, insecure=True).scheme == "http"
    assert is_loopback(host)


def test_allows_plain_http_elsewhere_when_it_is_meant() -> None:
    """A second word is needed for plain HTTP to another machine."""
    assert RegistryAccess(host="r.example", insecure=True, insecure_remote=True).scheme == "http"
    assert not is_loopback("r.example")
    assert not is_loopback("localhost.example")


def test_repeats_no_password_that_was_written_in_place_of_a_reference() -> None:
    """Who writes the password itself into the list is told so, without the password."""
    with pytest.raises(ValidationError) as caught:
        RegistryAccess(host="r.example", username="u", password=CANARY)

    assert "password" in str(caught.value)
    assert CANARY not in str(caught.value)


def test_repeats_no_password_when_the_settings_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same holds for the environment variable that the list comes from."""
    entry = {"host": "r.example", "username": "u", "password": CANARY}
    monkeypatch.setenv(SETTING, json.dumps([entry]))

    with pytest.raises(ValidationError, match=r"registries\.0\.password") as caught:
        Settings()

    assert CANARY not in str(caught.value)
