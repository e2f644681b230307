"""The page on devices of other firmware versions."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect


@pytest.mark.parametrize("release", ["2.8.1", "2.10.1", "2.14.2", "2.15.0"])
def test_every_page_shows_a_device_of_any_version(
    browser: Browser, run_device: Any, tmp_path: Path, release: str
) -> None:
    with run_device(tmp_path, speed=20.0, firmware=(release,)) as device:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(device.url)
        expect(page.get_by_text(f"v{release}")).to_be_visible()
        expect(page.get_by_text("Mining", exact=True)).to_be_visible()
        expect(page.locator(".big")).to_contain_text("TH/s")
        shown = page.locator("main").inner_text()
        assert "NaN" not in shown
        assert "undefined" not in shown
        for name, words in ("settings", "No changes."), ("update", "What is installed"):
            page.goto(f"{device.url}/#/{name}")
            expect(page.get_by_text(words)).to_be_visible()
        assert wrong == []
        page.close()
