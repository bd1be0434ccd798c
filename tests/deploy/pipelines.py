"""The shell of the CI snippets, taken out of their YAML and Groovy and run as each CI system would run it."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.house.tree import ROOT

CI = ROOT / "deploy" / "ci"
SCRIPT = CI / "publish-image.sh"
SPIED = ("awk", "curl", "date", "mktemp", "rm", "sed", "sleep")
"""What the script starts: programs of which arguments and environment can be seen by others on the machine."""
_EXPRESSION = re.compile(r"\$\{\{\s*([A-Za-z_.]+)\s*\}\}")
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_STAGE = re.compile(r"stage\('(?P<stage>[^']+)'\).*?sh '''(?P<script>.*?)'''", re.DOTALL)
_SETTING = re.compile(r"^\s+(?P<name>[A-Z_]+) = (?P<quote>['\"])(?P<value>.*)(?P=quote)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Step:
    """A piece of shell, the command that its system runs it with, and the variables that its file sets."""

    shell: tuple[str, ...]
    script: str
    variables: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a step ended."""

    code: int
    out: str
    err: str
    seen: str
    """Arguments and environment of every program that the script started."""

    @property
    def all(self) -> str:
        """Everything that anybody could have read."""
        return self.out + self.err + self.seen


def workflow_step(step_id: str, context: Mapping[str, str], **given: str) -> Step:
    """Return a step of the example workflow, by its id or name; variables that are `given` win over the file's."""
    workflow = _load("github/workflow.yml")
    step = _workflow_step(workflow, step_id)
    variables = {**workflow["env"], **step.get("env", {})}
    known = {f"env.{name}": value for name, value in workflow["env"].items()} | dict(context)
    # What GitHub runs where a step names no shell.
    evaluated = {name: _evaluated(value, known) for name, value in variables.items()}
    return Step(("bash", "-e"), step["run"], evaluated | given)


def action_step(context: Mapping[str, str], **given: str) -> Step:
    """Return the step of the composite action with what the example workflow gives it, `given` over that."""
    workflow, action = _load("github/workflow.yml"), _load("github/action.yml")
    known = {f"env.{name}": value for name, value in workflow["env"].items()} | dict(context)
    passed = {name: _evaluated(value, known) for name, value in _workflow_step(workflow, "Announce")["with"].items()}
    inputs = {name: str(described.get("default", "")) for name, described in action["inputs"].items()} | passed | given
    (step,) = action["runs"]["steps"]
    known = {f"inputs.{name}": value for name, value in inputs.items()}
    variables = {name: _evaluated(value, known) for name, value in step["env"].items()}
    return Step((step["shell"], "-e"), step["run"], variables | {"GITHUB_ACTION_PATH": str(CI / "github")})


def gitlab_job(name: str, predefined: Mapping[str, str]) -> Step:
    """Return a job of GitLab's snippet; `predefined` variables win over the file's, as those of a project do."""
    found = _load("gitlab/publish-image.yml")
    variables = dict(found["variables"]) | dict(predefined)
    expanded = {key: _expanded(value, variables) for key, value in variables.items()}
    return Step(("sh",), "\n".join(["set -e", *found[name]["script"], ""]), expanded)


def gitlab_audience(variables: Mapping[str, str]) -> str:
    """Return the audience that GitLab's snippet asks a token for."""
    return _expanded(
        _load("gitlab/publish-image.yml")["announce-image"]["id_tokens"]["SEALANE_TOKEN"]["aud"], variables
    )


def cloud_build_step(step_id: str, substitutions: Mapping[str, str]) -> Step:
    """Return a step of Cloud Build's snippet; `substitutions` win over the file's."""
    found = _load("cloud-build/cloudbuild.yaml")
    values = found["substitutions"] | dict(substitutions)
    (step,) = [step for step in found["steps"] if step["id"] == step_id]
    pairs = (_expanded(line, values).partition("=") for line in step["env"])
    assert step["script"].startswith("#!/bin/sh\n")
    return Step(("/bin/sh",), step["script"], {name: value for name, _, value in pairs})


def jenkins_stage(stage: str, predefined: Mapping[str, str]) -> Step:
    """Return the shell of a stage of the Jenkinsfile; `predefined` variables win over the file's."""
    text = (CI / "jenkins" / "Jenkinsfile").read_text()
    scripts = {found["stage"]: found["script"] for found in _STAGE.finditer(text)}
    variables = {found["name"]: found["value"] for found in _SETTING.finditer(text)} | dict(predefined)
    # Jenkins traces what it runs.
    return Step(("sh", "-xe"), scripts[stage], variables)


def direct(*options: str, shell: tuple[str, ...] = ("sh",)) -> Step:
    """Return a step that runs the script itself with some options."""
    words = " ".join(f"'{word}'" for word in options)
    return Step(("sh", "-e"), f"exec {' '.join(shell)} '{SCRIPT}' {words}\n")


def inline_scripts() -> dict[str, str]:
    """Return every piece of shell in the snippets, by where it stands."""
    workflow, cloud_build = _load("github/workflow.yml"), _load("cloud-build/cloudbuild.yaml")
    steps = {f"workflow/{step['name']}": step["run"] for step in _steps(workflow) if "run" in step}
    steps["action"] = _load("github/action.yml")["runs"]["steps"][0]["run"]
    for name, job in _load("gitlab/publish-image.yml").items():
        if "script" in job:
            steps[f"gitlab/{name}"] = "\n".join(job["script"])
    steps |= {f"cloud-build/{step['id']}": step["script"] for step in cloud_build["steps"]}
    jenkins = (CI / "jenkins" / "Jenkinsfile").read_text()
    return steps | {f"jenkins/{found['stage']}": found["script"] for found in _STAGE.finditer(jenkins)}


def run(step: Step, folder: Path, environment: Mapping[str, str], *, timeout: float = 60) -> Ended:
    """Run a step in a checkout of its own below `folder`, with nothing of this process's environment but the PATH."""
    place = folder / "checkout"
    if not place.exists():
        shutil.copytree(CI, place / "deploy" / "ci")
    file, seen, scratch = folder / "step.sh", folder / "seen", folder / "scratch"
    scratch.mkdir(exist_ok=True)
    seen.write_bytes(b"")
    file.write_text(step.script)
    spies = _spies(folder / "spies", seen)
    basic = {"PATH": f"{spies}:{environment.get('PATH') or os.environ['PATH']}", "HOME": str(folder)}
    basic |= {"TMPDIR": str(scratch)}
    done = subprocess.run(
        [*step.shell, str(file)],
        cwd=place,
        env={**environment, **step.variables, **basic},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert list(scratch.iterdir()) == [], "what the script made for itself is gone afterwards"
    return Ended(done.returncode, done.stdout, done.stderr, seen.read_text(errors="replace"))


def _spies(folder: Path, seen: Path) -> Path:
    """Put a program before each spied one that writes down how it was called, and then is the real one."""
    folder.mkdir(exist_ok=True)
    for name in SPIED:
        real = shutil.which(name)
        assert real is not None, f"{name} is not installed"
        spy = folder / name
        spy.write_text(
            "#!/bin/sh\n"
            f"/usr/bin/tr '\\0' '\\n' <\"/proc/$$/cmdline\" >>'{seen}'\n"
            f"/usr/bin/tr '\\0' '\\n' <\"/proc/$$/environ\" >>'{seen}'\n"
            f"exec '{real}' \"$@\"\n"
        )
        spy.chmod(0o755)
    return folder


def _load(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CI / name).read_text())
    return found


def _steps(workflow: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = workflow["jobs"]["image"]["steps"]
    return found


def _workflow_step(workflow: Mapping[str, Any], name: str) -> dict[str, Any]:
    (step,) = [step for step in _steps(workflow) if name in {step.get("id"), step.get("name")}]
    return step


def _evaluated(text: str, known: Mapping[str, str]) -> str:
    """Replace `${{ name }}`; a name that is not known is a mistake of the snippet."""
    return _EXPRESSION.sub(lambda found: known[found[1]], text)


def _expanded(text: str, known: Mapping[str, str]) -> str:
    """Replace `$NAME` and `${NAME}`; a name that is not known is a mistake of the snippet."""
    return _VARIABLE.sub(lambda found: known[found[1] or found[2]], text)
