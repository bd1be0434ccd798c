"""The CI snippets against a running world: the real shell, real tokens, a real push, a real attestation."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import jwt
import pytest

from tests.deploy.pipelines import (
    Step,
    action_step,
    cloud_build_step,
    direct,
    gitlab_audience,
    gitlab_job,
    jenkins_stage,
    workflow_step,
)
from tests.journeys.ci import AUDIENCE, JENKINS_KEY, NOBODY, CiWorld, ci_world
from tests.journeys.conftest import eventually, sealane
from workers.local.oidc import GitLabJob, IssuerKeys


@pytest.fixture(scope="module")
def ci(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CiWorld]:
    """Give a world that knows a principal of each CI system."""
    with ci_world(tmp_path_factory.mktemp("ci")) as world:
        yield world


def test_newcomer_plays_a_job_in_the_shell(ci: CiWorld, tmp_path: Path) -> None:
    """`sealane local job` is enough to announce an image by hand; as another repository one is refused by its id."""
    image, digest = ci.image(tmp_path, "acme/shop/by-hand")
    options = ("--identity", "github", "--door", ci.door, "--image", image, "--digest", digest, "--wait", "50")
    step = direct(*options, "--source", "//github.com/acme/shop", "--build", "by-hand")
    ended = {}
    for repository in ("acme/shop", "mallory/shop"):
        job = sealane("local", "job", repository, "--data", str(ci.up.data))
        assert job.returncode == 0, job.stderr
        exported = dict(shlex.split(line)[1].split("=", 1) for line in job.stdout.splitlines())
        ci.secrets.add(exported["ACTIONS_ID_TOKEN_REQUEST_TOKEN"])
        ended[repository] = ci.run(step, tmp_path, exported)
    senseless = sealane("local", "job", "shop", "--data", str(ci.up.data))

    assert (ended["acme/shop"].code, "is attested" in ended["acme/shop"].out) == (0, True), ended["acme/shop"].err
    assert ended["mallory/shop"].code == 1
    assert "no principal bears a token with repository_id" in ended["mallory/shop"].err
    assert (senseless.returncode, "there can be no such job: repository:" in senseless.stderr) == (2, True)


def outputs(file: Path) -> dict[str, str]:
    """Return what was appended to GITHUB_OUTPUT, or to a dotenv file."""
    return dict(line.split("=", 1) for line in file.read_text().splitlines())


def test_github_job_pushes_announces_and_waits(ci: CiWorld, tmp_path: Path) -> None:
    """Build and push write the digest, the action publishes it as the repository, and the image is attested."""
    image, output = f"{ci.repository}/web", tmp_path / "output"
    job = ci.github()
    job |= ci.docker(tmp_path) | {"GITHUB_OUTPUT": str(output)}
    built = ci.run(workflow_step("push", {}, IMAGE=image), tmp_path, job)
    assert built.code == 0, built.err
    digest = outputs(output)["digest"]
    context = {"github.sha": job["GITHUB_SHA"], "steps.push.outputs.digest": digest}
    ended = ci.run(action_step(context, door=ci.door, image=f"{image}:{job['GITHUB_SHA']}"), tmp_path, job)

    assert (ended.code, ended.err) == (0, ""), ended.err
    assert f"{image}:{job['GITHUB_SHA']}@{digest} is attested" in ended.out
    headers, body = ci.event(ended)
    assert headers["ce-actor"] == "local-github/acme/shop"
    assert (headers["ce-source"], headers["ce-run"]) == ("//github.com/acme/shop", outputs(output)["run"])
    assert body["digest"] == digest
    verified = sealane("verify", f"{image}@{digest}", "--data", str(ci.up.data))
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_repeated_attempt_is_the_same_event_and_a_new_attempt_another(ci: CiWorld, tmp_path: Path) -> None:
    """Whatever is sent twice by one attempt is one event, though each has a token of its own; a re-run is another."""
    image, digest = ci.image(tmp_path, "acme/shop/twice")
    runs = []
    for attempt in ("1", "1", "2"):
        # The second attempt has the younger form of `sub`, with ids in it: nothing is decided on it.
        job = ci.github(run_id="4711", run_attempt=attempt, immutable_subject=attempt == "2") | {
            "GITHUB_OUTPUT": str(tmp_path / "output")
        }
        ended = ci.run(_announcing(ci, image, digest, wait="0"), tmp_path, job)
        assert ended.code == 0, ended.err
        runs.append(outputs(tmp_path / "output")["run"])

    assert runs[0] == runs[1] != runs[2]


def test_rotated_key_of_the_issuer_is_believed_without_a_restart(ci: CiWorld, tmp_path: Path) -> None:
    """The door fetches the key set anew for a key that it does not know, though not more often than it should."""
    image, digest = ci.image(tmp_path, "acme/shop/rotated")
    key_id = ci.rotate("github")
    token = ci.github_token()
    assert jwt.get_unverified_header(token)["kid"] == key_id

    def announced() -> bool:
        ended = ci.run(_with_token(ci, image, digest), tmp_path, {"SEALANE_TOKEN": token})
        assert ended.code == 0 or "(claim: kid)" in ended.err, ended.err
        return ended.code == 0

    eventually(announced, "the new key is known at the door")


DENIED = {
    "another repository": ({"repository": "mallory/shop"}, "/shop/web", "repository_id"),
    "the same name in other hands": ({"repository_id": "666"}, "/shop/web", "repository_id"),
    "a pull request": ({"event_name": "pull_request"}, "/shop/web", "event_name"),
    "another branch": ({"ref": "refs/heads/feature"}, "/shop/web", "ref"),
    "a runner of one's own": ({"runner_environment": "self-hosted"}, "/shop/web", "runner_environment"),
    "an image of somebody else": ({}, "/other/web", "may only say"),
}


@pytest.mark.parametrize("case", DENIED)
def test_job_that_may_not_is_told_which_claim_failed(ci: CiWorld, tmp_path: Path, case: str) -> None:
    """The step fails at once, with the sentence of the door; nothing is tried again."""
    job, path, named = DENIED[case]
    image = f"{ci.up.endpoints['registry']}/acme{path}:1"
    output = tmp_path / "output"
    ended = ci.run(
        _announcing(ci, image, "sha256:" + "a" * 64), tmp_path, ci.github(**job) | {"GITHUB_OUTPUT": str(output)}
    )

    assert ended.code == 1, ended.out
    assert "refused the event (status 403)" in ended.err
    assert named in ended.err
    assert len(ended.err.splitlines()) == 1
    assert not output.exists()


def test_token_of_another_audience_is_refused_by_name(ci: CiWorld, tmp_path: Path) -> None:
    """A token that was asked for somebody else is worth nothing here."""
    step = _announcing(ci, f"{ci.repository}/web:1", "sha256:" + "a" * 64, audience="https://github.com/acme")
    ended = ci.run(step, tmp_path, ci.github() | {"GITHUB_OUTPUT": str(tmp_path / "output")})

    assert (ended.code, "(claim: aud)" in ended.err) == (1, True), ended.err


def test_forged_and_stale_tokens_are_refused_by_name(ci: CiWorld, tmp_path: Path) -> None:
    """Expired, signed by an unknown key, signed with the key's name but not the key, not signed at all."""
    good = ci.github_token()
    claims = jwt.decode(good, options={"verify_signature": False})
    real, foreign = IssuerKeys(ci.up.data / "oidc" / "github"), IssuerKeys(tmp_path / "keys")
    past = {name: claims[name] - 7200 for name in ("iat", "nbf", "exp")}
    borrowed = jwt.encode(claims, "k" * 32, algorithm="HS256", headers={"kid": real.key_ids[-1]})
    forged = {
        "exp": real.sign(claims | past),
        "kid": foreign.sign(claims),
        "signature": f"{good.rpartition('.')[0]}.{foreign.sign(claims).rpartition('.')[2]}",
        "alg": jwt.encode(claims, "", algorithm="none"),
        "alg ": borrowed,
    }
    for claim, token in forged.items():
        ci.secrets.add(token)
        ended = ci.run(_with_token(ci), tmp_path, {"SEALANE_TOKEN": token})
        assert (ended.code, f"(claim: {claim.strip()})" in ended.err) == (1, True), (claim, ended.err)


def test_token_is_good_for_one_event_however_often(ci: CiWorld, tmp_path: Path) -> None:
    """The same event with the same token is the same answer; another event with it is a replay."""
    image, digest = ci.image(tmp_path, "acme/shop/once")
    environment = {"SEALANE_TOKEN": ci.github_token()}
    first = ci.run(_with_token(ci, image, digest, "--wait", "60"), tmp_path, environment)
    again = ci.run(_with_token(ci, image, digest), tmp_path, environment)
    replayed = ci.run(_with_token(ci, f"{ci.repository}/replayed:1", digest), tmp_path, environment)

    assert (first.code, again.code) == (0, 0), first.err + again.err
    assert "is attested" in first.out
    assert again.out.splitlines()[0] == first.out.splitlines()[0]
    assert (replayed.code, "(claim: jti)" in replayed.err) == (1, True), replayed.err


def test_issuer_that_is_away_is_waited_for_and_then_named(ci: CiWorld, tmp_path: Path) -> None:
    """Whether the door cannot have the keys or the job no token: tried again, then 75 and a sentence."""
    token = IssuerKeys(tmp_path / "keys").sign(
        {"iss": f"{NOBODY}/", "aud": AUDIENCE, "sub": "nobody", "iat": 1, "exp": 1 << 33}
    )
    ci.secrets.add(token)
    keys = ci.run(_with_token(ci, None, None, "--patience", "19"), tmp_path, {"SEALANE_TOKEN": token})
    job = ci.github() | {
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"{NOBODY}/idtoken?api-version=2.0",
        "GITHUB_OUTPUT": str(tmp_path / "output"),
    }
    service = ci.run(_announcing(ci, f"{ci.repository}/web:1", "sha256:" + "a" * 64, patience="1"), tmp_path, job)

    assert (keys.code, service.code) == (75, 75), keys.err + service.err
    assert "the keys of the issuer 'away' cannot be fetched now" in keys.err
    assert "trying again in 10 s" in keys.err
    assert "GitHub's token service cannot be used now" in service.err


def test_gitlab_job_pushes_announces_and_waits(ci: CiWorld, tmp_path: Path) -> None:
    """The digest comes from the build job as a dotenv artifact, the token from `id_tokens`."""
    image = f"{ci.up.endpoints['registry']}/group/web:1"
    project = {
        "CI_REGISTRY": "127.0.0.1",
        "CI_REGISTRY_IMAGE": ci.up.endpoints["registry"],
        "CI_REGISTRY_USER": "user",
        "CI_REGISTRY_PASSWORD": "as GitLab gives it",
        "CI_COMMIT_SHA": "4be1c0f",
        "CI_COMMIT_BRANCH": "main",
        "IMAGE": image,
    }
    built = ci.run(gitlab_job("build-image", project), tmp_path, project | ci.docker(tmp_path))
    assert built.code == 0, built.err
    handed_on = outputs(tmp_path / "checkout" / "image.env")
    audience = gitlab_audience(project | {"SEALANE_DOOR": AUDIENCE})
    job = ci.issuers.start_gitlab_job(GitLabJob(project="acme/shop", id_tokens={"SEALANE_TOKEN": audience}))
    ci.secrets.add(job["SEALANE_TOKEN"])
    step = gitlab_job("announce-image", project | {"SEALANE_DOOR": ci.door})
    ended = ci.run(step, tmp_path, job | handed_on)

    assert ended.code == 0, ended.err
    assert f"{image}@{handed_on['IMAGE_DIGEST']} is attested" in ended.out
    headers, _ = ci.event(ended)
    assert headers["ce-actor"] == "gitlab/acme/shop"
    assert headers["ce-source"] == f"//{job['CI_SERVER_HOST']}/acme/shop"


def test_cloud_build_pushes_announces_and_waits(ci: CiWorld, tmp_path: Path) -> None:
    """The steps share a folder; the token is that of the build's service account, from the metadata server."""
    image = f"{ci.up.endpoints['registry']}/cloud/web"
    build = {"_IMAGE": image, "_DOOR": ci.door, "_AUDIENCE": AUDIENCE, "BUILD_ID": "b-1", "PROJECT_ID": "acme"}
    pushed = ci.run(cloud_build_step("push", build), tmp_path, ci.docker(tmp_path))
    assert pushed.code == 0, pushed.err
    step = cloud_build_step("announce", build)
    ended = ci.run(step, tmp_path, {"GCE_METADATA_HOST": ci.issuers.url.removeprefix("http://")})

    assert ended.code == 0, ended.err
    assert "is attested" in ended.out
    headers, body = ci.event(ended)
    assert headers["ce-actor"] == "cloud-build"
    assert headers["ce-source"] == "//cloudbuild.googleapis.com/projects/acme"
    assert body["image"] == f"{image}:b-1"


def test_jenkins_pushes_announces_and_waits(ci: CiWorld, tmp_path: Path) -> None:
    """Though Jenkins traces its shell, the API key is nowhere to be read; the name of the job is the source."""
    image = f"{ci.up.endpoints['registry']}/jenkins/web:7"
    build = {"SEALANE_DOOR": ci.door, "IMAGE": image, "JOB_NAME": "folder/shop, nightly", "BUILD_NUMBER": "7"}
    pushed = ci.run(jenkins_stage("Push image", build), tmp_path, ci.docker(tmp_path))
    assert pushed.code == 0, pushed.err
    ended = ci.run(jenkins_stage("Announce image", build), tmp_path, {"SEALANE_TOKEN": JENKINS_KEY})

    assert ended.code == 0, ended.err
    assert "+ sh deploy/ci/publish-image.sh" in ended.err
    assert "is attested" in ended.out
    headers, _ = ci.event(ended)
    assert headers["ce-actor"] == "jenkins"
    assert unquote(headers["ce-source"]) == "/jenkins/folder/shop, nightly"


def test_image_that_is_not_there_fails_the_step_with_the_reason(ci: CiWorld, tmp_path: Path) -> None:
    """Whoever waits learns that there will be no attestation, and why."""
    environment = {"SEALANE_TOKEN": JENKINS_KEY}
    missing = f"{ci.up.endpoints['registry']}/jenkins/missing:1"
    source = ("--source", "/jenkins/shop")
    ended = ci.run(_with_token(ci, missing, "sha256:" + "b" * 64, *source, "--wait", "80"), tmp_path, environment)

    assert (ended.code, "the image was not attested: " in ended.err) == (1, True), ended.err


def _announcing(ci: CiWorld, image: str, digest: str, **given: str) -> Step:
    context = {"github.sha": "4be1c0f", "steps.push.outputs.digest": digest}
    return action_step(context, door=ci.door, image=image, **given)


def _with_token(ci: CiWorld, image: str | None = None, digest: str | None = None, *more: str) -> Step:
    options = ["--identity", "token", "--door", ci.door, "--image", image or f"{ci.repository}/web:1"]
    options += ["--digest", digest or "sha256:" + "a" * 64, "--source", "//github.com/acme/shop", "--build", "1"]
    return direct(*options, *more)
