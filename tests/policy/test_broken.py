"""Policies that are wrong, each with the sentence for it."""

import re
from pathlib import Path

import pytest

from workers.failures import Invalid
from workers.policy.facts import Facts
from workers.policy.lint import PolicyFile

BROKEN = sorted((Path(__file__).parent / "broken").glob("*.yaml"))
_FINDS = re.compile(r"^# finds: (?P<code>[a-z-]+), line (?P<line>[0-9]+): (?P<sentence>.+)$", re.MULTILINE)


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_a_broken_policy_is_found_with_its_sentence(path: Path, facts: Facts) -> None:
    """Exactly what the head of the file names is found, at its line and in its words, each with a fix."""
    text = path.read_text(encoding="utf-8")
    expected = [(found["code"], int(found["line"]), found["sentence"]) for found in _FINDS.finditer(text)]
    found = PolicyFile(text, path.name).lint(facts)

    assert expected
    assert sorted((one.code, one.line, one.sentence) for one in found) == sorted(expected)
    assert all(one.fix for one in found)


def test_there_are_twenty_and_more() -> None:
    """Every kind of mistake has its file."""
    assert len(BROKEN) >= 20


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name: [projects/acme/policy\n", "p.yaml, line 2, column 1: this is not YAML: expected ',' or ']'"),
        ("a: 1\n\tb: 2\n", "p.yaml, line 2, column 1: there is a tab where YAML wants spaces"),
        ("name: a\n---\nname: b\n", "p.yaml, line 2, column 1: there is a second document"),
        ("- name: a\n", "p.yaml holds a list; a policy is a mapping"),
        ("just words\n", "p.yaml holds a bare value; a policy is a mapping"),
        (b"name: \xff\xfe\n", "p.yaml is not UTF-8 text (byte 6)"),
        ("name: !!python/object:os.system x\n", "p.yaml, line 1, column 7: this is not YAML"),
        ("name: &x {a: *x}\n", "p.yaml, line 1"),
        ("a: &a {<<: *a}\n", "p.yaml, line 1"),
        ("{" * 5000, "p.yaml"),
        ("[" * 5000, "p.yaml"),
        ("name: \x00\n", "p.yaml is not YAML"),
        ("? [a]\n: b\n", "p.yaml, line 1: a list or a mapping stands where a field's name belongs"),
        ("x: !!int y\n", "p.yaml is not YAML"),
        ("#" * (1 << 21), "p.yaml is larger than 1 MiB"),
    ],
)
def test_what_cannot_be_read_is_one_sentence_with_its_line(text: str | bytes, sentence: str) -> None:
    """Neither a bad text nor a hostile one ends in anything else."""
    with pytest.raises(Invalid) as caught:
        PolicyFile(text, "p.yaml")

    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


def test_a_bomb_of_aliases_is_refused() -> None:
    """A few lines that stand for billions of values cost no memory."""
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    merged = ["a0: &a0 {x: 1}"]
    merged += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 12)]

    for bomb in (lines, merged):
        with pytest.raises(Invalid, match="refers to itself"):
            PolicyFile("\n".join(bomb), "p.yaml")
