"""The console in the manifests: switched on, told who people are by somebody it can prove, with no secret in it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from workers.adapters.sign_in import Providers
from workers.bus.rooms import all_wirings
from workers.bus.topology.permissions import doors
from workers.console_settings import ConsoleSettings
from workers.gateway.console.providers import ProvidersDoor
from workers.gateway.console.proxy import ProxyDoor
from workers.gateway.console.seal import Seal
from workers.gateway.console.sessions import Address
from workers.gateway.keysets import KeySets
from workers.gateway.principals import Policy, read_policy
from workers.gateway.tokens import Tokens
from workers.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
REFERENCE = re.compile(r'"(?:secret|operator_seed|client_secret)": "file://([^"]+)"')


def manifest(platform: str) -> dict[str, Any]:
    """Return the documents of the gateway by their kind."""
    text = (DEPLOY / platform / "gateway.yaml").read_text()
    return {document["kind"]: document for document in yaml.safe_load_all(text)}


def pod(platform: str) -> dict[str, Any]:
    """Return what runs there."""
    kind = {"kubernetes": "Deployment", "cloud-run": "Service"}[platform]
    found: dict[str, Any] = manifest(platform)[kind]["spec"]["template"]["spec"]
    return found


def set_to(platform: str, name: str) -> str:
    """Return what a variable of the gateway says, or the file that it names."""
    (container,) = pod(platform)["containers"]
    value = str(next(one["value"] for one in container["env"] if one["name"] == name))
    if not value.startswith("/etc/sealane/"):
        return value
    if platform == "kubernetes":
        return str(manifest(platform)["ConfigMap"]["data"][value.rpartition("/")[2]])
    return (DEPLOY / platform / value.rpartition("/")[2]).read_text()


def files(platform: str) -> set[str]:
    """Return the files that secrets are mounted as."""
    (container,) = pod(platform)["containers"]
    at = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    found = set()
    for volume in pod(platform)["volumes"]:
        projected = volume.get("projected", {}).get("sources", [volume])
        for source in projected:
            for item in source.get("secret", {}).get("items", ()):
                found.add(f"{at[volume['name']]}/{item['path']}")
    return found


@pytest.mark.parametrize("platform", ["kubernetes", "cloud-run"])
def test_the_console_is_on_and_everything_it_names_is_mounted(platform: str) -> None:
    """Its settings load as the gateway loads them, over TLS, and each secret is a reference to a mounted file."""
    text = set_to(platform, "SEALANE_CONSOLE")
    console = Settings.model_validate({"console": text}).console
    assert console is not None
    assert Address(console.url).secure
    assert console.operator_seed != Settings.model_validate({}).nats_seed
    named = REFERENCE.findall(text)

    assert set(named) <= files(platform)
    assert len(named) == 2 + len(console.providers)


@pytest.mark.parametrize("platform", ["kubernetes", "cloud-run"])
def test_people_are_known_by_who_may_say_so_and_have_a_role(platform: str) -> None:
    """The policy knows the provider or the proxy; of its people some may act, and others only see, and see less."""
    console = ConsoleSettings.model_validate(json.loads(set_to(platform, "SEALANE_CONSOLE")))
    policy = read_policy(set_to(platform, "SEALANE_PRINCIPALS")).within(doors(all_wirings().values()))
    issuers = said_by(console, policy)
    people = [principal for principal in policy.principals if principal.issuer in issuers]

    assert len(issuers) == 1
    assert {(person.may_act, bool(person.may_publish)) for person in people} == {(True, False), (False, False)}
    assert all(set(person.claims) == {"email"} and "*" not in str(person.claims) for person in people)
    assert {person.may_act: person.may_see[0].shows("tenant.onboarded", "acme") for person in people} == {
        True: True,
        False: False,
    }


def said_by(console: ConsoleSettings, policy: Policy) -> set[str]:
    """Return the issuers that say who people are, having opened the ways in as the gateway does."""

    async def nobody(_: str) -> Any:
        raise AssertionError

    tokens = Tokens(policy, KeySets(nobody))
    ways = ProvidersDoor(console.providers, Providers(nobody), Seal("x" * 32), policy, tokens, Address(console.url))
    assert len(ways.names) == len(console.providers)
    if console.proxy is not None:
        ProxyDoor(console.proxy, policy, tokens)
        return {console.proxy.issuer}
    return {provider.issuer for provider in console.providers}
