"""Says what Binary Authorization would say of an image, attestor by attestor, attestation by attestation.

Nothing is stored, nothing is believed: the attestations are listed, and each is validated anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from workers.attest.targets import signed_parts
from workers.failures import Invalid, SealaneError
from workers.ports import Attestation, Attestations, Attestors, Images, ResolvedImage
from workers.signing import SigningRule

CALL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What one attestor would say of one attestation, or why there is nothing to say."""

    image: str
    attestor: str
    verdict: str
    """VERIFIED, ATTESTATION_NOT_VERIFIABLE, NOT_ATTESTED (there is none), or UNKNOWN (it could not be asked)."""
    reason: str = ""
    note: str | None = None
    key_id: str | None = None
    occurrence: str | None = None
    platform: str | None = None
    """Of an image that an index names."""

    @property
    def is_verified(self) -> bool:
        """Whether this attestation satisfies the attestor."""
        return self.verdict == "VERIFIED"


async def rule_findings(
    image: ResolvedImage,
    rules: Sequence[SigningRule],
    images: Images,
    attestors: Attestors,
    attestations: Attestations,
) -> tuple[Finding, ...]:
    """Return the findings on each part of an image that the rules sign, of each of their attestors."""
    found: list[Finding] = []
    for target in signed_parts(image, rules):
        names = dict.fromkeys(rule.attestor for rule in target.rules)
        if target.child is None:
            found += [one for name in names for one in await findings(image, name, attestors, attestations)]
            continue
        uri, platform = f"{image.repository}@{target.child.digest}", target.child.platform
        try:
            part = await images.resolve(uri)
        except SealaneError as problem:
            found += [Finding(uri, name, "UNKNOWN", str(problem), platform=platform) for name in names]
            continue
        if part.manifest.artifact is None:
            asked = [one for name in names for one in await findings(part, name, attestors, attestations)]
            found += [replace(one, platform=platform) for one in asked]
    return tuple(found)


async def findings(
    image: ResolvedImage, attestor: str, attestors: Attestors, attestations: Attestations
) -> tuple[Finding, ...]:
    """Return one finding per attestation of the image, at least one. What cannot be asked is UNKNOWN, never fine."""
    try:
        known = await attestors.get(attestor)
        found = await attestations.find(known.note, image.digest)
        if not found:
            reason = f"{known.note} holds no attestation of {image.digest}"
            if not known.keys:
                reason += ", and the attestor has no public keys, so it would accept none"
            return (Finding(image.uri, attestor, "NOT_ATTESTED", reason, note=known.note),)
        return tuple([await _finding(image, attestor, attestors, attestation) for attestation in found])
    except SealaneError as problem:
        return (Finding(image.uri, attestor, "UNKNOWN", str(problem)),)


async def _finding(image: ResolvedImage, attestor: str, attestors: Attestors, attestation: Attestation) -> Finding:
    try:
        verdict = await attestors.validate(attestor, attestation, timeout=CALL_SECONDS)
        result, reason = str(verdict.result), verdict.reason
    except Invalid as problem:
        # One that is refused as such must not hide the good one beside it.
        result, reason = "ATTESTATION_NOT_VERIFIABLE", str(problem)
    return Finding(image.uri, attestor, result, reason, attestation.note, attestation.key_id, attestation.name)


def is_admitted(found: tuple[Finding, ...]) -> bool:
    """Whether every attestor has at least one verified attestation of each image; false for no attestor at all."""
    asked = {(finding.image, finding.attestor) for finding in found}
    return bool(asked) and asked == {(finding.image, finding.attestor) for finding in found if finding.is_verified}
