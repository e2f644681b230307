"""The fleet's page in Chromium, with many devices behind it."""

import csv
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from softaxe.fleet.clock import Clock
from softaxe.testing import GroupOptions
from softaxe.testing.run import RunningFleet, running

PHONE = {"width": 360, "height": 740}
Open = Callable[..., Page]


def groups(gammas: int, supras: int) -> list[GroupOptions]:
    old_and_new = ["2.9.0", "2.15.0"]
    return [
        {"name": "gammas", "count": gammas, "boards": ["601", "602"]},
        {"name": "supras", "count": supras, "board": "402", "firmware": old_and_new},
        {"name": "attic", "count": 10, "board": "601", "ambient": 45},
    ]


@pytest.fixture(scope="module")
def fleet() -> Iterator[RunningFleet]:
    """A hundred devices, for what as many show as a thousand."""
    with running(groups=groups(60, 30), control=True, speed=0, warm_up_s=12) as made:
        yield made


@pytest.fixture(scope="module")
def few() -> Iterator[RunningFleet]:
    """For where it takes time to pass, or devices to come, and not a thousand."""
    with running(count=3, control=True, speed=0, warm_up_s=12) as made:
        yield made


@pytest.fixture
def open_fleet(visit: Open, fleet: RunningFleet) -> Iterator[Open]:
    def open_it(
        name: str = "devices", of: RunningFleet = fleet, **options: object
    ) -> Page:
        wide = {"width": 1360, "height": 1000}
        page = visit(of.control_url, name, **{"viewport": wide, **options})
        count = re.compile(f"^{len(of):,} devices?$")
        expect(page.get_by_text(count)).to_be_visible()
        return page

    yield open_it
    fleet.faults.clear()


def first_names(page: Page, count: int = 3) -> list[str]:
    cells = page.locator("tbody th[scope=row] a")
    return [cells.nth(index).inner_text() for index in range(count)]


LEFT_EDGES = """box => [...box.querySelectorAll("thead th")]
    .map((head) => head.getBoundingClientRect().left)"""


def test_a_thousand_devices_are_one_scroll_away(
    open_fleet: Open, picture: Callable[[Page, str], None]
) -> None:
    made = groups(890, 100)
    warm_up_s = 90 if "SOFTAXE_PICTURES" in os.environ else 0  # only the eye needs it
    with running(groups=made, control=True, speed=0, warm_up_s=warm_up_s) as thousand:
        page = open_fleet(of=thousand)
        expect(page.get_by_text("1,000 of 1,000 shown")).to_be_visible()
        drawn = page.locator("tbody th[scope=row]")
        assert drawn.count() < 60, "only what is seen is drawn"
        before = first_names(page)
        picture(page, "fleet")

        table = page.locator(".table")
        edges = table.evaluate(LEFT_EDGES)
        table.evaluate("box => box.scrollTo(0, box.scrollHeight)")

        expect(page.locator("tr[aria-rowindex='1001']")).to_be_visible()
        assert table.evaluate(LEFT_EDGES) == edges, "nothing moves sideways"
        top = table.evaluate("box => box.scrollTop")
        page.wait_for_timeout(2500)
        assert table.evaluate("box => box.scrollTop") == top, "news moves nothing"
        assert first_names(page) != before
        height = page.evaluate("document.documentElement.scrollHeight")
        assert height == 1000, "the page itself does not scroll"


def test_it_sorts_and_filters_and_the_address_says_so(open_fleet: Open) -> None:
    page = open_fleet()
    page.get_by_role("button", name=re.compile("^Chip")).click()
    header = page.get_by_role("columnheader", name=re.compile("^Chip"))
    expect(header).to_have_attribute("aria-sort", "descending")
    hottest = page.locator("tbody tr[aria-rowindex='2']")
    expect(hottest).to_contain_text("attic")

    page.get_by_label("Group", exact=True).select_option("supras")
    expect(page.get_by_text("30 of 100 shown")).to_be_visible()
    expect(page.locator("tbody tr[aria-rowindex='2']")).to_contain_text("402 Supra")
    page.get_by_label("Firmware", exact=True).select_option("2.15.0")
    expect(page.get_by_text("15 of 100 shown")).to_be_visible()

    page.go_back()
    expect(page.get_by_text("30 of 100 shown")).to_be_visible()
    expect(page.get_by_label("Firmware", exact=True)).to_have_value("")
    page.go_back()
    page.get_by_role("button", name=re.compile("^Firmware")).click()
    page.get_by_role("searchbox").press_sequentially("ATTIC")
    expect(page.get_by_text("10 of 100 shown")).to_be_visible()
    page.get_by_role("link", name="Manage").click()
    page.get_by_role("link", name="Devices").click()
    expect(page.get_by_text("10 of 100 shown")).to_be_visible()
    assert page.url.endswith("#/devices?search=ATTIC&sort=firmware")
    page.get_by_role("button", name="Columns").click()
    page.get_by_label("MAC", exact=True).check()
    page.reload()
    expect(page.get_by_role("columnheader", name="MAC")).to_be_visible()
    expect(page.get_by_text("10 of 100 shown")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    lines = list(csv.reader(download.value.path().read_text().splitlines()))
    assert (len(lines), lines[0][0], "MAC" in lines[0]) == (11, "Device", True)
    mac = lines[1][lines[0].index("MAC")].replace(":", "")
    page.get_by_role("searchbox").fill(mac.lower())
    expect(page.get_by_text("1 of 100 shown")).to_be_visible()
    page.get_by_role("searchbox").fill("nobody")
    expect(page.get_by_text("No device matches.")).to_be_visible()


def test_rows_are_selected_and_ordered_by_keys_and_pointer(
    open_fleet: Open, few: RunningFleet, check_access: Callable[..., None]
) -> None:
    newest = few.add(firmware="2.15.0")[0]
    few.clock.advance(15)
    page = open_fleet(of=few)
    expect(page.locator("tbody tr[data-id]")).to_have_count(4)
    table = page.get_by_role("grid")
    table.focus()
    assert table.get_attribute("aria-activedescendant") == "row-601-1"
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    state = page.get_by_role("columnheader", name=re.compile("^State"))
    expect(state).to_have_attribute("aria-sort", "ascending")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    page.keyboard.press("Shift+End")
    chosen = page.locator("tr[aria-selected=true]")
    expect(chosen).to_have_count(4)
    check_access(page)
    page.keyboard.press("Escape")
    expect(chosen).to_have_count(0)

    page.get_by_role("checkbox", name=re.compile("^Select bitaxe")).nth(1).click()
    page.get_by_role("checkbox", name=re.compile("^Select bitaxe")).nth(3).click(
        modifiers=["Shift"]
    )
    expect(page.get_by_text("3 selected")).to_be_visible()
    page.get_by_role("button", name="Pause mining").click()
    said = "2 cannot, such as 601-2: order: firmware 2.12.2 has no 'pause'"
    expect(page.get_by_text(f"{newest.id} is paused. {said}")).to_be_visible()
    expect(page.locator(f"#row-{newest.id}")).to_contain_text("paused")
    page.get_by_role("button", name="Add fault…").click()
    assert page.url.endswith(f"#/faults?device=601-2%2C601-3%2C{newest.id}")
    page.go_back()
    expect(chosen).to_have_count(3)

    page.locator(f"#row-{newest.id}").click(button="right")
    page.get_by_role("menuitem", name="Delete…").click()
    expect(page.get_by_role("heading", name="Delete 1 device?")).to_be_visible()
    check_access(page, within="dialog[open]")
    page.get_by_role("button", name="Cancel").click()
    assert len(few) == 4
    table.focus()
    page.keyboard.press("End")
    page.keyboard.press("Shift+F10")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_text(f"{newest.id} is deleted.")).to_be_visible()
    copied = page.get_by_role("status").get_by_text("a scenario's devices are its")
    expect(copied).to_be_visible()
    assert len(few) == 3
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    assert page.url.endswith("#/devices/601-1")
    page.get_by_role("button", name="Restart").click()
    expect(page.get_by_text("601-1 restarts.")).to_be_visible()
    few.clock.advance(15)


def test_a_fault_is_found_tried_and_added(
    open_fleet: Open,
    fleet: RunningFleet,
    picture: Callable[[Page, str], None],
    check_access: Callable[..., None],
) -> None:
    page = open_fleet("faults")
    page.get_by_label("Search effects").fill("overheats")
    check_access(page)
    page.get_by_role("button", name="The air around the device").click()
    page.get_by_label("Temperature of the air").fill("400")
    expect(page.get_by_role("alert")).to_contain_text("c: 400 is outside -40..100 °C")
    wrong = page.get_by_label("Temperature of the air")
    expect(wrong).to_have_attribute("aria-invalid", "true")
    check_access(page, within="main form")
    wrong.fill("55")
    page.get_by_label("Devices", exact=True).fill("nobody")
    expect(page.get_by_text("Meets no device now.")).to_be_visible()
    first, second = fleet[0], fleet[99]
    names = f"{first.info()['hostname'].upper()}, {second.id}"
    page.get_by_label("Devices", exact=True).fill(names)
    expect(page.get_by_text("Meets 2 of 100 devices: bitaxe-")).to_be_visible()
    page.get_by_label("Devices", exact=True).fill("")
    page.get_by_label("Group").select_option("attic")
    page.get_by_label("Firmware", exact=True).fill("2.12*")
    page.get_by_label("Share of them").fill("0.5")
    preview = page.get_by_text(re.compile(r"Meets \d of 100 devices: "))
    expect(preview).to_be_visible()
    said = preview.inner_text()
    page.get_by_role("button", name="Add fault").click()

    item = page.get_by_role("listitem").filter(has_text="50 % of all devices of attic")
    expect(item).to_contain_text("on 2.12*")
    (rule,) = httpx.get(f"{fleet.control_url}/control/faults").json()["faults"]
    expect(item.locator("a[href^='#/devices/']")).to_have_count(rule["matches"])
    assert said.startswith(f"Meets {rule['matches']} of")
    picture(page, "fleet-faults")
    page.goto(f"{fleet.control_url}/#/devices?search=ambient")
    expect(page.locator("tbody tr[aria-rowindex='2']")).to_contain_text("ambient")


def test_a_fault_is_edited_paused_and_removed(
    open_fleet: Open, fleet: RunningFleet, check_access: Callable[..., None]
) -> None:
    fleet.faults.add("latency", id="one", ms=300, share=0.5)
    whom = {"device": ["601-*", "402-63"], "route": "/api/*", "probability": 0.1}
    fleet.faults.add("latency", id="two", ms=20, duration_s=10, every_s=60, **whom)  # type: ignore[arg-type]
    page = open_fleet("faults")
    rules = page.get_by_role("region", name="Active faults").get_by_role("listitem")
    one = rules.filter(has_text="one")
    expect(one).to_contain_text("ms 300, jitter_ms 0")
    expect(one).to_contain_text("50 % of all devices")
    two = rules.filter(has_text="two")
    expect(two).to_contain_text("devices 601-*, 402-63, on /api/*, probability 0.1")
    expect(two).to_contain_text("for 10 s every 1 min, stops in 10 s")

    page.get_by_role("button", name="Edit two").click()
    late = page.get_by_label("How late")
    expect(late).to_have_value("20")
    expect(page.get_by_label("Devices", exact=True)).to_have_value("601-*, 402-63")
    late.fill("900")
    page.get_by_label("Lasts").fill("70")
    expect(page.get_by_role("alert")).to_contain_text("every_s: 60 needs a duration_s")
    page.get_by_label("Lasts").fill("20")
    check_access(page, within="main form")
    page.get_by_role("button", name="Save changes").click()
    expect(two).to_contain_text("ms 900")
    copies = page.get_by_role("status").filter(has_text="two is changed.")
    expect(copies.get_by_role("button", name="scenario")).to_be_enabled()

    page.get_by_role("button", name="Pause two").click()
    expect(two).to_contain_text("Paused")
    page.get_by_role("button", name="Resume two").click()
    expect(two).to_contain_text("Active")
    page.get_by_role("button", name="Remove two").click()
    expect(two).to_have_count(0)
    page.get_by_role("button", name="Remove all…").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove all").click()
    expect(page.get_by_text("No faults active.")).to_be_visible()

    page.goto(f"{fleet.control_url}/#/faults?device=601-1,402-61")
    page.get_by_role("button", name="Wi-Fi flaps").click()
    expect(page.get_by_text("Meets 2 of 100 devices: ")).to_be_visible()
    expect(page.get_by_label("Repeats every")).to_have_value("60")
    page.get_by_role("button", name="Save as preset").click()
    page.get_by_label("Name of the preset").fill("My flaps")
    page.get_by_role("button", name="Save", exact=True).click()
    page.reload()
    page.get_by_role("button", name="My flaps", exact=True).click()
    expect(page.get_by_label("Devices", exact=True)).to_have_value("601-1, 402-61")
    page.get_by_role("button", name="Forget My flaps").click()
    expect(page.get_by_role("button", name="My flaps", exact=True)).to_have_count(0)


def test_time_is_at_hand(open_fleet: Open, few: RunningFleet) -> None:
    page = open_fleet("manage", of=few)
    before = few.clock.now
    page.get_by_role("button", name="Skip 1 min").click()
    expect(page.get_by_text("1 min passed.")).to_be_visible()
    assert few.clock.now == pytest.approx(before + 60)
    page.get_by_role("button", name="Until…").click()
    until = page.get_by_label("Device time")
    expect(until).to_be_focused()
    until.fill("soon")
    until.press("Enter")
    expect(page.get_by_text('"soon" is no time such as')).to_be_visible()
    until.fill("1 s")
    until.press("Enter")
    expect(page.get_by_text("That is over: device time is")).to_be_visible()
    until.fill("360 d")
    until.press("Enter")
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("passed: it was stopped")).to_be_visible()
    expect(page.get_by_role("button", name="Resume time")).to_be_focused()

    page.get_by_role("button", name="Resume time").click()
    expect(page.get_by_text("Time runs.")).to_be_visible()
    page.get_by_role("button", name="Pause time").click()
    expect(page.get_by_text("Time is paused.")).to_be_visible()
    page.get_by_label("Speed").fill("")
    page.get_by_label("Speed").press("Enter")
    expect(page.locator("input:invalid:focus")).to_be_visible()
    page.get_by_label("Speed").fill("0")
    page.get_by_role("button", name="Set", exact=True).click()
    expect(page.get_by_text("Time is paused.")).to_be_visible()
    assert few.clock.speed == 1


def test_a_speed_that_is_not_reached_is_told(
    open_fleet: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_fleet("pool")
    behind = page.get_by_text("Only 0.54× is reached")
    expect(page.get_by_text("paused", exact=True)).to_be_visible()
    expect(behind).to_be_hidden()

    monkeypatch.setattr(Clock, "reached_speed", 0.5432)

    expect(behind).to_be_visible()
    monkeypatch.setattr(Clock, "reached_speed", 0.97)
    expect(behind).to_be_hidden()


def test_the_journal_shows_requests_as_they_come(
    open_fleet: Open,
    fleet: RunningFleet,
    picture: Callable[[Page, str], None],
    check_access: Callable[..., None],
) -> None:
    page = open_fleet("journal", timezone_id="Asia/Kolkata")
    for path in ("/api/system/info", "/api/system/asic", "/api/system/nothing"):
        httpx.get(fleet[5].url + path)

    row = page.get_by_role("row").filter(has_text="/api/system/nothing")
    expect(row).to_contain_text("no such route")
    entry = fleet.journal[-1]
    local = page.evaluate(
        "s => new Date(s * 1000).toTimeString().slice(0, 8)", entry.time_s
    )
    expect(row).to_contain_text(local)
    page.get_by_role("button", name="GET /api/system/asic").click()
    expect(page.get_by_text('"ASICModel"')).to_be_visible()
    picture(page, "fleet-journal")
    check_access(page)
    page.get_by_label("Only what matched no route").check()
    expect(page.get_by_text("/api/system/asic")).to_have_count(0)
    page.get_by_label("Only what matched no route").uncheck()
    httpx.patch(f"{fleet[5].url}/api/system", json={"hostname": "My Bitaxe"})
    page.get_by_label("Only what a device or the API page sees otherwise").check()
    expect(page.get_by_text("/api/system/asic")).to_have_count(0)
    change = page.get_by_role("row").filter(has_text="PATCH /api/system")
    expect(change.first).to_contain_text("warned")
    expect(change.first).to_contain_text("a device answers otherwise")
    change.get_by_role("button").first.click()
    expect(page.get_by_text("Warning: hostname: 'My Bitaxe' may hold")).to_be_visible()
    expect(page.get_by_text("v2.12.2: an empty chunked body")).to_be_visible()
    check_access(page, within="main table")
    httpx.patch(f"{fleet[6].url}/api/system", json={"statsFrequency": 77})
    page.get_by_label("Only what a device or the API page sees otherwise").uncheck()
    page.get_by_label("Search").fill("STATS 77")
    expect(page.get_by_text("1 request of 5 shown.")).to_be_visible()
    page.get_by_role("button", name="PATCH /api/system").click()
    expect(page.get_by_text("content-type: application/json")).to_be_visible()
    copy = page.get_by_role("button", name="Copy as curl").get_attribute("title")
    assert copy is not None
    words = shlex.split(copy)
    assert words[words.index("-X") + 1] == "PATCH"
    assert f"{fleet[6].url}/api/system" in words
    assert json.loads(words[words.index("--data-raw") + 1]) == {"statsFrequency": 77}
    name = fleet[6].info()["hostname"]
    link = page.get_by_role("link", name=name)
    expect(link).to_have_attribute("href", f"#/devices/{fleet[6].id}")
    page.get_by_role("button", name=f"Only {name}", exact=True).click()
    page.get_by_label("Search").fill("")
    page.get_by_label("Status").select_option("2")
    query = f"device={fleet[6].id}&status=2"
    page.wait_for_url(f"{fleet.control_url}/#/journal?{query}")
    page.reload()
    expect(page.get_by_text("1 request of 5 shown.")).to_be_visible()
    page.get_by_role("button", name="Freeze list").click()
    httpx.get(f"{fleet[6].url}/api/system/asic")
    page.get_by_role("button", name="Follow again").click()
    expect(page.get_by_text("2 requests of 6 shown.")).to_be_visible()
    page.get_by_role("button", name="Clear…").click()
    check_access(page, within="dialog[open]")
    page.get_by_role("button", name="Cancel").click()
    clear(page)


def clear(page: Page) -> None:
    page.get_by_role("button", name="Clear…").click()
    page.get_by_role("button", name="Clear journal").click()
    expect(page.get_by_text("No request has come yet.")).to_be_visible()


SLOW = """() => {
  const real = window.fetch;
  window.fetch = async (...asked) => {
    const answer = await real(...asked);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    return answer;
  };
}"""
"""Lets every answer take longer than the journal waits between two looks."""


def test_the_journal_bears_slow_answers(open_fleet: Open, fleet: RunningFleet) -> None:
    page = open_fleet("journal")
    page.evaluate(SLOW)
    for number in range(4):
        httpx.get(f"{fleet[6].url}/api/slow/{number}")
        page.wait_for_timeout(1000)

    rows = page.get_by_role("row").filter(has_text="/api/slow/")
    expect(rows).to_have_count(4)
    clear(page)


def test_devices_are_added_kept_and_brought_back(
    open_fleet: Open, few: RunningFleet, check_access: Callable[..., None]
) -> None:
    page = open_fleet("manage", of=few)
    check_access(page)
    page.get_by_label("Name").fill("before")
    page.get_by_role("button", name="Save snapshot").click()
    expect(page.get_by_text("Saved as before.")).to_be_visible(timeout=60_000)
    page.get_by_label("Board or family").fill("hexagon")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text("board: 'hexagon' is none of")).to_be_visible()
    page.get_by_label("Board or family").fill("gamma")
    page.get_by_label("Firmware").fill("2.15")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text("4 devices", exact=True)).to_be_visible()
    expect(page.get_by_text("601-4 is on.")).to_be_in_viewport()
    assert few["601-4"].info()["version"] == "v2.15.0"

    page.get_by_role("button", name="Restore before").click()
    expect(page.get_by_text("What has happened since is lost")).to_be_visible()
    assert len(few) == 4
    page.get_by_role("button", name="Restore", exact=True).last.click()

    expect(page.get_by_text("Back at before.")).to_be_visible(timeout=60_000)
    assert len(few) == 3
    page.get_by_role("button", name="Reset fleet").click()
    expect(page.get_by_text("3 devices start over.")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Delete before").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("before", exact=True)).to_be_visible()
    page.get_by_role("button", name="Delete before").click()
    page.get_by_role("button", name="Delete", exact=True).last.click()
    expect(page.get_by_text("before is deleted.")).to_be_visible()


def test_the_pool_shows_its_miners_and_takes_orders(
    open_fleet: Open,
    few: RunningFleet,
    picture: Callable[[Page, str], None],
    check_access: Callable[..., None],
) -> None:
    few.clock.advance(15)  # whom others restarted or brought back is there again
    page = open_fleet("pool", of=few)
    row = page.get_by_role("row", name=re.compile(few[0].id))
    expect(row).to_contain_text("bitaxe/BM1370/v2.12.2")
    expect(row).to_contain_text("1.00 k")
    check_access(page)
    picture(page, "fleet-pool")

    height = few.pool.info()["height"]
    page.get_by_role("button", name="New block").click()
    expect(page.get_by_text(f"Block {height + 1} is being mined.")).to_be_visible()
    page.get_by_role("button", name=f"Disconnect {few[0].id}").click()
    expect(row).to_be_hidden()
    assert len(few.pool.miners) == 2
    few.clock.advance(10)


def test_a_pool_without_devices_is_what_is_shown_first(open_fleet: Open) -> None:
    with running(groups=[], control=True, speed=0) as bare:
        page = open_fleet("", of=bare)
        expect(page.get_by_role("heading", name="Pool")).to_be_visible()
        expect(page.get_by_text("No miner is connected.")).to_be_visible()


def test_it_fits_a_phone_and_the_dark(
    open_fleet: Open,
    picture: Callable[[Page, str], None],
    check_access: Callable[..., None],
) -> None:
    page = open_fleet(viewport=PHONE, color_scheme="dark")
    width = page.evaluate("document.documentElement.scrollWidth")

    assert width <= PHONE["width"]
    check_access(page)
    picture(page, "fleet-phone")


def test_on_a_phone_devices_are_cards_and_every_page_begins_with_itself(
    open_fleet: Open, fleet: RunningFleet, check_access: Callable[..., None]
) -> None:
    httpx.get(f"{fleet[7].url}/api/system/info")
    page = open_fleet(viewport=PHONE)
    expect(page.locator("main li").first).to_be_in_viewport()
    look_through_cards(page)

    page.goto(f"{fleet.control_url}/#/journal")
    row = page.get_by_role("button", name="GET /api/system/info").first
    expect(row).to_be_in_viewport()
    check_access(page)

    expect(page.get_by_label("Speed")).to_be_hidden()
    page.get_by_role("button", name="Change").click()
    page.get_by_label("Speed").fill("2")
    page.get_by_role("button", name="Set", exact=True).click()
    expect(page.get_by_text("Time runs at 2×.")).to_be_in_viewport()
    fleet.clock.speed = 1


def look_through_cards(page: Page) -> None:
    """As which a phone shows the devices."""
    cards = page.locator("main li")
    expect(cards.first).to_contain_text("H/s")
    assert cards.count() < 60, "only what is seen is drawn"
    cards.first.get_by_role("checkbox").click()
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(cards.last).to_be_in_viewport()
    expect(cards.last).to_contain_text("601-100")
    expect(page.get_by_role("button", name="Clear selection")).to_be_in_viewport()
    cards.last.get_by_role("button", name=re.compile("^Menu of")).click()
    expect(page.get_by_role("menuitem", name="Identify")).to_be_in_viewport()
    page.keyboard.press("Escape")
    page.evaluate("scrollTo(0, 0)")
    page.get_by_label("Sort", exact=True).select_option("uptime")
    expect(cards.first).to_contain_text("Uptime")
    page.get_by_role("searchbox").fill("nobody")
    expect(page.get_by_text("No device matches.")).to_be_in_viewport()


def test_real_works_rates_have_their_digits_and_processes_their_restarts(
    open_fleet: Open, fleet: RunningFleet
) -> None:
    page = open_fleet()
    history = {
        "now": [0, 10, 20],
        "time": [100, 110, 120],
        "hashRate": [0.0121, 0.0118, 0.012],
        "power": [0, 0, 0],
        "hottest": [0, 0, 0],
        "mining": [200, 200, 200],
        "problems": [0, 0, 0],
        "sharesAccepted": [0, 1, 2],
        "sharesRejected": [0, 0, 0],
    }
    totals = httpx.get(f"{fleet.control_url}/control/fleet").json()
    up = {"devices": "601-1 to 601-50", "place": "process 7", "state": "up"}
    away = {"devices": "601-51 to 601-100", "place": "", "state": "starting again"}
    workers = [{**up, "restarts": 0}, {**away, "restarts": 2}]

    def answer(path: str, told: object) -> None:
        page.route(f"**/control/{path}", lambda route: route.fulfill(json=told))

    answer("history", history)
    answer("fleet", {**totals, "workers": 2})
    answer("workers", {"workers": workers})
    page.reload()
    expect(page.get_by_text("2 processes, 1 not up, restarted 2 times")).to_be_visible()

    page.get_by_role("button", name="Charts").click()
    rates = re.compile("^Hash rate: .* between 11.8 MH.s and 12.1 MH.s")
    chart = page.get_by_role("img", name=rates)
    expect(chart).to_be_visible()


def test_a_fleet_that_has_gone_is_told(browser: Browser) -> None:
    with running(control=True, warm_up_s=0) as fleet:
        page = browser.new_page()
        page.goto(fleet.control_url)
        expect(page.get_by_text("1 device", exact=True)).to_be_visible()

    expect(page.get_by_text("The fleet does not answer.")).to_be_visible()
    page.goto(f"{page.url.split('#')[0]}#/faults")
    expect(page.get_by_text("What is at work is not known now.")).to_be_visible()
    expect(page.get_by_text("No faults active.")).to_be_hidden()
    page.close()


def test_the_page_keeps_the_token_it_was_opened_with(
    browser: Browser, free_ports: Callable[..., int]
) -> None:
    address = f"127.0.0.1:{free_ports()}"
    arguments = ("--ephemeral", "--port-base", "0", "--control", address)
    command = (sys.executable, "-m", "softaxe", "run", *arguments)
    environment = {**os.environ, "SOFTAXE_CONTROL_TOKEN": "geheim & lang"}
    context = browser.new_context()
    page = context.new_page()
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        try:
            assert process.stdout is not None
            while b"Ctrl-C" not in process.stdout.readline():
                assert process.poll() is None
            page.goto(f"http://{address}/")
            expect(page.get_by_text("--control-token")).to_be_visible()
            page.goto(f"http://{address}/#token=geheim%20%26%20lang")
            page.reload()
            expect(page.get_by_text("1 device", exact=True)).to_be_visible()
            assert "geheim" not in page.url
            page.reload()
            expect(page.get_by_text("1 device", exact=True)).to_be_visible()
        finally:
            context.close()
            process.terminate()
