"""What our own page weighs, and how soon it is seen."""

import gzip
import shutil
import statistics

from playwright.sync_api import sync_playwright

from softaxe.shell.static_files import OUR_PAGE

ROUNDS = 5
PAINT = """() => new Promise((resolve) => new PerformanceObserver((list) => {
    const paint = list.getEntriesByName("first-contentful-paint")[0];
    if (paint) resolve(paint.startTime);
}).observe({ type: "paint", buffered: true }))"""
"""Waits for the first text or picture; milliseconds since the navigation began."""


def weight_bytes() -> int:
    """Bytes of all files of the page, gzipped."""
    return sum(
        len(content) if name.endswith(".gz") else len(gzip.compress(content))
        for name, content in OUR_PAGE.items()
    )


def first_paint_s(port: int) -> float | None:
    """Median of several loads with an empty cache; None without a Chromium."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        return None
    times: list[float] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"]
        )
        for _ in range(ROUNDS):
            page = browser.new_page()
            page.goto(f"http://127.0.0.1:{port}/")
            times.append(page.evaluate(PAINT) / 1000)
            page.close()
        browser.close()
    return statistics.median(times)
