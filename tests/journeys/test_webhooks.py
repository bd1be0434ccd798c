"""From `git push` to the event that follows, over a real webhook; also when the door was away meanwhile."""

from collections.abc import Callable
from pathlib import Path

from tests.journeys.conftest import Up, eventually
from tests.journeys.github import REPOSITORY, WorldGithub
from tests.journeys.notified import is_attested
from workers.local.registry import build_image, push, write_layout

TENANT = "onboarding/globex/tenant.yaml"


def test_pushed_file_onboards_a_tenant_and_its_removal_lets_it_go(world: Up, tmp_path: Path) -> None:
    """The event names tenant, commit and path; whoever pushed is its actor; the delivery is recorded as taken."""
    github = WorldGithub(world)
    clone = github.clone(tmp_path)
    commit = github.push(clone, {TENANT: "plan: small\n", "README.md": "# Tenants\n"})
    onboarded = github.until("tenant.onboarded", tenant="globex")
    removal = github.push(clone, {TENANT: None})
    offboarded = github.until("tenant.offboarded", tenant="globex")

    assert (onboarded.body["commit"], onboarded.body["change"], onboarded.body["paths"]) == (commit, "added", [TENANT])
    assert (onboarded.body["repository"], onboarded.body["ref"]) == (REPOSITORY, "refs/heads/main")
    assert onboarded.headers["ce-actor"] == "github/local"
    assert (offboarded.body["commit"], offboarded.body["change"]) == (removal, "removed")
    assert {one["status"] for one in github.deliveries("push")} == {"OK"}


def test_published_package_is_attested(world: Up, tmp_path: Path) -> None:
    """GitHub's event becomes the fact that starts the lane; the local packages are in the local registry."""
    github = WorldGithub(world)
    image = build_image([{"etc/motd": b"a package"}])
    reference = f"{world.endpoints['registry']}/acme/shop/web:1.0"
    password = Path(world.endpoints["token"]).read_text()
    push(write_layout(tmp_path, image, tag="1.0"), reference, username="oauth2accesstoken", password=password)
    token = github.names.personal_token.read_text().strip()
    package = {"repository": REPOSITORY, "name": "shop/web", "tag": "1.0", "digest": image.digest}
    assert github.call("/_local/packages", token, package) == 202
    pushed = github.until("image.pushed", digest=image.digest)

    assert pushed.body["image"] == reference
    assert pushed.headers["ce-actor"] == "github/local"
    eventually(lambda: is_attested(world, image.digest), "an attestation of the package")


def test_what_failed_while_the_door_was_away_comes_by_redelivery(start: Callable[..., Up], tmp_path: Path) -> None:
    """Nobody pushes again: the failed delivery is found in GitHub's list, asked for, and taken once."""
    up = start("up", "--no-door").ready()
    github = WorldGithub(up)
    commit = github.push(github.clone(tmp_path), {TENANT: "plan: small\n"})
    (failed,) = eventually(lambda: github.deliveries("push"), "the delivery was tried")
    assert failed["status"] == "failed to connect to host"
    start("gateway", data=up.data).says("ready: the door")
    github.let_time_pass(600)
    github.hurry("redeliver")
    onboarded = github.until("tenant.onboarded", tenant="globex")
    again = eventually(lambda: github.deliveries("push")[1:], "the delivery was made again")[0]

    assert onboarded.body["commit"] == commit
    assert (again["guid"], again["status"], again["redelivery"]) == (failed["guid"], "OK", 1)
    assert github.call(f"/app/hook/deliveries/{again['id']}/attempts", github.assertion(), {}) == 202
    known = eventually(lambda: github.deliveries("push")[2:], "the delivery was made a third time")[0]
    assert (known["status"], '"outcome":"known"' in known["answer"]) == ("OK", True)
    assert len(github.events("tenant.onboarded")) == 1
