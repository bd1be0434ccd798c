"""A bad event is explained by field, expectation and example, without repeating what it held."""

import pytest
from pydantic import ValidationError

from schemas.explanations import explain
from schemas.images import ImagePushed

GOOD = "host/shop:1"


def sentence_for(body: str) -> str:
    """Return what is said about a body that is no `image.pushed`."""
    with pytest.raises(ValidationError) as caught:
        ImagePushed.model_validate_json(body)
    return explain(ImagePushed, caught.value)


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        ("{}", ["this is no image.pushed", "'image' is missing", "HOST/PATH", "For example 'europe-docker"]),
        ('{"image": "sesame"}', ["'image' does not have the right form, expected: where the image is"]),
        ('{"image": 7}', ["'image' is wrong: input should be a valid string"]),
        (f'{{"image": "{GOOD}", "imgae": 1}}', ["there is no field 'imgae', the fields are image, digest"]),
        (f'{{"image": "{GOOD}", "seen": [{{"where": "x"}}]}}', ["'seen.0.digest' is missing"]),
        (f'{{"image": "{GOOD}", "pushed_at": "2026-11-02T09:30:00"}}', ["'pushed_at' is wrong"]),
        ("nonsense", ["the body is not JSON"]),
        ("[]", ["the body: input should be an object"]),
    ],
)
def test_the_field_and_what_is_expected_are_named(body: str, parts: list[str]) -> None:
    """One sentence says where it is wrong and how it would be right."""
    said = sentence_for(body)

    assert [part for part in parts if part not in said] == [], said


def test_values_are_not_repeated() -> None:
    """What was sent might be a secret in the wrong field."""
    said = sentence_for('{"image": "hunter2", "digest": "hunter2", "labels": {"a": 2}}')

    assert "hunter2" not in said


def test_many_findings_stay_one_readable_sentence() -> None:
    """Beyond a handful, the rest is counted."""
    assert "(and 4 more)" in sentence_for('{"image": "host/a"' + "".join(f', "x{n}": 1' for n in range(9)) + "}")
