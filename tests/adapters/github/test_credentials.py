"""The App's tokens: one a repository, as long as GitHub says, and a new one when GitHub takes it no more."""

import asyncio

import pytest

from tests.adapters.github.conftest import MAIN, Setting
from workers.failures import NotFound
from workers.ports.github import Repository
from workers.redaction import redact


async def test_one_token_serves_all_questions_at_once(setting: Setting) -> None:
    """Twenty questions at the same time ask for one token."""
    heads = await asyncio.gather(*(setting.github.head(setting.repository, MAIN) for _ in range(20)))

    assert len(set(heads)) == 1
    assert setting.tokens == 1


async def test_a_token_is_used_until_shortly_before_its_own_end(setting: Setting) -> None:
    """After 54 of its 60 minutes it is still good, after 56 another one is asked for."""
    await setting.github.head(setting.repository, MAIN)
    setting.ahead[0] += 54 * 60
    await setting.github.head(setting.repository, MAIN)
    assert setting.tokens == 1
    setting.ahead[0] += 2 * 60
    await setting.github.head(setting.repository, MAIN)

    assert setting.tokens == 2


async def test_a_token_that_is_revoked_is_replaced(setting: Setting) -> None:
    """A 401 is answered with a new token, once."""
    await setting.github.head(setting.repository, MAIN)
    setting.local.faults.fail("ref", 401)

    assert await setting.github.head(setting.repository, MAIN) is not None
    assert setting.tokens == 2


async def test_a_token_reads_its_own_repository_alone(setting: Setting) -> None:
    """Another one of the same installation is not there for it."""
    owner = setting.local.directory.account(setting.local.names.owner)
    assert owner is not None
    other = setting.local.directory.add_repository(owner, "other", private=True, branch="main")
    setting.local.directory.select(setting.local.names.installation_id, other.id)
    credential = await setting.credentials.installation(setting.repository)

    await setting.client.get(f"/repositories/{setting.repository.id}", credential)
    with pytest.raises(NotFound):
        await setting.client.get(f"/repositories/{other.id}", credential)


async def test_an_installation_that_is_not_named_is_found(setting: Setting) -> None:
    """The first that may read the repository; where none may, the sentence says what to do."""
    assert await setting.github.head(Repository(setting.repository.id), MAIN) is not None
    with pytest.raises(NotFound, match="install it there"):
        await setting.github.head(Repository(4711), MAIN)


async def test_an_unchanged_answer_counts_against_no_limit(setting: Setting) -> None:
    """The second look at a ref is conditional, and sees at once when it moves."""
    first = await setting.github.head(setting.repository, MAIN)
    credential = await setting.credentials.installation(setting.repository)
    again = await setting.client.get(f"/repos/{setting.local.names.repository}/git/ref/heads/main", credential)
    assert again.data["object"]["sha"] == first
    second = setting.objects.commit({"a": "2"}, on=first)
    setting.objects.point(MAIN, second)

    assert await setting.github.head(setting.repository, MAIN) == second


async def test_no_credential_shows_itself(setting: Setting) -> None:
    """Neither as a representation nor in a text that we write."""
    app, token = await setting.credentials.app(), await setting.credentials.installation(setting.repository)

    assert app.jwt is not None
    assert token.token is not None
    assert app.jwt not in repr(app)
    assert token.token not in repr(token)
    assert len(token.token) > 200
    assert redact(f"a {token.token} b {app.jwt} c") == "a [concealed] b [concealed] c"
