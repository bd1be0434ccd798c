"""What is wrong with a policy, in words: the place, what is expected there, and never what stands there."""

from collections.abc import Mapping, Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

_FORMS = {
    "api_keys": "is no hash of an API key: `sealane principals key` makes a key, and the hash to be written here",
    "issuer": "is no URL with https (or the http of this machine)",
    "keys": "is no URL with https (or the http of this machine)",
    "name": "is no name: letters, digits and . _ / @ : - are, 128 at most, the first of them a letter or digit",
}
"""Field → what to say when it does not have the right form."""
_SHAPES = {"model_type": "a JSON object", "dict_type": "a JSON object", "tuple_type": "a JSON list"}


def wrong(error: ValidationError, known: Mapping[str, Sequence[str]]) -> str:
    """Return one sentence for the first thing that is wrong. `known`: the fields of the policy and of its lists."""
    first = error.errors(include_url=False, include_input=False)[0]
    # Where a value may be of several types pydantic names the type as well, which is nothing that somebody wrote.
    parts = [part for part in first["loc"] if not str(part).startswith(("constrained", "tuple["))]
    place = ".".join(map(str, parts))
    return f"{place}: {_sentence(first, parts, known)}" if place else _sentence(first, parts, known)


def _sentence(first: ErrorDetails, parts: Sequence[int | str], known: Mapping[str, Sequence[str]]) -> str:
    kind, names = first["type"], [part for part in parts if isinstance(part, str)]
    if kind == "extra_forbidden":
        fields = known.get(names[-2] if len(names) > 1 else "", ())
        return f"there is no such field, the fields are {', '.join(fields)}" if fields else "there is no such field"
    if kind == "missing":
        return "this field is missing"
    if kind == "string_pattern_mismatch" and names:
        # What a principal calls an issuer is a name; what an issuer calls itself is a URL.
        field = "name" if names[0] == "principals" and names[-1] == "issuer" else names[-1]
        return _FORMS.get(field, "does not have the right form")
    if kind == "string_type" and "claims" in names:
        return "is no text: write it in quotes"
    if kind in _SHAPES:
        whole = "" if parts else "the policy, with `issuers` and `principals`, "
        return f"{whole}is {_SHAPES[kind]}, and this is none"
    return str(first["msg"]).removeprefix("Value error, ")
