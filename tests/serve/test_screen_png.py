import time
from base64 import b64decode
from contextlib import suppress
from typing import Any

import httpx


def test_the_screen_is_a_picture_outside_the_api(bitaxe: Any) -> None:
    answer = bitaxe.client.get("/softaxe/screen.png?scale=2")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.content.startswith(b"\x89PNG")
    assert int.from_bytes(answer.content[16:20]) == 256
    assert int.from_bytes(answer.content[20:24]) == 64
    for scale in ("0", "9", "x", "-1", "1.5"):
        refused = bitaxe.client.get(f"/softaxe/screen.png?scale={scale}")
        assert refused.status_code == 400
        assert "is outside 1..8" in refused.json()["error"]


def test_without_a_display_there_is_no_picture(bitaxe: Any) -> None:
    bitaxe.patch(display="NONE", rotation=180)
    before = bitaxe.client.get("/softaxe/screen.png")
    assert before.status_code == 200  # the panel is set up at boot only
    bitaxe.client.post("/api/system/restart")
    deadline = time.monotonic() + 15
    while True:
        with suppress(httpx.HTTPError):
            answer = bitaxe.client.get("/softaxe/screen.png")
            if answer.status_code == 404:
                break
        assert time.monotonic() < deadline
        time.sleep(0.05)

    assert answer.json() == {"error": "display: NONE shows nothing"}


def test_all_pages_are_told_and_the_button_turns_them(bitaxe: Any) -> None:
    def screens() -> dict[str, Any]:
        found: dict[str, Any] = bitaxe.client.get("/softaxe/screens.json").json()
        return found

    before = screens()
    names = [page["name"] for page in before["pages"]]
    assert names == ["bitaxe", "osmu", "urls", "stats", "mining", "wifi"]
    for page in before["pages"]:
        picture = b64decode(page["png"])
        assert picture.startswith(b"\x89PNG")
        assert int.from_bytes(picture[16:20]) == 256
    seen: set[str | None] = set()
    deadline = time.monotonic() + 15  # on a slow machine pages turn by themselves, too
    while not seen >= {"urls", "stats", "mining", "wifi"}:
        assert time.monotonic() < deadline, seen
        assert bitaxe.client.post("/softaxe/button/short").status_code == 200
        seen.add(screens()["shown"])
    log = bitaxe.client.get("/softaxe/log.txt")
    assert log.headers["content-type"].startswith("text/plain")
    assert "input: Short button click detected" in log.text
    foreign = {"Origin": "http://example.com"}
    refused = bitaxe.client.post("/softaxe/button/long", headers=foreign)
    assert refused.status_code == 401
