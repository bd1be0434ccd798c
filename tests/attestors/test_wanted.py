"""What people write of attestors is understood, or refused with the line."""

from pathlib import Path

import pytest

from workers.attestors.names import note_name, occurrence_name
from workers.attestors.wanted import WantedAttestor, read_attestors, wanted_attestor
from workers.failures import Invalid

GOOD = """
attestors:
- name: built-by-ci
  description: Built by our CI.
  hint: our CI
  keys:
  - gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1
  - key: ci.pub
    algorithm: rsa-pss-4096-sha512
    comment: of the build machine
- name: projects/other/attestors/released
  note: released
"""


def read(text: str) -> tuple[WantedAttestor, ...]:
    """Read a file of that text."""
    return read_attestors(text, "attestors.yaml", "acme", Path("/etc"))


def test_a_file_says_all_of_several_attestors() -> None:
    """Names without slashes are in the project; a note's in that of its attestor; keys are references or more."""
    first, second = read(GOOD)

    assert (first.name, first.note, first.usual_note) == (
        "projects/acme/attestors/built-by-ci",
        None,
        "projects/acme/notes/built-by-ci",
    )
    assert (first.description, first.hint, first.folder) == ("Built by our CI.", "our CI", Path("/etc"))
    assert [(key.key, key.algorithm) for key in first.keys] == [
        ("gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1", None),
        ("ci.pub", "RSA_PSS_4096_SHA512"),
    ]
    assert (second.name, second.note) == ("projects/other/attestors/released", "projects/other/notes/released")
    assert second.where == "line 11 of attestors.yaml"


def test_json_is_understood_as_well() -> None:
    """It is YAML."""
    (only,) = read('{"attestors": [{"name": "ci", "keys": ["ci.pub"]}]}')
    assert [key.key for key in only.keys] == ["ci.pub"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("attestors:\n- name: ci\n  keyz: []\n", "line 3 of attestors.yaml: attestors[0] has no field 'keyz'"),
        ("attestors:\n- name: ci\n  keyz: []\n", "is 'keys' meant?"),
        ("attestor:\n- name: ci\n", "line 1 of attestors.yaml: the file "),
        (
            "attestors:\n- name: ci\n  keys:\n  - kye: a\n",
            "line 4 of attestors.yaml: attestors[0].keys[0] has",
        ),
        ("attestors:\n- name: ci\n  keys:\n  - id: a\n", "a key is given by `key`"),
        ("attestors:\n- name: ci\n  keys:\n  - key: a\n    algorithm: MD5\n", "line 5 of attestors.yaml: "),
        ("attestors:\n- note: ci\n", "lacks the field 'name'"),
        ("attestors:\n- name: a b\n", "line 2 of attestors.yaml: 'a b' is not an attestor: write projects/PROJECT"),
        ("attestors:\n- name: ci\n  note: a/b\n", "line 2 of attestors.yaml: 'a/b' is not a note: write projects/"),
        ("attestors:\n- name: ci\n- name: ci\n", "line 3 of attestors.yaml: projects/acme/attestors/ci is there twice"),
        ("attestors:\n- name: ci\n  name: ca\n", "line 3 of attestors.yaml: attestors[0].name is written twice"),
        ("attestors:\n\t- name: ci\n", "attestors.yaml, line 2, column 1: there is a tab"),
        ("attestors: []\n", "attestors.yaml holds no attestor"),
        ("- name: ci\n", "attestors.yaml holds a list; a list of attestors is a mapping that begins with"),
        ("", "lacks the field 'attestors'"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, sentence: str) -> None:
    """And with what to write."""
    with pytest.raises(Invalid) as failure:
        read(text)
    assert sentence in str(failure.value)


@pytest.mark.parametrize("name", ["a b", "", "a/b", "projects/p/attestors/", "projects/p/notes/a", "a.b", "ä"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    """Before anything is asked."""
    with pytest.raises(Invalid, match="is not an attestor: write projects/PROJECT/attestors/ATTESTOR"):
        wanted_attestor(name, "acme")


def test_names_of_notes_and_attestations_are_checked() -> None:
    """In both of the forms that the API has."""
    assert note_name("n", "acme") == "projects/acme/notes/n"
    assert occurrence_name("projects/p/locations/eu/occurrences/1") == "projects/p/locations/eu/occurrences/1"
    with pytest.raises(Invalid, match="is not an attestation"):
        occurrence_name("1")
