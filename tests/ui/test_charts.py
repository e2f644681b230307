"""The dashboard's history: what is drawn where, after whatever has happened."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

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


def test_a_lone_sample_is_a_point(visit: Visit) -> None:
    with running(speed=0) as device:
        device.clock.advance(5 * MINUTES)

        page = visit(device.url, color_scheme="light")

        assert 3 <= line_columns(page) <= 12


def test_a_part_is_dragged_out_of_all_charts_and_let_go(visit: Visit) -> None:
    with running(speed=0, settings={"statsFrequency": 5}) as device:
        device.clock.advance(20 * MINUTES)
        page = visit(device.url, has_touch=True)
        plot = page.locator(".u-over").first
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
        point(0.5)  # 70 % of a quarter of an hour ago, in each of the charts
        expect(page.get_by_text(re.compile("^10 min [23][0-9] s ago$"))).to_have_count(
            4
        )
        plot.dblclick()
        expect(out).to_have_count(0)
        page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + 50)
        expect(page.get_by_text(re.compile("^7 min [23][0-9] s ago$"))).to_have_count(4)


def test_a_speed_that_is_not_reached_is_told(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Clock, "reached_speed", 12.34)
    with running(speed=60) as device:
        page = visit(device.url)
        expect(page.get_by_text("Only 12× is reached", exact=True)).to_be_visible()


def test_fast_device_time_is_told_and_draws_one_history(visit: Visit) -> None:
    with running(speed=60, settings={"statsFrequency": 5}) as device:
        device.clock.advance(20 * MINUTES)
        page = visit(device.url, color_scheme="light")
        expect(page.get_by_text("Speed 60×", exact=True)).to_be_visible()
        for _ in range(3):
            page.reload()
            expect(page.get_by_role("img", name=CHART)).to_be_visible()

        ((_, _, uptime, rows),) = stored(page)

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

        ((_, _, uptime, rows),) = stored(page)
        assert uptime < 6 * MINUTES
        assert rows[-1][0] <= uptime
