"""What a CI system says of a job: in its environment, and in the claims of its tokens. Pure.

Claims as in GitHub's "OpenID Connect reference" and GitLab's "OpenID Connect (OIDC) Authentication Using ID Tokens".
"""

import hashlib
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

GITHUB_SECONDS, GITHUB_EARLIER = 300, 600
"""How long a token of GitHub lives, and how long before it was issued it is valid already."""
GITLAB_SECONDS = 300
_SHA = "4be1c0f7d2a94e0c8b5a6f3d1e2c7b8a9f0d1e2c"
Path = Annotated[str, Field(pattern=r"^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?/[A-Za-z0-9._-]+$", max_length=140)]
ProjectPath = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)+$", max_length=255)]
Text = Annotated[str, Field(min_length=1, max_length=255)]
Number = Annotated[str, Field(pattern=r"^[0-9]{1,20}$")]


class GitHubJob(BaseModel):
    """One attempt of a job of a workflow; what is left out is as in a push to the main branch of a repository."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repository: Path
    repository_id: Number | None = None
    """Left out: known repositories have theirs, any other one that is derived from its name."""
    repository_owner_id: Number | None = None
    ref: Text = "refs/heads/main"
    sha: Text = _SHA
    event_name: Text = "push"
    environment: Text | None = None
    workflow: Text = "release"
    workflow_file: Text = ".github/workflows/release.yml"
    actor: Text = "octocat"
    runner_environment: Literal["github-hosted", "self-hosted"] = "github-hosted"
    run_id: Number | None = None
    run_attempt: Number = "1"
    immutable_subject: bool = False
    """The `sub` of repositories that were made, renamed or moved after 2026-07-15: with ids in it."""

    def identified(self, known: "dict[str, tuple[str, str]]", run_id: str) -> "GitHubJob":
        """Return the job with all its ids. `known`: repository → (its id, its owner's id)."""
        owner = self.repository.partition("/")[0]
        repository_id, owner_id = known.get(self.repository, (_number(self.repository), _number(owner)))
        found = {
            "repository_id": self.repository_id or repository_id,
            "repository_owner_id": self.repository_owner_id or owner_id,
            "run_id": self.run_id or run_id,
        }
        return self.model_copy(update=found)

    @property
    def owner(self) -> str:
        """The account that the repository belongs to."""
        return self.repository.partition("/")[0]

    @property
    def subject(self) -> str:
        """The claim `sub`."""
        name = self.repository
        if self.immutable_subject:
            name = f"{self.owner}@{self.repository_owner_id}/{name.partition('/')[2]}@{self.repository_id}"
        if self.environment is not None:
            return f"repo:{name}:environment:{self.environment}"
        if self.event_name == "pull_request":
            return f"repo:{name}:pull_request"
        return f"repo:{name}:ref:{self.ref}"

    def claims(self) -> dict[str, Any]:
        """Return what a token says of the job: all but who issued it for whom, and when."""
        workflow = f"{self.repository}/{self.workflow_file}@{self.ref}"
        found = {
            "sub": self.subject,
            **{name: getattr(self, name) for name in _GITHUB_CLAIMS},
            "repository_owner": self.owner,
            "repository_visibility": "public",
            "actor_id": _number(self.actor),
            "ref_type": "tag" if self.ref.startswith("refs/tags/") else "branch",
            "ref_protected": "false",
            "head_ref": "",
            "base_ref": "",
            "run_number": "1",
            "workflow_ref": workflow,
            "workflow_sha": self.sha,
            "job_workflow_ref": workflow,
            "job_workflow_sha": self.sha,
        }
        return found if self.environment is None else found | {"environment": self.environment}

    def variables(self) -> dict[str, str]:
        """Return the variables that a runner sets: those which tell one job from another."""
        return {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTOR": self.actor,
            "GITHUB_EVENT_NAME": self.event_name,
            "GITHUB_REF": self.ref,
            "GITHUB_REPOSITORY": self.repository,
            "GITHUB_REPOSITORY_ID": str(self.repository_id),
            "GITHUB_REPOSITORY_OWNER": self.owner,
            "GITHUB_RUN_ATTEMPT": self.run_attempt,
            "GITHUB_RUN_ID": str(self.run_id),
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_SHA": self.sha,
            "GITHUB_WORKFLOW": self.workflow,
        }


class GitLabJob(BaseModel):
    """A job of a pipeline. `id_tokens`: variable → the audience that its token is for, as in `.gitlab-ci.yml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    project: ProjectPath
    id_tokens: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], Text]
    project_id: Number | None = None
    ref: Text = "main"
    ref_type: Literal["branch", "tag"] = "branch"
    ref_protected: bool = True
    pipeline_source: Text = "push"
    user: Text = "sample"

    def claims(self, host: str, pipeline: str, job: str) -> dict[str, Any]:
        """Return what a token says of the job: all but who issued it for whom, and when."""
        namespace = self.project.rpartition("/")[0]
        return {
            "sub": f"project_path:{self.project}:ref_type:{self.ref_type}:ref:{self.ref}",
            "namespace_id": _number(namespace),
            "namespace_path": namespace,
            "project_id": self.project_id or _number(self.project),
            "project_path": self.project,
            "project_visibility": "private",
            "user_id": _number(self.user),
            "user_login": self.user,
            "user_email": f"{self.user}@example.com",
            "user_access_level": "maintainer",
            "pipeline_id": pipeline,
            "pipeline_source": self.pipeline_source,
            "job_id": job,
            "ref": self.ref,
            "ref_type": self.ref_type,
            "ref_path": f"refs/{'tags' if self.ref_type == 'tag' else 'heads'}/{self.ref}",
            "ref_protected": str(self.ref_protected).lower(),
            "runner_environment": "gitlab-hosted",
            "sha": _SHA,
            "ci_config_ref_uri": f"{host}/{self.project}//.gitlab-ci.yml@refs/heads/{self.ref}",
            "ci_config_sha": _SHA,
        }

    def variables(self, host: str, pipeline: str, job: str) -> dict[str, str]:
        """Return the variables that a runner sets: those which tell one job from another."""
        return {
            "CI": "true",
            "GITLAB_CI": "true",
            "CI_COMMIT_REF_NAME": self.ref,
            "CI_COMMIT_SHA": _SHA,
            "CI_JOB_ID": job,
            "CI_PIPELINE_ID": pipeline,
            "CI_PROJECT_ID": self.project_id or _number(self.project),
            "CI_PROJECT_PATH": self.project,
            "CI_SERVER_HOST": host,
        }


_GITHUB_CLAIMS = (
    *("repository", "repository_id", "repository_owner_id", "ref", "sha", "event_name", "workflow", "actor"),
    *("runner_environment", "run_id", "run_attempt"),
)


def _number(name: str) -> str:
    """Return an id for a name: the same at every start, as ids of repositories and accounts are."""
    return str(int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") + 1)
