"""The page of one device on the fleet's page, in Chromium."""

import re
from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect

from softaxe.testing.run import RunningFleet, running

Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def fleet() -> Iterator[RunningFleet]:
    with running(count=3, control=True, speed=0, warm_up_s=60) as made:
        yield made


def test_a_devices_page_shows_it_and_acts_on_it(
    fleet: RunningFleet,
    visit: Visit,
    check_access: Callable[[Page], None],
    picture: Callable[[Page, str], None],
) -> None:
    one = fleet["601-2"]
    httpx.get(f"{one.url}/api/system/asic")
    page = visit(fleet.control_url, "devices/601-2")
    hostname = one.info()["hostname"]
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{hostname} mining")
    expect(
        page.get_by_role("link", name=one.url.removeprefix("http://"))
    ).to_be_visible()
    expect(page.get_by_role("figure", name="Temperature")).to_be_visible()
    expect(page.get_by_text("GET /api/system/asic")).to_be_visible()
    log = page.get_by_role("region", name="Lines of the log")
    expect(log).to_contain_text("asic_result")
    cell = page.get_by_role("row", name=re.compile("frequency"))
    expect(cell.first).to_contain_text("525 MHz")
    picture(page, "fleet-device")
    search = page.get_by_label("Search the log")
    search.fill("asic_result")  # of hundreds of lines, each is checked
    expect(log).not_to_contain_text("power_management")
    check_access(page)
    search.fill("")

    page.get_by_role("button", name="Press button").click()
    expect(log).to_contain_text("Short button click detected")
    faults = page.get_by_role("region", name="Faults")
    faults.get_by_label("Effect").select_option("fan_dead")
    faults.get_by_role("button", name="Add fault").click()
    expect(faults.get_by_text("until removed")).to_be_visible()
    rules = httpx.get(f"{fleet.control_url}/control/faults").json()["faults"]
    assert [rule["matches"] for rule in rules] == [1]
    faults.get_by_role("button", name="Remove").click()
    expect(faults.get_by_text("No faults active on it.")).to_be_visible()


def test_keys_lead_through_the_table_and_back(
    fleet: RunningFleet, visit: Visit
) -> None:
    page = visit(fleet.control_url, "devices?search=601&sort=-id")
    expect(page.get_by_text("3 of 3 shown")).to_be_visible()
    page.goto(f"{fleet.control_url}/#/devices/601-2")
    expect(page.get_by_text("2 of 3")).to_be_visible()

    page.keyboard.press("n")
    expect(page.get_by_text("601-1 ·")).to_be_visible()
    page.keyboard.press("p")
    expect(page.get_by_text("601-2 ·")).to_be_visible()
    page.keyboard.press("p")
    expect(page.get_by_text("601-3 ·")).to_be_visible()
    log = page.get_by_role("region", name="Lines of the log").element_handle()
    page.get_by_role("link", name="All devices").click()
    expect(page).to_have_url(re.compile("search=601&sort=-id"))
    log.dispatch_event("scroll")  # which the browser may tell late: that is no error

    page.goto(f"{fleet.control_url}/#/devices/601-9")
    expect(page.get_by_text("There is no device 601-9 in this fleet.")).to_be_visible()


def test_a_device_is_deleted_after_a_question(
    fleet: RunningFleet, visit: Visit, check_access: Callable[[Page], None]
) -> None:
    (added,) = fleet.add(board="402")
    phone = {"width": 360, "height": 740}
    page = visit(
        fleet.control_url, f"devices/{added.id}", viewport=phone, color_scheme="dark"
    )
    expect(page.get_by_text(f"{added.id} ·")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= phone["width"]
    check_access(page)

    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Cancel").click()
    assert len(fleet) == 4
    page.get_by_role("button", name="Delete").first.click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("3 of 3 shown")).to_be_visible()
    assert len(fleet) == 3


def test_pages_ask_only_for_what_they_show(fleet: RunningFleet, visit: Visit) -> None:
    page = visit(fleet.control_url, "devices")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    def look() -> set[str]:
        asked.clear()
        with page.expect_request("**/control/fleet"):
            page.wait_for_timeout(100)
        page.wait_for_timeout(2100)
        return {url.partition("/control/")[2] for url in asked}

    shown = look()
    assert any(re.match("devices.since=[0-9a-f]+-[0-9]+&", one) for one in shown)
    page.evaluate("location.hash = '#/manage'")
    expect(page.get_by_role("heading", level=1, name="Manage")).to_be_visible()
    assert not any(one.startswith(("devices", "history")) for one in look())

    page.evaluate("Object.defineProperty(document, 'hidden', { value: true })")
    page.wait_for_timeout(2100)
    asked.clear()
    page.wait_for_timeout(2500)
    assert asked == []
