"""The page beside the CI snippets says what is so."""

import re

from tests.deploy.pipelines import CI
from workers.gateway.principals import read_policy

PAGE = (CI / "README.md").read_text()


def test_policy_on_the_page_can_be_copied() -> None:
    """It is read as it stands, and has a principal for every kind of caller."""
    (text,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    policy = read_policy(text)

    assert {principal.issuer for principal in policy.principals} == {"github", "gitlab", "google", None}
    assert {grant.type for principal in policy.principals for grant in principal.may_publish} == {"image.pushed"}


def test_every_snippet_is_on_the_page_and_nothing_else() -> None:
    """Each link leads to a file of this folder, and each file has one."""
    linked = set(re.findall(r"\]\(([^)]+)\)", PAGE))
    there = {path.relative_to(CI).as_posix() for path in CI.rglob("*") if path.is_file() and path.name != "README.md"}

    assert linked == there
