"""Names of attestors, notes and attestations, as people write them."""

import re

from workers.failures import Invalid
from workers.signing import ATTESTOR_PATTERN

_ID = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}"
_PROJECT = r"projects/[^/\s]+"
_NOTE = re.compile(rf"{_PROJECT}(?:/locations/[^/\s]+)?/notes/{_ID}")
_OCCURRENCE = re.compile(rf"{_PROJECT}(?:/locations/[^/\s]+)?/occurrences/{_ID}")


def attestor_name(text: str, project: str) -> str:
    """Return the full name of an attestor; one without slashes is in *project*, an id. Raises Invalid."""
    name = text if "/" in text else f"projects/{project}/attestors/{text}"
    if re.match(ATTESTOR_PATTERN, name) is None:
        raise Invalid(
            f"{text!r} is not an attestor: write projects/PROJECT/attestors/ATTESTOR, or its last part, of letters,"
            " digits, `-` and `_`"
        )
    return name


def note_name(text: str, project: str) -> str:
    """Return the full name of a note; one without slashes is in *project*, an id. Raises Invalid."""
    name = text if "/" in text else f"projects/{project}/notes/{text}"
    if _NOTE.fullmatch(name) is None:
        raise Invalid(f"{text!r} is not a note: write projects/PROJECT/notes/NOTE, or its last part")
    return name


def occurrence_name(text: str) -> str:
    """Return the name of an attestation. Raises Invalid."""
    if _OCCURRENCE.fullmatch(text) is None:
        raise Invalid(
            f"{text!r} is not an attestation: write projects/PROJECT/occurrences/ID, as `sealane attestation list` does"
        )
    return text


def project_of(name: str) -> str:
    """Return the id of the project that something is in."""
    return name.split("/")[1]
