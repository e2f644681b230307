"""What our own pages weigh, how soon they are seen, and whether they stutter."""

import gzip
import shutil
import statistics
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files

from playwright.sync_api import Browser, sync_playwright

from softaxe.serve.static_files import OUR_PAGE

FLEET_PAGE = files("softaxe.control") / "static"
ROUNDS = 5
PAINT = """() => new Promise((resolve) => new PerformanceObserver((list) => {
    const paint = list.getEntriesByName("first-contentful-paint")[0];
    if (paint) resolve(paint.startTime);
}).observe({ type: "paint", buffered: true }))"""
"""Waits for the first text or picture; milliseconds since the navigation began."""


SCROLL_S = 10
FRAMES = """async (seconds) => {
    const box = document.querySelector("[role=region][aria-label='Table of devices']");
    const gaps = [];
    const began = performance.now();
    for (let before = began; before - began < seconds * 1000; ) {
        const now = await new Promise(requestAnimationFrame);
        gaps.push(now - before);
        before = now;
        const place = ((now - began) / 4000) % 1;
        box.scrollTop = place * (box.scrollHeight - box.clientHeight);
    }
    return gaps.slice(1);
}"""
"""Scrolls through all rows every four seconds; milliseconds from frame to frame."""


def weight_bytes() -> int:
    """Bytes of all files of a device's page, gzipped."""
    return _weight_bytes(OUR_PAGE)


def fleet_weight_bytes() -> int:
    """Bytes of all files of the fleet's page, gzipped."""
    return _weight_bytes({one.name: one.read_bytes() for one in FLEET_PAGE.iterdir()})


def _weight_bytes(files: Mapping[str, bytes]) -> int:
    return sum(
        len(content) if name.endswith(".gz") else len(gzip.compress(content))
        for name, content in files.items()
    )


def find_chromium() -> str | None:
    """Where Debian or others have it."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def browsing(chromium: str) -> Iterator[Browser]:
    """A browser without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"]
        )
        yield browser
        browser.close()


def first_paint_s(chromium: str, port: int) -> float:
    """Median of several loads with an empty cache."""
    times: list[float] = []
    with browsing(chromium) as browser:
        for _ in range(ROUNDS):
            page = browser.new_page()
            page.goto(f"http://127.0.0.1:{port}/")
            times.append(page.evaluate(PAINT) / 1000)
            page.close()
    return statistics.median(times)


def frames_ms(chromium: str, url: str) -> list[float]:
    """From frame to frame, while the fleet's table is scrolled and filled anew."""
    with browsing(chromium) as browser:
        page = browser.new_page(viewport={"width": 1360, "height": 1000})
        page.goto(url)
        page.locator("tbody th[scope=row]").first.wait_for()
        gaps: list[float] = page.evaluate(FRAMES, SCROLL_S)
    return gaps
