"""Images installed through the page."""

import re
import threading
from collections.abc import Callable
from typing import Any

import httpx
from playwright.sync_api import FilePayload, Page, Response, Route, expect

from softaxe.testing.run import running

Open = Callable[..., Page]
Seen = Callable[[Page], list[str]]


def choose(page: Page, kind: str, name: str, content: bytes) -> None:
    section = page.locator("section", has=page.get_by_role("heading", name=kind))
    image = FilePayload(name=name, mimeType="application/octet-stream", buffer=content)
    section.locator("input").set_input_files(image)
    section.get_by_role("button", name="Install").click()


def test_a_refused_image_is_told_why(
    open_page: Open, bitaxe: Any, picture: Callable[[Page, str], None]
) -> None:
    page = open_page("update")
    reason = bitaxe.client.post("/api/system/OTA", content=b"no image").text

    choose(page, "Firmware", "esp-miner.bin", b"no image")

    expect(page.get_by_text("Refused.")).to_be_visible()
    expect(page.get_by_text(reason)).to_be_visible()
    picture(page, "update")
    choose(page, "Web page", "www.bin", b"\xff" * 4096)
    expect(page.get_by_text("Refused.")).to_have_count(2)
    assert bitaxe.info()["runningPartition"] == "factory"


def test_a_firmware_image_is_installed(
    visit: Callable[..., Page], make_app_image: Callable[..., bytes], seen: Seen
) -> None:
    with running(speed=20) as device:
        page = visit(device.url, "update")
        factory = page.get_by_role("row", name=re.compile("factory.*running"))
        expect(factory).to_be_visible()

        texts = seen(page)
        choose(page, "Firmware", "esp-miner.bin", make_app_image(version="v2.13.0"))

        expect(page.get_by_text(re.compile("back after [0-9]+ s"))).to_be_visible()
        expect(page.get_by_text("Installed.")).to_be_visible()
        assert any("Firmware update complete" in text for text in texts)
        row = page.get_by_role("row", name=re.compile(r"ota_0\s+v2\.13\.0\s+running"))
        expect(row).to_be_visible()
        assert device.info()["version"] == "v2.13.0"


def version_at(url: str) -> str:
    """Of a device that may be away."""
    try:
        info = httpx.get(f"{url}/api/system/info").json()
    except httpx.TransportError:
        return ""
    return str(info["version"])


def test_a_firmware_is_judged_by_what_it_says_itself(
    visit: Callable[..., Page], make_app_image: Callable[..., bytes]
) -> None:
    held: list[Route] = []
    is_taken = threading.Event()

    def hold(route: Route) -> None:
        if is_taken.is_set() and len(held) < 2:
            held.append(route)
        else:
            route.continue_()

    def note(response: Response) -> None:
        if response.url.endswith("/OTA"):
            is_taken.set()

    with running(speed=20) as device:
        page = visit(device.url, "update")
        expect(page.get_by_text("Mining", exact=True)).to_be_visible()
        old = device.info()
        for path in ("api/system/info", "softaxe/status.json"):
            page.route(f"**/{path}", hold)
        page.on("response", note)
        choose(page, "Firmware", "esp-miner.bin", make_app_image(version="v2.15.0"))
        for _ in range(1000):
            if len(held) == 2 and version_at(device.url) == "v2.15.0":
                break
            page.wait_for_timeout(20)

        # What was answered before the restart comes together with what was after it.
        for route in held:
            if route.request.url.endswith("/info"):
                route.fulfill(json=old)
            else:
                route.continue_()

        expect(page.get_by_text("Installed. Now v2.15.0 runs")).to_be_visible()
        expect(page.get_by_text("Rolled back.")).to_have_count(0)


def test_a_firmware_that_does_not_start_is_no_success(
    visit: Callable[..., Page], make_app_image: Callable[..., bytes]
) -> None:
    with running(speed=20) as device:
        device.faults.add("ota_failing", how="rolled back")
        page = visit(device.url, "update")

        choose(page, "Firmware", "esp-miner.bin", make_app_image(version="v2.14.0"))

        section = page.locator(
            "section", has=page.get_by_role("heading", name="Firmware")
        )
        expect(section).to_contain_text("Rolled back.")
        expect(section).to_contain_text("v2.12.2 runs in factory as before")
        expect(page.get_by_text("Firmware update complete")).to_have_count(0)
        notice = page.get_by_text(re.compile("back after .* did not start"))
        expect(notice).to_have_class(re.compile("bad"))
        row = page.get_by_role("row", name=re.compile("ota_0.*failed to start"))
        expect(row).to_be_visible()


def test_a_www_image_replaces_this_page(
    visit: Callable[..., Page], make_www_image: Callable[..., bytes], seen: Seen
) -> None:
    other = {"/index.html": b"<title>Another page</title>", "/version.txt": b"v9"}
    with running(speed=20) as device:
        page = visit(device.url, "update")

        texts = seen(page)
        choose(page, "Web page", "www.bin", make_www_image(other))

        expect(page).to_have_title("Another page")
    assert any("WWW update complete" in text for text in texts)
