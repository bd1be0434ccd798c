"""`sealane policy` as people type it: offline on files, and on the policy of the world in a box."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.commands.command import Finished, Sealane
from tests.commands.test_terminal import on_a_terminal
from workers.app.pushing import push_image
from workers.app.world import World
from workers.local.folder import WorldFolder

BROKEN = Path(__file__).parents[1] / "policy" / "broken"
GOOD = """
globalPolicyEvaluationMode: ENABLE
defaultAdmissionRule:
  evaluationMode: ALWAYS_DENY
  enforcementMode: ENFORCED_BLOCK_AND_AUDIT_LOG
"""


class Box:
    """The running world, without workers, and an image in it."""

    def __init__(self, world: World, image: str, digest: str) -> None:
        self.image = f"{image.rpartition(':')[0]}@{digest}"
        self.tagged = image
        self.attestor = world.names.attestor
        self.policy = f"projects/{world.project}/policy"
        self.folder = world.folder.root
        self.sealane = Sealane("nats://127.0.0.1:1", world.folder.root / "nowhere")

    async def __call__(self, command: str, *arguments: str) -> Finished:
        """Run a command about policies on the world."""
        return await self.sealane("policy", command, *arguments, "--data", str(self.folder))

    def file(self, name: str, text: str) -> str:
        """Write a policy and return the name of its file."""
        path = self.folder.parent / name
        path.write_text(text)
        return str(path)


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    """Start the world and push an image."""
    async with World(WorldFolder(tmp_path / "world"), with_workers=False) as world:
        image = f"{world.endpoints['registry']}/apps/shop:1"
        yield Box(world, image, await push_image(world.folder, image, "hello"))


@pytest.fixture
def offline(tmp_path: Path) -> Sealane:
    """Run commands where nobody can be asked."""
    return Sealane("nats://127.0.0.1:1", tmp_path / "nowhere")


async def test_lint_shows_each_mistake_at_its_line_and_fails(offline: Sealane, tmp_path: Path) -> None:
    """Exit 1 for errors, 0 for what is right, 0 for warnings unless they count, 2 for what cannot be read."""
    good, unreadable = tmp_path / "good.yaml", tmp_path / "tab.yaml"
    good.write_text(GOOD)
    unreadable.write_text("name: x\n\tetag: y\n")
    wrong = await offline("policy", "lint", str(BROKEN / "blueprint.yaml"), "--offline")
    right = await offline("policy", "lint", "-", "--offline", stdin=GOOD)
    warned = await offline("policy", "lint", str(BROKEN / "dry-run.yaml"), "--offline")
    strict = await offline("policy", "lint", str(BROKEN / "dry-run.yaml"), "--offline", "--strict")
    unread = await offline("policy", "lint", str(unreadable), "--offline")
    missing = await offline("policy", "lint", str(tmp_path / "no.yaml"), "--offline")

    codes = [done.code for done in (wrong, right, warned, strict, unread, missing)]
    assert codes == [1, 0, 0, 1, 2, 2], wrong.err + right.err
    assert "blueprint.yaml:9: error: defaultAdmissionRule is ALWAYS_DENY and yet lists 1 attestor" in wrong.out
    assert "    fix: write `evaluationMode: REQUIRE_ATTESTATION`, or remove requireAttestationsBy" in wrong.out
    assert right.out == "stdin: nothing to find fault with\n"
    assert "1 warning" in warned.out
    assert f"{unreadable}, line 2, column 1: there is a tab" in unread.err
    assert "No such file" in missing.err


async def test_a_hint_can_be_typed_as_it_is_written(offline: Sealane, tmp_path: Path) -> None:
    """What came from stdin is linted from there, a name with blanks is quoted, and stdin is read once."""
    wrong = tmp_path / "my policy.yaml"
    wrong.write_text("x: 1\n")
    piped = await offline("policy", "diff", "-", str(wrong), stdin="x: 1\n")
    named = await offline("policy", "diff", str(wrong), "-", stdin=GOOD)
    twice = await offline("policy", "diff", "-", "-", stdin=GOOD)

    assert [done.code for done in (piped, named, twice)] == [2, 2, 2]
    assert "stdin holds what no policy has: sealane policy lint - says what and where" in piped.err
    assert f"sealane policy lint '{wrong}' says what and where" in named.err
    assert "stdin can be read once: name a file for one of the two" in twice.err


async def test_programs_get_a_line_of_json_for_each_finding(offline: Sealane) -> None:
    """With code, severity, line, field, sentence and fix, and whether the API would refuse it."""
    done = await offline("policy", "lint", str(BROKEN / "typo.yaml"), "--offline", "--json")

    assert [(line["code"], line["line"], line["refused"]) for line in done.lines] == [
        ("unknown-field", 4, True),
        ("unknown-value", 7, True),
        ("unknown-field", 8, True),
    ]
    assert done.lines[0]["fix"] == "write admissionWhitelistPatterns"
    assert done.lines[1]["field"] == "defaultAdmissionRule.evaluationMode"


async def test_two_files_are_compared(offline: Sealane, tmp_path: Path) -> None:
    """Exit 1 and what differs; 0 for the same in other words; 2 when one is no policy."""
    other = tmp_path / "same.json"
    rule = {"enforcementMode": "ENFORCED_BLOCK_AND_AUDIT_LOG", "evaluationMode": "ALWAYS_DENY"}
    other.write_text(json.dumps({"etag": "1", "globalPolicyEvaluationMode": "ENABLE", "defaultAdmissionRule": rule}))
    good = tmp_path / "good.yaml"
    good.write_text(GOOD)
    same = await offline("policy", "diff", str(good), str(other))
    differs = await offline("policy", "diff", str(good), str(BROKEN / "allows-all.yaml"))
    broken = await offline("policy", "diff", str(good), str(BROKEN / "typo.yaml"))

    assert (same.code, same.out) == (0, "Nothing differs.\n")
    assert (differs.code, broken.code) == (1, 2)
    assert "~ defaultAdmissionRule.evaluationMode: ALWAYS_DENY -> ALWAYS_ALLOW  (loosens)" in differs.out
    assert "sealane policy lint" in broken.err


async def test_a_policy_is_checked_shown_set_and_read_back(box: Box) -> None:
    """A trial sets nothing, a refused one neither, the right one is in force, and once more changes nothing."""
    before = await box("lint", "--json")
    wanted = box.file("wanted.yaml", f"name: {box.policy}\n{GOOD}")
    trial = await box("apply", wanted, "--dry-run")
    still = await box("diff", wanted, "--json")
    done = await box("apply", wanted, "--yes")
    same = await box("diff", wanted)
    again = await box("apply", wanted, "--yes")

    assert (before.code, trial.code, still.code) == (0, 0, 1), before.err + trial.err
    assert "~ defaultAdmissionRule.evaluationMode: REQUIRE_ATTESTATION -> ALWAYS_DENY  (tightens)" in trial.out
    assert "Set" not in trial.out
    effects = {line["field"]: line["effect"] for line in still.lines}
    assert effects["defaultAdmissionRule.evaluationMode"] == "tightens"
    assert effects["globalPolicyEvaluationMode"] == "loosens"
    assert (done.code, same.code, again.code) == (0, 0, 0), done.err
    assert f"Set {box.policy}, and read it back: it is in force" in done.out
    assert "there is nothing to change" in again.out


async def test_errors_are_not_set_and_only_those_that_the_api_takes_can_be_forced(box: Box) -> None:
    """An attestor that is missing cannot be forced; an exempt registry can."""
    rule = "defaultAdmissionRule:\n  evaluationMode: {}\n  enforcementMode: ENFORCED_BLOCK_AND_AUDIT_LOG\n"
    head = "globalPolicyEvaluationMode: ENABLE\n"
    by = f"  requireAttestationsBy: [{box.attestor}-gone]\n"
    refused = box.file("refused.yaml", head + rule.format("REQUIRE_ATTESTATION") + by)
    patterns = "admissionWhitelistPatterns:\n- namePattern: gcr.io/**\n"
    risky = box.file("risky.yaml", head + patterns + rule.format("ALWAYS_DENY"))

    missing = await box("apply", refused, "--yes", "--force")
    stopped = await box("apply", risky, "--yes")
    forced = await box("apply", risky, "--yes", "--force")

    assert (missing.code, stopped.code, forced.code) == (1, 1, 0), forced.err
    assert f"there is no attestor {box.attestor}-gone" in missing.out
    assert "--force cannot help: Binary Authorization itself refuses this policy" in missing.err
    assert "'gcr.io/**' exempts all of gcr.io" in stopped.out
    assert "say --force to set it all the same" in stopped.err
    assert "it is in force" in forced.out


async def test_a_file_that_is_out_of_date_or_of_another_project_is_not_set(box: Box) -> None:
    """Its etag is not that of the policy in force; or the project that it names is not ours."""
    stale = await box("apply", box.file("stale.yaml", f"etag: '\"old\"'\n{GOOD}"), "--yes")
    foreign = await box("apply", box.file("foreign.yaml", f"name: projects/elsewhere/policy\n{GOOD}"), "--yes")
    nobody = await box("apply", box.file("good.yaml", GOOD))

    assert (stale.code, foreign.code, nobody.code) == (1, 1, 2)
    assert "was changed since" in stale.err
    assert "say --project elsewhere, or change or remove `name:` in the file" in foreign.err
    assert "nobody can be asked here: say --yes" in nobody.err


async def test_somebody_at_a_terminal_is_asked(box: Box) -> None:
    """No leaves all as it is, yes sets it."""
    file = box.file("good.yaml", GOOD)
    arguments = ("policy", "apply", file, "--data", str(box.folder))
    refused, question = await on_a_terminal(box.sealane, *arguments, typed="n\n")
    unchanged = await box("diff", file)
    agreed, screen = await on_a_terminal(box.sealane, *arguments, typed="y\n")

    assert (refused, unchanged.code, agreed) == (1, 1, 0), screen
    assert f"Set {box.policy} with" in question
    assert "\x1b[" in question
    assert "it is in force" in screen


async def test_explain_walks_to_the_rule_that_decides(box: Box) -> None:
    """Refused before it is attested, with what would admit it; admitted afterwards; a file is asked instead."""
    before = await box("explain", box.image, "--json")
    tagged = await box("explain", box.tagged)
    attested = await box.sealane("attest", box.image, "--data", str(box.folder))
    after = await box("explain", box.image)
    namespaces = "kubernetesNamespaceAdmissionRules:\n  kube-system:\n    evaluationMode: ALWAYS_ALLOW\n"
    file = box.file("spaces.yaml", f"{GOOD}{namespaces}    enforcementMode: ENFORCED_BLOCK_AND_AUDIT_LOG\n")
    unlisted = await box("explain", "gcr.io/acme/shop:1", "--json")
    inside = await box("explain", box.image, "-f", file, "--service-account", "kube-system:default")
    outside = await box("explain", box.image, "-f", file, "--istio", "spiffe://acme.example/ns/prod/sa/x", "--json")

    assert (before.code, tagged.code, attested.code, after.code) == (1, 1, 0, 0), after.out + after.err
    (record,) = before.lines
    assert (record["verdict"], record["decided_by"]) == ("REFUSED", "defaultAdmissionRule")
    assert record["remedies"] == [f"Attest it: sealane attest {box.image} --attestor {box.attestor}"]
    assert f"Deploy it by its digest: {box.image}" in tagged.out
    assert f"ADMITTED: defaultAdmissionRule of {box.policy} decides" in after.out
    deploy, other = unlisted.lines[0]["remedies"]
    assert deploy == "Deploy it by its digest: gcr.io/acme/shop@sha256:…"
    assert other.startswith("List gcr.io in SEALANE_REGISTRIES, with what it takes to pull, or explain gcr.io/acme/")
    assert (inside.code, outside.code) == (0, 1)
    assert "ADMITTED: kubernetesNamespaceAdmissionRules.kube-system of" in inside.out
    assert outside.lines[0]["decided_by"] == "defaultAdmissionRule"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("explain", "https://gcr.io/a"), "'https://gcr.io/a' is not an image reference: write HOST/PATH:TAG"),
        (("explain", "gcr.io/a/b", "--cluster", "prod"), "'prod' is not a cluster: write LOCATION.CLUSTER"),
        (("explain", "gcr.io/a/b", "--service-account", "x"), "'x' is not a Kubernetes service account"),
        (("explain", "gcr.io/a/b", "--istio", "x"), "'x' is not an Istio service identity"),
        (("explain", "gcr.io/a/b", "--namespace", "a", "--service-account", "b:c"), "is in another namespace than a"),
        (("explain", "gcr.io/a/b", "-f", "no.yaml"), "no.yaml cannot be read"),
        (("lint", "--offline"), "--offline needs a FILE"),
        (("apply", "no.yaml", "--yes"), "no.yaml cannot be read"),
        (("diff", "no.yaml"), "no.yaml cannot be read"),
    ],
)
async def test_bad_input_is_one_sentence_and_exit_2(
    offline: Sealane, arguments: tuple[str, ...], sentence: str
) -> None:
    """Before anything is opened."""
    done = await offline("policy", *arguments)

    assert (done.code, done.out) == (2, "")
    assert sentence in done.err
