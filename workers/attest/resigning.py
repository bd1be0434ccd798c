"""Signs again, with an attestor's next key, what the attestor admits already.

The request grants nothing: an attestation of the same digest must be accepted by the same attestor now, the image is
named as that attestation names it, and the key is the one that the signing rules put in the place of its key. So the
registry need not be asked: what is gone from there may run on, and stays as admitted as it was.
"""

from collections.abc import Sequence
from datetime import timedelta

from schemas.attestors import AttestationRequested
from schemas.images import split_reference
from workers.attest.keys import is_listed
from workers.attest.signer import Outcome, Signer
from workers.attest.targets import Target
from workers.attestors.listing import entries_of, natural_id
from workers.failures import Invalid, NotYet, PermanentError
from workers.manifests import OCI_MANIFEST, Manifest
from workers.ports import Attestation, Attestor, ResolvedImage
from workers.signing import SigningRule, SigningRules

CALL_SECONDS = 10.0
_SCHEME = "https://"
_LISTING = timedelta(seconds=15)
_LISTED_BY = timedelta(minutes=15)


async def sign_again(event: AttestationRequested, signer: Signer, rules: SigningRules) -> Outcome:
    """Attest the digest with the next key; what the attestor does not admit is left alone, visibly.

    Raises Invalid when no rule names a next key, NotYet while the attestor does not list it.
    """
    candidates = [rule for rule in rules.rules if rule.attestor == event.attestor and rule.next_key]
    if not candidates:
        raise Invalid(
            f"no signing rule here names a next_key for {event.attestor}: give all workers the same signing rules"
        )
    attestor = await signer.attestors.get(event.attestor)
    admitted = await _admitted(event, attestor, signer)
    if admitted is None:
        signer.progress.log(f"not signed: {event.attestor} accepts no attestation of {event.image}, so none is renewed")
        return Outcome()
    image = _named_by(admitted)
    rule = await _successor(candidates, attestor, admitted, image, signer)
    return await signer.sign(image, [Target(rules=(rule,))])


async def _admitted(event: AttestationRequested, attestor: Attestor, signer: Signer) -> Attestation | None:
    """Return the newest attestation of the digest that the attestor accepts."""
    async with signer.progress.step("look for what is admitted"):
        found = await signer.attestations.find(attestor.note, event.image.rpartition("@")[2])
        listed = {key.id for key in attestor.keys}
        for attestation in reversed([one for one in found if one.key_id in listed]):
            try:
                verdict = await signer.attestors.validate(attestor.name, attestation, timeout=CALL_SECONDS)
            except Invalid as problem:
                signer.progress.log(f"{attestation.name} does not count: {problem}")
                continue
            if verdict.result == "VERIFIED":
                return attestation
        return None


def _named_by(attestation: Attestation) -> ResolvedImage:
    """Return the image under the name that was admitted. Raises Invalid when that is no reference."""
    try:
        host, path, _, digest = split_reference(attestation.resource_uri.removeprefix(_SCHEME))
    except ValueError as error:
        raise Invalid(f"{attestation.name} cannot be renewed: {error}") from None
    return ResolvedImage(host, path, None, Manifest(str(digest), OCI_MANIFEST))


async def _successor(
    candidates: Sequence[SigningRule], attestor: Attestor, admitted: Attestation, image: ResolvedImage, signer: Signer
) -> SigningRule:
    """Return the rule whose key made the attestation, or whose next key did; of several the one for the repository.

    Raises NotYet when the attestor does not list its next key yet.
    """
    made = [rule for rule in candidates if admitted.key_id in await _ids(rule, attestor, signer)]
    fitting = [rule for rule in made or candidates if rule.matches(image.host, image.path)]
    rule = next(iter(fitting or made), None)
    if rule is None or rule.next_key is None:
        raise Invalid(
            f"{image.uri} was attested by {admitted.key_id}, and no signing rule for {attestor.name} says which key"
            " replaces it: add one with that key, or one for the repository"
        )
    if not is_listed(attestor, await signer.keys.public_key(rule.next_key)):
        raise NotYet(
            f"attestor {attestor.name} does not list the next key yet: `sealane attestor rotate` adds it",
            after=_LISTING,
            deadline=_LISTED_BY,
        )
    return rule


async def _ids(rule: SigningRule, attestor: Attestor, signer: Signer) -> set[str]:
    """Return the ids under which the attestor lists the keys of a rule; one that is disabled goes by its name."""
    found: set[str] = set()
    for reference in (rule.key, rule.next_key):
        if reference is None:
            continue
        try:
            public = await signer.keys.public_key(reference)
        except PermanentError:
            found.add(natural_id(reference))
        else:
            found |= {key.id for key in entries_of(public, attestor.keys)}
    return found
