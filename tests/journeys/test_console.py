"""The console of a local world, from the link that `sealane up` prints: what runs, what is broken, what to do."""

import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.journeys.conftest import Up, sealane

Start = Callable[..., Up]
OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run", "--disable-quic"),
)
PATIENCE = 60_000
"""Milliseconds."""


@pytest.fixture
def screen() -> Iterator[Page]:
    """Give a window of a real browser."""
    path = shutil.which("chromium")
    assert path, "there is no chromium: see tests/system-packages.txt"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=OPTIONS)
        expect.set_options(timeout=PATIENCE)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(PATIENCE)
        yield page
        browser.close()


def link_of(world: Up) -> str:
    """Return the link to the console that a world printed."""
    world.says("console: http")
    return world.said.partition("console: ")[2].split()[0]


def test_the_person_on_call_sees_it_happen_and_sets_it_right(start: Start, screen: Page) -> None:
    """A run appears by itself; one that cannot succeed becomes a dead letter, is looked at, and dropped by name."""
    world = start("up").ready()
    screen.goto(link_of(world))
    expect(screen.locator("#live")).to_have_text("live")
    done = sealane("publish", "echo.requested", "--set", "message=hello, night", "--wait", SEALANE_DATA=str(world.data))
    assert done.returncode == 0, done.stderr
    screen.get_by_role("link", name="hello, night").click()
    expect(screen.locator(".sum .state")).to_have_text("done")
    expect(screen.locator(".effects")).to_contain_text("echo.answered")
    expect(screen.locator("#log")).to_contain_text("heard 'hello, night'")

    nowhere = "europe-docker.pkg.dev/acme/apps/shop:1.4.2"
    sealane("publish", "image.pushed", "--set", f"image={nowhere}", SEALANE_DATA=str(world.data))
    screen.goto(f"{world.endpoints['http']}/console?state=failed")
    screen.get_by_role("link", name=nowhere).click()
    screen.get_by_role("link", name="Dead letter 1").click()
    expect(screen.locator("main")).to_contain_text("given up by attest")
    screen.get_by_role("link", name="Drop …").click()
    screen.get_by_role("button", name="Drop for good").click()
    expect(screen.get_by_role("status").filter(has_text="is dropped")).to_be_visible()
    listed = sealane("dead", "list", SEALANE_DATA=str(world.data))

    assert "There are no dead letters" in listed.stdout + listed.stderr
    assert "local: dead letter 1 dropped" in world.said
    assert world.stop() == 0


def test_the_link_is_good_once_and_there_is_always_another(start: Start, screen: Page) -> None:
    """Opened a second time it says how to get a new one; `sealane console` prints that, and it works."""
    world = start("up", "--no-workers").ready()
    link = link_of(world)
    screen.goto(link)
    expect(screen.get_by_text("Nothing has run yet")).to_be_visible()
    screen.context.clear_cookies()
    screen.goto(link)
    expect(screen.locator("main")).to_contain_text("sealane console")
    printed = sealane("console", SEALANE_DATA=str(world.data))
    screen.goto(printed.stdout.strip())
    expect(screen.get_by_role("navigation", name="Main")).to_be_visible()

    assert link.partition("token=")[2] not in (world.data / "endpoints.json").read_text()
    assert world.stop() == 0
