"""The repository whose jobs may bring events to the door of a local world, as one would be bound in production."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from schemas.images import ImagePushed
from workers.app.environment import world_folder
from workers.app.shell import running
from workers.failures import Invalid, Unavailable
from workers.gateway.principals import Grant, Issuer, Policy, Principal
from workers.local.oidc.server import KEY_SETS, REPOSITORIES

REPOSITORY = "acme/shop"
"""It may announce images below HOST/acme/shop/ in the local registry, from its main branch and its tags."""


def with_local_repository(policy: Policy, endpoints: Mapping[str, Any]) -> Policy:
    """Return the policy with the local issuer of GitHub's tokens and the repository.

    An issuer of that URL which the policy has already stays as it is. `endpoints`: those of the world. Raises Invalid
    when the policy has other things of those names.
    """
    url = f"{endpoints['oidc']}/github"
    issuers = policy.issuers
    if url not in policy.by_url:
        named = Issuer(
            name="local-github",
            kind="github",
            issuer=url,
            keys=f"{url}{KEY_SETS['github']}",
            audience=endpoints["http"],
        )
        issuers = (*issuers, named)
    issuer = next(issuer for issuer in issuers if issuer.url == url)
    repository_id, owner_id = REPOSITORIES[REPOSITORY]
    principal = Principal(
        name=f"local-github/{REPOSITORY}",
        issuer=issuer.name,
        claims={
            "repository_id": repository_id,
            "repository_owner_id": owner_id,
            "ref": ("refs/heads/main", "refs/tags/*"),
        },
        may_publish=(Grant(type=ImagePushed.event_type, where={"image": f"{endpoints['registry']}/{REPOSITORY}/**"}),),
    )
    try:
        return Policy.model_validate({"issuers": issuers, "principals": (*policy.principals, principal)})
    except ValidationError as error:
        said = str(error.errors(include_url=False, include_input=False)[0]["msg"]).removeprefix("Value error, ")
        raise Invalid(f"SEALANE_PRINCIPALS does not fit the local world, which has names of its own: {said}") from None


def job_environment(data: Path | None, job: Mapping[str, str | None]) -> dict[str, str]:
    """Start a job of a repository in the local GitHub Actions; return its variables, and DOOR.

    `job`: `repository` and what differs from a push to main. Raises Unavailable when no world is running there, and
    Invalid when such a job makes no sense.
    """
    folder = world_folder(data)
    endpoints = running(folder)
    body = json.dumps({name: value for name, value in job.items() if value is not None})
    connection = HTTPConnection(urlsplit(endpoints["oidc"]).netloc, timeout=30)
    try:
        connection.request("POST", "/github/jobs", body, {"Authorization": f"Bearer {folder.token()}"})
        answer = connection.getresponse()
        text = answer.read().decode()
    except OSError as error:
        raise Unavailable(f"the local issuers at {endpoints['oidc']} do not answer: {error}") from None
    finally:
        connection.close()
    if answer.status != HTTPStatus.CREATED:
        raise Invalid(f"there can be no such job: {text}")
    variables: dict[str, str] = json.loads(text)
    return variables | {"DOOR": endpoints["http"]}
