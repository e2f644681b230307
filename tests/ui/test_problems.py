"""What the page says of a device that is really broken."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from softaxe.testing.run import RunningFleet, running

MINUTES = 60
ALERT = "[role=alert]"
OFF = ("regulator_fault", "chip_dead", "fan_dead")
"""Effects after which no chip hashes."""
Visit = Callable[..., Page]
Check = Callable[..., None]


@pytest.fixture(scope="module")
def warm() -> Iterator[RunningFleet]:
    """A device that has mined for a while; its time stands still between steps."""
    with running(speed=0, control=True) as device:
        device.clock.advance(5 * MINUTES)
        body = {"name": "warm"}
        httpx.post(f"{device.control_url}/control/snapshots", json=body)
        yield device


@pytest.fixture
def gamma(warm: RunningFleet) -> RunningFleet:
    """That device, as it was when nobody had done anything to it."""
    url = f"{warm.control_url}/control/snapshots/warm/restore"
    httpx.post(url).raise_for_status()
    warm.clock.advance(10)  # it logs in to its pool again
    return warm


def overheat(device: RunningFleet) -> str:
    """Let it overheat; return the fault that does it."""
    fault = device.faults.add("fan_dead")
    while not device.info()["overheat_mode"]:
        device.clock.advance(5)
    return fault


def test_nothing_is_wrong_with_a_healthy_device(
    gamma: RunningFleet, visit: Visit
) -> None:
    page = visit(gamma.url)

    expect(page.get_by_text("Mining", exact=True)).to_be_visible()
    expect(page.get_by_text("connected", exact=True)).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


@pytest.mark.parametrize(
    ("fault", "minutes", "title", "advice"),
    [
        ({"effect": "regulator_fault"}, 2, "Power fault.", "no power"),
        ({"effect": "fan_dead"}, 1, "Overheated.", "switched the chip off. Where"),
        (
            {"effect": "chip_dead"},
            2,
            "Not hashing.",
            "A restart tries again",
        ),
        ({"effect": "chip_dying", "v": 0.15}, 5, "Hash errors.", "voltage is too low"),
        ({"effect": "pool_down"}, 6, "No pool.", "not connected for"),
        ({"effect": "pool_silent"}, 2.2, "The pool is silent.", "silent for 2 min"),
        (
            {"effect": "pool_down", "which": "primary"},
            4,
            "Fallback pool in use.",
            "instead of",
        ),
    ],
)
def test_what_is_wrong_is_said(
    gamma: RunningFleet,
    visit: Visit,
    check_access: Check,
    *,
    fault: dict[str, Any],
    minutes: float,
    title: str,
    advice: str,
) -> None:
    gamma.faults.add(**fault)
    gamma.clock.advance(minutes * MINUTES)

    page = visit(gamma.url)

    alert = page.get_by_role("alert")
    expect(alert).to_contain_text(title)
    expect(alert).to_contain_text(advice)
    expect(alert.get_by_role("listitem")).to_have_count(1)
    states = {"Fallback pool in use.": "Mining", "Hash errors.": "Too slow"}
    state = states.get(title, "Not mining")
    expect(page.get_by_text(state, exact=True)).to_be_visible()
    check_access(page, within=ALERT)
    if fault["effect"] in OFF:
        gamma.clock.advance((10 - minutes) * MINUTES)
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect_no_rate_and_no_efficiency(gamma, page)


def expect_no_rate_and_no_efficiency(gamma: RunningFleet, page: Page) -> None:
    """As of a chip that is off."""
    assert gamma.info()["hashRate"] > 0, "firmware keeps the last one"
    readings = page.get_by_label("Readings")
    expect(readings).to_contain_text(re.compile(r"Hash rate\s*0 H/s"))
    expect(readings).to_contain_text(re.compile(r"Efficiency\s*–\s*Unknown"))
    expect(readings).to_contain_text("Not hashing")
    if gamma.info()["overheat_mode"]:
        expect(readings).to_contain_text(re.compile(r"Chip\s*off"))
        chart = page.get_by_role("figure", name="Temperature")
        expect(chart).to_contain_text(re.compile(r"Chip\s*–"))


def test_a_found_block_is_celebrated_until_that_is_dismissed(
    visit: Visit, check_access: Check
) -> None:
    with running(firmware="2.14.2", speed=0, control=True) as device:
        device.clock.advance(2 * MINUTES)
        fault = device.faults.add("block_found")
        while not device.info()["blockFound"]:
            device.clock.advance(5)
        device.faults.remove(fault)
        device.clock.advance(3 * MINUTES)
        page = visit(device.url)
        news = page.get_by_role("region", name="Block found!")
        expect(news).to_contain_text(re.compile(r"At height [\d,]+, 3 min ago\."))
        check_access(page, within="main")
        there = f"{device.control_url}/#/devices/601-1"
        fleet = page.get_by_role("link", name="Fleet", exact=True)
        expect(fleet).to_have_attribute("href", there)

        news.get_by_role("button", name="Dismiss").click()

        expect(news).to_have_count(0)


def test_a_recovery_that_fails_says_what_to_do(
    gamma: RunningFleet, visit: Visit, picture: Callable[[Page, str], None]
) -> None:
    gamma[0].patch(statsFrequency=5)
    gamma.clock.advance(5 * MINUTES)
    gamma.faults.add("fan_dead")  # for good: each recovery ends in the next overheating
    gamma.clock.advance(10 * MINUTES)

    page = visit(gamma.url)

    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("could not start it again")
    expect(alert).to_contain_text("a restart clears the fault")
    chart = page.get_by_role("img", name=re.compile("^Hash rate: .*between 0 H"))
    expect(chart).to_be_visible()
    picture(page, "problem")


def test_some_dead_chips_of_many_are_counted(visit: Visit) -> None:
    with running(board="hex", speed=0) as device:
        device.clock.advance(5 * MINUTES)
        device.faults.add("chip_dead", chip=5)
        device.clock.advance(60)

        page = visit(device.url)

        expect(page.get_by_role("alert")).to_contain_text("2 of 6 chips do not hash.")
        expect(page.get_by_text("Mining", exact=True)).to_be_visible()


def test_a_device_that_started_without_a_chip_says_so(
    gamma: RunningFleet, visit: Visit
) -> None:
    gamma.faults.add("chip_dead")
    gamma[0].restart()
    gamma.clock.advance(3 * MINUTES)

    page = visit(gamma.url)

    expect(page.get_by_role("alert")).to_contain_text("No chip.")
    expect(page.get_by_role("alert")).not_to_contain_text("pool")


def test_a_restart_in_the_cool_down_leaves_a_mark_to_clear(
    gamma: RunningFleet, visit: Visit, check_access: Check
) -> None:
    gamma.faults.remove(overheat(gamma))
    gamma[0].restart()
    gamma.clock.advance(2 * MINUTES)
    page = visit(gamma.url)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("runs at its old frequency")
    expect(page.get_by_text("Mining", exact=True)).to_be_visible()
    check_access(page, within=ALERT)

    alert.get_by_role("link", name="Cooling settings").click()
    page.get_by_label("Overheat mode", exact=True).click()
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_text("Saved.", exact=True)).to_be_visible()
    page.get_by_role("link", name="Dashboard").click()
    expect(alert).to_have_count(0)


def test_what_overheating_has_cost_is_told_until_it_is_changed(
    gamma: RunningFleet, visit: Visit, check_access: Check
) -> None:
    gamma.faults.remove(overheat(gamma))
    gamma.clock.advance(3 * MINUTES)
    page = visit(gamma.url)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Slower after overheating.")
    expect(alert).to_contain_text("from 525 to 425 MHz")
    expect(alert).to_contain_text("from 1150 to 1050 mV")
    expect(alert).to_contain_text("The fan speed is manual")
    check_access(page, within=ALERT)

    gamma[0].patch(frequency=490)
    page.reload()

    expect(page.get_by_text("Mining", exact=True)).to_be_visible()
    expect(alert).to_have_count(0)


def test_a_counter_that_was_reset_makes_no_hash_rate(
    gamma: RunningFleet, visit: Visit
) -> None:
    gamma[0].patch(statsFrequency=5)
    gamma.faults.remove(overheat(gamma))
    while gamma.info()["hashRate"] < 1e6:
        gamma.clock.advance(1)
    page = visit(gamma.url)
    readings = page.get_by_label("Readings")
    expect(readings).to_contain_text(re.compile(r"Hash rate\s*–"))
    expect(readings).to_contain_text("Unknown while nothing is hashed")
    gamma.clock.advance(2 * MINUTES)

    page.reload()

    chart = page.get_by_role("img", name=re.compile("^Hash rate: .* now .*between"))
    expect(chart).to_have_attribute("aria-label", re.compile(r"[GT]H/s$"))
    expect(chart).not_to_have_attribute("aria-label", re.compile("PH/s"))
    axis = page.get_by_role("figure", name="Fan").locator("canvas")
    expect(axis).to_be_visible()
