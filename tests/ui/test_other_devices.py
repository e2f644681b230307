"""The page on devices that are not a mining Gamma."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect

Visit = Callable[..., Page]


def test_a_new_device_says_that_it_has_no_wifi(
    run_device: Any, tmp_path: Path, visit: Visit
) -> None:
    with run_device(tmp_path, is_first_boot=True) as device:
        page = visit(device.url)
        expect(page.get_by_text("No Wi-Fi.")).to_be_visible()
        expect(page.get_by_text("Not mining")).to_be_visible()


def test_the_fallback_pool_is_told_in_words(
    run_device: Any, tmp_path: Path, visit: Visit
) -> None:
    with run_device(tmp_path, speed=20.0) as device:
        page = visit(device.url)
        expect(page.get_by_text("(primary)")).to_be_visible()
        expect(page.get_by_text("(fallback)")).to_have_count(0)
        page.get_by_role("button", name="Switch to the fallback pool").click()
        asked = page.get_by_role("dialog")
        expect(asked).to_contain_text("The device restarts and mines on")
        asked.get_by_role("button", name="Switch and restart").click()
        expect(page.get_by_text("(fallback)")).to_be_visible()
        expect(page.get_by_text("Fallback pool in use")).to_be_visible()


def test_another_device_at_the_address_is_shown_as_what_it_is(
    run_device: Any, tmp_path: Path, visit: Visit
) -> None:
    with run_device(tmp_path / "one", speed=20.0) as device:
        page = visit(device.url)
        expect(page.get_by_text("1 × BM1370")).to_be_visible()
        port = int(device.url.rpartition(":")[2])
    with run_device(tmp_path / "two", board="hex", speed=20.0, port=port):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(page.get_by_text("6 × BM1366")).to_be_visible(timeout=30_000)
        expect(page.get_by_text("Chip 6")).to_be_visible()  # each has its own bars
        expect(page.get_by_text("Bitaxe Hex 303")).to_be_visible()


def test_a_form_that_could_not_be_read_forgets_that_it_could_not(
    browser: Browser, run_device: Any, tmp_path: Path
) -> None:
    with run_device(tmp_path) as device:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.route("**/softaxe/settings.json", lambda route: route.abort())
        page.goto(f"{device.url}/#/settings")
        expect(page.get_by_text("The device does not answer.")).to_be_visible()

        page.unroute("**/softaxe/settings.json")
        # The page may have tried again by itself by now: then there is no button.
        again = page.get_by_role("button", name="Try again")
        again.evaluate_all("found => found.forEach((one) => one.click())")

        expect(page.get_by_text("No changes.")).to_be_visible()
        expect(page.get_by_text("The device does not answer.")).to_have_count(0)
        page.close()
