"""The repository whose jobs may bring events to the door of a local world, as one would be bound in production."""

from collections.abc import Mapping
from typing import Any

from schemas.images import ImagePushed
from workers.gateway.principals import Grant, Issuer, Policy, Principal
from workers.local.oidc.server import KEY_SETS, REPOSITORIES

REPOSITORY = "acme/shop"
"""It may announce images below HOST/acme/shop/ in the local registry, from its main branch and its tags."""


def with_local_repository(policy: Policy, endpoints: Mapping[str, Any]) -> Policy:
    """Return the policy with the local issuer of GitHub's tokens and the repository.

    An issuer of that URL which the policy has already stays as it is. `endpoints`: those of the world.
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
    return Policy.model_validate({"issuers": issuers, "principals": (*policy.principals, principal)})
