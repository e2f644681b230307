"""Every call of the AxeOS v2.12.2 page, as the page sends it.

Source: ESP-Miner main/http_server/axe-os. The page compares some numbers strictly and
calls methods on others: those types are checked too.
"""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from softaxe.testing.run import running

pytestmark = pytest.mark.unwatched

JSON = {"Content-Type": "application/json", "Accept": "application/json, text/plain"}
BROWSER = {"User-Agent": "Mozilla/5.0", "Accept-Language": "en"}
PREFLIGHT = {
    "Access-Control-Request-Headers": "content-type",
    "Access-Control-Request-Method": "POST",
}
SWARM_ORIGIN = "http://192.168.1.9"


@contextmanager
def shown_page(run_device: Any, folder: Path) -> Iterator[Any]:
    """A mining device, asked by a browser that shows its own page."""
    with run_device(folder, speed=20.0) as device:
        device.client.headers.update({**BROWSER, "Referer": f"{device.url}/"})
        info_of_mining(device)
        yield device


@pytest.fixture(scope="module")
def page(run_device: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One for all tests that leave it as it was."""
    with shown_page(run_device, tmp_path_factory.mktemp("page")) as device:
        yield device


@pytest.fixture
def own_page(run_device: Any, tmp_path: Path) -> Iterator[Any]:
    """One for a test that gives it other images."""
    with shown_page(run_device, tmp_path) as device:
        yield device


def info_of_mining(device: Any) -> dict[str, Any]:
    """Wait until a device that may have been restarted mines; return its info."""
    deadline = time.monotonic() + 20
    while True:
        info: dict[str, Any] = device.info()
        if info["hashRate"] and info["poolAddrFamily"]:
            return info
        assert time.monotonic() < deadline
        time.sleep(0.05)


def patch(page: Any, body: str) -> httpx.Response:
    """PATCH as Angular's HttpClient does."""
    answer: httpx.Response = page.client.patch(
        "/api/system", content=body, headers=JSON
    )
    return answer


def restart(page: Any) -> httpx.Response:
    """Restart as the page's buttons do."""
    answer: httpx.Response = page.client.post(
        "/api/system/restart", content="{}", headers=JSON
    )
    return answer


def boot_of(page: Any) -> str | None:
    """Name this run of the device; None while it is away."""
    try:
        name: str = page.client.get("/softaxe/status.json").json()["boot"]
    except httpx.HTTPError:
        return None
    return name


def wait_until_back(page: Any, boot: str | None) -> None:
    """Wait until the device is up and in another run than `boot`."""
    deadline = time.monotonic() + 20
    while boot_of(page) in {None, boot}:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_info_has_the_types_that_the_page_needs(page: Any) -> None:
    info = info_of_mining(page)

    for name in (
        "power",
        "voltage",
        "current",
        "coreVoltage",
        "coreVoltageActual",
        "temp",
        "temp2",
        "fanspeed",
        "hashRate",
        "bestDiff",
        "bestSessionDiff",
        "uptimeSeconds",
        "poolDifficulty",
    ):
        assert isinstance(info[name], int | float), name
        assert not isinstance(info[name], bool), name
    for name in ("stratumUser", "stratumURL", "fallbackStratumURL", "hostname"):
        assert isinstance(info[name], str), name
    for name in ("overheat_mode", "overclockEnabled", "isUsingFallbackStratum"):
        assert info[name] in (0, 1), name
        assert not isinstance(info[name], bool), name
    assert isinstance(info["hashrateMonitor"]["asics"], list)
    assert isinstance(info["sharesRejectedReasons"], list)
    assert info["poolAddrFamily"] in (2, 10)
    assert not info["apEnabled"]  # else the page leaves for /ap
    assert info["version"] == info["axeOSVersion"]  # else it warns


def test_the_settings_page_loads_info_and_asic_together(page: Any) -> None:
    asic = page.client.get("/api/system/asic").json()

    assert page.info()["frequency"] in asic["frequencyOptions"]
    assert asic["defaultVoltage"] in asic["voltageOptions"]
    for name in ("deviceModel", "swarmColor", "ASICModel"):
        assert isinstance(asic[name], str)
    assert asic["asicCount"] == 1


def test_the_chart_asks_for_columns_with_plain_commas(page: Any) -> None:
    assert patch(page, '{"statsFrequency":5}').status_code == 200
    columns = "hashrate,power,asicTemp,fanSpeed"
    deadline = time.monotonic() + 20
    while True:
        answer = page.client.get(f"/api/system/statistics?columns={columns}").json()
        if answer["statistics"]:
            break
        assert time.monotonic() < deadline
        time.sleep(0.05)

    labels = ["hashrate", "asicTemp", "power", "fanSpeed", "timestamp"]
    assert answer["labels"] == labels  # the device's order, which the page reads
    row = dict(zip(answer["labels"], answer["statistics"][-1], strict=True))
    assert 0 <= answer["currentTimestamp"] - row["timestamp"] < 60_000


def test_choosing_a_chart_source_sends_unknown_members(page: Any) -> None:
    answer = patch(page, '{"chartY1Data":"hashrate","chartY2Data":"asicTemp"}')

    assert answer.is_success


def test_the_settings_form_sends_all_of_it_always(page: Any) -> None:
    body = (
        '{"display":"SSD1306 (128x32)","rotation":180,"invertscreen":true,'
        '"displayTimeout":5,"coreVoltage":1150,"frequency":525,"autofanspeed":true,'
        '"minfanspeed":30,"manualFanSpeed":80,"temptarget":62,"overheat_mode":0,'
        '"statsFrequency":5}'
    )
    assert patch(page, body).is_success

    info = page.info()
    assert (info["rotation"], info["invertscreen"], info["minFanSpeed"]) == (180, 1, 30)
    assert (info["temptarget"], info["displayTimeout"]) == (62, 5)


@pytest.mark.parametrize("number", [1, 0])
def test_overclocking_is_switched_with_a_number(page: Any, number: int) -> None:
    assert patch(page, f'{{"overclockEnabled":{number}}}').is_success
    assert page.info()["overclockEnabled"] == number


def test_the_network_page_scans_and_leaves_an_unchanged_password_out(page: Any) -> None:
    networks = page.client.get("/api/system/wifi/scan").json()["networks"]
    assert {"ssid", "rssi", "authmode"} == set(networks[0])
    body = f'{{"hostname":"desk","ssid":"{networks[0]["ssid"]}"}}'
    assert patch(page, body).is_success
    assert patch(page, '{"ssid":"softaxe"}').is_success

    assert page.info()["hostname"] == "desk"


def test_the_network_page_sends_a_password_that_was_typed(page: Any) -> None:
    body = '{"hostname":"desk","ssid":"softaxe","wifiPass":"softaxe-wifi"}'
    assert patch(page, body).is_success

    assert "wifiPass" not in page.info()


def own_pools(page: Any) -> str:
    """The built-in pool's members: at the usual ports somebody else's may listen."""
    info = page.info()
    return (
        '"stratumURL":"127.0.0.1","fallbackStratumURL":"127.0.0.1",'
        f'"stratumPort":{info["stratumPort"]},'
        f'"fallbackStratumPort":{info["fallbackStratumPort"]}'
    )


def test_the_pool_page_sends_both_pools(page: Any) -> None:
    body = (
        f'{{{own_pools(page)},"stratumExtranonceSubscribe":false,'
        '"fallbackStratumExtranonceSubscribe":true,"stratumSuggestedDifficulty":1000,'
        '"fallbackStratumSuggestedDifficulty":512,"stratumUser":"me.desk",'
        '"fallbackStratumUser":"me.desk"}'
    )
    assert patch(page, body).is_success

    info = page.info()
    assert info["stratumUser"] == "me.desk"
    assert info["fallbackStratumExtranonceSubscribe"] == 1


def test_the_pool_page_sends_passwords_that_were_typed(page: Any) -> None:
    body = (
        f'{{{own_pools(page)},"stratumExtranonceSubscribe":false,'
        '"fallbackStratumExtranonceSubscribe":false,"stratumSuggestedDifficulty":1000,'
        '"fallbackStratumSuggestedDifficulty":1000,"stratumUser":"me.desk",'
        '"fallbackStratumUser":"me.desk","stratumPassword":"x",'
        '"fallbackStratumPassword":"d=512"}'
    )
    assert patch(page, body).is_success

    assert not {"stratumPassword", "fallbackStratumPassword"} & page.info().keys()


def test_the_pool_menu_sends_a_number_and_restarts(page: Any) -> None:
    for number in (1, 0):
        assert patch(page, f'{{"useFallbackStratum":{number}}}').is_success
        boot = boot_of(page)
        assert restart(page).is_success

        wait_until_back(page, boot)
        assert page.info()["isUsingFallbackStratum"] == number


def test_identify_is_a_post_of_an_empty_object(page: Any) -> None:
    for _ in range(2):
        answer = page.client.post("/api/system/identify", content="{}", headers=JSON)
        assert answer.is_success
        assert "Hi!" in answer.text


def test_the_theme_is_loaded_and_stored(page: Any) -> None:
    theme = page.client.get("/api/theme").json()
    assert isinstance(theme["accentColors"], dict)
    colors = {name: f"{value} " for name, value in theme["accentColors"].items()}
    assert len(colors) == 21
    bodies = (
        '{"colorScheme":"light"}',
        json.dumps({"colorScheme": "dark", "accentColors": colors}),
        '{"colorScheme":"light"}',
    )
    for body in bodies:
        stored = page.client.post("/api/theme", content=body, headers=JSON)
        assert stored.is_success

    after = page.client.get("/api/theme").json()
    assert after == {"colorScheme": "light", "accentColors": colors}


def test_log_lines_have_the_colour_and_the_length_that_the_page_cuts(page: Any) -> None:
    url = page.url.replace("http", "ws") + "/api/ws"
    with connect(url, origin=page.url) as socket:  # as a browser opens it
        for _ in range(20):
            text = socket.recv(timeout=10)
            assert isinstance(text, str)
            assert text.startswith(("\x1b[0;32m", "\x1b[0;33m", "\x1b[0;31m"))
            shown = text[9:-5]
            assert shown.startswith("(")
            assert "\x1b" not in shown


@pytest.mark.parametrize("action", ["restart", "identify"])
def test_a_swarm_page_may_preflight_actions(page: Any, action: str) -> None:
    headers = {**PREFLIGHT, "Origin": SWARM_ORIGIN}
    answer = page.client.options(f"/api/system/{action}", headers=headers)

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "Content-Type" in answer.headers["access-control-allow-headers"]


def test_a_swarm_page_reads_and_changes_other_devices(page: Any) -> None:
    headers = {"Origin": SWARM_ORIGIN}
    info = page.client.get("/api/system/info", headers=headers)
    asic = page.client.get("/api/system/asic", headers=headers)
    for answer in (info, asic):
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.json()["ASICModel"] == "BM1370"
    preflight = page.client.options(
        "/api/system",
        headers={**headers, "Access-Control-Request-Method": "PATCH"},
    )
    assert "PATCH" in preflight.headers["access-control-allow-methods"]
    changed = page.client.patch(
        "/api/system", content='{"temptarget":61}', headers={**JSON, **headers}
    )
    assert changed.is_success
    said = page.client.post(
        "/api/system/identify", content="{}", headers={**JSON, **headers}
    )
    assert said.text
    page.client.post("/api/system/identify", content="{}", headers=JSON)


def test_a_firmware_upload_is_answered_before_the_restart(
    own_page: Any, make_app_image: Any
) -> None:
    octets = {"Content-Type": "application/octet-stream"}
    boot = boot_of(own_page)
    image = make_app_image(version="v2.13.0")

    taken = own_page.client.post("/api/system/OTA", content=image, headers=octets)

    assert taken.status_code == 200
    assert taken.text == "Firmware update complete, rebooting now!\n"
    wait_until_back(own_page, boot)
    assert own_page.info()["version"] == "v2.13.0"


def test_uploads_are_raw_bytes_and_their_answers_text(
    own_page: Any, make_www_image: Any
) -> None:
    octets = {"Content-Type": "application/octet-stream"}
    refused = own_page.client.post(
        "/api/system/OTA", content=b"\0" * 64, headers=octets
    )
    assert refused.status_code in (400, 500)
    assert refused.text
    image = make_www_image({"/index.html": b"AxeOS", "/version.txt": b"v2.12.2"})
    taken = own_page.client.post("/api/system/OTAWWW", content=image, headers=octets)
    assert taken.status_code == 200
    assert taken.text == "WWW update complete\n"
    assert own_page.client.get("/").text == "AxeOS"


def test_restart_is_a_post_of_an_empty_object_and_it_comes_back(page: Any) -> None:
    boot = boot_of(page)
    answer = restart(page)
    assert answer.is_success
    assert answer.text
    wait_until_back(page, boot)
    assert page.info()["resetReason"] == "Software reset via esp_restart"


def test_the_swarm_page_finds_the_other_devices() -> None:
    try:
        with running(count=3, host="127.0.0.2", port=80):
            found = asyncio.run(scan("127.0.0"))
    except OSError as error:
        pytest.skip(f"port 80 may not be bound here: {error}")

    assert sorted(found) == ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
    assert {asic["deviceModel"] for _, asic in found.values()} == {"Gamma"}
    assert len({info["macAddr"] for info, _ in found.values()}) == 3


async def scan(subnet: str) -> dict[str, tuple[Any, Any]]:
    """Ask all addresses for info and asic together, 128 at once, on port 80."""
    found: dict[str, tuple[Any, Any]] = {}
    at_once = asyncio.Semaphore(128)
    headers = {**BROWSER, "Origin": f"http://{subnet}.2"}
    limits = httpx.Limits(max_connections=256)
    async with httpx.AsyncClient(timeout=60, headers=headers, limits=limits) as client:

        async def ask(address: str) -> None:
            urls = [f"http://{address}/api/system/{name}" for name in ("info", "asic")]
            async with at_once:
                try:
                    info, asic = await asyncio.gather(*map(client.get, urls))
                except httpx.HTTPError:
                    return
            found[address] = info.json(), asic.json()

        await asyncio.gather(*(ask(f"{subnet}.{host}") for host in range(1, 255)))
    return found


def test_in_access_point_mode_the_page_goes_to_its_set_up(
    tmp_path: Path, run_device: Any
) -> None:
    with run_device(tmp_path, is_first_boot=True, speed=20.0) as device:
        assert device.info()["apEnabled"] == 1
