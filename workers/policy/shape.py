"""Makes a policy of what a file holds, and names each field, type and value that the API does not know."""

import difflib
import re
import typing
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from workers.policy import findings
from workers.policy.findings import Finding, field_of
from workers.policy.model import (
    AdmissionRule,
    EnforcementMode,
    EvaluationMode,
    GlobalMode,
    Path,
    Policy,
    WhitelistPattern,
)
from workers.policy.reading import Node

_VALUES = {
    "evaluationMode": typing.get_args(EvaluationMode),
    "enforcementMode": typing.get_args(EnforcementMode),
    "globalPolicyEvaluationMode": typing.get_args(GlobalMode),
}
_KINDS = {
    "string_type": "a text",
    "tuple_type": "a list (lines that begin with `- `)",
    "dict_type": "a mapping (indented lines `key: value`)",
    "model_type": "a mapping (indented lines `field: value`)",
    "model_attributes_type": "a mapping (indented lines `field: value`)",
}
_ELSEWHERE = {
    "apiVersion": "this is a Kubernetes resource; give the mapping below its `spec` alone",
    "kind": "this is a Kubernetes resource; give the mapping below its `spec` alone",
    "gkePolicy": "this is a platform policy of continuous validation, which is another resource",
    "cloudRunPolicy": "this is a platform policy, which is another resource",
    "bindings": "this is an IAM policy, which says who may do what, not which image may run",
}
_TIME = re.compile(
    r"(?P<seconds>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]{1,9})?(?P<offset>Z|[+-][0-9]{2}:[0-9]{2})"
)
_ROUNDS = 20
"""Each round names and takes out what is wrong; taking out can only uncover a little more."""


def shaped(root: Node) -> tuple[Policy, list[Finding]]:
    """Return the policy that the readable part is, and what had to be left out. The tree loses what is left out."""
    found = [_twice(path, line) for path, line in root.repeated()] + _wrong_time(root)
    if not root.value:
        empty = "the policy is empty: it has no default rule, so Binary Authorization refuses it"
        return Policy(), [
            findings.refused(
                "empty-policy", (), empty, "begin with what `gcloud container binauthz policy export` writes"
            )
        ]
    for _ in range(_ROUNDS):
        try:
            return Policy.model_validate(root.plain, by_alias=True, by_name=False), found
        except ValidationError as problem:
            errors = problem.errors(include_url=False)
        wrong = [_finding(root, error) for error in errors]
        found += [one for one in wrong if one.path not in {known.path for known in found}]
        for one in sorted(wrong, key=lambda one: [str(part).zfill(6) for part in one.path], reverse=True):
            root.remove(one.path)
    raise AssertionError("a policy of which nothing wrong is left is a policy")


def _twice(path: Path, line: int) -> Finding:
    return Finding(
        "field-twice",
        "error",
        path,
        f"{field_of(path)} is written twice, and only the last one counts, silently",
        "keep one of the two",
        line=line,
    )


def _wrong_time(root: Node) -> list[Finding]:
    """Look at the one time of a policy, and take it out if it is none; another type than text is found as that."""
    node = root.child("updateTime")
    if node is None or not isinstance(node.value, str) or _is_time(node.value):
        return []
    path: Path = ("updateTime",)
    root.remove(path)
    sentence = f"{node.value!r} is no time, so Binary Authorization refuses the policy"
    found = findings.refused("wrong-time", path, sentence, "remove the line; the time is set by Binary Authorization")
    return [replace(found, line=node.line)]


def _is_time(text: str) -> bool:
    """Whether it is a time as JSON of protocol buffers has it: RFC 3339, with its offset, at most nanoseconds."""
    found = _TIME.fullmatch(text)
    try:
        return found is not None and datetime.fromisoformat(f"{found['seconds']}{found['offset']}").year > 0
    except ValueError:
        return False


def _finding(root: Node, error: Any) -> Finding:
    path = tuple(error["loc"])
    name = str(path[-1])
    # A finding is taken out afterwards, so its line is looked up now.
    line = root.line_of(path)
    if error["type"] == "extra_forbidden":
        sentence, fix = _unknown_field(path)
        found = findings.refused("unknown-field", path, sentence, fix)
    elif error["type"] in {"literal_error", "enum"} and name in _VALUES:
        sentence, fix = _unknown_value(path, error["input"])
        found = findings.refused("unknown-value", path, sentence, fix)
    else:
        wanted = _KINDS.get(error["type"], "something else")
        is_missing = error["input"] is None
        held = "empty" if is_missing else f"{_kind(error['input'])}"
        found = findings.refused(
            "wrong-type",
            path,
            f"{field_of(path)} is {held}, where {wanted} belongs",
            "remove the line, or fill it" if is_missing else f"write {wanted}",
        )
    return Finding(found.code, found.severity, path, found.sentence, found.fix, found.is_refused, line)


def _unknown_field(path: Path) -> tuple[str, str]:
    name = str(path[-1])
    if name in _ELSEWHERE and len(path) == 1:
        return f"{name!r} is no field of a policy: {_ELSEWHERE[name]}", "give the policy that `gcloud` exports"
    model, known = _known_fields(path)
    what = {Policy: "a policy", WhitelistPattern: "a pattern of exempt images", AdmissionRule: "an admission rule"}[
        model
    ]
    nearest = nearest_name(name, known)
    fix = f"write {nearest}" if nearest else f"remove it; there are {', '.join(known)}"
    return f"{name!r} is no field of {what}, so Binary Authorization refuses the policy", fix


def meant(path: Path) -> Path:
    """Return the place of the field that a mistyped one probably means; its own place if none is like it."""
    nearest = nearest_name(str(path[-1]), _known_fields(path)[1]) if path else None
    return (*path[:-1], nearest) if nearest else path


def _known_fields(path: Path) -> tuple[type[Policy | WhitelistPattern | AdmissionRule], list[str]]:
    model = Policy if len(path) == 1 else WhitelistPattern if isinstance(path[-2], int) else AdmissionRule
    return model, [field.alias or "" for field in model.model_fields.values()]


def _unknown_value(path: Path, value: Any) -> tuple[str, str]:
    name = str(path[-1])
    known = _VALUES[name]
    nearest = nearest_name(str(value), known)
    fix = f"write {nearest}" if nearest else f"write one of {', '.join(known)}"
    return f"{value!r} is no value of {name}", fix


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like this one, whatever its case and separators; None if none is like it."""
    plain = {_bare(one): one for one in known}
    close = difflib.get_close_matches(_bare(name), plain, n=1, cutoff=0.6)
    return plain[close[0]] if close else None


def _bare(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return f"{value!r}" if isinstance(value, str) else f"the {type(value).__name__} {value!r}"
