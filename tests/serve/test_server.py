import asyncio
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from tests.each import each
from tests.running import until
from websockets import InvalidStatus, Origin
from websockets.sync.client import connect

from softaxe.api import views
from softaxe.api.schema import info_fields
from softaxe.catalog.firmware import firmware
from softaxe.device.profile import DOCUMENTED, FIRMWARE, ROWS, Kind, Profile
from softaxe.errors import StorageError
from softaxe.serve.answers import Answer
from softaxe.serve.request import Request, reply_of
from softaxe.serve.server import AWAY_S, Endpoint, routes_in

CORS = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE, OPTIONS",
    "access-control-allow-headers": "Content-Type",
}
Make = Callable[..., bytes]


def has_cors(answer: httpx.Response) -> bool:
    return all(answer.headers.get(name) == value for name, value in CORS.items())


def test_info_has_every_member_in_the_firmware_s_order(bitaxe: Any) -> None:
    until(lambda: "blockHeight" in bitaxe.info())

    answer = bitaxe.client.get("/api/system/info")

    members = list(json.loads(answer.content))
    expected = [
        row.name for row in info_fields(firmware()) if row.name != "power_fault"
    ]
    assert members == expected
    assert answer.headers["content-type"] == "application/json"
    assert has_cors(answer)


@pytest.mark.unwatched
def test_passwords_are_in_no_answer(bitaxe: Any) -> None:
    bitaxe.patch(wifiPass="geheimes-wort", stratumPassword="geheim2")

    for path in ("/api/system/info", "/openapi.json", "/api/theme", "/"):
        text = bitaxe.client.get(path).text
        assert "geheim" not in text
        assert "softaxe-wifi" not in text


def test_headers_come_as_the_firmware_sends_them(bitaxe: Any) -> None:
    answer = bitaxe.raw(b"GET /api/system/asic HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")

    head = answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    assert head[0] == "HTTP/1.1 200 OK"
    assert [line.partition(":")[0] for line in head[1:]] == [
        "Content-Type",
        "Content-Length",
        "Access-Control-Allow-Origin",
        "Access-Control-Allow-Methods",
        "Access-Control-Allow-Headers",
    ]


@pytest.mark.unwatched
@each(
    ("method", "path"),
    [
        ("GET", "/api/"),
        ("GET", "/api/swarm/info"),
        ("GET", "/api/system/info/"),
        ("GET", "/api/system/restart"),
        ("POST", "/api/system/info"),
        ("OPTIONS", "/api/system/info"),
        ("OPTIONS", "/api/system/OTA"),
        ("DELETE", "/api/system"),
        ("GET", "/api/system/%69nfo"),
    ],
)
def test_unknown_api_routes_are_a_json_404(bitaxe: Any, method: str, path: str) -> None:
    request = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()

    answer = bitaxe.raw(request)

    assert answer.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert answer.endswith(b'{\n\t"error":\t"unknown route"\n}')
    assert b"Access-Control-Allow-Origin: *" in answer


@pytest.mark.unwatched
@each(
    ("path", "start"),
    [
        ("/api/ws/live", b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json"),
        ("/api/system/asic", b"HTTP/1.1 200 OK\r\nContent-Type: application/json"),
        ("/ws", b"HTTP/1.1 302 "),
    ],
)
def test_elsewhere_nobody_heeds_an_upgrade(
    bitaxe: Any, path: str, start: bytes
) -> None:
    answer = bitaxe.raw(
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )

    assert answer.startswith(start)


def test_routes_are_those_of_the_version_and_of_the_page() -> None:
    old, new = firmware("2.8"), firmware("2.15")
    plain, page = routes_in(old, FIRMWARE), routes_in(old, DOCUMENTED)

    def is_refused(method: str, path: str) -> bool:
        return plain.find(method, path) is plain.find("PUT", "/")

    assert plain.find("GET", "/api/swarm") is plain.find("GET", "/")
    assert is_refused("POST", "/api/system/identify")
    assert is_refused("OPTIONS", "/api/system/info")
    assert not is_refused("OPTIONS", "/api/swarm")
    assert page.find("POST", "/api/system/identify").is_checked
    scan, theme = ("GET", "/api/system/wifi/scan"), ("POST", "/api/theme")
    assert not plain.find(*scan).is_checked
    assert page.find(*scan).is_checked
    assert routes_in(new, FIRMWARE).find(*theme).is_checked
    preflight = routes_in(new, FIRMWARE).find("OPTIONS", "/api/what/ever")
    assert preflight is not routes_in(new, FIRMWARE).find("PUT", "/api/what/ever")


def test_without_a_page_no_path_of_the_api_is_unknown() -> None:
    table = routes_in(firmware(), FIRMWARE)

    page, refusal = table.find("GET", "/"), table.find("POST", "/")
    assert table.elsewhere("GET", "/api/x", is_recovering=True) is page
    assert table.elsewhere("POST", "/api/x", is_recovering=True) is refusal
    assert table.find("GET", "/api/x") is table.find("POST", "/api/x")
    assert table.find("GET", "/api/x") not in (page, refusal)


def test_unknown_pages_lead_to_the_start_page(bitaxe: Any) -> None:
    for path in ("/settings", "/api", "/index.html?v=1", "/../etc/passwd"):
        answer = bitaxe.raw(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 302 ")
        assert b"Location: /\r\n" in answer
        assert answer.endswith(b"Redirect to the captive portal")


@pytest.mark.unwatched
def test_other_methods_elsewhere_are_refused(bitaxe: Any) -> None:
    assert bitaxe.client.post("/x").status_code == 405
    assert bitaxe.client.options("/").status_code == 405


@pytest.mark.unwatched
@each("path", ["/api/system", "/api/system/restart", "/api/system/identify"])
def test_preflights_are_answered(bitaxe: Any, path: str) -> None:
    answer = bitaxe.client.options(path)

    assert answer.status_code == 200
    assert answer.content == b""
    assert has_cors(answer)


@pytest.mark.unwatched
def test_the_start_page_is_an_axeos_page(bitaxe: Any) -> None:
    answer = bitaxe.client.get("/")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html"
    assert "AxeOS" in answer.text.partition("<title>")[2].partition("</title>")[0]
    assert "softaxe" in answer.text


def test_recovery_and_theme_and_openapi_are_there(bitaxe: Any) -> None:
    assert "AxeOS Recovery" in bitaxe.client.get("/recovery").text
    theme = bitaxe.client.get("/api/theme")
    assert theme.json()["colorScheme"] == "dark"
    assert len(theme.json()["accentColors"]) == 21
    assert theme.headers["access-control-allow-methods"] == "GET, POST, OPTIONS"
    assert bitaxe.client.get("/openapi.json").json()["openapi"] == "3.1.0"
    status = bitaxe.client.get("/softaxe/status.json").json()
    assert status["work"] == "scaled"
    assert status["pool"].startswith("built-in 127.0.0.1:")
    chips = {"answering", "hashing", "badReplies", "badCommands"}
    assert status["chips"].keys() == chips
    assert status["chips"]["badReplies"] == status["chips"]["badCommands"] == 0


@pytest.mark.unwatched
def test_the_status_tells_boots_apart_and_how_time_runs(bitaxe: Any) -> None:
    def status() -> dict[str, Any]:
        # Who asks just before it is reset would wait for ever.
        answer = bitaxe.client.get("/softaxe/status.json", timeout=1)
        return dict(answer.json())

    bitaxe.advance(600)
    before, later = status(), status()
    bitaxe.client.post("/api/system/restart")
    deadline = time.monotonic() + 60
    after = before
    while after["boot"] == before["boot"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
        with suppress(httpx.HTTPError):
            after = status()

    assert before["speed"] == 20
    assert later["boot"] == before["boot"]
    assert later["bootMs"] >= before["bootMs"] > after["bootMs"]


def test_a_theme_is_stored(bitaxe: Any) -> None:
    theme = {"colorScheme": "light", "accentColors": {"--primary-color": "#00ff00"}}

    answer = bitaxe.client.post("/api/theme", json=theme)

    assert answer.text == '{"status":"ok"}'
    assert bitaxe.client.get("/api/theme").json() == theme
    assert bitaxe.client.post("/api/theme", content=b"").status_code == 500
    assert bitaxe.client.post("/api/theme", content=b"{").status_code == 400


def test_of_a_long_theme_only_the_beginning_is_read(bitaxe: Any) -> None:
    colors = {"--primary-color": "#00ff00" * 200}
    cut = bitaxe.client.post("/api/theme", json={"accentColors": colors})
    padded = b'{"colorScheme": "light"}' + b" " * 2000
    whole = bitaxe.client.post("/api/theme", content=padded)

    assert (cut.status_code, cut.text) == (400, "Invalid JSON")
    assert whole.text == '{"status":"ok"}'
    assert bitaxe.client.get("/api/theme").json()["colorScheme"] == "light"


@pytest.mark.unwatched
def test_a_refused_patch_names_field_value_and_range_and_stores_nothing(
    bitaxe: Any,
) -> None:
    answer = bitaxe.patch(hostname="rig", temptarget=200)

    assert answer.status_code == 400
    assert answer.json() == {"error": "temptarget: 200 is outside 0..100 °C"}
    assert has_cors(answer)
    assert bitaxe.info()["hostname"] == "bitaxe-f369"


@pytest.mark.unwatched
def test_an_accepted_patch_answers_an_empty_object(bitaxe: Any) -> None:
    answer = bitaxe.patch(hostname="rig")

    assert answer.status_code == 200
    assert answer.json() == {}
    assert bitaxe.info()["hostname"] == "rig"


@pytest.mark.unwatched
@each(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"{}", 200),
        (b"[1,2]", 200),
        (b'{"hostname":"a"} junk', 200),
        (b'{"foo":1}', 200),
        (b'{"HostName":"x"}', 200),
        (b'{"hostname":""}', 400),
        (b'{"hostname":5}', 400),
        (b'{"rotation":45}', 400),
        (b'{"rotation":90.7}', 200),
        (b'{"autofanspeed":true}', 200),
        (b'{"autofanspeed":2}', 400),
        (b'{"overheat_mode":1}', 400),
        (b'{"overheat_mode":false}', 200),
        (b'{"minfanspeed":30}', 200),
        (b'{"fanspeed":80}', 200),
        (b'{"x":"' + b"y" * 10_240 + b'"}', 500),
    ],
)
def test_the_patch_table_of_the_reference(
    bitaxe: Any, body: bytes, status: int
) -> None:
    assert bitaxe.client.patch("/api/system", content=body).status_code == status


def test_the_firmware_profile_answers_as_the_firmware(old_firmware: Any) -> None:
    client = old_firmware.client
    good = old_firmware.raw(
        b"PATCH /api/system HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
    )
    bad = client.patch("/api/system", content=b'{"temptarget":34,"hostname":"ok"}')

    assert b"Content-Type: text/html\r\nTransfer-Encoding: chunked\r\n" in good
    assert good.endswith(b"\r\n\r\n0\r\n\r\n")
    assert (bad.status_code, bad.text) == (400, "Wrong API input")
    assert client.patch("/api/system", content=b"{").text == "Invalid JSON"
    assert client.post("/api/system/identify").text == (
        'The device says "Hi!" for 30 seconds.'
    )
    assert client.get("/api/system/statistics/dashboard").status_code == 404
    labels = client.get("/api/system/statistics").json()["labels"]
    assert "responseTime" not in labels
    client.patch("/api/system", content=b'{"frequency":485.3}')
    assert '"frequency":\t485.29998779296875' in client.get("/api/system/info").text


def test_mining_is_paused_and_resumed(run_device: Any, tmp_path: Path) -> None:
    with run_device(tmp_path, firmware=("2.15.0",)) as device:
        for action, text, is_paused in (
            ("resume", "Mining resumed", False),
            ("pause", "Mining paused", True),
            ("pause", "Mining paused", True),
            ("resume", "Mining resumed", False),
        ):
            answer = device.client.post(f"/api/system/{action}")
            assert answer.text == f'{{"message":"{text}"}}'
            assert has_cors(answer)
            assert device.info()["miningPaused"] is is_paused
        assert device.client.get("/api/system/pause").status_code == 404


SCAN = "/api/system/wifi/scan"


@pytest.mark.parametrize("profile", [DOCUMENTED, FIRMWARE])
def test_a_scan_takes_its_time_and_blocks_what_it_blocks(
    run_device: Any, tmp_path: Path, profile: Profile
) -> None:
    with (
        run_device(tmp_path, profile=profile, speed=2.0) as device,
        ThreadPoolExecutor() as threads,
    ):
        device.member.device.radio.is_ap_enabled = True  # lets every client in

        def ask(path: str) -> tuple[int, float]:
            answer = httpx.get(f"{device.url}{path}", timeout=30)
            return answer.status_code, device.member.device.now - began

        began = device.member.device.now
        scan = threads.submit(ask, SCAN)
        time.sleep(0.1)
        others = [threads.submit(ask, path) for path in ("/api/system/info", "/", SCAN)]
        answers = [one.result() for one in (scan, *others)]

    assert {status for status, _ in answers} == {200}
    first_s, info_s, page_s, second_s = (took_s for _, took_s in answers)
    assert first_s >= 2.1
    assert second_s >= 4.2, "two scans come one after the other"
    are_late = {info_s >= 2.1, page_s >= 2.1}
    assert are_late == {not profile.scan_blocks_nothing}


@pytest.mark.parametrize(
    "options", [{"is_scan_quick": True, "speed": 0.01}, {"is_paused": True}]
)
def test_a_scan_takes_no_time_where_there_is_none(
    run_device: Any, tmp_path: Path, options: dict[str, Any]
) -> None:
    with run_device(tmp_path, **options) as device:
        assert device.client.get(SCAN).json()["networks"]


def test_a_scan_ends_when_time_stops_or_jumps(run_device: Any, tmp_path: Path) -> None:
    def jump(device: Any) -> None:
        device.advance(3)

    def stop(device: Any) -> None:
        device.fleet.ticker.set_clock(is_paused=True)

    with (
        run_device(tmp_path, speed=0.01) as device,
        ThreadPoolExecutor() as threads,
    ):
        for end in jump, stop:
            scan = threads.submit(device.client.get, SCAN)
            time.sleep(0.2)
            assert not scan.done()
            end(device)
            assert scan.result(timeout=5).status_code == 200


@pytest.mark.unwatched
def test_a_page_may_be_shown_in_a_frame_as_by_home_assistant(bitaxe: Any) -> None:
    for path in ("/", "/recovery"):
        answer = bitaxe.client.get(path)
        assert "x-frame-options" not in answer.headers
        assert "content-security-policy" not in answer.headers


def test_statistics_are_sampled_and_filtered(bitaxe: Any) -> None:
    bitaxe.patch(statsFrequency=5)
    until(lambda: bitaxe.client.get("/api/system/statistics").json()["statistics"])

    some = bitaxe.client.get("/api/system/statistics?columns=power,hashrate").json()
    encoded = bitaxe.client.get("/api/system/statistics?columns=power%2Chashrate")
    everything = bitaxe.client.get("/api/system/statistics").json()
    dashboard = bitaxe.client.get("/api/system/statistics/dashboard").json()

    assert some["labels"] == ["hashrate", "power", "timestamp"]
    assert encoded.json()["labels"] == some["labels"]
    assert len(everything["labels"]) == 18
    assert all(len(row) == 3 for row in some["statistics"])
    assert all(len(row) == 4 for row in dashboard["statistics"])


def test_the_log_streams_to_websockets(bitaxe: Any) -> None:
    url = f"ws://127.0.0.1:{bitaxe.member.port}/api/ws"
    with connect(url, proxy=None) as socket:
        lines = [str(socket.recv(timeout=10)) for _ in range(20)]

    assert all(line.endswith("\x1b[0m\n") for line in lines)
    assert all(line.startswith("\x1b[0;3") for line in lines)
    assert any("stratum" in line or "bm1370" in line for line in lines)


@pytest.mark.unwatched
def test_an_eleventh_websocket_is_refused_before_the_upgrade(bitaxe: Any) -> None:
    url = f"ws://127.0.0.1:{bitaxe.member.port}/api/ws"
    request = (
        b"GET /api/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    )

    with ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(connect(url, proxy=None, max_queue=None))
        full = bitaxe.raw(request + b"\r\n")
    stranger = bitaxe.raw(request + b"Origin: https://evil.example\r\n\r\n")

    assert full.startswith(b"HTTP/1.1 429 ")
    assert stranger.startswith(b"HTTP/1.1 401 ")


def test_a_restarting_device_answers_nobody_and_comes_back(
    run_device: Any, tmp_path: Path
) -> None:
    with run_device(tmp_path) as device:  # away for some seconds
        device.patch(hostname="still-me")
        answer = device.client.post("/api/system/restart")
        assert answer.json() == {"message": "System will restart shortly."}

        def is_away() -> bool:
            try:
                device.client.get("/api/system/info", timeout=0.5)
            except httpx.ConnectTimeout:
                return True
            except httpx.TransportError:  # the reset came after it had connected
                return False
            return False

        until(is_away)
        until(lambda: not is_away())
        info = device.info()

    assert info["uptimeSeconds"] < 60
    assert info["resetReason"] == "Software reset via esp_restart"
    assert info["hostname"] == "still-me"


def test_nothing_is_answered_between_a_reset_and_the_port_s_end(
    tmp_path: Path, run_device: Any
) -> None:
    with run_device(tmp_path) as device:  # away for some seconds
        before = device.info()["uptimeSeconds"]
        device.client.post("/api/system/restart")
        seen: list[int | None] = []
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                answer = device.client.get("/api/system/info", timeout=0.5)
            except httpx.HTTPError:
                seen.append(None)
                time.sleep(0.005)
                continue
            info = answer.json()
            seen.append(info["uptimeSeconds"])
            if info["resetReason"] == "Software reset via esp_restart":
                break

    until_away = seen[: seen.index(None)]
    assert all(uptime is not None and uptime >= before for uptime in until_away)


def test_who_asked_before_a_reset_is_not_answered_after_it() -> None:
    device = SimpleNamespace(is_on_network=True)
    server: Any = SimpleNamespace(host=SimpleNamespace(device=device, networks=()))

    async def reset_meanwhile(_server: object, _request: Request) -> Answer:
        device.is_on_network = False
        asyncio.get_running_loop().call_later(AWAY_S, come_back)
        return Answer(b"of a life that is over")

    def come_back() -> None:
        device.is_on_network = True

    async def ask() -> object:
        endpoint = Endpoint(reset_meanwhile, is_checked=False)
        return await reply_of(endpoint.answer(server, Request("GET", "/")))

    assert asyncio.run(ask()) is None


@pytest.mark.unwatched
def test_a_change_saved_by_another_s_commit_still_learns_that_it_failed(
    bitaxe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow_and_full(*_: object) -> None:
        time.sleep(0.05)
        raise StorageError("state.db: database or disk is full")

    monkeypatch.setattr(bitaxe.member.storage, "save", slow_and_full)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda n: bitaxe.patch(hostname=f"h{n}"), range(12)))

    assert {answer.status_code for answer in answers} == {500}
    assert bitaxe.info()["hostname"] == "bitaxe-f369"


@pytest.mark.unwatched
def test_a_www_image_is_served_by_the_firmware_s_rules(
    run_device: Any, tmp_path: Path, make_www_image: Make
) -> None:
    files = {
        "/index.html.gz": b"\x1f\x8b gzipped page",
        "/main.js.gz": b"\x1f\x8b gzipped script",
        "/assets/a.woff2": b"wOF2",
        "/version.txt": b"v2.13.9",
    }
    with run_device(tmp_path, speed=20.0) as device:
        answer = device.client.post("/api/system/OTAWWW", content=make_www_image(files))
        assert (answer.status_code, answer.text) == (200, "WWW update complete\n")
        page = device.raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        script = device.raw(b"GET /main.js HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"Content-Encoding: gzip" in page
        assert b"Content-Type: text/html" in page
        assert b"Cache-Control" not in page
        assert b"gzipped page" in page
        assert b"Content-Type: application/javascript" in script
        assert b"Cache-Control: max-age=2592000" in script
        assert device.client.get("/assets/a.woff2").content == b"wOF2"
        assert device.client.get("/version.txt").text == "v2.13.9"
        assert device.client.get("/gone.js").status_code == 302
        assert device.info()["axeOSVersion"] == "v2.13.9"
    with run_device(tmp_path) as again:
        assert again.info()["axeOSVersion"] == "v2.13.9"


def test_an_over_long_target_is_refused(bitaxe: Any) -> None:
    assert bitaxe.client.get("/" + "x" * 3000).status_code == 414


def test_endless_headers_are_refused(bitaxe: Any) -> None:
    answer = bitaxe.raw(
        b"GET / HTTP/1.1\r\n" + b"X-Filler: " + b"x" * 2_000_000 + b"\r\n" * 2
    )

    assert answer.startswith(b"HTTP/1.1 431 ")
    assert bitaxe.info()["hostname"] == "bitaxe-f369"


@each(
    "request_bytes",
    [
        b"GET /api/system/info HTTP/1.0\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET /api/system/info HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"PATCH /api/system HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n{}",
        b"PATCH /api/system HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{",
        b"POST /api/system/OTA HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
        b"\r\n3\r\nabc\r\n0\r\n\r\n",
        b"GET /%ff%00 HTTP/1.1\r\nHost: \xff\r\nOrigin: \xff\xfe\r\n\r\n",
        b"GET /api/ws HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /api/ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    ],
)
def test_odd_requests_do_no_harm(bitaxe: Any, request_bytes: bytes) -> None:
    answer = bitaxe.raw(request_bytes, patience_s=0.3)

    assert b"HTTP/1.1 500" not in answer
    assert bitaxe.info()["hostname"] == "bitaxe-f369"


@pytest.mark.unwatched
@each(
    "body",
    [
        b'{"hostname":"\\ud800"}',
        b'{"hostname":"a\\u0000b"}',
        b'{"stratumUser":"' + b"\xf0\x9f\x98\x80" * 900 + b'"}',
        b'{"frequency":1e400}',
        b'{"statsFrequency":' + b"9" * 5000 + b"}",
        b'{"a":' + b"[" * 9000 + b"}",
        b'{"ssid":"\\u2028<script>"}',
    ],
)
def test_odd_bodies_do_no_harm(bitaxe: Any, body: bytes) -> None:
    assert bitaxe.client.patch("/api/system", content=body).status_code in (200, 400)
    assert bitaxe.client.get("/api/system/info").json()["ASICModel"] == "BM1370"


PAGE_PATCHES: list[dict[str, object]] = [
    {"fanspeed": 50},
    {"autofanspeed": 1},
    {"temptarget": 65},
    {"frequency": 500},
    {"coreVoltage": 1200},
    {
        "stratumURL": "stratum+tcp://pool.example.com",
        "stratumPort": 3333,
        "stratumUser": "your_wallet.worker_name",
        "stratumPassword": "x",
    },
    {"ssid": "YourWiFiNetwork", "wifiPass": "YourPassword", "hostname": "bitaxe"},
    {"autofanspeed": 1, "temptarget": 60, "displayTimeout": 10, "statsFrequency": 120},
]
"""Every example of a PATCH on the API page."""


@pytest.mark.unwatched
@pytest.mark.parametrize("members", PAGE_PATCHES)
def test_every_example_of_the_page_is_taken_by_a_fresh_device(
    bitaxe: Any, members: dict[str, object]
) -> None:
    answer = bitaxe.patch(**members)

    assert answer.status_code == 200
    told = answer.json().get("warnings", [])
    assert [text.partition(":")[0] for text in told] == ["frequency"] * (
        members == {"frequency": 500}
    )


@pytest.mark.unwatched
def test_every_example_of_the_page_in_its_order(
    run_device: Any, tmp_path: Path, make_app_image: Make, make_www_image: Make
) -> None:
    with run_device(tmp_path, speed=20.0) as device:
        client = device.client
        binary = {"Content-Type": "application/octet-stream"}

        def boot() -> str | None:
            try:
                answer = client.get("/softaxe/status.json", timeout=1)
            except httpx.TransportError:
                return None
            return str(answer.json()["boot"])

        def until_restarted(before: str | None) -> None:
            until(lambda: boot() not in {None, before})

        for path in ("info", "asic", "statistics", "statistics/dashboard"):
            assert client.get(f"/api/system/{path}").status_code == 200
        columns = "hashrate,hashrate_1m,hashrate_10m,hashrate_1h,asicTemp,vrTemp,power"
        filtered = client.get(f"/api/system/statistics?columns={columns}").json()
        assert filtered["labels"] == [*columns.split(","), "timestamp"]
        networks = client.get("/api/system/wifi/scan").json()["networks"]
        assert {"ssid", "rssi", "authmode"} == set(networks[0])
        before = boot()
        client.post("/api/system/restart").raise_for_status()
        until_restarted(before)
        assert client.post("/api/system/identify").status_code == 200
        image = make_app_image(version="v2.12.1")
        before = boot()
        client.post("/api/system/OTA", content=image, headers=binary).raise_for_status()
        until_restarted(before)
        page = make_www_image({"/index.html": b"AxeOS", "/version.txt": b"v2.12.1"})
        client.post(
            "/api/system/OTAWWW", content=page, headers=binary
        ).raise_for_status()

        for members in PAGE_PATCHES:
            assert device.patch(**members).status_code == 200
        info = device.info()

    assert info["manualFanSpeed"] == 50
    assert info["autofanspeed"] == 1
    assert info["temptarget"] == 60
    assert info["frequency"] == 500
    assert info["coreVoltage"] == 1200
    assert info["stratumURL"] == "stratum+tcp://pool.example.com"
    assert info["ssid"] == "YourWiFiNetwork"
    assert info["displayTimeout"] == 10
    assert info["statsFrequency"] == 120
    assert info["version"] == info["axeOSVersion"] == "v2.12.1"


@pytest.mark.unwatched
def test_what_the_page_asks_otherwise_is_taken_and_told(bitaxe: Any) -> None:
    answer = bitaxe.patch(frequency=512.5, hostname="My Bitaxe", fanspeed="50")

    assert answer.status_code == 200
    told = answer.json()["warnings"]
    assert [text.partition(":")[0] for text in told] == [
        "hostname",
        "fanspeed",
        "frequency",
    ]
    assert answer.content == views.patched_body({"warnings": told})
    info = bitaxe.info()
    assert (info["frequency"], info["hostname"]) == (512.5, "My Bitaxe")
    assert info["manualFanSpeed"] == 100
    (entry,) = [one for one in bitaxe.fleet.journal if one.method == "PATCH"]
    assert list(entry.warnings) == told
    assert entry.differs == (ROWS["patch_answers_json"].text(firmware()),)
    status = bitaxe.client.get("/softaxe/status.json").json()
    assert status["warnings"] == [told[0], told[2]]


def test_a_strict_device_refuses_it_and_stores_nothing(
    run_device: Any, tmp_path: Path
) -> None:
    with run_device(tmp_path, strict=True) as device:
        before = device.info()

        answer = device.patch(
            frequency=512.5, temptarget=50, fanspeed="50", wifiPass="short"
        )

        assert answer.status_code == 400
        assert answer.json() == {
            "error": "wifiPass: 5 bytes is outside 8..63 bytes, or empty; fanspeed: "
            "'50' is no integer (0..100 %); frequency: 512.5 MHz is none of the "
            "board's options 400, 490, 525, 550, 600, 625; the API page asks for "
            "overclockEnabled 1"
        }
        after = device.info()
        for name in ("frequency", "temptarget", "manualFanSpeed"):
            assert after[name] == before[name]
        assert device.patch(frequency=512.5, overclockEnabled=1).json() == {}
        *_, refused, taken = [e for e in device.fleet.journal if e.method == "PATCH"]
        demands = ("wifi_password_checked", "fanspeed_checked", "overclock_guarded")
        assert refused.differs == tuple(ROWS[name].text(firmware()) for name in demands)
        assert taken.warnings == ()


FOREIGN = {"Origin": "http://stranger.example"}
MARKED: list[tuple[str, str, dict[str, Any], set[str]]] = [
    ("PATCH", "", {"json": {}}, {"patch_answers_json"}),
    ("PATCH", "", {"content": b"{"}, {"patch_errors_explained"}),
    ("PATCH", "", {"json": {"rotation": 1}}, {"patch_errors_explained"}),
    (
        "PATCH",
        "",
        {"json": {"fanspeed": 50, "temptarget": 70, "stratumURL": "tcp://a:1"}},
        {
            "patch_answers_json",
            "fanspeed_sets_fan",
            "wide_target_temperature",
            "pool_url_scheme_understood",
        },
    ),
    (
        "PATCH",
        "",
        {"content": [b"{}"]},
        {"patch_answers_json", "chunked_bodies_read"},
    ),
    ("POST", "/restart", {}, {"actions_answer_json"}),
    ("POST", "/identify", {}, {"actions_answer_json"}),
    ("POST", "/OTA", {"content": b"x"}, {"image_refused_with_reason"}),
    ("POST", "/OTAWWW", {"content": b"x"}, {"image_refused_with_reason"}),
    ("GET", "/statistics/dashboard", {}, {"dashboard_exists"}),
    ("GET", "/statistics", {}, {"response_time_column"}),
    ("GET", "/statistics?columns=responseTime", {}, {"response_time_column"}),
    ("GET", "/statistics?columns=power%2Ccurrent", {}, {"columns_decoded"}),
    ("GET", "/statistics?columns=power,current", {}, set()),
    ("GET", "/info", {}, set()),
    ("GET", "/asic", {}, set()),
    ("GET", "/wifi/scan", {}, set()),
    ("GET", "/info", {"headers": FOREIGN}, set()),
    ("GET", "/nothing", {}, set()),
]
"""Requests, and the rows of the profile table by which a device answers otherwise."""


@pytest.mark.unwatched
@pytest.mark.parametrize(("method", "path", "content", "rows"), MARKED)
def test_the_journal_marks_what_a_device_answers_otherwise(
    bitaxe: Any, method: str, path: str, content: dict[str, Any], rows: set[str]
) -> None:
    bitaxe.client.request(method, f"/api/system{path}", **content)

    (entry,) = bitaxe.fleet.journal
    assert set(entry.differs) == {ROWS[name].text(firmware()) for name in rows}


def test_the_journal_marks_a_websocket_that_is_refused_early(bitaxe: Any) -> None:
    with pytest.raises(InvalidStatus):
        connect(f"ws{bitaxe.url[4:]}/api/ws", origin=Origin(FOREIGN["Origin"]))

    (entry,) = bitaxe.fleet.journal
    assert entry.differs == (ROWS["websocket_refused_early"].text(firmware()),)


def test_every_difference_that_an_answer_shows_is_marked() -> None:
    shown = {name for name, row in ROWS.items() if row.kind is Kind.MARKED}

    marked = set[str]().union(*(rows for *_, rows in MARKED))
    others = {name for name in shown if not ROWS[name].text(firmware())}
    elsewhere = {"websocket_refused_early", "small_difficulties_told"}
    assert marked == shown - others - elsewhere


def test_a_difficulty_below_1_is_marked(run_device: Any, tmp_path: Path) -> None:
    with run_device(tmp_path) as device:
        device.member.device.mining.exact_session_difficulty = 0.5

        assert device.info()["bestDiff"] == 0.5
        (entry, *_) = reversed(list(device.fleet.journal))
        row = ROWS["small_difficulties_told"].text(firmware())
        assert (entry.path, entry.differs) == ("/api/system/info", (row,))


@pytest.mark.unwatched
def test_nothing_is_marked_where_the_firmware_is_the_model(old_firmware: Any) -> None:
    for method, path, content, _ in MARKED:
        if path != "/restart" and "content" not in content:
            old_firmware.client.request(method, f"/api/system{path}", **content)

    entries = list(old_firmware.fleet.journal)
    assert len(entries) > 10
    assert [one for one in entries if one.differs or one.warnings] == []


@pytest.mark.unwatched
def test_theme_members_are_found_as_cjson_finds_them(bitaxe: Any) -> None:
    body = b'{"COLORSCHEME": "light", "colorScheme": "dark"}'

    bitaxe.client.post("/api/theme", content=body)

    assert bitaxe.client.get("/api/theme").json()["colorScheme"] == "light"


POOL = {"stratumURL": "a.b", "stratumPort": 3333, "stratumUser": "u"}


def test_pools_are_put_and_deleted(run_device: Any, tmp_path: Path) -> None:
    with run_device(tmp_path, firmware=("2.15.0",), profile=FIRMWARE) as device:
        device.member.device.radio.is_ap_enabled = True  # lets every client in
        client = device.client

        def put(number: str, **content: Any) -> tuple[int, str]:
            answer = client.put(f"/api/system/pools/{number}", **content)
            assert has_cors(answer)
            return answer.status_code, answer.text

        def delete(number: str) -> tuple[int, str]:
            answer = client.delete(f"/api/system/pools/{number}")
            return answer.status_code, answer.text

        updated = 200, '{"message":"Pool updated successfully"}'
        assert put("2", json=POOL | {"stratumPassword": "secret"}) == updated
        assert put("3x?y=1", json=POOL) == updated
        first = '{"stratumurl":"first","stratumURL":"second","stratumPort":1,'
        assert put("4", content=first + '"stratumUser":"u"}') == updated
        assert device.member.device.settings.pools[4].url == "first"
        assert put("2", json=POOL | {"stratumPassword": "*****"}) == updated
        assert device.member.device.settings.pools[2].password == "secret"
        told = {pool["id"]: pool for pool in device.info()["pools"]}
        assert set(told) == {0, 1, 2, 3, 4}
        assert told[2]["stratumPassword"] == "*****"
        assert put("8", json=POOL) == (400, "Invalid pool index")
        assert put("-1", json=POOL) == (400, "Invalid pool index")
        assert put("2") == (400, "Invalid request length")
        long = b"x" * 10240
        assert put("2", content=long) == (400, "Invalid request length")
        assert put("2", content=b"{") == (400, "Invalid JSON")
        bad = 400, "Invalid pool configuration payload"
        assert put("2", json=POOL | {"stratumPort": 0}) == bad
        selected = (
            "Cannot delete a pool that is currently selected as primary or fallback"
        )
        assert delete("0") == delete("none") == (400, selected)
        assert delete("9") == (400, "Invalid pool index")
        assert delete("2") == (200, '{"message":"Pool cleared successfully"}')
        assert {pool["id"] for pool in device.info()["pools"]} == {0, 1, 3, 4}
    with run_device(tmp_path, firmware=("2.15.0",)) as device:
        assert {pool["id"] for pool in device.info()["pools"]} == {0, 1, 3, 4}
        by_tls, foreign = POOL | {"stratumURL": "stratum+ssl://a"}, "http://a"
        answer = device.client.put("/api/system/pools/5", json=by_tls)
        assert answer.status_code == 200
        by_tls["stratumURL"] = foreign
        answer = device.client.put("/api/system/pools/5", json=by_tls)
        assert (answer.status_code, answer.text) == bad
        differs = [entry.differs for entry in device.fleet.journal if entry.differs]
        text = ROWS["pool_url_scheme_understood"].text(firmware("2.15.0"))
        assert differs == [(text,)]


def test_a_new_host_name_holds_at_once_and_leads_there(
    run_device: Any, tmp_path: Path
) -> None:
    text = (
        '{"status":"success","redirect":{"url":"http://axe.local","delay":2000,'
        '"message":"Hostname updated. Redirecting to new address..."}}'
    )
    with run_device(tmp_path, firmware=("2.15.0",), profile=FIRMWARE) as device:
        device.member.device.radio.is_ap_enabled = True  # lets every client in
        answer = device.patch(hostname="axe.Local")
        assert (answer.status_code, answer.text) == (200, text)
        assert answer.headers["content-type"] == "text/html"
        assert device.patch(hostname="axe").text == ""
        assert device.info()["hostname"] == "axe"
    with run_device(tmp_path, firmware=("2.15.0",)) as device:
        answer = device.patch(hostname="axe 2", stratumURL="pool.example")
        assert list(answer.json()) == ["status", "redirect", "warnings"]
        assert answer.headers["content-type"] == "application/json"
        assert device.info()["stratumURL"] == "pool.example"
        assert device.patch(hostname="axe 2").json().keys() == {"warnings"}


@pytest.mark.unwatched
def test_the_pool_in_use_is_the_connected_one_whatever_is_stored(
    run_device: Any, tmp_path: Path
) -> None:
    with run_device(tmp_path, firmware=("2.15.0",), speed=20.0) as device:

        def status() -> dict[str, Any]:
            found: dict[str, Any] = device.client.get("/softaxe/status.json").json()
            return found

        deadline = time.monotonic() + 30
        while not (before := status())["poolConnected"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        device.patch(stratumURL="pool.example")
        assert device.info()["pools"][0]["stratumURL"] == "pool.example"
        assert status()["pool"] == before["pool"]
