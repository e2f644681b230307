"""The dashboard's history: what is drawn where, after whatever has happened."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from softaxe.fleet.clock import Clock
from softaxe.testing.run import running

MINUTES, HOURS = 60, 3600
Visit = Callable[..., Page]
CHART = re.compile("^Hash rate: .* now .*between")
HASH_COLOUR = (194, 89, 12)
"""`--hash` on light ground."""


def line_columns(page: Page) -> int:
    """In how many pixel columns of the first chart its line is to be seen."""
    expect(page.get_by_role("img", name=CHART)).to_be_visible()
    page.wait_for_timeout(300)
    columns: int = page.evaluate(
        """([red, green, blue]) => {
            const canvas = document.querySelector("canvas");
            const { data, width } = canvas.getContext("2d")
                .getImageData(0, 0, canvas.width, canvas.height);
            const found = new Set();
            for (let i = 0; i < data.length; i += 4)
                if (Math.abs(data[i] - red) + Math.abs(data[i + 1] - green)
                    + Math.abs(data[i + 2] - blue) < 30) found.add((i / 4) % width);
            return found.size;
        }""",
        HASH_COLOUR,
    )
    return columns


def stored(page: Page) -> list[Any]:
    """Boots with their samples, as this browser remembers them."""
    page.evaluate("dispatchEvent(new Event('pagehide'))")
    text = page.evaluate(
        "Object.entries(localStorage).find(([key]) => key.includes('history'))[1]"
    )
    boots: list[Any] = json.loads(text)
    return boots


def test_samples_that_are_far_apart_make_a_line_too(visit: Visit) -> None:
    with running(speed=0, settings={"statsFrequency": 300}) as device:
        device.clock.advance(1 * HOURS)
        page = visit(device.url, color_scheme="light")

        page.get_by_role("button", name="12 h").click()

        width = page.evaluate("document.querySelector('canvas').width")
        assert line_columns(page) > width * 0.06


def test_a_lone_sample_is_a_point_but_the_first_is_no_chart_yet(visit: Visit) -> None:
    with running(speed=0) as device:
        device.clock.advance(5 * MINUTES)
        page = visit(device.url, color_scheme="light")
        expect(page.get_by_text("Collecting", exact=False)).to_have_count(4)
        assert line_columns(page) == 0
        device[0].restart()
        device.clock.advance(MINUTES)

        page.reload()

        expect(page.get_by_text("Collecting", exact=False)).to_have_count(0)
        assert 6 <= line_columns(page) <= 24


def tip(page: Page) -> Locator:
    """What is told of the place that is pointed at."""
    return page.locator(".tip")


def cursors(page: Page) -> list[float]:
    """Where the cursor is in each chart, as a part of its width."""
    found: list[float] = page.evaluate(
        """[...document.querySelectorAll(".u-over")].map((over) => {
            const line = over.querySelector(".u-cursor-x");
            const x = new DOMMatrix(getComputedStyle(line).transform).e;
            return Math.round((x / over.clientWidth) * 100) / 100;
        })"""
    )
    return found


def test_a_chart_is_read_and_looked_into_by_mouse_and_keys(
    visit: Visit, check_access: Callable[[Page], None]
) -> None:
    with running(speed=0, settings={"statsFrequency": 5}) as device:
        device.clock.advance(20 * MINUTES)
        page = visit(device.url)
        plot = page.locator(".u-over").first
        plot.scroll_into_view_if_needed()
        box = plot.bounding_box()
        assert box is not None

        def point(part: float) -> None:
            page.mouse.move(box["x"] + box["width"] * part, box["y"] + 50)

        point(0.2)
        page.mouse.down()
        point(0.3)
        point(0.4)
        page.mouse.up()

        out = page.get_by_role("button", name="Zoom out")
        expect(out).to_be_visible()
        point(0.5)  # 70 % of a quarter of an hour ago
        expect(tip(page)).to_have_count(1)
        expect(tip(page)).to_contain_text(
            re.compile(r"^.10 min [23]\d s of device time")
        )
        expect(tip(page)).to_contain_text(re.compile(r"Hash rate \d.*TH/s"))
        assert cursors(page) == [0.5] * 4, "the others show the same moment"
        plot.dblclick()
        expect(out).to_have_count(0)

        page.mouse.move(0, 0)
        chart = page.get_by_role("application", name="Power")
        chart.focus()
        page.keyboard.press("End")
        expect(tip(page)).to_contain_text(re.compile(r"^now.*Power [\d.]+ W"))
        spoken = chart.locator("[aria-live]")
        expect(spoken).to_have_text(re.compile(r"^now, Power [\d.]+ W$"))
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")
        expect(spoken).to_have_text(re.compile(r"^.[1-9] s of device time, Power"))
        page.keyboard.press("+")
        expect(out).to_be_visible()
        check_access(page)
        page.keyboard.press("Escape")
        expect(out).to_have_count(0)
        page.keyboard.press("Escape")
        expect(tip(page)).to_have_count(0)


def test_fingers_read_and_zoom(visit: Visit) -> None:
    with running(speed=0, settings={"statsFrequency": 5}) as device:
        device.clock.advance(20 * MINUTES)
        page = visit(device.url, has_touch=True)
        plot = page.locator(".u-over").first
        plot.scroll_into_view_if_needed()
        box = plot.bounding_box()
        assert box is not None
        hand = page.context.new_cdp_session(page)

        def touch(kind: str, *parts: float) -> None:
            points = [
                {"x": box["x"] + box["width"] * part, "y": box["y"] + 50, "id": number}
                for number, part in enumerate(parts)
            ]
            order = {"type": f"touch{kind}", "touchPoints": points}
            hand.send("Input.dispatchTouchEvent", order)

        out = page.get_by_role("button", name="Zoom out")
        touch("Start", 0.2)
        for part in (0.25, 0.4, 0.5):
            touch("Move", part)
        touch("End")
        expect(tip(page)).to_contain_text(re.compile("^.7 min [23][0-9] s of device"))
        expect(out).to_have_count(0)

        touch("Start", 0.4, 0.6)
        touch("Move", 0.3, 0.7)
        touch("Move", 0.2, 0.8)
        touch("End")
        expect(out).to_be_visible()
        plot.tap()
        plot.tap()
        expect(out).to_have_count(0)

        touch("Start", 0.4)
        page.wait_for_timeout(600)
        touch("Move", 0.5)
        name = page.get_by_role("img", name=CHART).get_attribute("aria-label")
        drawn = plot.element_handle()
        assert name is not None
        device.clock.advance(MINUTES)
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(page.get_by_role("img", name=CHART)).not_to_have_accessible_name(name)
        assert drawn.evaluate("plot => plot.isConnected"), "not from under the finger"
        touch("Move", 0.6)
        touch("End")
        expect(out).to_be_visible()


def test_any_statistics_are_chosen_and_marks_tell_what_happened(visit: Visit) -> None:
    with running(speed=0, settings={"statsFrequency": 5}) as device:
        device.clock.advance(10 * MINUTES)
        page = visit(device.url)
        expect(page.get_by_role("img", name=CHART)).to_be_visible()
        device[0].patch(frequency=575, hostname="attic")
        chart = page.get_by_role("application", name="Hash rate")

        page.get_by_label("Series of Hash rate").click()
        choice = page.get_by_role("figure", name="Hash rate").locator(".choice")
        expect(choice.get_by_role("checkbox")).to_have_count(17)
        choice.get_by_label("Core voltage").check()
        expect(choice.get_by_label("Power")).to_be_disabled()
        expect(choice.get_by_label("Hash rate, 10 min")).to_be_enabled()
        page.keyboard.press("Escape")
        expect(choice).to_be_hidden()
        lines = re.compile(r"Hash rate now .*; Core voltage now [\d,]+ mV")
        expect(page.get_by_role("img", name=lines)).to_be_visible()

        def at_end(text: str) -> None:
            chart.focus()
            page.keyboard.press("Home")
            page.keyboard.press("End")
            expect(tip(page)).to_contain_text(text)

        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(page.get_by_text("attic").first).to_be_visible()
        at_end("Settings: frequency 525 MHz → 575 MHz")
        device[0].restart()
        device.clock.advance(MINUTES)
        page.reload()
        expect(page.get_by_role("img", name=lines)).to_be_visible()
        page.get_by_role("button", name="5 min", exact=True).click()
        chart.focus()
        page.keyboard.press("End")
        for _ in range(200):
            page.keyboard.press("ArrowLeft")
            if "Restart" in tip(page).inner_text():
                break
        expect(tip(page)).to_contain_text("Restart: Software reset")
        page.get_by_label("Series of Hash rate").click()
        choice.get_by_role("button", name="Default series").click()
        expect(page.get_by_role("img", name=lines)).to_have_count(0)


def test_fast_device_time_is_told_and_draws_one_history(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(speed=60, settings={"statsFrequency": 5}) as device:
        device.clock.advance(20 * MINUTES)
        page = visit(device.url, color_scheme="light")
        expect(page.get_by_text("Speed 60×", exact=True)).to_be_visible()
        monkeypatch.setattr(Clock, "reached_speed", 12.34)
        for _ in range(3):
            page.reload()
            expect(page.get_by_role("img", name=CHART)).to_be_visible()
        expect(page.get_by_text("Only 12× is reached", exact=True)).to_be_visible()

        ((_, _, uptime, rows, *_),) = stored(page)

    times = [row[0] for row in rows]
    assert times == sorted(set(times))
    assert len(rows) <= uptime / 5 + 10, "no sample is kept twice"
    assert uptime > 20 * MINUTES


def test_a_restart_begins_another_part_of_the_history(visit: Visit) -> None:
    with running(speed=0, settings={"statsFrequency": 5}) as device:
        device.clock.advance(10 * MINUTES)
        page = visit(device.url, color_scheme="light")
        expect(page.get_by_role("img", name=CHART)).to_be_visible()
        before = line_columns(page)
        device[0].restart()
        device.clock.advance(MINUTES)

        page.reload()

        expect(page.get_by_role("img", name=CHART)).to_be_visible()
        first, second = stored(page)
        assert first[0] != second[0]
        assert second[2] < MINUTES < first[2]
        assert line_columns(page) > before * 0.9, "what was before is still there"


def test_time_that_is_set_back_takes_its_samples_along(visit: Visit) -> None:
    with running(speed=0, control=True, settings={"statsFrequency": 5}) as device:
        device.clock.advance(5 * MINUTES)
        control = f"{device.control_url}/control/snapshots"
        page = visit(device.url)
        request = page.context.request
        assert request.post(control, data={"name": "then"}).ok
        device.clock.advance(10 * MINUTES)
        page.reload()
        expect(page.get_by_role("img", name=CHART)).to_be_visible()
        assert request.post(f"{control}/then/restore").ok

        page.reload()
        expect(page.get_by_role("img", name=CHART)).to_be_visible()
        page.wait_for_timeout(500)

        ((_, _, uptime, rows, *_),) = stored(page)
        assert uptime < 6 * MINUTES
        assert rows[-1][0] <= uptime
