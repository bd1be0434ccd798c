"""Patterns of exempt images: what they match, and which match more or less than is meant.

A pattern is compared with the whole reference of an image as it is deployed, its tag or digest included. `*` at the end
is anything but `/`, `**` at the end anything at all; nowhere else does a star mean anything
(https://cloud.google.com/binary-authorization/docs/reference/rest/v1beta1/Policy#AdmissionWhitelistPattern).
"""

import re
from collections.abc import Iterator

from workers.policy import findings
from workers.policy.findings import Finding
from workers.policy.model import Path, Policy

_SHARED = re.compile(
    r"(?:(?:us|eu|asia)\.)?gcr\.io|[a-z0-9-]+-docker\.pkg\.dev|(?:index\.|registry-1\.)?docker\.io|quay\.io|ghcr\.io"
    r"|public\.ecr\.aws|registry\.gitlab\.com"
)
"""Registries where strangers have repositories beside ours."""
_OWNERS = re.compile(
    r"[a-z0-9-]+-docker\.pkg\.dev|(?:(?:us|eu|asia)\.)?gcr\.io|(?:index\.)?docker\.io|quay\.io|ghcr\.io"
)
"""Registries where the path begins with an owner, so that no image is directly below the host."""
_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
_VERSION = re.compile(r"(?::[A-Za-z0-9_][A-Za-z0-9._-]*|@sha256:[0-9a-f]+)$")


def matches(pattern: str, image: str) -> bool:
    """Whether a pattern exempts an image, given as it is deployed: HOST/PATH[:TAG][@DIGEST]."""
    if pattern.endswith("**"):
        return image.startswith(pattern[:-2])
    if pattern.endswith("*"):
        return image.startswith(pattern[:-1]) and "/" not in image[len(pattern) - 1 :]
    return image == pattern


def covers(wide: str, narrow: str) -> bool:
    """Whether all that one pattern matches is matched by another."""
    if narrow.endswith("*"):
        stem = narrow.rstrip("*")
        if wide.endswith("**"):
            return stem.startswith(wide[:-2])
        return not narrow.endswith("**") and wide.endswith("*") and matches(wide, stem)
    return matches(wide, narrow)


def lint_patterns(policy: Policy, system: Policy | None = None) -> Iterator[Finding]:
    """Yield what is wrong with the patterns, each by itself, then together, then beside Google's own list."""
    usable: list[tuple[Path, str]] = []
    for path, pattern in policy.patterns:
        illegal = _illegal(path, pattern)
        if illegal is None:
            usable.append((path, pattern))
            yield from _too_wide(path, pattern)
            yield from _version(path, pattern)
        else:
            yield illegal
    yield from _covered(usable)
    if system is not None and policy.applies_global:
        yield from _of_the_system(usable, [pattern for _, pattern in system.patterns])


def _illegal(path: Path, pattern: str) -> Finding | None:
    """Return why a pattern is none, whatever it is meant to match."""
    code = "pattern-form"
    if not pattern:
        return findings.refused(
            code, path[:-1], "this pattern is empty", "write `namePattern: HOST/PATH`, or remove it"
        )
    if "://" in pattern:
        bare = pattern.partition("://")[2]
        return findings.error(code, path, f"{pattern!r} begins with a scheme, which no image does", f"write {bare}")
    if set(pattern) <= {"*", "/"}:
        return findings.refused(
            "exempts-everything",
            path,
            f"{pattern!r} would exempt every image from every rule; a star may only stand after the registry's host",
            "name the registry and the repository, e.g. europe-docker.pkg.dev/PROJECT/REPOSITORY/**",
        )
    if re.search(r"\s", pattern):
        return findings.refused(code, path, f"{pattern!r} holds a blank, which no image does", "remove the blank")
    return _misplaced_star(path, pattern)


def _misplaced_star(path: Path, pattern: str) -> Finding | None:
    if "*" in pattern.partition("/")[0]:
        return findings.refused(
            "pattern-form",
            path,
            f"{pattern!r} has a star in the registry's host, where it means nothing",
            "write one pattern for each host",
        )
    if "*" in pattern.rstrip("*") or len(pattern) - len(pattern.rstrip("*")) > len("**"):
        return findings.refused(
            "pattern-form",
            path,
            f"{pattern!r} has a star before its end, where it means nothing",
            "keep one `*` or `**`, at the end",
        )
    return None


def _too_wide(path: Path, pattern: str) -> Iterator[Finding]:
    host, _, rest = pattern.partition("/")
    is_shared = _SHARED.fullmatch(host) is not None
    if rest == "**":
        said = (
            f"{pattern!r} exempts all of {host}, where anybody may keep images: every rule can be walked around"
            if is_shared
            else f"{pattern!r} exempts everything in the registry {host}"
        )
        kind = findings.error if is_shared else findings.warning
        yield kind("exempts-registry", path, said, f"name what is yours: {host}/PROJECT/…/**")
    elif rest.endswith("**") and "/" not in rest and is_shared:
        yield findings.error(
            "exempts-neighbours",
            path,
            f"{pattern!r} also exempts whoever has a name that begins with {rest.rstrip('*')!r}",
            f"end the name with a slash: {host}/{rest.rstrip('*')}/**",
        )
    elif rest.endswith("*") and "/" not in rest and _OWNERS.fullmatch(host):
        yield findings.warning(
            "pattern-matches-nothing",
            path,
            f"{pattern!r} exempts nothing: `*` does not go past a slash, and no image is directly below {host}",
            f"write {host}/PROJECT/…/* for one folder, or {host}/PROJECT/** for all below it",
        )


def _version(path: Path, pattern: str) -> Iterator[Finding]:
    host, slash, rest = pattern.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        yield findings.warning(
            "pattern-without-registry",
            path,
            f"{pattern!r} names no registry, so it only matches an image that is deployed in exactly that short form",
            f"write the registry as well, e.g. docker.io/{pattern if slash else f'library/{pattern}'}",
        )
    elif rest.lower() != rest and not _VERSION.search(rest.rstrip("*")):
        yield findings.warning(
            "pattern-matches-nothing",
            path,
            f"{pattern!r} has capital letters, which no repository has",
            "use small ones",
        )
    elif "*" not in pattern and not _VERSION.search(rest):
        yield findings.warning(
            "pattern-without-version",
            path,
            f"{pattern!r} has neither tag nor digest, so it does not match {pattern}:1.0 or {pattern}@sha256:…",
            f"write {pattern}@sha256:… for one image, {pattern}:* for all tags or {pattern}@* for all digests",
        )
    elif "*" not in pattern and not _DIGEST.search(rest):
        yield findings.note(
            "pattern-by-tag",
            path,
            f"{pattern!r} exempts whatever the tag points to: who may push can exempt anything",
            "name the digest instead of the tag",
        )


def _covered(usable: list[tuple[Path, str]]) -> Iterator[Finding]:
    places: dict[str, int] = {}
    for place, (_, pattern) in enumerate(usable):
        places.setdefault(pattern, place)
    # Only what the pattern itself begins with can cover it: comparing each with each takes minutes for thousands.
    lengths = sorted({len(pattern.rstrip("*")) for pattern in places if pattern.endswith("*")})
    for place, (path, pattern) in enumerate(usable):
        if places[pattern] != place:
            yield findings.warning("pattern-twice", path, f"{pattern!r} is there already", "remove it")
            continue
        stems = (pattern[:length] for length in lengths if length <= len(pattern.rstrip("*")))
        possible = (f"{stem}{star}" for stem in stems for star in ("*", "**"))
        wider = [other for other in possible if other in places and other != pattern and covers(other, pattern)]
        if wider:
            yield findings.warning(
                "pattern-never-reached",
                path,
                f"{pattern!r} changes nothing: {min(wider, key=places.__getitem__)!r} exempts all of that already",
                "remove it, or the wider one",
            )


def _of_the_system(usable: list[tuple[Path, str]], system: list[str]) -> Iterator[Finding]:
    for path, pattern in usable:
        wider = next((other for other in system if covers(other, pattern)), None)
        if wider is not None:
            yield findings.note(
                "pattern-of-the-system",
                path,
                f"{pattern!r} changes nothing: globalPolicyEvaluationMode exempts {wider} already",
                "remove it: Google keeps its own list up to date",
            )
