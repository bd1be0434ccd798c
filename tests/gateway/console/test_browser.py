"""The console in a real browser: followed live, resumed, acted in, and read by everybody."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from tests.bus.lane import Lane, until
from tests.gateway.console.conftest import ACTOR, SEER, House, open_house, say
from tests.gateway.console.test_letters import bury
from workers.bus.judgement.line import resume_line, stop_line
from workers.gateway.principals import Policy

BAD = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script> \x1b[31m \u202e"
SHOWN = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script> \\u001b[31m \\u202e"
PATIENCE = 30_000
"""Milliseconds."""
SEEN_RULES = ["color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size"]


@pytest.fixture
async def screen(screen: Page) -> AsyncIterator[Page]:
    """Give a window in which no page says that something went wrong in it."""
    wrong: list[str] = []
    screen.on("pageerror", lambda error: wrong.append(str(error)))
    screen.on("console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None)
    expect.set_options(timeout=PATIENCE)
    yield screen
    assert wrong == []


async def sign_in(screen: Page, house: House, path: str = "/console", principal: str = ACTOR) -> None:
    """Open a page as somebody."""
    await screen.goto(f"{house.link(principal)}&next={path}")
    assert screen.url == f"{house.url}{path}"


async def live(screen: Page) -> None:
    """Wait until the page follows."""
    await expect(screen.locator("#live")).to_have_attribute("data-live", "on")


async def speak(lane: Lane, run: str, number: int, text: str) -> None:
    """Say a line of a run that goes on."""
    await say(lane, run, number, kind="log", outcome=None, message=text)


async def test_a_run_is_followed_while_it_happens(screen: Page, house: House, lane: Lane) -> None:
    """Lines, steps and the end appear by themselves; what tries to be HTML stays text; nobody reloads."""
    await say(lane, "one", kind="started", outcome=None)
    await speak(lane, "one", 2, f"before {BAD}")
    await sign_in(screen, house, "/console/runs/one")
    await live(screen)
    await say(lane, "one", 3, kind="step", step="resolve digest", state="began", outcome=None)
    await speak(lane, "one", 4, f"after {BAD}")
    lines = screen.locator("#log .text")

    await expect(lines).to_have_text([f"before {SHOWN}", f"after {SHOWN}"])
    await expect(screen.locator(".steps")).to_contain_text("resolve digest")
    await say(lane, "one", 5, logs=["the last"])
    await expect(screen.locator("#live")).to_have_text("complete")
    await expect(screen.locator(".sum .state")).to_have_text("done")
    await expect(lines).to_have_count(3)
    assert await screen.locator("#log img, #log script").count() == 0
    assert "owned" not in await screen.title()


async def test_a_broken_connection_goes_on_where_it_was(
    screen: Page, lane: Lane, tmp_path: Path, policy: Policy
) -> None:
    """The door is away while lines are said; when it is back each of them is there once, in order."""
    await say(lane, "one", kind="started", outcome=None)
    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(open_house(lane, tmp_path, policy))
        await sign_in(screen, house, "/console/runs/one")
        await live(screen)
        await speak(lane, "one", 2, "line 1")
        await expect(screen.locator("#log .text")).to_have_text(["line 1"])
        port = int(house.url.rpartition(":")[2])
        await stack.aclose()

        await expect(screen.locator("#live")).to_have_attribute("data-live", "lost")
        await speak(lane, "one", 3, "line 2")
        await stack.enter_async_context(open_house(lane, tmp_path, policy, port=port))
        await live(screen)
        await speak(lane, "one", 4, "line 3")

        await expect(screen.locator("#log .text")).to_have_text(["line 1", "line 2", "line 3"])


async def test_the_list_is_live_and_keeps_to_its_filter(screen: Page, house: House, lane: Lane) -> None:
    """A run appears, changes in place, and leaves a list of what is running when it is done."""
    await say(lane, "old")
    await sign_in(screen, house, "/console?state=running")
    await live(screen)
    await say(lane, "new", kind="started", outcome=None)
    await say(lane, "new", 2, kind="step", step=BAD, state="began", outcome=None)
    row = screen.locator('[data-run="new"]')

    await expect(row.locator(".why")).to_have_text(SHOWN)
    await expect(row.locator("[data-f=state]")).to_have_text("running")
    await say(lane, "new", 3)
    await expect(row).to_have_count(0)
    await expect(screen.locator(".empty")).to_be_visible()


async def test_a_page_that_is_left_open_says_when_somebody_is_needed(screen: Page, house: House, lane: Lane) -> None:
    """A line stops while nobody does anything: the page and its title say so, and say it no more when it runs."""
    await sign_in(screen, house)
    await live(screen)
    await expect(screen).to_have_title("Runs · sealane")
    await stop_line(lane.connection, lane.publisher, "echo", by="alice", reason="the registry is away")

    await expect(screen.get_by_text("The line of echo is stopped")).to_be_visible()
    await expect(screen).to_have_title("(1!) Runs · sealane")
    await resume_line(lane.connection, lane.publisher, "echo", by="alice")
    await expect(screen.locator("#needs li")).to_have_count(0)


async def test_two_thousand_runs_stay_quick(screen: Page, house: House, lane: Lane) -> None:
    """The page holds a hundred rows however many runs there are, and what is new is on top."""
    for number in range(2000):
        await say(lane, f"run-{number:04d}", number)
    await until(lambda: house.door.live.index.position >= 2000, what="an index of all runs")
    await sign_in(screen, house)
    await live(screen)
    await expect(screen.locator(".run")).to_have_count(100)
    for number in range(2000, 2150):
        await say(lane, f"run-{number:04d}", number)

    await expect(screen.locator(".run").first).to_have_attribute("data-run", "run-2149")
    await expect(screen.locator(".run")).to_have_count(100)
    await screen.get_by_role("link", name="Older runs").click()
    await expect(screen.locator(".run").first).to_have_attribute("data-run", "run-1899")


async def test_a_dead_letter_is_replayed_by_hand(screen: Page, house: House, lane: Lane) -> None:
    """From the sentence that somebody is needed to the replay, with nothing but links and buttons."""
    await bury(lane)
    await sign_in(screen, house)
    await screen.get_by_role("link", name="Decide").click()
    await screen.get_by_role("link", name="Dead letter 1").click()
    await screen.get_by_role("link", name="Replay …", exact=True).click()
    assert await lane.bodies("RETRY_echo") == []
    await screen.get_by_role("button", name="Replay").click()

    await expect(screen.get_by_role("status").filter(has_text="Replayed")).to_be_visible()
    await expect(screen.locator("main")).to_contain_text("by alice")
    assert await lane.bodies("RETRY_echo") == [{"message": "hello"}]


async def test_an_event_is_edited_and_replayed_by_hand(screen: Page, house: House, lane: Lane) -> None:
    """What is wrong is said beside what was typed; what is right goes to the worker."""
    await bury(lane)
    await sign_in(screen, house, "/console/dead/1/edit")
    await screen.get_by_label("Its data, as JSON").fill('{"message": ""}')
    await screen.get_by_role("button", name="Replay edited").click()
    await expect(screen.get_by_role("alert")).to_contain_text("message")
    await screen.get_by_label("Its data, as JSON").fill('{"message": "once more"}')
    await screen.get_by_role("button", name="Replay edited").click()

    await expect(screen.get_by_role("status").filter(has_text="Edited and replayed")).to_be_visible()
    assert await lane.bodies("RETRY_echo") == [{"message": "once more"}]


async def test_a_stranger_sees_nothing_and_who_only_sees_does_nothing(screen: Page, house: House, lane: Lane) -> None:
    """A deep link ends at the door, then leads where it led; there is no button for who may not press it."""
    await bury(lane)
    await screen.goto(f"{house.url}/console/dead/1")
    await expect(screen.get_by_role("heading", name="Sign in")).to_be_visible()
    assert "nobody is there" not in await screen.content()

    await sign_in(screen, house, "/console/dead/1", SEER)
    await expect(screen.locator(".reason")).to_have_text("nobody is there")
    await expect(screen.get_by_text("You may see this, not decide about it.")).to_be_visible()
    await screen.goto(f"{house.url}/console/dead/1/drop")
    await expect(screen.get_by_role("heading", name="Forbidden")).to_be_visible()
    assert await lane.count("DEAD") == 1


async def test_a_session_that_ended_is_told_while_the_page_is_open(screen: Page, house: House, lane: Lane) -> None:
    """Without the cookie nothing more is told, the page says so, and a new link goes on."""
    await say(lane, "one", kind="started", outcome=None)
    await sign_in(screen, house, "/console/runs/one")
    await live(screen)
    await screen.context.clear_cookies()
    await screen.reload()

    await expect(screen.get_by_role("heading", name="Sign in")).to_be_visible()


async def test_it_is_used_by_keys_alone(screen: Page, house: House, lane: Lane) -> None:
    """`/` searches, `j` and `k` go through the runs, Enter opens one."""
    for run in ("first", "second"):
        await say(lane, run)
    await until(lambda: house.door.live.index.position >= 2, what="an index of both runs")
    await sign_in(screen, house)
    await screen.keyboard.press("/")
    await expect(screen.get_by_role("searchbox")).to_be_focused()
    await screen.keyboard.type("about")
    await screen.keyboard.press("Enter")
    await expect(screen.locator(".run")).to_have_count(2)
    await screen.keyboard.press("j")
    await screen.keyboard.press("j")
    await screen.keyboard.press("k")
    await expect(screen.locator('[data-run="second"] a')).to_be_focused()
    await screen.keyboard.press("Enter")

    await screen.wait_for_url(f"{house.url}/console/runs/second")


async def furnish(lane: Lane) -> None:
    """Put something on every page."""
    steps = [{"name": "resolve digest", "state": "done", "seconds": 0.2}, {"name": "sign", "state": "failed"}]
    dead = {"type": "echo.requested", "source": "/ci", "id": "bad", "stream": "DEAD", "sequence": 1}
    await bury(lane)
    await say(lane, "good", logs=["a line"], steps=steps[:1])
    await say(lane, "bad", outcome="dead", message="nobody is there", dead=dead, steps=steps)
    await say(lane, "wait", outcome="retry", message="away", retry_at="2026-11-02T10:00:00Z", attempt=2)
    await say(lane, "busy", kind="started", outcome=None)


def findings(results: Any) -> list[str]:
    """Return what is serious."""
    return [
        f"{found['id']}: {node['html']}: {node['failureSummary']}"
        for found in results.response["violations"]
        if found["impact"] in {"serious", "critical"}
        for node in found["nodes"]
    ]


async def looks(screen: Page) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Show a page on a telephone and on a desk, light and dark: how it is shown, and what axe-core is asked then.

    The first time about all of its rules, and then about those whose outcome depends on sizes and colours.
    """
    asked: dict[str, Any] = {"resultTypes": ["violations"]}
    for width, scheme in itertools.product((390, 1440), ("light", "dark")):
        await screen.set_viewport_size({"width": width, "height": 844})
        await screen.emulate_media(color_scheme=cast("Any", scheme))
        yield f"{width} {scheme}", asked
        asked = asked | {"runOnly": {"type": "rule", "values": SEEN_RULES}}


@pytest.mark.timeout(600)
async def test_everybody_can_read_it(screen: Page, house: House, lane: Lane) -> None:
    """axe-core finds nothing serious on any page, and none is wider than the screen."""
    await furnish(lane)
    await until(lambda: house.door.live.index.position >= 4, what="an index of all runs")
    await sign_in(screen, house)
    paths = ["", "/runs/good", "/runs/bad", "/runs/wait", "/runs/busy", "/dead", "/dead/1", "/dead/1/replay"]
    paths += ["/dead/1/edit", "/dead/1/drop", "/workers", "/workers/echo/stop", "/nowhere", "?q=nothing", "/login"]
    wrong: dict[str, list[str]] = {}
    for path in paths:
        if path == "/login":
            await screen.context.clear_cookies()
        await screen.goto(f"{house.url}/console{path}")
        async for look, asked in looks(screen):
            found = findings(await asyncio.wait_for(Axe().run(screen, options=asked), 60))
            if await screen.evaluate("document.documentElement.scrollWidth > innerWidth"):
                found.append("it is wider than the screen")
            if found:
                wrong[f"{path} {look}"] = found

    assert wrong == {}
