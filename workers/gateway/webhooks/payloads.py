"""The parts of GitHub's payloads that matter here, and how they are read out of a body that is signed.

Source: docs.github.com, "Webhook events and payloads": `push`, `package`, `registry_package`, `ping`. The decoder skips
what is not named below without building it, and stops at the first thing that is not as documented: 25 MB of nested or
empty things cost neither memory nor time.
"""

from http import HTTPStatus
from typing import TypeVar

import msgspec

from workers.gateway.problems import Problem

_Payload = TypeVar("_Payload", bound=msgspec.Struct)


class Account(msgspec.Struct):
    """A user, organisation or bot."""

    login: str
    id: int | None = None


class Owner(msgspec.Struct):
    """Whom a repository belongs to."""

    id: int | None = None


class Repository(msgspec.Struct):
    """Where something happened. `pushed_at` is in seconds in a push, and RFC 3339 elsewhere."""

    id: int
    full_name: str
    owner: Owner | None = None
    pushed_at: int | str | None = None


class Installation(msgspec.Struct):
    """The installation of the App that a delivery is for."""

    id: int


class Commit(msgspec.Struct):
    """A commit of a push. A list is None where the payload leaves it out."""

    id: str
    added: list[str] | None = None
    modified: list[str] | None = None
    removed: list[str] | None = None


class Push(msgspec.Struct):
    """The payload of `push`. GitHub names at most 2,048 commits, each with at most 3,000 files."""

    ref: str
    before: str
    after: str
    repository: Repository
    created: bool
    deleted: bool
    forced: bool
    base_ref: str | None = None
    commits: list[Commit] | None = None
    sender: Account | None = None
    installation: Installation | None = None


class Digested(msgspec.Struct):
    """Something with a digest and perhaps a name: a manifest or a tag."""

    digest: str | None = None
    name: str | None = None


class Container(msgspec.Struct):
    """What is particular about a version of a container package."""

    tag: Digested | None = None
    manifest: Digested | None = None


class Version(msgspec.Struct):
    """The version of a container package that was published: its `version` is the digest of the manifest."""

    version: str | None = None
    package_url: str | None = None
    created_at: str | None = None
    container_metadata: Container | None = None


class Registry(msgspec.Struct):
    """Which of GitHub's registries."""

    type: str | None = None


class Package(msgspec.Struct):
    """A package. The version's shape depends on the kind of package: it is read when the kind is known."""

    name: str
    owner: Account
    package_type: str | None = None
    registry: Registry | None = None
    updated_at: str | None = None
    package_version: msgspec.Raw = msgspec.Raw(b"{}")

    @property
    def kind(self) -> str:
        """What kind of package, in lower case: the registry says `container` where `package_type` is of old."""
        registry = (self.registry.type if self.registry else None) or ""
        return "container" if registry.lower() == "container" else (self.package_type or "unknown").lower()


class PackageAction(msgspec.Struct):
    """The payload of `package`."""

    action: str
    package: Package
    repository: Repository | None = None
    sender: Account | None = None
    installation: Installation | None = None


class RegistryPackageAction(msgspec.Struct):
    """The payload of `registry_package`: the same under another name."""

    action: str
    registry_package: Package
    repository: Repository | None = None
    sender: Account | None = None
    installation: Installation | None = None


class Ping(msgspec.Struct):
    """The payload of `ping`: a webhook was made, or somebody asks whether it works."""

    zen: str
    hook_id: int


def decoded(body: bytes | bytearray | msgspec.Raw, payload: type[_Payload], event: str) -> _Payload:
    """Return a body as the payload of an event. Raises Problem (400), naming the field and never what is in it."""
    try:
        return msgspec.json.decode(body, type=payload)
    except msgspec.ValidationError as error:
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            f"the body is not a {event} as GitHub documents it: {error}; X-GitHub-Event must say what the body is",
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Problem(HTTPStatus.BAD_REQUEST, "the body is not JSON in UTF-8") from None
    except RecursionError:
        raise Problem(HTTPStatus.BAD_REQUEST, "the body is nested deeper than any delivery of GitHub") from None
