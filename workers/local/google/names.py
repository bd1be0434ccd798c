"""Resource names: what each kind looks like, checked before anything is looked up.

The forms are those of the API references; the alphabets of note, occurrence and attestor ids are not documented, so
the ones accepted here (letters, digits, `-`, `_`, `.`) are the safe ground that all of Google's examples stay on.
"""

from __future__ import annotations

import re

from workers.local.google.status import invalid_argument

_PROJECT = r"projects/(?:[a-z0-9][a-z0-9-]{0,62}(?:\.[a-z0-9-]+)*:)?[a-z0-9][a-z0-9-]{0,62}"
_LOCATION = r"locations/[a-z][a-z0-9-]{0,62}"
_KMS_ID = r"[a-zA-Z0-9_-]{1,63}"
_ID = r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}"
_DIGEST = r"sha256:[0-9a-f]{64}"
_PATH = r"[a-z0-9](?:[a-z0-9._/-]|%2[Ff]){0,255}"
_SCOPE = rf"{_PROJECT}(?:/{_LOCATION})?"
_SERVICE = rf"{_PROJECT}/{_LOCATION}/services/"
_SERVICE_ID = r"[a-z](?:[a-z0-9-]{0,47}[a-z0-9])?"
_REVISION_ID = r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
_REPOSITORY = rf"{_PROJECT}/{_LOCATION}/repositories/[a-z0-9][a-z0-9._-]{{0,127}}"
_PACKAGE = rf"{_REPOSITORY}/packages/{_PATH}"
_KEY_RING = rf"{_PROJECT}/{_LOCATION}/keyRings/{_KMS_ID}"

# kind -> (pattern, how it is written for people)
_FORMS = {
    "project": (_PROJECT, "projects/*"),
    "scope": (_SCOPE, "projects/* or projects/*/locations/*"),
    "location": (rf"{_PROJECT}/{_LOCATION}", "projects/*/locations/*"),
    "key ring": (_KEY_RING, "projects/*/locations/*/keyRings/*"),
    "key": (rf"{_KEY_RING}/cryptoKeys/{_KMS_ID}", "projects/*/locations/*/keyRings/*/cryptoKeys/*"),
    "key version": (
        rf"{_KEY_RING}/cryptoKeys/{_KMS_ID}/cryptoKeyVersions/[1-9][0-9]*",
        "projects/*/locations/*/keyRings/*/cryptoKeys/*/cryptoKeyVersions/*",
    ),
    "note": (rf"{_SCOPE}/notes/{_ID}", "projects/*/notes/*"),
    "occurrence": (rf"{_SCOPE}/occurrences/{_ID}", "projects/*/occurrences/*"),
    "attestor": (rf"{_PROJECT}/attestors/{_ID}", "projects/*/attestors/*"),
    "policy": (rf"{_PROJECT}/policy", "projects/*/policy"),
    "system policy": (r"locations/[a-z][a-z0-9-]{0,62}/policy", "locations/*/policy"),
    "operation": (rf"{_PROJECT}/{_LOCATION}/operations/{_ID}", "projects/*/locations/*/operations/*"),
    "run service": (_SERVICE + _SERVICE_ID, "projects/*/locations/*/services/*"),
    "run service id": (_SERVICE_ID, "1 to 49 lower-case letters, digits and -, from a letter to no -"),
    "revision": (rf"{_SERVICE}{_SERVICE_ID}/revisions/{_REVISION_ID}", "projects/*/locations/*/services/*/revisions/*"),
    "revision id": (_REVISION_ID, "1 to 63 lower-case letters, digits and -, from a letter to no -"),
    "repository": (_REPOSITORY, "projects/*/locations/*/repositories/*"),
    "repository id": (_REVISION_ID, "1 to 63 lower-case letters, digits and -, from a letter to no -"),
    "docker image": (
        rf"{_REPOSITORY}/dockerImages/{_PATH}@{_DIGEST}",
        "projects/*/locations/*/repositories/*/dockerImages/*@sha256:*",
    ),
    "package": (_PACKAGE, "projects/*/locations/*/repositories/*/packages/*"),
    "version": (rf"{_PACKAGE}/versions/{_DIGEST}", "projects/*/locations/*/repositories/*/packages/*/versions/*"),
    "tag": (rf"{_PACKAGE}/tags/[\w][\w.-]{{0,127}}", "projects/*/locations/*/repositories/*/packages/*/tags/*"),
    "key id": (_KMS_ID, "1 to 63 letters, digits, - and _"),
    "id": (_ID, "1 to 128 letters, digits, -, _ and ., beginning with a letter or a digit"),
}
_COMPILED = {kind: (re.compile(pattern), form) for kind, (pattern, form) in _FORMS.items()}


def check(kind: str, name: str, field: str = "name") -> str:
    """Return *name* if it is a well-formed name of *kind*; else raise INVALID_ARGUMENT naming *field*."""
    pattern, form = _COMPILED[kind]
    if pattern.fullmatch(name) is None:
        raise invalid_argument(f"{field} is {name!r}, which is no {kind} name; its form is {form}.", field)
    return name


def well_formed(kind: str, name: str) -> bool:
    """Whether *name* is a well-formed name of *kind*."""
    return _COMPILED[kind][0].fullmatch(name) is not None
