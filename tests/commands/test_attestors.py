"""`sealane attestor` and `sealane attestation` on the world in a box."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.commands.command import Finished, Sealane
from tests.contracts.attestor_admin.public_keys import public_key
from workers.app.pushing import push_image
from workers.app.world import World
from workers.local.folder import WorldFolder

FILE = """
attestors:
- name: released
  description: Released by people.
  keys:
  - key: release.pub
    comment: of the release line
  - release.asc
- name: built-by-ci
"""


class Box:
    """The running world, without workers."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.files = folder
        self.registry = world.endpoints["registry"]
        self._sealane = Sealane("nats://127.0.0.1:1", folder / "nowhere")

    async def __call__(self, *arguments: str, stdin: str = "") -> Finished:
        """Run a command on the world."""
        return await self._sealane(*arguments, "--data", str(self.world.folder.root), stdin=stdin)

    async def image(self, tag: str) -> str:
        """Push an image, attest it, and return its reference."""
        reference = f"{self.registry}/apps/shop:{tag}"
        await push_image(self.world.folder, reference, tag)
        done = await self("attest", reference)
        assert done.code == 0, done.err
        return reference

    async def stored(self) -> list[str]:
        """Return the names of all attestations of the built-in attestor."""
        listed = await self("attestation", "list", "--attestor", "built-by-ci", "--json")
        assert listed.code == 0, listed.err
        return [line["occurrence"] for line in listed.lines]


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    """Start the world."""
    async with World(WorldFolder(tmp_path / "world"), with_workers=False) as world:
        yield Box(world, tmp_path)


async def test_attestors_are_made_as_a_file_says_and_stay_so(box: Box) -> None:
    """Dry run, made, repeated, shown, listed, pruned, removed."""
    (box.files / "release.pub").write_text(public_key("ML_DSA_65").pem)
    (box.files / "release.asc").write_text(public_key("OPENPGP").pem)
    file = box.files / "attestors.yaml"
    file.write_text(FILE)
    dry = await box("attestor", "ensure", "-f", str(file), "--dry-run")
    made = await box("attestor", "ensure", "-f", str(file), "--json")
    again = await box("attestor", "ensure", "-f", str(file), "--json")
    shown = await box("attestor", "show", "released", "--json")
    listed = await box("attestor", "list")
    pruned = await box("attestor", "ensure", "released", "--key", str(box.files / "release.pub"), "--prune", "--json")

    assert (dry.code, made.code, again.code, shown.code, listed.code) == (0, 0, 0, 0, 0), dry.err + made.err + shown.err
    assert "would be created: attestor projects/sealane-local/attestors/released" in dry.out
    assert [line["changed"] for line in made.lines] == [True, False]
    assert [line["changed"] for line in again.lines] == [False, False]
    (record,) = shown.lines
    assert [key["algorithm"] for key in record["keys"]] == ["ML_DSA_65", "OPENPGP"]
    assert [key["comment"] for key in record["keys"]] == ["of the release line", ""]
    assert (record["problems"], record["note_state"]) == ([], "there")
    assert "ML_DSA_65, OPENPGP" in listed.out
    assert [change["did"] for change in pruned.lines[0]["changes"] if change["part"] == "key"] == [
        "as wanted",
        "removed",
    ]


async def test_removing_asks_and_refuses_what_a_policy_requires(box: Box) -> None:
    """The rule is named; --force removes it all the same; nobody to ask is no yes."""
    required = await box("attestor", "remove", "built-by-ci", "--yes")
    await box("attestor", "ensure", "spare")
    unasked = await box("attestor", "remove", "spare")
    spare = await box("attestor", "remove", "spare", "--yes", "--json")
    gone = await box("attestor", "remove", "spare", "--yes")
    forced = await box("attestor", "remove", "built-by-ci", "--yes", "--force")

    assert (required.code, unasked.code, spare.code, gone.code, forced.code) == (2, 2, 0, 1, 0), forced.err
    assert "the policy of sealane-local requires it in defaultAdmissionRule" in required.err
    assert "nobody can be asked here" in unasked.err
    assert spare.lines[0]["removed"] == "projects/sealane-local/attestors/spare"
    assert "does not exist" in gone.err
    assert "signing rules name it, and will fail: 1 (" in forced.err


async def test_bad_input_is_one_sentence_and_exit_2(box: Box) -> None:
    """What is wrong, and where."""
    file = box.files / "attestors.yaml"
    file.write_text("attestors:\n- name: ci\n  keyz: []\n")
    said = {
        ("attestor", "ensure"): "say which attestor: either its NAME, or a file of several with -f",
        ("attestor", "ensure", "-f", str(file)): "has no field 'keyz': is 'keys' meant?",
        ("attestor", "ensure", "-f", str(file), "--key", "a"): "with -f the file says note, keys",
        ("attestor", "ensure", "built-by-ci", "--note", "other"): "and the note of an attestor cannot change",
        ("attestor", "show", "a b"): "'a b' is not an attestor",
        ("attestation", "list"): "say which attestations: those of an IMAGE, of an --attestor, or of a --note",
        ("attestation", "list", "--note", "n", "--since", "soon"): "'soon' is no time: write 2026-01-31",
        ("attestation", "delete", "x"): "'x' is not an attestation: write projects/PROJECT/occurrences/ID",
        ("attestation", "delete", "--key", "x"): "either their names, or --image IMAGE --key KEYID",
    }
    for arguments, sentence in said.items():
        done = await box(*arguments)
        assert (done.code, done.out) == (2, ""), arguments
        assert sentence in done.err


async def test_attestations_are_listed_judged_and_deleted(box: Box) -> None:
    """By image, by note and since; a deleted one is made anew when the image is attested again."""
    image = await box.image("1")
    await box.image("2")
    of_image = await box("attestation", "list", image, "--verify", "--json")
    of_note = await box("attestation", "list", "--note", "built-by-ci", "--since", "1h", "--verify", "--json")
    later = await box("attestation", "list", "--note", "built-by-ci", "--since", "2999-01-01", "--json")
    (record,) = of_image.lines
    by_nobody = await box("attestation", "delete", "--image", image, "--key", "nobody", "--yes")
    unasked = await box("attestation", "delete", record["occurrence"])
    deleted = await box("attestation", "delete", "--image", image, "--key", record["key_id"], "--yes", "--json")
    left = await box.stored()
    missing = await box("attestation", "delete", record["occurrence"], "--yes")

    assert [verdict["verdict"] for verdict in record["verdicts"]] == ["VERIFIED"]
    assert (len(of_note.lines), later.lines, of_note.code) == (2, [], 0)
    assert (by_nobody.code, unasked.code, deleted.code, missing.code) == (1, 2, 0, 1), deleted.err
    assert f"it is signed by {record['key_id']}" in by_nobody.err
    assert [line["deleted"] for line in deleted.lines] == [record["occurrence"]]
    assert len(left) == 1
    assert record["occurrence"] not in left
    again = await box("attest", image, "--json")
    assert [line["created"] for line in again.lines] == [True]
    assert len(await box.stored()) == 2


async def test_what_does_not_count_fails_the_list(box: Box) -> None:
    """With --verify the exit code says whether all count."""
    image = await box.image("1")
    (box.files / "ci.pub").write_text(public_key("ECDSA_P256_SHA256").pem)
    await box("attestor", "ensure", "built-by-ci", "--key", str(box.files / "ci.pub"), "--prune")
    listed = await box("attestation", "list", image, "--verify")

    assert listed.code == 1
    assert "built-by-ci: ATTESTATION_NOT_VERIFIABLE" in listed.out


async def test_a_file_may_come_from_stdin(box: Box) -> None:
    """JSON as well as YAML."""
    text = json.dumps({"attestors": [{"name": "from-json"}]})
    piped = await box("attestor", "ensure", "-f", "-", "--json", stdin=text)

    assert (piped.code, piped.lines[0]["changed"]) == (0, True), piped.err
