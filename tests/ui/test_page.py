"""Our own page as its owner meets it, in Chromium."""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import (
    Dialog,
    Page,
    Route,
    ViewportSize,
    WebSocketRoute,
    expect,
)

from softaxe.testing.run import running

PAGES = ("Dashboard", "Settings", "Update", "Logs", "Screen")
PICTURES = os.environ.get("SOFTAXE_PICTURES")
"""Pictures are worth the wait for a quarter of an hour of samples."""
WIDE: ViewportSize = {"width": 1280, "height": 900}
OF_COLOURS = ("color-contrast", "link-in-text-block")
"""All rules of axe-core that look at colours, but for one that asks more than AA."""
PHONE: ViewportSize = {"width": 360, "height": 780}
Open = Callable[..., Page]
Seen = Callable[[Page], list[str]]


def test_every_page_is_accessible_in_any_light_and_fits_a_phone(
    visit: Callable[..., Page],
    picture: Callable[[Page, str], None],
    check_access: Callable[..., None],
) -> None:
    with running(speed=0) as device:
        device.clock.advance(60)
        page = visit(device.url)
        expect(page.get_by_text("Mining", exact=True)).to_be_visible()

        for title in PAGES:
            page.get_by_label("Pages").get_by_role("link", name=title).click()
            expect(page.get_by_role("heading", level=1)).to_have_text(title)
            part = "" if title == "Dashboard" else f" · {title}"
            expect(page).to_have_title(
                re.compile(rf"^1\.\d\d TH/s · \d\d °C · bitaxe[^·]*{part}$")
            )
            if title == "Logs":
                leave_a_line_of_each_colour(page)
            check_access(page)
            page.emulate_media(color_scheme="dark")
            expect(page.locator("html")).to_have_attribute("data-theme", "dark")
            check_access(page, *OF_COLOURS)  # in which nothing else is different
            page.emulate_media(color_scheme="light")

            page.set_viewport_size(PHONE)
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width == PHONE["width"], title
            check_access(page)
            if title == "Dashboard":
                picture(page, "dashboard-phone")
            page.set_viewport_size(WIDE)


def ask_now(page: Page) -> None:
    """Have the page ask its device, as it does whenever somebody comes back to it."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def leave_a_line_of_each_colour(page: Page) -> None:
    """Not hundreds of them, each of which would be checked."""
    colours = """[...new Set([...document.querySelectorAll(".log b")]
        .map((tag) => tag.style.color))].sort()"""
    expect(page.get_by_role("log")).to_contain_text("asic_result")
    all_there_are = page.evaluate(colours)
    page.get_by_placeholder("Filter").fill("init")
    expect(page.get_by_role("log")).not_to_contain_text("asic_result")
    assert page.evaluate(colours) == all_there_are
    assert len(all_there_are) == 4


def test_the_dashboard_tells_what_the_device_says(open_page: Open, bitaxe: Any) -> None:
    page = open_page()

    readings = page.get_by_label("Readings")
    expect(readings).to_contain_text(re.compile(r"Hash rate\s*\d\.\d\d TH/s"))
    expect(readings).to_contain_text("J/TH")
    expect(readings).to_contain_text(re.compile(r"Shares\s*\d+ accepted"))
    bitaxe.advance(1)
    ask_now(page)
    for title in ("Hash rate", "Temperature", "Power", "Fan"):
        chart = page.get_by_role("img", name=re.compile(f"^{title}: .* now .*between"))
        expect(chart).to_be_visible()
    for name, told in (
        ("Power", "W, supply limit 40 W"),
        ("Chip", r"°C, target \d+ °C, limit 75 °C"),
        ("Voltage regulator", "°C, limit 105 °C"),
        ("Core voltage", r"mV, set [\d,]+ mV, limit 1,250 mV"),
        ("Fan", "rpm, auto, min 25 %"),
    ):
        meter = readings.get_by_role("meter", name=name, exact=True)
        expect(meter).to_have_attribute("aria-valuetext", re.compile(told))
    info = bitaxe.info()
    for told in (info["macAddr"], info["idfVersion"], info["ipv6"]):
        expect(page.get_by_text(told)).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    footer = page.get_by_role("contentinfo")
    expect(footer).to_contain_text("This is softaxe")
    expect(footer).to_contain_text("Scaled work.")


def test_charts_survive_a_reload(
    open_page: Open, bitaxe: Any, picture: Callable[[Page, str], None]
) -> None:
    stored = """JSON.parse(Object.entries(localStorage)
        .find(([key]) => key.includes("history"))?.[1] ?? "[]").at(-1)?.[3].length"""
    chart = re.compile("^Hash rate: .* now .*between")
    page = open_page()
    expect(page.get_by_text("records no statistics")).to_be_visible()
    page.wait_for_function(f"{stored} >= 1")
    page.reload()  # what the browser saw is kept when the page goes
    assert page.evaluate(stored) >= 1

    bitaxe.patch(statsFrequency=5)
    bitaxe.advance(960 if PICTURES else 40)
    other = open_page()  # a browser that has nothing but the device's samples
    expect(other.get_by_role("img", name=chart)).to_be_visible()
    picture(other, "dashboard")
    other.get_by_label("Colours").select_option("dark")
    expect(other.locator("html")).to_have_attribute("data-theme", "dark")
    picture(other, "dashboard-dark")
    other.reload()
    assert other.evaluate(stored) >= 5
    expect(other.locator("html")).to_have_attribute("data-theme", "dark")


def brightest(page: Page) -> int:
    """The most green in the first chart's grid and labels, 0 to 255."""
    page.locator("canvas").first.wait_for()
    page.wait_for_timeout(200)
    value: int = page.evaluate(
        """() => {
            const canvas = document.querySelector("canvas");
            const { data } = canvas.getContext("2d")
                .getImageData(0, 0, canvas.width, canvas.height);
            let most = 0;
            for (let i = 0; i < data.length; i += 4)
                if (data[i + 3] === 255) most = Math.max(most, data[i + 1]);
            return most;
        }"""
    )
    return value


def test_colours_follow_the_system_until_chosen(open_page: Open) -> None:
    page = open_page(color_scheme="dark")

    html = page.locator("html")
    expect(html).to_have_attribute("data-theme", "dark")
    dark = brightest(page)
    page.emulate_media(color_scheme="light")
    expect(html).to_have_attribute("data-theme", "light")
    light = brightest(page)
    page.get_by_label("Colours").select_option("dark")
    expect(html).to_have_attribute("data-theme", "dark")

    # The charts' grid is fainter than their lines on either ground.
    assert dark < 190 < light
    assert brightest(page) == dark


def test_a_change_is_saved_and_read_back(
    open_page: Open, bitaxe: Any, picture: Callable[[Page, str], None]
) -> None:
    bitaxe.patch(overclockEnabled=0)
    page = open_page("settings")
    page.get_by_label("Temperature target", exact=True).fill("58")
    page.get_by_label("Frequency", exact=True).select_option("490")
    pool = page.get_by_role("group", name="Primary pool")
    difficulty = pool.get_by_label("Suggested difficulty", exact=True)
    expect(difficulty).to_be_hidden()
    pool.get_by_text("Advanced").click()
    difficulty.fill("512")
    page.get_by_label("Hostname", exact=True).fill("other")
    expect(page.get_by_text("4 changes not saved.")).to_be_visible()
    picture(page, "settings")

    page.get_by_role("button", name="Changes").click()
    changes = page.locator("#changes")
    expect(changes).to_contain_text(re.compile(r"Frequency\s+525 MHz → 490 MHz"))
    changes.get_by_role("button", name="Undo Hostname").click()
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.get_by_text("Saved.", exact=True)).to_be_visible()
    waiting = "Waiting for a restart: Primary pool: Suggested difficulty."
    expect(page.get_by_text(waiting)).to_be_visible()
    expect(page.get_by_role("button", name="Restart to apply")).to_have_count(2)
    for width in (390, 1280, 1920, 2560):
        page.set_viewport_size({"width": width, "height": 900})
        edges = page.evaluate(
            """[...document.querySelectorAll(".page-head, .waiting, .card, .save")]
                .map((one) => one.getBoundingClientRect())
                .map(({ left, right }) => `${left} ${right}`)"""
        )
        assert len(set(edges)) == 1, (width, edges)
    info = bitaxe.info()
    assert (info["temptarget"], info["frequency"]) == (58, 490)
    assert info["stratumSuggestedDifficulty"] == 512
    page.reload()
    target = page.get_by_label("Temperature target", exact=True)
    expect(target).to_have_value("58")
    expect(page.get_by_text(waiting)).to_be_visible()
    expect(open_page("settings").get_by_text(waiting)).to_be_visible()


def test_a_setting_is_found_explained_and_unfolded(open_page: Open) -> None:
    page = open_page("settings", has_touch=True)
    frequency = page.get_by_label("Frequency", exact=True)
    difficulty = page.get_by_label("Suggested difficulty", exact=True)
    expect(frequency).to_be_visible()
    find = page.get_by_label("Find a setting")
    find.fill("fallback suggest")
    expect(difficulty).to_have_count(1)
    expect(difficulty).to_be_visible()
    expect(frequency).to_have_count(0)
    find.fill("minfanspeed")
    expect(page.get_by_label("Minimum fan speed", exact=True)).to_be_visible()
    find.fill("nonsense")
    expect(page.get_by_text("No setting is called “nonsense”.")).to_be_visible()
    page.get_by_role("button", name="Show all").click()

    expect(difficulty).to_have_count(2)
    expect(difficulty.first).to_be_hidden()
    page.evaluate("location.hash = '#/settings/pool/stratumSuggestedDifficulty'")
    expect(difficulty.first).to_be_focused()
    hint = page.locator("#field-stratumSuggestedDifficulty-hint")
    expect(hint).to_be_visible()
    expect(hint).to_contain_text("Allowed: 0 to 65535. Takes effect after a restart.")
    page.keyboard.press("Escape")
    expect(hint).to_be_hidden()
    page.get_by_role("button", name="What is Temperature target?").tap()
    expect(page.locator("#field-temptarget-hint")).to_be_visible()


def test_what_is_typed_lasts_and_a_refusal_stands_at_its_field(open_page: Open) -> None:
    page = open_page("settings")
    target = page.get_by_label("Temperature target", exact=True)
    page.get_by_label("Temperature target, slider").fill("57")
    expect(target).to_have_value("57")

    page.get_by_role("link", name="Logs").click()
    expect(page.get_by_title("Changes not saved")).to_be_visible()
    page.get_by_role("link", name="Settings").click()

    expect(target).to_have_value("57")
    expect(page.get_by_text("1 change not saved.")).to_be_visible()
    page.get_by_role("button", name="Undo all", exact=True).click()
    expect(target).not_to_have_value("57")

    refusal = {"error": "temptarget: 59 is outside today; ssid: 'x' is taken"}
    page.route("**/api/system", lambda route: route.fulfill(status=400, json=refusal))
    target.fill("59")
    page.get_by_role("button", name="Save", exact=True).click()

    told = page.locator("#field-temptarget-told")
    expect(told).to_have_text("59 is outside today")
    expect(page.locator("#field-ssid-told")).to_have_text("'x' is taken")
    expect(target).to_be_focused()


def test_on_a_phone_nothing_covers_the_field_that_is_edited(open_page: Open) -> None:
    page = open_page("settings", viewport=PHONE)
    names = page.locator(".field input:not([type=checkbox], [type=range])")
    # Until the board's options are known, these are fields to type in.
    for name in ("frequency", "coreVoltage"):
        expect(page.locator(f"select#field-{name}")).to_be_visible()

    for index in range(names.count()):
        field = names.nth(index)
        if field.is_disabled() or not field.is_visible():
            continue
        field.focus()
        page.keyboard.press("End")
        page.keyboard.type("1")
        (top, bottom), (_, head_end), (bar_start, _) = page.evaluate(
            """[document.activeElement, "[aria-label='Sections']", ".save"]
                .map((one) => one.focus ? one : document.querySelector(one))
                .map((one) => one.getBoundingClientRect())
                .map(({ top, bottom }) => [top, bottom])"""
        )
        assert top >= head_end - 1
        assert bottom <= bar_start + 1


def test_a_value_that_is_no_option_stays_to_be_seen(open_page: Open) -> None:
    page = open_page("settings")
    switch = page.get_by_label("Allow overclocking", exact=True)
    if not switch.is_checked():
        switch.click()
        page.get_by_role("button", name="Allow it").click()
    frequency = page.get_by_label("Frequency", exact=True)
    page.get_by_role("button", name="625", exact=True).click()
    expect(frequency).to_have_value("625")
    frequency.fill("700")

    switch.click()

    expect(frequency).to_have_value("700")
    told = page.locator("#field-frequency-told")
    expect(told).to_contain_text("allow overclocking first. The API page asks")
    expect(frequency).not_to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("700 MHz is beyond the board's presets")).to_be_visible()
    page.get_by_role("button", name="Return to 525 MHz").click()
    expect(frequency).to_have_value("525")
    expect(told).to_be_empty()


def test_the_page_refuses_what_the_device_refuses(open_page: Open, bitaxe: Any) -> None:
    page = open_page("settings")
    rules = bitaxe.client.get("/softaxe/settings.json").json()["settings"]
    numbers = [
        rule
        for rule in rules
        if rule["kind"] in {"integer", "float"}
        and not rule["choices"]
        and rule["name"] not in {"frequency", "coreVoltage"}
    ]
    assert len(numbers) >= 8
    folds = page.locator("details:not([open]) > summary")
    expect(folds.first).to_be_visible()  # the settings are there
    while folds.count():
        folds.first.click()
    page.get_by_label("Automatic fan control", exact=True).click()
    page.get_by_label("Display type", exact=True).select_option("SH1107 (64x128)")
    expect(page.locator("#field-temptarget-told")).to_contain_text("is manual")

    for rule in numbers:
        if rule["name"] in {"temptarget", "minFanSpeed"}:
            page.get_by_label("Automatic fan control", exact=True).set_checked(True)
        if rule["name"] in {"manualFanSpeed", "fanspeed"}:
            page.get_by_label("Automatic fan control", exact=True).set_checked(False)
        field = page.locator(f"#field-{rule['name']}")
        if rule["name"] in {"displayTimeout", "statsFrequency"}:
            field.select_option("")
            field = page.locator(f"#field-{rule['name']}-number")
        for value in (rule["minimum"] - 1, rule["maximum"] + 1):
            field.fill(str(value))
            expect(field).to_have_attribute("aria-invalid", "true")
            assert bitaxe.patch(**{rule["name"]: value}).status_code == 400
        for value in (rule["minimum"], rule["maximum"]):
            field.fill(str(value))
            expect(field).not_to_have_attribute("aria-invalid", "true")
    save = page.get_by_role("button", name="Save", exact=True)
    expect(save).to_be_enabled()
    page.get_by_label("Hostname", exact=True).fill("x" * 33)
    told = "33 characters; allowed is at most 32 characters."
    expect(page.get_by_text(told)).to_be_visible()
    expect(save).to_be_disabled()


def test_what_the_page_asks_otherwise_is_saved_and_told(open_page: Open) -> None:
    page = open_page("settings")
    name = page.get_by_label("Hostname", exact=True)
    before = name.input_value()
    name.fill("My Bitaxe")
    hint = page.locator("#field-hostname-told")
    expect(hint).to_contain_text("Use letters, digits and hyphens only. The API")

    page.get_by_role("button", name="Save", exact=True).click()

    told = page.get_by_text("Saved, though the API page has something against it:")
    expect(told).to_contain_text("hostname: 'My Bitaxe' may hold letters")
    expect(hint).to_contain_text("the device takes it all the same")
    page.get_by_label("Pages").get_by_role("link", name="Dashboard").click()
    expect(page.get_by_role("alert")).to_contain_text("Not as the API page asks")
    page.get_by_label("Pages").get_by_role("link", name="Settings").click()
    name.fill(before)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved.", exact=True)).to_be_visible()


def test_a_strict_device_takes_no_such_value(
    run_device: Any, tmp_path: Path, visit: Callable[..., Page]
) -> None:
    with run_device(tmp_path, strict=True) as device:
        page = visit(device.url, "settings")
        page.get_by_label("Hostname", exact=True).fill("My Bitaxe")

        expect(
            page.get_by_text("Use letters, digits and hyphens only.")
        ).to_be_visible()
        expect(page.get_by_role("button", name="Save", exact=True)).to_be_disabled()


def test_changes_of_others_are_told_and_unsaved_ones_guarded(
    open_page: Open, bitaxe: Any
) -> None:
    before = bitaxe.info()["stratumPort"]
    page = open_page("settings")
    target = page.get_by_label("Temperature target", exact=True)
    target.click()
    page.keyboard.type("1")  # no question is asked of somebody who touched nothing
    typed = target.input_value()

    bitaxe.patch(stratumPort=3344)
    ask_now(page)

    told = page.get_by_text(re.compile("^Primary pool: Port: .* → 3344$"))
    expect(told).to_be_visible()
    expect(page.locator("#field-stratumPort")).to_have_value("3344")
    expect(target).to_have_value(typed)
    asked: list[str] = []

    def leave(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", leave)
    page.reload()
    assert asked == ["beforeunload"]
    page.remove_listener("dialog", leave)
    bitaxe.patch(stratumPort=before)


def test_overclocking_is_behind_a_warning(open_page: Open, bitaxe: Any) -> None:
    page = open_page("settings")
    switch = page.get_by_label("Allow overclocking", exact=True)

    switch.click()
    expect(page.get_by_role("dialog")).to_contain_text("nothing will stop you")
    page.get_by_role("button", name="Cancel").click()
    expect(switch).not_to_be_checked()
    switch.click()
    page.get_by_role("button", name="Allow it").click()
    expect(switch).to_be_checked()
    page.get_by_label("Frequency", exact=True).fill("512.5")
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.get_by_text("Saved.", exact=True)).to_be_visible()
    assert bitaxe.info()["frequency"] == 512.5


def test_it_identifies_itself_and_a_network_is_picked_from_a_scan(
    open_page: Open, bitaxe: Any
) -> None:
    page = open_page("settings")
    page.get_by_role("button", name="Identify").click()
    expect(page.get_by_text(re.compile('The device .*"Hi!"'))).to_be_visible()

    page.get_by_role("button", name="Scan for networks").click()

    expect(page.get_by_text(re.compile(r"^\d+ networks? in range"))).to_be_visible()
    network = bitaxe.client.get("/api/system/wifi/scan").json()["networks"][0]["ssid"]
    entry = page.get_by_role("button", name=re.compile(re.escape(network))).first
    expect(entry.get_by_role("img")).to_have_attribute(
        "aria-label", re.compile("of 4 bars")
    )
    expect(entry).to_contain_text(re.compile("open|WPA"))
    entry.click()
    expect(page.get_by_label("Wi-Fi network", exact=True)).to_have_value(network)
    password = page.get_by_label("Wi-Fi password", exact=True)
    password.fill("secret-word")
    page.get_by_role("button", name="Show password").click()
    expect(password).to_have_attribute("type", "text")


def test_a_restart_is_waited_for(open_page: Open, bitaxe: Any, seen: Seen) -> None:
    page = open_page("settings", alone=True)
    expect(page.get_by_text("Mining", exact=True)).to_be_visible()

    texts = seen(page)
    page.get_by_role("button", name="Restart", exact=True).click()

    expect(page.get_by_text(re.compile("back after [0-9]+ s"))).to_be_visible()
    assert any("waits until it is back" in text for text in texts)
    assert bitaxe.info()["resetReason"] == "Software reset via esp_restart"
    bitaxe.advance(30)


def test_a_lost_device_is_told_and_regained(open_page: Open) -> None:
    page = open_page()
    expect(page.get_by_text("Mining", exact=True)).to_be_visible()

    page.context.set_offline(True)
    ask_now(page)
    expect(page.get_by_text("The device does not answer.")).to_be_visible()
    expect(page.get_by_text("No answer")).to_be_visible()
    expect(page.locator(".view")).to_have_class(re.compile("stale"))
    expect(page).to_have_title(re.compile("^⚠ bitaxe"))

    page.context.set_offline(False)
    expect(page.get_by_text("The device answers again.")).to_be_visible()
    expect(page.locator(".view")).not_to_have_class(re.compile("stale"))


def test_refused_and_unanswered_shares_are_explained_and_the_pools_page_is_linked(
    open_page: Open, bitaxe: Any
) -> None:
    page = open_page("settings")
    reasons = [
        {"message": "Above target", "count": 3},
        {"message": "Job not found", "count": 1},
    ]
    told = {
        "sharesAccepted": 36,
        "sharesRejected": 4,
        "sharesRejectedReasons": reasons,
        "stratumURL": "public-pool.io",
        "stratumUser": "bc1qme.one",
    }

    def tell(route: Route) -> None:
        route.fulfill(json=bitaxe.info() | told)

    page.route("**/api/system/info", tell)
    ask_now(page)
    page.get_by_label("Pages").get_by_role("link", name="Dashboard").click()

    expect(page.get_by_label("Readings")).to_contain_text("4 rejected, 10 %")
    reason = page.locator(".reason", has_text="Above target")
    expect(reason).to_contain_text(re.compile(r"3\s*7.5 %.*below the pool's"))
    expect(page.get_by_text("does not know the job any more")).to_be_visible()
    link = page.get_by_role("link", name="Statistics at web.public-pool.io")
    expect(link).to_have_attribute("href", "https://web.public-pool.io/#/app/bc1qme")
    expect(link).to_have_attribute("rel", "noreferrer")

    def unanswered(route: Route) -> None:
        answer = bitaxe.client.get("/softaxe/status.json").json()
        told = {"unansweredShares": 251, "unansweredSeconds": 3000}
        route.fulfill(json=answer | told)

    page.unroute("**/api/system/info", tell)
    page.route("**/softaxe/status.json", unanswered)
    ask_now(page)

    expect(page.get_by_role("alert")).to_contain_text("The pool answers no shares.")
    expect(page.get_by_text("Shares unanswered", exact=True)).to_be_visible()
    row = page.get_by_text("251 shares without an answer for 50 min", exact=True)
    expect(row).to_be_visible()


def test_names_and_addresses_are_hidden_for_a_screenshot(
    open_page: Open, bitaxe: Any
) -> None:
    info = bitaxe.info()
    names = ("hostname", "macAddr", "ipv4", "ipv6", "stratumUser")
    owned = [info[name] for name in names]
    page = open_page()
    expect(page.get_by_text(info["macAddr"])).to_be_visible()

    page.get_by_role("button", name="Hide names and addresses").click()

    expect(page.get_by_text(info["macAddr"])).to_have_count(0)
    text = page.locator("body").inner_text() + page.title()
    assert [one for one in owned if one in text] == []
    network = page.locator("dl div", has=page.get_by_text("Wi-Fi", exact=True))
    expect(network).to_contain_text("•••••")
    page.reload()  # it is remembered
    page.get_by_role("link", name="Logs").click()
    expect(page.get_by_role("log")).to_contain_text("mining.submit")
    text = page.get_by_role("log").inner_text()
    assert [one for one in owned if one in text] == []
    page.get_by_role("button", name="Hide names and addresses").click()
    expect(page.get_by_role("log")).to_contain_text(info["stratumUser"])


def test_logs_are_live_filtered_and_paused(
    open_page: Open, tmp_path: Path, picture: Callable[[Page, str], None]
) -> None:
    page = open_page("logs")
    log = page.get_by_role("log")
    expect(log).to_contain_text("asic_result")
    # What was before the page came, at this speed, has no time that can be told.
    expect(log.locator("time").first).to_be_empty()
    expect(log.locator("time").last).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))
    picture(page, "logs")

    page.get_by_label("Tag").select_option("power_management")
    expect(log).not_to_contain_text("asic_result")
    expect(log).to_contain_text("power_management")
    page.get_by_role("button", name="Wrap lines").click()
    expect(log).not_to_have_class(re.compile("wraps"))
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    download.value.save_as(tmp_path / "log.txt")
    lines = (tmp_path / "log.txt").read_text(encoding="utf-8").splitlines()
    assert lines
    assert all("power_management" in line and "\x1b" not in line for line in lines)
    assert len(set(lines)) == len(lines), "none came both before and live"
    page.get_by_label("Tag").select_option("")
    page.get_by_placeholder("Filter").fill("asic_result")
    expect(log).not_to_contain_text("power_management")
    page.get_by_placeholder("Filter").fill("")
    page.get_by_role("button", name="Pause").click()
    expect(
        page.get_by_text(re.compile(r"Paused, [1-9]\d* lines? held"))
    ).to_be_visible()
    page.get_by_role("button", name="Clear").click()
    expect(log).to_contain_text("Nothing yet")
    page.get_by_label("Level").select_option("E")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("Live.")).to_be_visible()


def test_the_log_in_the_page_is_bounded(open_page: Open) -> None:
    def flood(socket: WebSocketRoute) -> None:
        for first in range(0, 3000, 100):
            numbers = range(first, first + 100)
            lines = [f"\x1b[0;32mI ({n}) tag: line {n}\x1b[0m\n" for n in numbers]
            socket.send("".join(lines))

    page = open_page("dashboard", alone=True)
    page.route_web_socket("**/api/ws", flood)

    page.get_by_role("link", name="Logs").click()

    lines = page.get_by_role("log").locator("div")
    expect(lines.last).to_contain_text("line 2999")
    expect(lines).to_have_count(1000)


def test_the_log_goes_on_after_a_restart_that_told_nobody(
    open_page: Open, bitaxe: Any
) -> None:
    page = open_page("logs")
    log = page.get_by_role("log")
    expect(log).to_contain_text("asic_result")

    booted_at = bitaxe.member.device.booted_at
    bitaxe.client.post("/api/system/restart")
    while bitaxe.member.device.booted_at == booted_at or not bitaxe.member.is_open:
        time.sleep(0.01)
    page.get_by_role("button", name="Clear").click()
    bitaxe.advance(15)
    ask_now(page)

    expect(log).to_contain_text("asic_result")
    left = log.element_handle()
    page.get_by_role("link", name="Dashboard").click()
    expect(log).to_have_count(0)
    left.dispatch_event("scroll")  # which the browser may tell late: that is no error
    expect(page.get_by_role("heading", level=1)).to_be_visible()


DOTS_ARE_EQUAL = """() => {
    const image = document.querySelector("img[alt^='The screen of']");
    return image?.complete && image.naturalWidth === image.clientWidth
        && image.naturalWidth / image.naturalHeight === 4;
}"""


def test_the_screen_is_shown(
    open_page: Open, bitaxe: Any, picture: Callable[[Page, str], None]
) -> None:
    page = open_page("screen", viewport={"width": 360, "height": 900})

    shown = page.get_by_role("img", name=re.compile("^The screen of bitaxe"))
    expect(shown).to_be_visible()
    page.wait_for_function(DOTS_ARE_EQUAL)
    page.set_viewport_size(WIDE)
    page.wait_for_function(DOTS_ARE_EQUAL)
    first = shown.get_attribute("src")
    bitaxe.advance(10)
    expect(shown).not_to_have_attribute("src", first or "")  # it is live
    picture(page, "screen")
    expect(page.get_by_role("listitem")).to_have_count(6)
    now = page.locator("li[aria-current]")
    expect(now).to_contain_text("shown now")
    before = now.inner_text()
    page.get_by_role("button", name="Short press").click()
    expect(now).not_to_have_text(before)

    page.route("**/softaxe/screen.png?scale=*", lambda route: route.fulfill(status=404))
    expect(page.get_by_text("shows no picture")).to_be_visible()


def test_the_keyboard_is_enough(open_page: Open) -> None:
    page = open_page()

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Hide names")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    settings = page.get_by_label("Pages").get_by_role("link", name="Settings")
    expect(settings).to_be_focused()
    page.keyboard.press("Enter")

    heading = page.get_by_role("heading", level=1, name="Settings")
    expect(heading).to_be_focused()
    assert page.title().endswith("Settings")


def test_what_is_typed_while_it_saves_is_not_lost(open_page: Open, bitaxe: Any) -> None:
    page = open_page("settings")
    held: list[Route] = []

    def hold(route: Route) -> None:
        if route.request.method == "PATCH":
            held.append(route)
        else:
            route.continue_()

    page.route("**/api/system", hold)
    before = bitaxe.info()["stratumPort"]
    page.locator("#field-stratumPort").fill("3456")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_label("Hostname", exact=True).fill("later")
    for _ in range(1000):
        if held:
            break
        page.wait_for_timeout(20)
    held.pop().continue_()

    expect(page.get_by_text("Saved.", exact=True)).to_be_visible()
    assert bitaxe.info()["stratumPort"] == 3456
    expect(page.get_by_label("Hostname", exact=True)).to_have_value("later")
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_enabled()
    bitaxe.patch(stratumPort=before)
