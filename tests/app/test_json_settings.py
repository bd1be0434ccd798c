"""Settings that are JSON, or name a file with it: each mistake is one sentence."""

from pathlib import Path

import pytest

from workers.json_settings import json_setting


def test_a_setting_is_json_or_names_a_file(tmp_path: Path) -> None:
    """By its path, or by a URL of it; an empty one is none."""
    file = tmp_path / "rules.json"
    file.write_text('[{"a": 1}]')

    assert json_setting(' [{"a": 1}]', "the rules") == [{"a": 1}]
    assert json_setting(str(file), "the rules") == json_setting(f"file://{file}", "the rules") == [{"a": 1}]
    assert json_setting(" ", "the rules") is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("/nowhere/rules.json", "the rules in /nowhere/rules.json cannot be read"),
        ("a\0b", "cannot be read"),
        ("[", "the rules are not JSON"),
        ("[" * 100_000, "the rules are not JSON"),
        ('{"a": 1, "b": 2, "b": 3}', "the rules are not JSON: 'b' is there twice in one object"),
    ],
)
def test_what_is_no_json_is_said_with_its_place(text: str, sentence: str) -> None:
    """Nothing of a file that is JSON in part is taken."""
    with pytest.raises(ValueError, match=sentence):
        json_setting(text, "the rules")
