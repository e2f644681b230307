"""A device with its page in Debian's Chromium."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, Page, Request, expect, sync_playwright

ROOT = Path(__file__).parents[2]
PICTURES = os.environ.get("SOFTAXE_PICTURES")
"""A folder: the tests then leave their screenshots there."""
WIDE = {"width": 1280, "height": 900}
PATIENCE_MS = 60_000
CHROMIUMS = ("chromium-headless-shell", "chromium", "chromium-browser")
"""The first is Chromium without its own windows, for a quarter of the time."""
WITHOUT = (
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "HttpsUpgrades",
    "MediaRouter",
    "OptimizationHints",
    "PaintHolding",
    "RenderDocument",
)
"""Features of Chromium: without the last, to open a page takes a sixth less.

The others are those of Playwright's own list, which this takes the place of, that a
page of this machine may meet.
"""
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One Chromium for the tests of this folder.

    Not for all: while it is there, Playwright's event loop counts as running in this
    thread, and other folders' tests could run none of their own.
    """
    paths = map(shutil.which, CHROMIUMS)
    path = next(filter(None, paths), None)
    if path is None:
        pytest.skip(f"no chromium on this machine; apt-get install {CHROMIUMS[0]}")
    if not (ROOT / "src/softaxe/serve/static/page/index.html").exists():
        pytest.skip("the page is not built; run make page")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", f"--disable-features={','.join(WITHOUT)}"]
        chromium = playwright.chromium.launch(executable_path=path, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def tab(browser: Browser) -> Iterator[Page]:
    """The page that one test after the other has: another costs twice what it shows."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


@pytest.fixture(scope="session")
def seen() -> Callable[[Page], list[str]]:
    """Collects all that a page shows from now on, however shortly."""

    def start(page: Page) -> list[str]:
        texts: list[str] = []

        def note(text: str) -> None:
            texts.append(text)

        page.expose_function("tellShown", note)
        page.evaluate(
            """() => {
                const tell = () => tellShown(document.body.innerText);
                const all = { subtree: true, childList: true, characterData: true };
                new MutationObserver(tell).observe(document.body, all);
            }"""
        )
        return texts

    return start


@pytest.fixture(scope="module")
def bitaxe(run_device: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One device for the tests of a file.

    The faster it lives, the more there is to draw while a test looks.
    """
    with run_device(tmp_path_factory.mktemp("device"), speed=2.0) as device:
        device.advance(45)  # it mines, at terahashes a second
        yield device


@pytest.fixture
def visit(browser: Browser, tab: Page) -> Iterator[Callable[..., Page]]:
    """Open a page of any device; what goes wrong in the browser fails the test.

    The first is `tab`, as if it were new, unless it is to be `alone`, for what could
    not be taken back, or of a kind of its own. Any further one is another browser's.
    """
    with ExitStack() as stack:
        faults: list[str] = []
        homes: list[str] = []

        def open_it(
            url: str, name: str = "dashboard", *, alone: bool = False, **options: Any
        ) -> Page:
            if homes or alone or not options.keys() <= {"viewport", "color_scheme"}:
                usual = {"viewport": WIDE, "reduced_motion": "reduce"}
                context = browser.new_context(**{**usual, **options})
                stack.callback(context.close)
                page = context.new_page()
            else:
                page = tab
                page.set_viewport_size(options.get("viewport", WIDE))
                scheme = options.get("color_scheme", "light")
                page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                _forget(page, url)
                stack.callback(_let_go, page)
            homes.append(url)
            stack.enter_context(_watched(page, url, faults))
            page.goto(f"{url}/#/{name}")
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            return page

        yield open_it
    assert faults == []


@contextmanager
def _watched(page: Page, home: str, faults: list[str]) -> Iterator[None]:
    """Note what goes wrong there meanwhile, and what is asked of others."""

    def note_error(error: Error) -> None:
        faults.append(str(error))

    def note_request(request: Request) -> None:
        is_there = page.url.startswith(home)  # and what was there before has gone
        if is_there and not request.url.startswith((home, "data:", "blob:")):
            faults.append(f"asks {request.url}")

    page.on("pageerror", note_error)
    page.on("request", note_request)
    yield
    page.remove_listener("pageerror", note_error)
    page.remove_listener("request", note_request)


def _let_go(page: Page) -> None:
    """Take back what a test has done to the page's ways out."""
    page.unroute_all()
    page.context.set_offline(False)
    page.mouse.move(0, 0)


def _forget(page: Page, home: str) -> None:
    """Leave nothing in the page that an earlier test had there.

    But for files in the cache, which have names that tell what is in them. What is
    open of another home may write down what it likes when it is left.
    """
    if page.url.startswith(home):
        page.goto("about:blank")
    browser = page.context.new_cdp_session(page)
    everything = {"origin": home, "storageTypes": "all"}
    browser.send("Storage.clearDataForOrigin", everything)
    browser.detach()


@pytest.fixture
def open_page(visit: Callable[..., Page], bitaxe: Any) -> Callable[..., Page]:
    """Open a page of the device."""
    return partial(visit, bitaxe.url)


@pytest.fixture
def check_access() -> Callable[..., None]:
    """Check a page with axe-core, or by these of its rules: nothing grave is found.

    Or only `within` some part, where all around it is what another test checks.
    """
    axe = ROOT / "ui/node_modules/axe-core/axe.min.js"
    if not axe.exists():
        pytest.skip("needs what `make page` installs")
    script = axe.read_text(encoding="utf-8")

    def check(page: Page, *rules: str, within: str = "html") -> None:
        if page.evaluate("typeof axe") == "undefined":
            page.evaluate(script)
        options: dict[str, object] = {"resultTypes": ["violations"], "preload": False}
        if rules:
            options["runOnly"] = {"type": "rule", "values": rules}
        else:
            options["rules"] = {"region": {"enabled": False}}  # dear, and never grave
        found = page.evaluate("asked => axe.run(...asked)", [[within], options])
        grave = [
            (one["id"], [node["html"] for node in one["nodes"]])
            for one in found["violations"]
            if one["impact"] in {"serious", "critical"}
        ]
        assert grave == [], json.dumps(grave, indent=1)

    return check


@pytest.fixture
def picture() -> Callable[[Page, str], None]:
    """Leave a screenshot where one is asked for."""

    def take(page: Page, name: str) -> None:
        if PICTURES:
            path = Path(PICTURES) / f"{name}.png"
            page.screenshot(path=path, animations="disabled")

    return take
