"""The CI snippets are what their systems read, and what careful people would merge."""

import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.deploy.pipelines import CI, SCRIPT, inline_scripts

WORKFLOW, ACTION = ".github/workflows/release.yml", "deploy/ci/github/action.yml"


def tool(name: str, *arguments: str, folder: Path = CI, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a tool of this environment."""
    program = Path(sysconfig.get_path("scripts")) / name
    command = [str(program), *arguments]
    return subprocess.run(command, cwd=folder, input=text, capture_output=True, text=True, check=False, timeout=100)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Give a repository that uses the example workflow and the action, as somebody would."""
    shutil.copytree(CI, tmp_path / "deploy" / "ci")
    (tmp_path / ".github" / "workflows").mkdir(parents=True)
    shutil.move(tmp_path / "deploy/ci/github/workflow.yml", tmp_path / WORKFLOW)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    return tmp_path


def actionlint(repository: Path) -> subprocess.CompletedProcess[str]:
    """Lint the workflows with the shell in them."""
    shellcheck = Path(sysconfig.get_path("scripts")) / "shellcheck"
    return tool("actionlint", "-no-color", "-shellcheck", str(shellcheck), folder=repository)


def zizmor(repository: Path) -> subprocess.CompletedProcess[str]:
    """Audit workflow and action with every audit there is that needs no network."""
    return tool("zizmor", "--offline", "--no-progress", "--persona", "pedantic", ".", folder=repository)


def test_workflow_and_action_fit_and_are_audited(repository: Path) -> None:
    """What the workflow gives the action is what the action takes, and zizmor's auditors have nothing to say."""
    linted, audited = actionlint(repository), zizmor(repository)

    assert (linted.returncode, linted.stdout) == (0, ""), linted.stdout + linted.stderr
    assert audited.returncode == 0, audited.stdout
    assert {WORKFLOW, ACTION} <= {
        line.rpartition("./")[2] for line in audited.stderr.splitlines() if "completed" in line
    }


@pytest.mark.parametrize(
    ("file", "before", "after", "linter", "named"),
    [
        (WORKFLOW, "          digest: $", "          digst: $", "actionlint", "digst"),
        (WORKFLOW, "steps.push.outputs", "steps.pusch.outputs", "actionlint", "pusch"),
        (WORKFLOW, "@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2", "@main", "zizmor", "unpinned-uses"),
        (WORKFLOW, "permissions: {}", "permissions: write-all", "zizmor", "excessive-permissions"),
        (ACTION, '--door "$DOOR"', '--door "${{ inputs.door }}"', "zizmor", "template-injection"),
    ],
)
def test_a_mistake_in_the_workflow_is_found(
    repository: Path, file: str, before: str, after: str, linter: str, named: str
) -> None:
    """The linters do look: a mistake of each kind is named."""
    text = (repository / file).read_text()
    assert before in text
    (repository / file).write_text(text.replace(before, after))
    found = actionlint(repository) if linter == "actionlint" else zizmor(repository)

    assert found.returncode != 0
    assert named in found.stdout


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("vendor.github-actions", "github/action.yml"),
        ("vendor.github-workflows", "github/workflow.yml"),
        ("vendor.gitlab-ci", "gitlab/publish-image.yml"),
        ("vendor.cloudbuild", "cloud-build/cloudbuild.yaml"),
    ],
)
def test_snippet_fits_the_schema_of_its_system(schema: str, file: str) -> None:
    """GitHub, GitLab and Cloud Build would read it."""
    found = tool("check-jsonschema", "--builtin-schema", schema, file)

    assert found.returncode == 0, found.stdout


def test_script_is_plain_posix_shell() -> None:
    """The shared script has no fault that shellcheck knows, and nothing that only bash has."""
    found = tool("shellcheck", "--shell=sh", "--severity=style", "--enable=check-unassigned-uppercase", str(SCRIPT))

    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("place", inline_scripts())
def test_shell_in_a_snippet_is_plain_posix_shell(place: str) -> None:
    """Each piece of shell in YAML and Groovy is checked as if it were a file."""
    found = tool("shellcheck", "--shell=sh", "--severity=style", "-", text=inline_scripts()[place])

    assert found.returncode == 0, found.stdout
