"""Asks the outside what each attestor says of an image, for `sealane policy explain`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workers.failures import Denied, SealaneError

if TYPE_CHECKING:
    from workers.app.policies import PolicyPorts
    from workers.attest.verification import Finding
    from workers.policy.evaluation import Attested
    from workers.ports import ResolvedImage


async def attested_by(
    names: Sequence[str], image: str, ports: "PolicyPorts"
) -> "tuple[str | None, dict[str, Attested]]":
    """Return the digest of the image, and what each attestor says of it. What cannot be asked is None, never fine."""
    from workers.attest.verification import findings
    from workers.policy.evaluation import Attested

    if not names:
        return None, {}
    try:
        resolved = await _resolved(image, ports)
    except SealaneError as problem:
        unknown = Attested(None, f"the digest is not known: {problem}", _remedy(image, problem))
        return None, dict.fromkeys(names, unknown)
    found = {name: await findings(resolved, name, ports.attestors, ports.attestations) for name in names}
    return resolved.digest, {name: _attested(each) for name, each in found.items()}


def _remedy(reference: str, problem: SealaneError) -> str | None:
    """Return what helps where a registry is not to be asked: asking again does not."""
    from schemas.images import split_reference
    from workers.registries import SETTING

    if not isinstance(problem, Denied):
        return None
    host, path, _, _ = split_reference(reference)
    image = f"{host}/{path}@sha256:…"
    return f"List {host} in {SETTING}, with what it takes to pull, or explain {image}, which asks no registry."


async def _resolved(image: str, ports: "PolicyPorts") -> "ResolvedImage":
    """Return the image; one that names its digest need not be in any registry that we may ask."""
    from schemas.images import split_reference
    from workers.manifests import OCI_MANIFEST, Manifest
    from workers.ports import ResolvedImage

    host, path, tag, digest = split_reference(image)
    if digest is None:
        return await ports.images.resolve(image)
    return ResolvedImage(host, path, tag, Manifest(digest, OCI_MANIFEST))


def _attested(found: "Sequence[Finding]") -> "Attested":
    from workers.policy.evaluation import Attested

    good = next((finding for finding in found if finding.is_verified), None)
    if good is not None:
        return Attested(is_verified=True, reason=f"{good.occurrence} verifies with the key {good.key_id}")
    reasons = "; ".join(dict.fromkeys(finding.reason for finding in found))
    is_known = all(finding.verdict != "UNKNOWN" for finding in found)
    return Attested(False if is_known else None, reasons)
