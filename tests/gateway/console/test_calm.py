"""A page that is live and lets one work: nothing moves under the pointer, and a session that is over is said."""

from playwright.async_api import Page, expect

from tests.bus.lane import Lane, until
from tests.gateway.console.conftest import House, say

PATIENCE = 60_000
"""Milliseconds."""


async def test_what_is_new_waits_while_somebody_points_at_the_list(screen: Page, house: House, lane: Lane) -> None:
    """The rows stay where they are and change in place; what came meanwhile is counted, and shown when it is asked for.

    The end of a name, which tells images apart, is shown; the rest of it is what gives way.
    """
    expect.set_options(timeout=PATIENCE)
    image = "europe-docker.pkg.dev/project/apps/shop@sha256:0123456789ab"
    event = {"type": "image.pushed", "source": "/ci", "id": "old", "subject": image, "stream": "EVENTS", "sequence": 1}
    await say(lane, "old", kind="started", outcome=None, worker="attest", event=event)
    await until(lambda: house.door.live.index.position >= 1, what="an index of the run")
    await screen.goto(house.link())
    rows = screen.locator(".run")
    await expect(screen.locator("#live")).to_have_attribute("data-live", "on")
    await expect(rows.locator(".tail")).to_have_text(["shop@sha256:0123456789ab"])
    await rows.first.hover()
    await say(lane, "new-1")
    await say(lane, "old", 2, worker="attest", event=event)
    await say(lane, "new-2", 3)

    await expect(screen.get_by_role("button", name="2 new runs")).to_be_visible(timeout=PATIENCE)
    await expect(rows.locator("[data-f=state]")).to_have_text(["done"])
    await expect(rows.get_by_role("link", name=image, exact=True)).to_have_count(1)
    await screen.get_by_role("searchbox").hover()
    await expect(rows.locator(".tail")).to_have_text(["about new-2", "about new-1", "shop@sha256:0123456789ab"])
    await expect(screen.locator("#held")).to_be_hidden()


async def test_who_signed_out_in_another_window_is_told_so(screen: Page, house: House, lane: Lane) -> None:
    """The open page hears no more, says why, and leads back to itself once somebody signed in again."""
    expect.set_options(timeout=PATIENCE)
    await say(lane, "one", kind="started", outcome=None)
    await screen.goto(f"{house.link()}&next=/console/runs/one")
    await expect(screen.locator("#live")).to_have_attribute("data-live", "on")
    other = await screen.context.new_page()
    await other.goto(f"{house.url}/console")
    await other.locator(".who summary").click()
    await other.get_by_role("button", name="Sign out", exact=True).click()
    await expect(other.get_by_role("heading", name="Sign in")).to_be_visible(timeout=PATIENCE)

    await expect(screen.locator("#live")).to_have_text("signed out: load the page again")
    await screen.reload()
    await other.goto(house.link())
    await screen.get_by_role("link", name="go on to where you were going").click()
    await screen.wait_for_url(f"{house.url}/console/runs/one")
