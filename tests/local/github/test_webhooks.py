"""A push becomes a signed delivery with what GitHub says in it; what failed is recorded, and sent again when asked."""

import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.local.github.client import Api, Receiver, WorkTree, signature
from workers.local.github import Github
from workers.local.github.database import open_database
from workers.local.github.deliveries import LARGEST
from workers.local.github.history import ZERO

TENANT = "onboarding/acme/tenant.yaml"
DIGEST = f"sha256:{'ab' * 32}"


async def push(api: Api, tree: WorkTree, *arguments: str) -> None:
    """Push, and wait until all of it was delivered."""
    await tree.git("push", "-q", *arguments)
    await api.github.deliveries.settled()


async def test_a_push_is_delivered_signed(api: Api, tree: WorkTree, receiver: Receiver) -> None:
    """Signature and headers are GitHub's; the signature is over the very bytes."""
    await tree.commit({TENANT: "name: acme\n"})
    await push(api, tree)

    headers, body = receiver.got[-1]
    secret, app = api.github.names.webhook_secret.read_text().strip(), str(api.github.names.app_id)
    assert headers["X-Hub-Signature-256"] == signature(secret, body)
    assert headers["X-GitHub-Event"] == "push"
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"].startswith("GitHub-Hookshot/")
    assert headers["X-GitHub-Hook-Installation-Target-ID"] == app
    assert headers["X-GitHub-Hook-Installation-Target-Type"] == "integration"
    assert len(headers["X-GitHub-Delivery"]) == 36


async def test_a_push_says_what_changed(api: Api, tree: WorkTree, receiver: Receiver) -> None:
    """Each commit has its own lists; a rename is one path removed and one added."""
    before = await tree.git("rev-parse", "HEAD")
    await tree.commit({TENANT: "name: acme\n", "b": "1", "gone": "1"}, "First\n\nwith a body")
    after = await tree.commit({TENANT: "name: Acme\n", "b": None, "c": "1", "gone": None, "ümlaut ☃": "1"})
    await push(api, tree)

    (sent,) = receiver.events("push")
    assert (sent["ref"], sent["before"], sent["after"]) == ("refs/heads/main", before, after)
    assert (sent["created"], sent["deleted"], sent["forced"], sent["base_ref"]) == (False, False, False, None)
    assert [commit["added"] for commit in sent["commits"]] == [["b", "gone", TENANT], ["c", "ümlaut ☃"]]
    assert [commit["removed"] for commit in sent["commits"]] == [[], ["b", "gone"]]
    assert [commit["modified"] for commit in sent["commits"]] == [[], [TENANT]]
    assert sent["commits"][0]["message"] == "First\n\nwith a body"
    assert sent["commits"][0]["author"] == {"name": "Ada", "email": "ada@example.com"}
    assert sent["head_commit"]["id"] == after
    assert sent["repository"]["id"] == api.github.names.repository_id
    assert sent["repository"]["owner"]["id"] == api.github.names.owner_id
    assert isinstance(sent["repository"]["pushed_at"], int)
    assert sent["installation"]["id"] == api.github.names.installation_id
    assert (sent["sender"]["login"], sent["pusher"]["name"]) == ("local", "local")


async def test_branches_tags_and_force_say_what_they_are(api: Api, tree: WorkTree, receiver: Receiver) -> None:
    """Created from another branch, deleted, moved back, and tagged."""
    main = await tree.git("rev-parse", "HEAD")
    await push(api, tree, "origin", "main:refs/heads/copy")
    copied = receiver.pushes()["refs/heads/copy"]
    await push(api, tree, "origin", ":copy")
    removed = receiver.pushes()["refs/heads/copy"]
    first = await tree.commit({"a": "1"})
    await push(api, tree, "origin", "HEAD:refs/heads/work")
    created = receiver.pushes()["refs/heads/work"]
    await tree.git("reset", "-q", "--hard", main)
    second = await tree.commit({"b": "1"})
    await push(api, tree, "--force", "origin", "HEAD:refs/heads/work")
    forced = receiver.pushes()["refs/heads/work"]
    await tree.git("tag", "-a", "v1", "-m", "One")
    await push(api, tree, "origin", "v1")
    tagged = receiver.pushes()["refs/tags/v1"]

    assert (copied["created"], copied["base_ref"], copied["before"]) == (True, "refs/heads/main", ZERO)
    assert copied["commits"] == []
    assert (removed["deleted"], removed["after"], removed["head_commit"]) == (True, ZERO, None)
    assert (created["created"], created["base_ref"], [one["id"] for one in created["commits"]]) == (True, None, [first])
    assert (forced["forced"], forced["before"], [one["id"] for one in forced["commits"]]) == (True, first, [second])
    assert (tagged["created"], tagged["commits"], tagged["head_commit"]["id"]) == (True, [], second)


async def test_a_merge_brings_the_commits_of_both_sides(api: Api, tree: WorkTree, receiver: Receiver) -> None:
    """Parents come first; the merge is compared with its first parent; what another branch had is not distinct."""
    await tree.git("checkout", "-q", "-b", "side")
    side = await tree.commit({"side": "1"})
    await push(api, tree, "origin", "side")
    await tree.git("checkout", "-q", "main")
    own = await tree.commit({"own": "1"})
    await tree.git("merge", "-q", "--no-ff", "side", "-m", "Merge")
    await push(api, tree, "origin", "main")

    commits = receiver.pushes()["refs/heads/main"]["commits"]
    assert {one["id"]: one["distinct"] for one in commits} == {side: False, own: True, commits[-1]["id"]: True}
    assert commits[-1]["added"] == ["side"]


async def test_more_than_three_tags_at_once_are_not_announced(api: Api, tree: WorkTree, receiver: Receiver) -> None:
    """The branch that goes with them is."""
    for number in range(4):
        await tree.git("tag", f"v{number}")
    await tree.commit({"a": "1"})
    await push(api, tree, "--tags", "origin", "main")

    assert list(receiver.pushes()) == ["refs/heads/main"]


async def test_long_pushes_are_cut(api: Api, tree: WorkTree, receiver: Receiver) -> None:
    """No more than 2,048 commits are told of, and of each no more than 3,000 files."""
    stream = []
    for number in range(2050):
        files = (
            "".join(f"M 100644 inline many/{file:04}\ndata 1\nx\n" for file in range(3001)) if number == 2049 else ""
        )
        stream.append(f"commit refs/heads/long\ncommitter Ada <a@example.com> {number} +0000\ndata 1\nx\n{files}\n")
    (tree.folder / "stream").write_text("".join(stream))
    reading = ("-c", "alias.load=!git fast-import --quiet < stream", "load")
    await tree.git(*reading)
    await push(api, tree, "origin", "long")

    sent = receiver.pushes()["refs/heads/long"]
    assert (len(sent["commits"]), len(sent["commits"][-1]["added"])) == (2048, 3000)
    assert sent["commits"][-1]["id"] == sent["after"]


async def test_a_payload_beyond_25_megabytes_is_not_delivered(api: Api, receiver: Receiver) -> None:
    """It is not in the list either: nobody is told."""
    deliveries = api.github.deliveries

    assert deliveries.enqueue("push", {"x": "y" * LARGEST}, installation=None, repository=None) is None
    assert [one["event"] for one in await api.deliveries()] == ["ping"]


async def test_only_what_the_app_sees_and_asked_for_is_delivered(api: Api, receiver: Receiver) -> None:
    """Neither a repository that was not selected, nor anything while the installation is suspended."""
    await api.ask("POST", "/orgs/acme/repos", api.person, json={"name": "other", "private": True})
    body = {"message": "m", "content": "eA=="}
    made = await api.ask("PUT", "/repos/acme/other/contents/a", api.person, json=body)
    api.github.directory.suspend(api.github.names.installation_id, suspended=True)
    await api.write("a", "1")
    api.github.directory.suspend(api.github.names.installation_id, suspended=False)
    await api.write("b", "1")
    await api.github.deliveries.settled()

    assert made.status == 201
    assert [push["commits"][0]["added"] for push in receiver.events("push")] == [["b"]]


async def test_a_published_package_is_told_in_both_forms(api: Api, receiver: Receiver) -> None:
    """`package` and `registry_package` name the image, its tag and its digest, to whoever asked for them."""
    api.github.directory.subscribe(api.github.names.installation_id, ("package", "registry_package"))
    body = {"repository": "acme/onboarding", "name": "shop/web", "tag": "1.0", "digest": DIGEST}
    assert (await api.ask("POST", "/_local/packages", await api.token(), json=body)).status == 401
    assert (await api.ask("POST", "/_local/packages", api.person, json=body | {"digest": "1"})).status == 422
    assert (await api.ask("POST", "/_local/packages", api.person, json=body)).status == 202
    await api.github.deliveries.settled()

    for event in ("package", "registry_package"):
        (sent,) = receiver.events(event)
        version = sent[event]["package_version"]
        assert (sent["action"], sent[event]["name"], sent[event]["namespace"]) == ("published", "shop/web", "acme")
        assert version["container_metadata"]["tag"] == {"name": "1.0", "digest": DIGEST}
        assert version["package_url"] == "ghcr.io/acme/shop/web:1.0"


@pytest.mark.parametrize(
    ("answer", "status"), [(503, "Invalid HTTP Response: 503"), (302, "Invalid HTTP Response: 302")]
)
async def test_an_answer_that_is_no_success_is_recorded_once(
    api: Api, receiver: Receiver, answer: int, status: str
) -> None:
    """Nothing is tried again by itself, and no redirect is followed."""
    receiver.answer = answer
    await api.write("a", "1")
    latest, *_ = await api.deliveries()

    assert (latest["status"], latest["status_code"]) == (f"Invalid HTTP Response: {answer}", answer)
    assert latest["redelivery"] is False
    assert len(receiver.events("push")) == 1
    shown = (await api.ask("GET", f"/app/hook/deliveries/{latest['id']}", api.assertion())).json
    assert shown["request"]["payload"]["commits"][0]["added"] == ["a"]
    assert shown["request"]["headers"]["X-GitHub-Delivery"] == latest["guid"]
    assert shown["response"]["payload"] == "taken"


async def test_a_failed_delivery_is_made_again_when_asked(api: Api, receiver: Receiver) -> None:
    """It is the same body under the same guid, with an id of its own."""
    receiver.answer = 500
    await api.write("a", "1")
    (failed,) = await api.deliveries("?status=failure")
    receiver.answer = 202
    asked = await api.ask("POST", f"/app/hook/deliveries/{failed['id']}/attempts", api.assertion())
    latest = (await api.deliveries())[0]

    assert asked.status == 202
    assert (latest["guid"], latest["status"], latest["redelivery"]) == (failed["guid"], "OK", True)
    assert latest["id"] > failed["id"]
    (first_headers, first), (again_headers, again) = receiver.got[-2:]
    assert first == again
    assert first_headers["X-GitHub-Delivery"] == again_headers["X-GitHub-Delivery"]
    for unknown in ("999999", "x"):
        reply = await api.ask("POST", f"/app/hook/deliveries/{unknown}/attempts", api.assertion())
        assert reply.status == 404


async def test_lists_deliveries_page_by_page(api: Api, receiver: Receiver) -> None:
    """The Link header leads through all of them, the latest first, each once."""
    for number in range(6):
        await api.write(f"file-{number}", "1")
    await api.github.deliveries.settled()
    seen, link = [], "/app/hook/deliveries?per_page=3"
    while link:
        reply = await api.ask("GET", link, api.assertion())
        seen += [one["id"] for one in reply.json]
        entry = reply.headers.get("Link", "")
        link = entry[1 : entry.index(">")] if 'rel="next"' in entry else ""

    assert len(seen) == 7
    assert seen == sorted(seen, reverse=True)
    assert (await api.ask("GET", "/app/hook/deliveries?cursor=nowhere", api.assertion())).status == 400
    assert (await api.ask("GET", "/app/hook/deliveries?status=lost", api.assertion())).status == 422


@pytest.fixture
async def hasty(tmp_path: Path, receiver: Receiver) -> AsyncIterator[Api]:
    """Yield a GitHub that waits a moment only, in which not even the first ping need be heard."""
    async with Github(tmp_path / "hasty", patience=1.0) as github, ClientSession() as session:
        await github.hook_to(receiver.url)
        await github.deliveries.settled()
        yield Api(github, session)


async def test_a_receiver_that_stays_silent_has_failed(hasty: Api, receiver: Receiver) -> None:
    """It is recorded as timed out, and can be asked for again."""
    receiver.silent = True
    await hasty.write("a", "1")
    latest, *_ = await hasty.deliveries("?status=failure")

    assert (latest["event"], latest["status"], latest["status_code"]) == ("push", "timed out", 504)


async def test_a_receiver_that_is_away_has_failed(hasty: Api) -> None:
    """Nobody listens: it is recorded, also for the ping that greets a new address."""
    await hasty.github.hook_to("http://127.0.0.1:9/webhooks/github")
    await hasty.write("a", "1")
    failed = (await hasty.deliveries("?status=failure"))[:2]

    assert [one["event"] for one in failed] == ["push", "ping"]
    assert {one["status"] for one in failed} == {"failed to connect to host"}


async def test_a_new_secret_signs_what_comes_next(api: Api, receiver: Receiver) -> None:
    """It is changed by the App itself, and never shown."""
    changed = await api.ask("PATCH", "/app/hook/config", api.assertion(), json={"secret": "canary-new"})
    await api.write("a", "1")
    await api.github.deliveries.settled()

    headers, body = receiver.got[-1]
    assert headers["X-Hub-Signature-256"] == signature("canary-new", body)
    assert "canary-new" not in changed.body.decode()
    assert (await api.ask("PATCH", "/app/hook/config", api.assertion(), json={"secret": 1})).status == 422


async def test_old_deliveries_are_forgotten(tmp_path: Path, receiver: Receiver) -> None:
    """After three days a delivery is neither listed nor made again; the next start takes its payload off the disk."""
    now = time.time()
    async with Github(tmp_path, clock=lambda: now) as github, ClientSession() as session:
        api = Api(github, session)
        await github.hook_to(receiver.url)
        (ping,) = await api.deliveries()
        now += 3 * 24 * 3600 + 1
        claims: dict[str, Any] = {"iat": int(now) - 60, "exp": int(now) + 60}
        reply = await api.ask("POST", f"/app/hook/deliveries/{ping['id']}/attempts", api.assertion(**claims))
        listed = await api.ask("GET", "/app/hook/deliveries", api.assertion(**claims))
        assert (reply.status, listed.json) == (404, [])
    async with Github(tmp_path, clock=lambda: now):
        pass
    with closing(open_database(tmp_path)) as database:
        assert [*database.execute("SELECT id FROM deliveries")] == []


async def test_what_waits_when_it_stops_is_delivered_after_the_next_start(tmp_path: Path, receiver: Receiver) -> None:
    """A stop in the middle of a delivery loses nothing."""
    receiver.silent = True
    async with Github(tmp_path) as github, ClientSession() as session:
        await github.hook_to(receiver.url)
        await Api(github, session).write("a", "1")
        await receiver.arrived(2)
    receiver.silent, receiver.got = False, []
    async with Github(tmp_path) as github:
        await github.deliveries.settled()

    assert [headers["X-GitHub-Event"] for headers, _ in receiver.got] == ["ping", "push"]
