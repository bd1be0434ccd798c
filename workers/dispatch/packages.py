"""Which image a published package is. Pure."""

from pydantic import ValidationError

from schemas.github import GithubPackagePublished
from schemas.images import ImagePushed
from workers.github_rules import GithubSettings

_CONTAINERS = frozenset({"container", "docker"})
"""What GitHub calls the type of a container package; the second is the older name."""


def image_of(package: GithubPackagePublished, settings: GithubSettings) -> ImagePushed | str:
    """Return the image that was pushed, or one sentence that says why there is none.

    The path is made of the owner's login as it is listed, never of an address in the payload, and the owner's number
    must agree: a login can be taken by somebody else.
    """
    if (refusal := _refusal(package, settings)) is not None:
        return refusal
    owner = package.owner.lower()
    reference = f"{package.host}/{owner}/{package.name.lower()}"
    reference += f":{package.tag}" if package.tag else f"@{package.digest}"
    try:
        return ImagePushed(image=reference, digest=package.digest, pushed_at=package.published_at)
    except ValidationError:
        return f"{reference!a} is no image reference"


def _refusal(package: GithubPackagePublished, settings: GithubSettings) -> str | None:
    listed = {owner.owner_id: owner.owner.lower() for owner in settings.package_owners}
    owner = listed.get(package.owner_id)
    if package.kind.lower() not in _CONTAINERS:
        return f"the package is of type {package.kind!a}, not a container"
    if package.host not in settings.package_hosts:
        return f"the registry {package.host} is not listed in `package_hosts`"
    if owner is None:
        return f"the owner {package.owner} ({package.owner_id}) is not listed in `package_owners`"
    if owner != package.owner.lower():
        return f"the owner {package.owner_id} is listed as {owner}, but calls itself {package.owner}: correct the list"
    if package.tag is None and package.digest is None:
        return "neither a tag nor a digest says which version it is"
    return None
