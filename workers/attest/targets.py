"""Which digests of a pushed image are signed by which rules, and why the others are not. Pure decisions.

An index stands for one image on several platforms: it and the image of each platform are signed, each by itself, for
Binary Authorization compares digests, and a node may be asked to run either.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from workers.failures import Invalid
from workers.manifests import Child
from workers.ports import ResolvedImage
from workers.signing import Publication, SigningRule, SigningRules


@dataclass(frozen=True, slots=True)
class Target:
    """One digest that shall be signed: the image itself, or what its index names."""

    rules: tuple[SigningRule, ...]
    """Each attestor and key once."""
    child: Child | None = None

    @property
    def name(self) -> str:
        """What people call it beside its siblings."""
        return "index" if self.child is None else self.child.platform or self.child.digest


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of one pushed image."""

    targets: tuple[Target, ...]
    skipped: tuple[str, ...]
    """What is not signed and why, one sentence each."""
    failures: tuple[Invalid, ...] = ()
    """What should be signed and cannot be."""


def planned(image: ResolvedImage, rules: SigningRules, publication: Publication) -> Plan:
    """Decide what of an image is signed by whom."""
    matching = rules.matching(image.host, image.path)
    missed = [tuple(rule.misses(publication)) for rule in matching]
    skipped = list(dict.fromkeys(f"not signed: {miss}" for misses in missed for miss in misses))
    if not matching:
        skipped.append(f"not signed: no signing rule matches {image.repository}")
    wanted = [rule for rule, misses in zip(matching, missed, strict=True) if not misses]
    if not image.manifest.is_index:
        return Plan((Target(_each_signer_once(wanted)),) if wanted else (), tuple(skipped))
    targets, failures = [], []
    for target in _parts(image, wanted):
        kind = target.child.artifact if target.child else None
        if kind is not None:
            skipped.append(f"{target.name}: not signed: it is {kind}")
        elif not target.rules:
            skipped.append(f"{target.name}: not signed: `platforms` of the signing rules leaves it out")
        elif target.child is not None and target.child.is_index:
            failures.append(nested(image, target.child))
        else:
            targets.append(target)
    return Plan(tuple(targets), tuple(skipped), tuple(failures))


def signed_parts(image: ResolvedImage, rules: Sequence[SigningRule]) -> tuple[Target, ...]:
    """Return what some of the rules sign, whoever published the image: itself, or its index and platforms."""
    if not image.manifest.is_index:
        return (Target(_each_signer_once(rules)),) if rules else ()
    parts = [part for part in _parts(image, rules) if part.rules]
    return tuple(part for part in parts if part.child is None or not (part.child.artifact or part.child.is_index))


def nested(image: ResolvedImage, child: Child) -> Invalid:
    """Return the failure that an index within an index is."""
    return Invalid(
        f"the index {image.uri} names another index, {child.digest}, whose images are not signed: push one index over"
        f" all platforms, or announce {image.repository}@{child.digest} by itself"
    )


def _parts(image: ResolvedImage, rules: Sequence[SigningRule]) -> Iterator[Target]:
    if not rules:
        return
    yield Target(_each_signer_once([rule for rule in rules if rule.signs_index]))
    for child in image.manifest.children:
        yield Target(_each_signer_once([rule for rule in rules if rule.signs_child(child.platform)]), child)


def _each_signer_once(rules: Sequence[SigningRule]) -> tuple[SigningRule, ...]:
    found: dict[tuple[str, str], SigningRule] = {}
    for rule in rules:
        found.setdefault((rule.attestor, rule.key), rule)
    return tuple(found.values())
