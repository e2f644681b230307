"""The fleet's page in Chromium, with many devices behind it."""

import os
import re
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
def open_fleet(browser: Browser, fleet: RunningFleet) -> Iterator[Open]:
    contexts, faults = [], []

    def open_it(
        name: str = "devices", of: RunningFleet = fleet, **options: object
    ) -> Page:
        wide = {"width": 1360, "height": 1000}
        context = browser.new_context(**{"viewport": wide, **options})  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((of.control_url, "data:"))
                else faults.append(request.url)
            ),
        )
        page.goto(f"{of.control_url}/#/{name}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        count = re.compile(f"^{len(of):,} devices?$")
        expect(page.get_by_text(count)).to_be_visible()
        return page

    yield open_it
    for context in contexts:
        context.close()
    fleet.faults.clear()
    assert faults == []


def first_names(page: Page, count: int = 3) -> list[str]:
    cells = page.locator("tbody th[scope=row] button")
    return [cells.nth(index).inner_text() for index in range(count)]


def test_a_thousand_devices_are_one_scroll_away(
    open_fleet: Open, picture: Callable[[Page, str], None]
) -> None:
    made = groups(890, 100)
    warm_up_s = 12 if "SOFTAXE_PICTURES" in os.environ else 0  # only the eye needs it
    with running(groups=made, control=True, speed=0, warm_up_s=warm_up_s) as thousand:
        page = open_fleet(of=thousand)
        expect(page.get_by_text("1,000 of 1,000 shown")).to_be_visible()
        drawn = page.locator("tbody th[scope=row]")
        assert drawn.count() < 60, "only what is seen is drawn"
        before = first_names(page)
        picture(page, "fleet")

        table = page.get_by_role("region", name="Table of devices")
        table.evaluate("box => box.scrollTo(0, box.scrollHeight)")

        expect(page.get_by_role("row").last).to_be_visible()
        expect(page.locator("tr[aria-rowindex='1001']")).to_be_visible()
        top = table.evaluate("box => box.scrollTop")
        page.wait_for_timeout(2500)
        assert table.evaluate("box => box.scrollTop") == top, "news moves nothing"
        assert first_names(page) != before
        page.close()


def test_it_sorts_and_filters(open_fleet: Open) -> None:
    page = open_fleet()
    page.get_by_role("button", name=re.compile("^Chip")).click()
    header = page.get_by_role("columnheader", name=re.compile("^Chip"))
    expect(header).to_have_attribute("aria-sort", "descending")
    hottest = page.locator("tbody tr[aria-rowindex='2']")
    expect(hottest).to_contain_text("attic")

    page.get_by_label("Group").select_option("supras")
    expect(page.get_by_text("30 of 100 shown")).to_be_visible()
    expect(page.locator("tbody tr[aria-rowindex='2']")).to_contain_text("402 Supra")

    page.get_by_label("Firmware").select_option("2.15.0")
    expect(page.get_by_text("15 of 100 shown")).to_be_visible()
    page.get_by_label("Firmware").select_option("")
    page.get_by_role("button", name=re.compile("^Firmware")).click()
    expect(page.locator("tbody tr[aria-rowindex='2']")).to_contain_text("2.9.0")
    page.get_by_label("Search").fill("2.15 402")
    expect(page.get_by_text("15 of 100 shown")).to_be_visible()

    page.get_by_label("Group").select_option("")
    page.get_by_label("Search").fill("601-1 ")
    page.get_by_label("Search").fill("ATTIC")
    expect(page.get_by_text("10 of 100 shown")).to_be_visible()
    page.get_by_role("link", name="Manage").click()
    page.get_by_role("link", name="Devices").click()
    expect(page.get_by_text("10 of 100 shown")).to_be_visible()
    assert page.url.endswith("#/devices?search=ATTIC&sort=firmware")
    page.get_by_text("Columns", exact=True).click()
    page.get_by_label("MAC").check()
    page.reload()
    expect(page.get_by_role("columnheader", name="MAC")).to_be_visible()
    expect(page.get_by_text("10 of 100 shown")).to_be_visible()

    page.locator("tbody th[scope=row] button").first.press("End")
    last = page.locator("tr[aria-rowindex='11'] th button")
    expect(last).to_be_focused()
    stops = page.locator("tbody :is(button, a)[tabindex='0']")
    expect(stops).to_have_count(2)
    page.get_by_label("Search").fill("nobody")
    expect(page.get_by_text("No device is like that.")).to_be_visible()


def test_a_device_tells_about_itself(
    open_fleet: Open, few: RunningFleet, check_access: Callable[[Page], None]
) -> None:
    page = open_fleet(of=few)
    page.locator("tbody th[scope=row] button").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("BM1370")).to_be_visible()
    expect(dialog.get_by_role("link")).to_have_attribute("href", few[0].url)
    check_access(page)
    dialog.get_by_role("button", name="Delete…").click()
    expect(dialog.get_by_role("alert")).to_contain_text("for good")
    check_access(page)
    dialog.get_by_role("button", name="Cancel").click()
    assert len(few) == 3
    dialog.get_by_role("button", name="Restart").click()
    few.clock.advance(3)
    expect(page.get_by_text("601-1 restarts.")).to_be_visible()
    copy = page.get_by_role("button", name="pytest", exact=True)
    expect(copy).to_have_attribute("title", 'fleet["601-1"].restart()')
    page.get_by_role("link", name="Journal").click()
    expect(page.get_by_text("601-1 restarts.")).to_be_hidden()


def test_a_fault_is_ordered_refused_and_removed(
    open_fleet: Open,
    fleet: RunningFleet,
    picture: Callable[[Page, str], None],
    check_access: Callable[[Page], None],
) -> None:
    page = open_fleet("faults")
    page.get_by_label("Effect").select_option("ambient")
    page.get_by_label(re.compile("^c in °C")).fill("400")
    page.get_by_role("button", name="Add fault").click()
    expect(page.get_by_role("alert")).to_contain_text("c: 400 is outside -40..100 °C")
    expect(page.get_by_label(re.compile("^c in °C"))).to_have_attribute(
        "aria-invalid", "true"
    )
    check_access(page)

    page.get_by_label(re.compile("^c in °C")).fill("55")
    page.get_by_label("Group").select_option("attic")
    page.get_by_label("Firmware", exact=True).fill("2.12*")
    page.get_by_role("button", name="Add fault").click()

    expect(page.get_by_text("all devices of attic on 2.12*; meets 10")).to_be_visible()
    picture(page, "fleet-faults")
    page.goto(f"{fleet.control_url}/#/devices")
    page.get_by_label("Group").select_option("attic")
    expect(page.locator("tbody tr[aria-rowindex='2']")).to_contain_text("ambient")
    page.goto(f"{fleet.control_url}/#/faults")
    page.get_by_role("button", name=re.compile("^Remove fault")).click()
    expect(page.get_by_text("No faults active.")).to_be_visible()


def test_two_faults_of_a_kind_can_be_told_apart(
    open_fleet: Open, fleet: RunningFleet
) -> None:
    fleet.faults.add("latency", id="one", ms=300, share=0.5)
    fleet.faults.add(
        "latency", id="two", ms=20, device="601-*", route="/api/*", probability=0.1
    )

    page = open_fleet("faults")

    one = page.get_by_role("listitem").filter(has_text="one")
    expect(one).to_contain_text("ms 300, jitter_ms 0")
    expect(one).to_contain_text("50 % of all devices")
    two = page.get_by_role("listitem").filter(has_text="two")
    expect(two).to_contain_text("ms 20, jitter_ms 0")
    expect(two).to_contain_text("devices 601-*, on /api/*, probability 0.1")


def test_time_is_at_hand(open_fleet: Open, few: RunningFleet) -> None:
    page = open_fleet(of=few)
    before = few.clock.now
    page.get_by_label("Seconds").fill("5")
    page.get_by_role("button", name="Skip ahead").click()
    expect(page.get_by_text("5 s passed.")).to_be_visible(timeout=60_000)
    assert few.clock.now == pytest.approx(before + 5)
    page.get_by_label("Seconds").fill("31000000")
    page.get_by_role("button", name="Skip ahead").click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("passed: it was stopped")).to_be_visible()

    page.get_by_role("button", name="Resume time").click()
    expect(page.get_by_text("Time goes on.")).to_be_visible()
    page.get_by_role("button", name="Pause time").click()
    expect(page.get_by_text("Time stands still.")).to_be_visible()
    for nothing in ("Speed", "Seconds"):
        page.get_by_label(nothing).fill("")
        page.get_by_label(nothing).press("Enter")
        expect(page.locator("input:invalid:focus")).to_be_visible()
        expect(page.get_by_text("Time stands still.")).to_be_visible()
    page.get_by_label("Speed").fill("0")
    page.get_by_role("button", name="Set").click()
    assert few.clock.speed == 1


def test_a_speed_that_is_not_reached_is_told(
    open_fleet: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_fleet()
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
    check_access: Callable[[Page], None],
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
    check_access(page)
    page.get_by_role("button", name="Clear").click()
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
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_text("No request has come yet.")).to_be_visible()


def test_devices_are_added_kept_and_brought_back(
    open_fleet: Open, few: RunningFleet, check_access: Callable[[Page], None]
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

    expect(page.get_by_text("Back at before.")).to_be_visible(timeout=60_000)
    assert len(few) == 3
    page.get_by_role("button", name="Reset fleet").click()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Delete before").click()


def test_the_pool_shows_its_miners_and_takes_orders(
    open_fleet: Open,
    few: RunningFleet,
    picture: Callable[[Page, str], None],
    check_access: Callable[[Page], None],
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
    check_access: Callable[[Page], None],
) -> None:
    page = open_fleet(viewport=PHONE, color_scheme="dark")
    width = page.evaluate("document.documentElement.scrollWidth")

    assert width <= PHONE["width"]
    check_access(page)
    picture(page, "fleet-phone")


def test_on_a_phone_every_page_begins_with_itself(
    open_fleet: Open, fleet: RunningFleet, check_access: Callable[[Page], None]
) -> None:
    httpx.get(f"{fleet[7].url}/api/system/info")
    page = open_fleet(viewport=PHONE)
    expect(page.locator("tbody th[scope=row]").first).to_be_in_viewport()

    page.goto(f"{fleet.control_url}/#/journal")
    row = page.get_by_role("button", name="GET /api/system/info").first
    expect(row).to_be_in_viewport()
    check_access(page)

    expect(page.get_by_label("Speed")).to_be_hidden()
    page.get_by_role("button", name="Change").click()
    page.get_by_label("Speed").fill("2")
    page.get_by_role("button", name="Set").click()
    expect(page.get_by_text("Time runs at 2×.")).to_be_in_viewport()
    fleet.clock.speed = 1


def test_on_a_phone_nothing_is_broken_or_out_of_sight(open_fleet: Open) -> None:
    page = open_fleet(viewport=PHONE)
    page.locator("tbody th[scope=row] button").first.click()
    number = page.locator("dd", has_text=re.compile(r"^\d+\.\d{5,}$")).first
    expect(number).to_be_visible()
    box = number.bounding_box()
    assert box is not None
    assert box["height"] < 30, "a number stands in one line"
    page.get_by_role("button", name="Close", exact=True).click()

    table = page.get_by_role("region", name="Table of devices")
    table.evaluate("box => box.scrollTo(box.scrollWidth, 0)")
    page.get_by_label("Search").fill("nobody")
    expect(page.get_by_text("No device is like that.")).to_be_in_viewport()


def test_real_works_rates_have_their_digits(open_fleet: Open) -> None:
    page = open_fleet()
    history = {
        "now": [0, 10, 20],
        "hashRate": [0.0121, 0.0118, 0.012],
        "power": [0, 0, 0],
        "hottest": [0, 0, 0],
        "mining": [200, 200, 200],
    }
    page.route("**/control/history", lambda route: route.fulfill(json=history))
    page.reload()

    chart = page.get_by_role("img", name="Hash rate: now 12.00 MH/s")
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
