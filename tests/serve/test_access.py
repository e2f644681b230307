from pathlib import Path
from typing import Any

import pytest

from softaxe.device.device import Device
from softaxe.device.profile import FIRMWARE
from softaxe.serve.access import is_client_allowed
from softaxe.serve.request import Request

pytestmark = pytest.mark.unwatched


def test_the_firmware_profile_refuses_loopback_but_not_the_scan(
    run_device: Any, tmp_path: Path
) -> None:
    with run_device(tmp_path, profile=FIRMWARE, is_scan_quick=True) as device:
        refused = device.client.get("/api/system/info")
        assert (refused.status_code, refused.text) == (401, "Unauthorized")
        assert "access-control-allow-origin" not in refused.headers
        assert device.client.get("/api/system/wifi/scan").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/api/system/info",
        "/api/system/wifi/scan",
        "/api/nothing",
        "/recovery",
        "/openapi.json",
    ],
)
def test_pages_of_strangers_are_refused(bitaxe: Any, path: str) -> None:
    answer = bitaxe.client.get(path, headers={"Origin": "https://evil.example"})

    assert answer.status_code == 401
    assert "access-control-allow-origin" not in answer.headers


def test_other_sites_change_no_theme(bitaxe: Any) -> None:
    stranger = {"Origin": "https://evil.example"}

    changed = bitaxe.client.post(
        "/api/theme", content=b'{"colorScheme": "light"}', headers=stranger
    )

    assert changed.status_code == 401
    assert bitaxe.client.get("/api/theme").json()["colorScheme"] == "dark"


def test_where_the_firmware_is_the_model_they_do(old_firmware: Any) -> None:
    stranger = {"Origin": "https://evil.example"}

    changed = old_firmware.client.post(
        "/api/theme", content=b'{"colorScheme": "light"}', headers=stranger
    )

    assert changed.status_code == 200


def test_in_recovery_strangers_do_not_see_the_page(
    run_device: Any, tmp_path: Path
) -> None:
    with run_device(tmp_path) as device:
        device.member.device.write_www("0" * 64, None, device.member.device.now)
        stranger = {"Origin": "http://stranger.example"}

        page = device.client.get("/")
        refused = device.client.get("/", headers=stranger)

    assert "AxeOS Recovery" in page.text
    assert (refused.status_code, refused.text) == (401, "Unauthorized")


def test_an_answer_kept_with_a_request_holds_until_the_device_changes() -> None:
    device = Device(seed=1, settings={"hostname": "attic"})
    headers = ((b"host", b"attic"), (b"origin", b"http://attic"))
    request = Request("GET", "/", headers=headers, client="192.168.1.9")

    assert is_client_allowed(request, device)
    kept = request.access
    assert is_client_allowed(request, device)
    assert request.access is kept

    device.patch([("hostname", "cellar")], device.now)
    assert not is_client_allowed(request, device)


def test_the_firmware_s_access_point_lets_in_whoever_was_kept_out_before() -> None:
    device = Device(seed=1, profile=FIRMWARE)
    request = Request("GET", "/", client="8.8.8.8")

    device.radio.is_ap_enabled = False
    assert not is_client_allowed(request, device)
    device.radio.is_ap_enabled = True
    assert is_client_allowed(request, device)
