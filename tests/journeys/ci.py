"""A world whose door knows one principal of each CI system, and pipelines that run against it."""

import asyncio
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.deploy.pipelines import Ended, Step, run
from tests.house.tree import ROOT
from tests.journeys.conftest import Up, shared_world
from tests.journeys.issuing import issuers_in_a_thread
from workers.app.connecting import open_bus
from workers.app.environment import load_settings
from workers.bus.transport.stored import read_one
from workers.gateway.callers import hash_of
from workers.local.oidc import OidcIssuers
from workers.local.registry import build_image, push, write_layout

JENKINS_KEY = "slk_canary-jenkins-canary-jenkins-canary-jenkins"
AUDIENCE = "https://sealane.example.com"
NOBODY = "http://127.0.0.1:9"
"""Where an issuer is that does not answer: the discard port, which no program listens on."""


@dataclass(slots=True)
class CiWorld:
    """The running world, and issuers of GitLab and Google beside it."""

    up: Up
    issuers: OidcIssuers
    secrets: set[str]
    """Everything that nobody may ever read."""

    @property
    def door(self) -> str:
        """The URL of the door."""
        return str(self.up.endpoints["http"])

    @property
    def repository(self) -> str:
        """Below which the repository acme/shop may announce images."""
        return f"{self.up.endpoints['registry']}/acme/shop"

    def github(self, **job: Any) -> dict[str, str]:
        """Start a job in the world's GitHub and return its environment."""
        body = json.dumps({"repository": "acme/shop"} | job).encode()
        found = self._asked("/github/jobs", Path(self.up.endpoints["token"]).read_text(), body)
        self.secrets.add(found["ACTIONS_ID_TOKEN_REQUEST_TOKEN"])
        return found

    def github_token(self, audience: str | None = None, **job: Any) -> str:
        """Return a token of a job in the world's GitHub."""
        environment = self.github(**job)
        where = environment["ACTIONS_ID_TOKEN_REQUEST_URL"].removeprefix(self.up.endpoints["oidc"])
        path = f"{where}&audience={audience or self.door}"
        token = self._asked(path, environment["ACTIONS_ID_TOKEN_REQUEST_TOKEN"])["value"]
        self.secrets.add(token)
        return token

    def rotate(self, issuer: str) -> str:
        """Rotate the key of one of the world's issuers and return the id of the new one."""
        return self._asked(f"/{issuer}/keys", Path(self.up.endpoints["token"]).read_text(), b"")["kid"]

    def _asked(self, path: str, bearer: str, body: bytes | None = None) -> dict[str, str]:
        asked = Request(f"{self.up.endpoints['oidc']}{path}", body)  # noqa: S310 - the URL is the world's
        asked.add_header("Authorization", f"Bearer {bearer}")
        with urlopen(asked, timeout=30) as answer:  # noqa: S310 - as above
            found: dict[str, str] = json.loads(answer.read())
        return found

    def image(self, folder: Path, name: str) -> tuple[str, str]:
        """Push an image of its own; return reference and digest."""
        layout = write_layout(folder / name.replace("/", "-"), build_image([{"etc/motd": name.encode()}]), tag="one")
        reference = f"{self.up.endpoints['registry']}/{name}:one"
        user, token = self.up.endpoints["registry_user"], Path(self.up.endpoints["token"]).read_text()
        return reference, push(layout, reference, username=user, password=token)

    def docker(self, folder: Path) -> dict[str, str]:
        """Put `docker` into a folder, and return the variables that it needs."""
        tools = folder / "tools"
        tools.mkdir()
        docker = tools / "docker"
        docker.write_text(
            f"#!/bin/sh\nPYTHONPATH='{ROOT}' exec '{sys.executable}' -m tests.journeys.docker_client \"$@\"\n"
        )
        docker.chmod(0o755)
        layout = write_layout(folder / "built", build_image([{"etc/motd": str(folder).encode()}]), tag="one")
        return {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "IMAGE_LAYOUT": str(layout),
            "WORLD_TOKEN_FILE": self.up.endpoints["token"],
        }

    def run(self, step: Step, folder: Path, environment: Mapping[str, str]) -> Ended:
        """Run a step; whatever it is, nobody could read a secret while it ran."""
        ended = run(step, folder, environment)
        leaked = [secret for secret in self.secrets if secret in ended.all]
        assert leaked == []
        assert "eyJ" not in ended.all, "what looks like a signed token can be read"
        return ended

    def event(self, ended: Ended) -> tuple[dict[str, str], dict[str, Any]]:
        """Return headers and body of the event that a step says it stored."""
        run_id = ended.out.partition("its run is ")[2].split()[0]
        return asyncio.run(self._event(run_id))

    async def _event(self, run_id: str) -> tuple[dict[str, str], dict[str, Any]]:
        connection = await open_bus(load_settings(self.up.data), "operator")
        try:
            sequence = 1
            while (stored := await read_one(connection, "EVENTS", sequence)) is not None:
                if stored.headers.get("ce-run") == run_id and stored.headers["ce-type"] == "image.pushed":
                    return dict(stored.headers), json.loads(stored.body)
                sequence += 1
        finally:
            await connection.close()
        raise AssertionError(f"no image.pushed of the run {run_id} is on the bus")


@contextmanager
def ci_world(folder: Path) -> Iterator[CiWorld]:
    """Run a world that knows GitLab's project, a service account, Jenkins, and an issuer that is away."""
    with issuers_in_a_thread(folder / "issuers") as issuers:
        policy = folder / "principals.json"
        policy.write_text(json.dumps(_principals(issuers)))
        with shared_world(folder, SEALANE_PRINCIPALS=str(policy)) as up:
            world = CiWorld(up, issuers, {JENKINS_KEY})
            yield world
    logs = [up.output, *(up.data / "logs").iterdir()]
    told = [file.name for file in logs for secret in world.secrets if secret in file.read_text(errors="replace")]
    assert told == [], "a secret is in a log of the world"


def _principals(issuers: OidcIssuers) -> dict[str, Any]:
    anything = [{"type": "image.pushed"}]
    known = {name: {"issuer": issuers.issuer(name), "keys": issuers.key_set_url(name)} for name in ("gitlab", "google")}
    return {
        "issuers": [
            {"name": "gitlab", "audience": AUDIENCE, **known["gitlab"]},
            {"name": "google", "kind": "google", "audience": AUDIENCE, **known["google"]},
            {"name": "away", "audience": AUDIENCE, "issuer": f"{NOBODY}/", "keys": f"{NOBODY}/keys"},
        ],
        "principals": [
            {
                "name": "gitlab/acme/shop",
                "issuer": "gitlab",
                "claims": {"project_path": "acme/shop", "ref_protected": "true"},
                "may_publish": anything,
            },
            {
                "name": "cloud-build",
                "issuer": "google",
                "claims": {"email": "builder@sealane-local.iam.gserviceaccount.com"},
                "may_publish": anything,
            },
            {"name": "nobody", "issuer": "away", "claims": {"sub": "nobody"}, "may_publish": anything},
            {
                "name": "jenkins",
                "api_keys": [hash_of(JENKINS_KEY)],
                "sources": ["/jenkins/**"],
                "may_publish": anything,
            },
        ],
    }
