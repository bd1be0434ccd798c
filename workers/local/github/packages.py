"""The payloads of a published container package, as `package` and as `registry_package`.

Source: https://docs.github.com/en/webhooks/webhook-events-and-payloads#package and #registry_package. The registry
itself is not served here: whoever tells of a package says what was pushed.
"""

from typing import Any

from workers.local.github.documents import Documents
from workers.local.github.records import Account, Installation, Repository, timestamp


def package_payloads(
    documents: Documents,
    repository: Repository,
    image: tuple[int, str, str, str],
    published: tuple[Account, Installation | None, float],
) -> dict[str, dict[str, Any]]:
    """Return the payload of each event. `image`: the package's id, name, tag, digest; `published`: by whom, when."""
    sender, installation, at = published
    context = documents.context(repository, sender, installation)
    shown = documents.repository(repository)
    found = {}
    for event in ("package", "registry_package"):
        body = {"action": "published", event: _package(documents, repository, image, (sender, at))}
        found[event] = body | {"repository": shown} | context
    return found


def _package(
    documents: Documents, repository: Repository, image: tuple[int, str, str, str], published: tuple[Account, float]
) -> dict[str, Any]:
    number, name, _, _ = image
    sender, at = published
    owner = repository.owner
    return {
        "id": number,
        "name": name,
        "namespace": owner.login,
        "description": "",
        "ecosystem": "CONTAINER",
        "package_type": "CONTAINER",
        "html_url": f"{documents.url}/orgs/{owner.login}/packages/container/package/{name}",
        "created_at": timestamp(at),
        "updated_at": timestamp(at),
        "owner": documents.account(owner),
        "package_version": _version(documents, repository, image, (sender, at)),
        "registry": {
            "about_url": "https://docs.github.com/packages",
            "name": "GitHub CONTAINER registry",
            "type": "CONTAINER",
            "url": f"https://{documents.registry}/{owner.login.lower()}",
            "vendor": "GitHub Inc",
        },
    }


def _version(
    documents: Documents, repository: Repository, image: tuple[int, str, str, str], published: tuple[Account, float]
) -> dict[str, Any]:
    number, name, tag, digest = image
    sender, at = published
    path = f"{documents.registry}/{repository.owner.login.lower()}/{name}"
    return {
        "id": number,
        "version": digest,
        "name": digest,
        "summary": "",
        "description": "",
        "author": documents.account(sender),
        "html_url": f"{documents.url}/orgs/{repository.owner.login}/packages/container/{name}/{number}",
        "target_commitish": repository.default_branch,
        "target_oid": "",
        "created_at": timestamp(at),
        "updated_at": timestamp(at),
        "metadata": [],
        "container_metadata": {
            "tag": {"name": tag, "digest": digest},
            "labels": {"description": "", "source": f"{documents.url}/{repository.full_name}", "revision": ""},
            "manifest": {"digest": digest, "media_type": "application/vnd.oci.image.manifest.v1+json"},
        },
        "package_files": [],
        "installation_command": f"docker pull {path}:{tag}" if tag else f"docker pull {path}@{digest}",
        "package_url": f"{path}:{tag}",
    }
