"""Images installed through the page."""

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import FilePayload, Locator, Page, Response, Route, expect

from softaxe.errors import ImageError
from softaxe.flash.image import AppImageReader
from softaxe.flash.spiffs import read_spiffs
from softaxe.testing.run import running

Open = Callable[..., Page]
Seen = Callable[[Page], list[str]]


def card(page: Page, kind: str) -> Locator:
    """The part of the page where images of a kind are chosen."""
    return page.locator("section", has=page.get_by_role("heading", name=kind))


def look(page: Page, kind: str, image: FilePayload | Path) -> Locator:
    """Choose a file; return where the page says what it is."""
    card(page, kind).locator("input").set_input_files(image)
    return card(page, kind).locator(".about")


def choose(page: Page, kind: str, name: str, content: bytes) -> None:
    kind_of_file = "application/octet-stream"
    look(page, kind, FilePayload(name=name, mimeType=kind_of_file, buffer=content))
    card(page, kind).locator("button[type=submit]").click()


def device_takes(content: bytes, kind: str) -> bool:
    """What the device thinks of an image."""
    reader = AppImageReader()
    try:
        if kind == "Firmware":
            reader.feed(content)
            reader.finish()
        else:
            read_spiffs(content)
    except ImageError:
        return False
    return True


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def test_an_image_is_told_before_it_is_sent(
    open_page: Open,
    make_app_image: Callable[..., bytes],
    make_www_image: Callable[..., bytes],
    picture: Callable[[Page, str], None],
    tmp_path: Path,
) -> None:
    app = make_app_image(version="v2.13.9")
    www = make_www_image({"/index.html": b"<p>", "/version.txt": b"v9.1\n"})
    images = {
        "Firmware": {
            "Firmware v2.13.9 of project esp-miner": app,
            "Its project is nerdqaxe": make_app_image(project="nerdqaxe"),
            "v2.12.2 runs already": make_app_image(version="v2.12.2"),
            "no ESP32 application": b"<html>",
            "belongs under Web page": www[:4096],
            "breaks off": app[:-100],
            "another chip (id 0)": make_app_image(chip_id=0),
            "counts 99 segments": app[:1] + b"c" + app[2:],
            "checksum does not match": flipped(app, 500),
            "what application": flipped(app, 32),
            "do not fit into a slot of 4.00 MiB": app[:28]
            + (5 << 20).to_bytes(4, "little")
            + app[32:],
        },
        "Web page": {
            "Web page image, v9.1": www,
            "has exactly 3.00 MiB": www[:8192],
            "block 7 is no SPIFFS block": flipped(www, 7 * 4096 + 252),
            "belongs under Firmware": app,
            "no SPIFFS image": b"\xff" * 4096,
        },
    }
    page = open_page("update")

    for kind, files in images.items():
        for number, (words, content) in enumerate(files.items()):
            image = tmp_path / f"{kind}-{number}.bin"
            image.write_bytes(content)
            expect(look(page, kind, image)).to_contain_text(words)
            is_fine = device_takes(content, kind)
            name = "Install" if is_fine else "Send it all the same"
            expect(card(page, kind).get_by_role("button", name=name)).to_be_enabled()
    page.evaluate(
        """([path, bytes]) => {  // a file dropped on the card is chosen, too
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([new Uint8Array(bytes)], "dropped.bin"));
            const zone = document.querySelector(`[data-path="${path}"]`);
            const options = { dataTransfer, bubbles: true, cancelable: true };
            zone.dispatchEvent(new DragEvent("drop", options));
        }""",
        ["/api/system/OTA", list(app)],
    )
    about = card(page, "Firmware").locator(".about")
    expect(about).to_contain_text("Firmware v2.13.9 of project esp-miner")
    expect(about).to_contain_text("compiled Jan")
    expect(page.get_by_role("row", name=re.compile("factory"))).to_contain_text(
        "of the slot"
    )
    picture(page, "update")


def test_a_refused_image_is_told_why(open_page: Open, bitaxe: Any) -> None:
    page = open_page("update")
    reason = bitaxe.client.post("/api/system/OTA", content=b"no image").text

    choose(page, "Firmware", "esp-miner.bin", b"no image")

    expect(page.get_by_text("Refused.")).to_be_visible()
    expect(page.get_by_text(reason)).to_be_visible()
    choose(page, "Web page", "www.bin", b"\xff" * 4096)
    expect(page.get_by_text("Refused.")).to_have_count(2)
    assert bitaxe.info()["runningPartition"] == "factory"


def test_a_firmware_image_is_installed(
    visit: Callable[..., Page], make_app_image: Callable[..., bytes], seen: Seen
) -> None:
    with running(speed=20) as device:
        page = visit(device.url, "update", alone=True)
        factory = page.get_by_role("row", name=re.compile("factory.*running"))
        expect(factory).to_be_visible()

        texts = seen(page)
        choose(page, "Firmware", "esp-miner.bin", make_app_image(version="v2.13.0"))

        expect(page.get_by_text(re.compile("back after [0-9]+ s"))).to_be_visible()
        expect(page.get_by_text("Installed.")).to_be_visible()
        assert any("Firmware update complete" in text for text in texts)
        row = page.get_by_role("row", name=re.compile(r"ota_0\s+v2\.13\.0\s.*running"))
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
        page = visit(device.url, "update", alone=True)

        texts = seen(page)
        choose(page, "Web page", "www.bin", make_www_image(other))

        expect(page).to_have_title("Another page")
    assert any("WWW update complete" in text for text in texts)
