"""What a commit holds, and how two commits differ, as the REST API tells it."""

import base64

import pytest

from tests.local.github.client import REPOSITORY, Api, WorkTree

TENANT = "onboarding/acme/tenant.yaml"


async def compare(api: Api, basehead: str, query: str = "") -> dict[str, object]:
    """Compare as the installation does."""
    reply = await api.ask("GET", f"{REPOSITORY}/compare/{basehead}{query}", await api.token())
    assert reply.status == 200, reply.body
    return dict(reply.json)


async def test_a_tree_is_listed_with_its_folders(api: Api, tree: WorkTree) -> None:
    """Modes, types and sizes are git's; without `recursive` the top alone is listed."""
    (tree.folder / "link").symlink_to("README.md")
    commit = await tree.commit({TENANT: "name: acme\n"})
    await tree.git("push", "-q")
    token = await api.token()
    deep = (await api.ask("GET", f"{REPOSITORY}/git/trees/{commit}?recursive=0", token)).json
    flat = (await api.ask("GET", f"{REPOSITORY}/git/trees/main", token)).json

    assert [(one["path"], one["mode"], one["type"]) for one in deep["tree"]] == [
        ("README.md", "100644", "blob"),
        ("link", "120000", "blob"),
        ("onboarding", "040000", "tree"),
        ("onboarding/acme", "040000", "tree"),
        (TENANT, "100644", "blob"),
    ]
    assert (deep["truncated"], deep["tree"][-1]["size"]) == (False, 11)
    assert [one["path"] for one in flat["tree"]] == ["README.md", "link", "onboarding"]
    below = await api.ask("GET", f"{REPOSITORY}/git/trees/{flat['tree'][2]['sha']}", token)
    assert [one["path"] for one in below.json["tree"]] == ["acme"]
    blob = await api.ask("GET", f"{REPOSITORY}/git/blobs/{deep['tree'][-1]['sha']}", token)
    assert base64.b64decode(blob.json["content"]) == b"name: acme\n"


async def test_a_large_tree_is_truncated(api: Api, tree: WorkTree, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so, and what is listed is the beginning."""
    monkeypatch.setattr("workers.local.github.rest.contents.MOST_ENTRIES", 3)
    await tree.commit({TENANT: "name: acme\n"})
    await tree.git("push", "-q")
    shown = (await api.ask("GET", f"{REPOSITORY}/git/trees/main?recursive=1", await api.token())).json

    assert (len(shown["tree"]), shown["truncated"]) == (3, True)


@pytest.mark.parametrize(
    "path",
    [
        "git/trees/nowhere",
        f"git/trees/{'1' * 40}",
        "git/blobs/1",
        f"git/blobs/{'1' * 40}",
        "git/ref/heads/nowhere",
        "git/ref/heads",
        "branches/nowhere",
        "contents/nowhere",
        "contents/README.md/below",
        "contents/README.md?ref=nowhere",
        f"compare/main...{'1' * 40}",
        "compare/main",
        "compare/...main",
        "nothing",
    ],
)
async def test_what_is_not_there_is_not_found(api: Api, path: str) -> None:
    """Whatever is asked for."""
    assert (await api.ask("GET", f"{REPOSITORY}/{path}", await api.token())).status == 404


async def test_an_unknown_commit_is_not_valid(api: Api) -> None:
    """This address alone says 422 of what is not there."""
    for name in ("1" * 40, "nowhere"):
        assert (await api.ask("GET", f"{REPOSITORY}/commits/{name}", await api.token())).status == 422


async def test_refs_name_commits_and_annotated_tags(api: Api, tree: WorkTree) -> None:
    """A branch may have slashes in its name; an annotated tag points at its own object."""
    head = await tree.git("rev-parse", "HEAD")
    await tree.git("tag", "-a", "v1", "-m", "One")
    await tree.git("push", "-q", "origin", "v1", "main:refs/heads/feature/a")
    token = await api.token()
    branch = (await api.ask("GET", f"{REPOSITORY}/git/ref/heads/feature/a", token)).json
    tag = (await api.ask("GET", f"{REPOSITORY}/git/ref/tags/v1", token)).json
    shown = (await api.ask("GET", f"{REPOSITORY}/branches/feature/a", token)).json

    assert (branch["ref"], branch["object"]["type"], branch["object"]["sha"]) == (
        "refs/heads/feature/a",
        "commit",
        head,
    )
    assert (tag["object"]["type"], tag["object"]["sha"]) == ("tag", await tree.git("rev-parse", "v1"))
    assert (shown["name"], shown["commit"]["sha"]) == ("feature/a", head)
    assert (await api.ask("GET", f"{REPOSITORY}/commits/v1", token)).json["sha"] == head


async def test_compares_from_where_two_branches_parted(api: Api, tree: WorkTree) -> None:
    """Changes of the base alone do not count; renames are found."""
    root = await tree.commit({TENANT: "name: acme\nplan: large\n", "gone": "1\n"})
    await tree.git("push", "-q")
    await tree.git("checkout", "-q", "-b", "side")
    await tree.commit({TENANT: None, "onboarding/new/tenant.yaml": "name: acme\nplan: large\n"})
    head = await tree.commit({"gone": None, "README.md": "# Other\n", "fresh": "something else\n"})
    await tree.git("push", "-q", "origin", "side")
    await tree.git("checkout", "-q", "main")
    await tree.commit({"base": "1\n"})
    await tree.git("push", "-q", "origin", "main")
    found = await compare(api, f"main...{head}")
    files = found["files"]
    assert isinstance(files, list)

    assert (found["status"], found["ahead_by"], found["behind_by"], found["total_commits"]) == ("diverged", 2, 1, 2)
    assert found["merge_base_commit"]["sha"] == root  # type: ignore[index]  # JSON
    assert [(one["status"], one["filename"]) for one in files] == [
        ("modified", "README.md"),
        ("added", "fresh"),
        ("removed", "gone"),
        ("renamed", "onboarding/new/tenant.yaml"),
    ]
    assert files[3]["previous_filename"] == TENANT
    assert (files[2]["deletions"], files[2]["patch"]) == (1, "@@ -1 +0,0 @@\n-1")
    assert (await compare(api, f"{head}...{root}"))["status"] == "behind"
    assert (await compare(api, f"{root}...side"))["status"] == "ahead"
    assert (await compare(api, "main...main"))["status"] == "identical"


async def test_a_comparison_lists_300_files_at_most(api: Api, tree: WorkTree) -> None:
    """They are on the first page alone."""
    before = await tree.git("rev-parse", "HEAD")
    await tree.commit({f"many/{number:03}": "x" for number in range(301)})
    await tree.commit({"one": "x"})
    await tree.git("push", "-q")
    first = await compare(api, f"{before}...main", "?per_page=1")
    second = await compare(api, f"{before}...main", "?per_page=1&page=2")

    assert (len(first["files"]), second["files"]) == (300, [])  # type: ignore[arg-type]  # JSON
    assert (len(first["commits"]), first["total_commits"]) == (1, 2)  # type: ignore[arg-type]  # JSON


async def test_what_has_no_common_ancestor_cannot_be_compared(api: Api, tree: WorkTree) -> None:
    """It is not found, with a sentence of its own."""
    await tree.git("checkout", "-q", "--orphan", "other")
    await tree.commit({"a": "1"})
    await tree.git("push", "-q", "origin", "other")
    reply = await api.ask("GET", f"{REPOSITORY}/compare/main...other", await api.token())

    assert (reply.status, "No common ancestor" in reply.message) == (404, True)


async def test_files_and_folders_are_shown_at_a_ref(api: Api, tree: WorkTree) -> None:
    """A file with its content, or raw; a folder as a list; an older commit as it was."""
    old = await tree.commit({TENANT: "name: old\n"})
    await tree.commit({TENANT: "name: new\n"})
    await tree.git("push", "-q")
    token, raw = await api.token(), {"Accept": "application/vnd.github.raw+json"}
    file = (await api.ask("GET", f"{REPOSITORY}/contents/{TENANT}", token)).json
    before = await api.ask("GET", f"{REPOSITORY}/contents/{TENANT}?ref={old}", token, headers=raw)
    folder = (await api.ask("GET", f"{REPOSITORY}/contents/onboarding", token)).json

    assert (file["type"], file["encoding"], base64.b64decode(file["content"])) == ("file", "base64", b"name: new\n")
    assert before.body == b"name: old\n"
    assert [(one["type"], one["path"]) for one in folder] == [("dir", "onboarding/acme")]


async def test_a_file_is_written_changed_and_removed_with_its_sha(api: Api) -> None:
    """Whoever does not know what is there is refused, so that nobody's change is lost."""
    made = await api.write(TENANT, "name: acme\n")
    sha = made.json["content"]["sha"]
    blind = await api.write(TENANT, "name: Acme\n")
    stale = await api.write(TENANT, "name: Acme\n", sha="1" * 40)
    changed = await api.write(TENANT, "name: Acme\n", sha=sha)
    gone = {"message": "Remove", "sha": changed.json["content"]["sha"]}
    removed = await api.ask("DELETE", f"{REPOSITORY}/contents/{TENANT}", api.person, json=gone)

    assert (made.status, changed.status, removed.status) == (201, 200, 200)
    assert (blind.status, stale.status) == (422, 409)
    assert removed.json["content"] is None
    assert (await api.ask("GET", f"{REPOSITORY}/contents/{TENANT}", api.person)).status == 404
    assert (await api.ask("PUT", f"{REPOSITORY}/contents/a/../b", api.person, json={})).status in {404, 422}
    assert (await api.ask("PUT", f"{REPOSITORY}/contents/a", await api.token(), json={"content": ""})).status == 403
