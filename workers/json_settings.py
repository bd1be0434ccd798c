"""Settings that are JSON: written into the variable itself, or into a file that it names."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def json_setting(text: str, what: str) -> Any:
    """Return what a JSON text says, or the file whose path it is; None when it is empty. `what`: a plural, for people.

    Raises ValueError with one sentence when there is no such file, or no JSON in it.
    """
    if not text.strip():
        return None
    if text.lstrip()[0] not in "[{":
        what = f"{what} in {text}"
        try:
            text = Path(text.removeprefix("file://")).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ValueError(f"{what} cannot be read: {error}") from None
    try:
        return json.loads(text, object_pairs_hook=_named_once)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} are not JSON: {error}") from None


def _named_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object. Of a name that is there twice, the first value would be lost in silence."""
    counted = Counter(name for name, _ in pairs)
    if len(counted) < len(pairs):
        raise ValueError(f"{counted.most_common(1)[0][0]!r} is there twice in one object")
    return dict(pairs)
