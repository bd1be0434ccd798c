"""What is wanted of attestors, as people write it: a file of several, or one on the command line.

attestors:
- name: built-by-ci                # or projects/P/attestors/A
note: built-by-ci                # or projects/P/notes/N; left out: the attestor's, else its name
hint: built by our CI            # what a new note says of itself
description: Whatever our CI built.
keys:
- gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/1
- key: ci.pub                    # a public key, PEM or OpenPGP, beside the file; or a local signing key
algorithm: RSA_PSS_4096_SHA512
comment: of the build machine
- pem: |
-----BEGIN PUBLIC KEY-----
…
"""

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from workers.attestors.names import attestor_name, note_name, project_of
from workers.failures import Invalid
from workers.key_references import PKIX_ALGORITHMS
from workers.policy.findings import field_of
from workers.policy.reading import Node, read

WHAT = "a list of attestors"


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


def _referring(value: Any) -> Any:
    return {"key": value} if isinstance(value, str) else value


def _known(value: Any) -> Any:
    if isinstance(value, str) and (word := value.upper().replace("-", "_")) in PKIX_ALGORITHMS:
        return word
    raise ValueError(f"{value!r} is no algorithm that an attestor knows: write one of {', '.join(PKIX_ALGORITHMS)}")


class WantedKey(_Strict):
    """One key, by reference or as it is."""

    key: str | None = None
    """Key reference as in a signing rule, or the path of a file with a public key."""
    pem: str | None = None
    """The public key itself: PEM, or armored OpenPGP."""
    algorithm: Annotated[str, BeforeValidator(_known)] | None = None
    """For a public key that fits several."""
    id: str | None = None
    """Under which it is listed, where that is not the usual id."""
    comment: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "WantedKey":
        if (self.key is None) == (self.pem is None):
            raise ValueError("a key is given by `key`, a reference or a path, or by `pem`, the public key itself")
        return self


class _Entry(_Strict):
    name: str
    note: str | None = None
    hint: str | None = None
    description: str | None = None
    keys: Annotated[tuple[Annotated[WantedKey, BeforeValidator(_referring)], ...], Field(strict=False)] = ()


class _File(_Strict):
    attestors: Annotated[tuple[_Entry, ...], Field(strict=False)]


@dataclass(frozen=True, slots=True)
class WantedAttestor:
    """One attestor as it shall be. What is None is left as it is."""

    name: str
    """projects/P/attestors/A"""
    note: str | None = None
    """projects/P/notes/N"""
    hint: str | None = None
    description: str | None = None
    keys: tuple[WantedKey, ...] = ()
    folder: Path = Path()
    """Where relative paths of keys begin."""
    where: str = ""
    """File and line, for sentences."""

    @property
    def usual_note(self) -> str:
        """The note of an attestor for which nobody named one."""
        return self.note or self.name.replace("/attestors/", "/notes/")


def wanted_attestor(name: str, project: str, *, note: str | None = None, **more: Any) -> WantedAttestor:
    """Return what was typed; names without slashes are in *project*. Raises Invalid."""
    full = attestor_name(name, project)
    return WantedAttestor(full, note_name(note, project_of(full)) if note else None, **more)


def read_attestors(text: str | bytes, where: str, project: str, folder: Path) -> tuple[WantedAttestor, ...]:
    """Return the attestors in a YAML or JSON text. Raises Invalid, naming the line."""
    root = read(text, where, WHAT, "attestors:")
    for path, line in root.repeated():
        raise Invalid(f"line {line} of {where}: {field_of(path)} is written twice: which of the two is meant?")
    try:
        entries = _File.model_validate(root.plain).attestors
    except ValidationError as problem:
        raise Invalid(_sentence(problem, root, where)) from None
    found: dict[str, WantedAttestor] = {}
    for number, entry in enumerate(entries):
        place = f"line {root.line_of(('attestors', number))} of {where}"
        more = entry.model_dump(include={"hint", "description"})
        try:
            one = wanted_attestor(
                entry.name, project, note=entry.note, **more, keys=entry.keys, folder=folder, where=place
            )
        except Invalid as problem:
            raise Invalid(f"{place}: {problem}") from None
        if one.name in found:
            raise Invalid(f"{place}: {one.name} is there twice: write all its keys in one place")
        found[one.name] = one
    if not found:
        raise Invalid(f"{where} holds no attestor: write at least one below `attestors:`")
    return tuple(found.values())


def _sentence(problem: ValidationError, root: Node, where: str) -> str:
    """Say what is wrong first, and on which line; values are not repeated, one might be a key."""
    finding = problem.errors(include_url=False)[0]
    path = tuple(finding["loc"])
    line = f"line {root.line_of(path)} of {where}"
    *parent, last = path or ("",)
    place = field_of(tuple(parent)) if parent else "the file"
    if finding["type"] == "extra_forbidden":
        known = _fields_of(tuple(parent))
        near = difflib.get_close_matches(str(last), known, n=1)
        meant = f"is {near[0]!r} meant?" if near else f"there are {', '.join(known)}"
        return f"{line}: {place} has no field {str(last)!r}: {meant}"
    if finding["type"] == "missing":
        return f"{line}: {place} lacks the field {str(last)!r}"
    return f"{line}: {field_of(path)}: {finding['msg'].removeprefix('Value error, ')}"


def _fields_of(parent: tuple[int | str, ...]) -> tuple[str, ...]:
    model = WantedKey if "keys" in parent else _Entry if parent else _File
    return tuple(model.model_fields)
