"""What a device finds when it is switched on again."""

import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.running import until

from softaxe.device.faults import DeviceFaults, UpdateFault
from softaxe.errors import SettingError, StorageError
from softaxe.flash.image import release_bytes
from softaxe.fleet.fleet import Fleet
from softaxe.serve.storage import Storage
from softaxe.testing.run import running

Make = Callable[..., bytes]


def put(directory: Path, table: str, **rows: object) -> None:
    """Write into a database what no code of ours writes."""
    with closing(sqlite3.connect(directory / "state.db")) as database, database:
        for key, value in rows.items():
            database.execute(
                f"INSERT OR REPLACE INTO {table} VALUES ('601-1', ?, ?)",
                (key.replace("__", "."), value),
            )


@contextmanager
def taken(port: int) -> Iterator[None]:
    """Somebody listens on a port: we, unless another test's device does already."""
    with ExitStack() as stack:
        with suppress(OSError):
            stack.enter_context(socket.create_server(("127.0.0.1", port)))
        yield


def test_a_pool_that_was_set_lasts_when_it_is_like_the_one_of_this_run(
    tmp_path: Path, run_device: Any
) -> None:
    with run_device(tmp_path) as device:
        port = device.info()["stratumPort"]
        answer = device.patch(stratumURL="mypool.example", stratumPort=port)
        assert answer.status_code == 200

    with taken(port), run_device(tmp_path) as device:
        info = device.info()

    assert (info["stratumURL"], info["stratumPort"]) == ("mypool.example", port)


def test_a_setting_that_was_set_lasts_when_it_is_like_its_group_s(
    tmp_path: Path, run_device: Any
) -> None:
    with run_device(tmp_path, settings={"temptarget": 55, "rotation": 90}) as device:
        assert device.patch(temptarget=55).status_code == 200

    with run_device(tmp_path, settings={"temptarget": 50, "rotation": 0}) as device:
        info = device.info()

    assert (info["temptarget"], info["rotation"]) == (55, 0)


def test_stored_values_that_nobody_wrote_are_named_and_replaced(
    tmp_path: Path, run_device: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    with run_device(tmp_path) as device:
        assert device.patch(hostname="rig").status_code == 200
    put(
        tmp_path,
        "nvs",
        asicfrequency_f=float("inf"),
        minfanspeed=10**9,
        statsFrequency=1e300,
        manualfanspeed=b"\x00\xff",
        stratumport="many",
    )
    put(tmp_path, "flash", ota_0__sha256="../x", running="ota_0", www_sha256=b"\x01")

    with run_device(tmp_path) as device:
        info = device.info()
        assert device.patch(temptarget=55).status_code == 200

    assert info["hostname"] == "rig"
    assert (info["frequency"], info["minFanSpeed"], info["manualFanSpeed"]) == (
        525,
        25,
        100,
    )
    assert info["version"] == "v2.12.2"
    lines = capfd.readouterr().err.splitlines()
    names = ["asicfrequency_f", "minfanspeed", "statsFrequency", "manualfanspeed"]
    names += ["stratumport", "ota_0", "running", "www_sha256"]
    for name in names:
        (line,) = [line for line in lines if f"stored {name}: " in line]
        assert line.startswith("softaxe: 601-1: ")


@pytest.mark.unwatched
def test_firmware_that_is_asked_for_is_flashed_and_lasts(
    run_device: Any, tmp_path: Path
) -> None:
    versions = []
    for firmware in (("2.14.2",), (), ("2.9.0",), ()):
        with run_device(tmp_path, firmware=firmware) as device:
            versions.append(device.info()["version"])
            answer = device.client.post(
                "/api/system/OTA", content=release_bytes("2.13.2")
            )
            assert answer.is_success
            device.advance(10)
            assert device.info()["version"] == "v2.13.2"
            versions.append(device.info()["axeOSVersion"])

    assert versions == [
        *("v2.14.2", "v2.14.2"),
        *("v2.13.2", "v2.14.2"),
        *("v2.9.0", "v2.9.0"),
        *("v2.13.2", "v2.9.0"),
    ]


def test_a_page_of_a_run_is_shown_by_firmware_that_has_one_inside(
    run_device: Any, tmp_path: Path
) -> None:
    page = {"/index.html": b"mine", "/version.txt": b"v2.15.0-mine"}

    with run_device(tmp_path, firmware=("2.15.0",), www=page) as device:
        info = device.info()
        assert device.client.get("/").text == "mine"
    with run_device(tmp_path) as device:
        assert device.info()["axeOSVersion"] == "Unified"

    assert (info["axeOSVersion"], info["useCustomWWW"]) == ("v2.15.0-mine", 1)


def test_an_update_that_was_answered_stands_though_the_disk_is_full_at_the_restart(
    tmp_path: Path,
    run_device: Any,
    make_app_image: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def update(device: Any, version: str) -> None:
        image = make_app_image(version=version)
        assert device.client.post("/api/system/OTA", content=image).status_code == 200

    with run_device(tmp_path, control="none") as device:
        update(device, "v2.13.2")
        with monkeypatch.context() as patch:
            patch.setattr(device.fleet.storage, "save", _full)
            device.advance(10)
            assert device.info()["version"] == "v2.13.2"
        assert device.info()["version"] == "v2.13.2"

    # What the boot loader chose was not stored. It chooses the same again, also when
    # that cannot be stored either, and the next update goes beside what runs.
    with monkeypatch.context() as patch:
        patch.setattr(Storage, "save", _full)
        with run_device(tmp_path, control="none") as device:
            assert device.info()["version"] == "v2.13.2"
            refused = device.client.post("/api/system/OTA", content=make_app_image())
            assert refused.status_code == 500
            device.advance(10)
            assert device.info()["version"] == "v2.13.2"
            patch.undo()
            bad = DeviceFaults(update=UpdateFault.ROLLED_BACK)
            device.member.device.set_faults(bad, device.member.device.now)
            update(device, "v2.13.3")
            device.advance(10)
            assert device.info()["version"] == "v2.13.2", "where it goes back to"

    with run_device(tmp_path) as device:
        assert device.info()["version"] == "v2.13.2"
        update(device, "v2.14.0")
        device.advance(10)
        assert device.info()["version"] == "v2.14.0"


def _full(*_: Any) -> None:
    raise StorageError("disk full")


@pytest.mark.unwatched
def test_a_new_device_is_set_up_over_http_and_stays_so(
    tmp_path: Path, run_device: Any
) -> None:
    with run_device(tmp_path, is_first_boot=True, speed=20.0) as device:
        info = device.info()
        assert (info["ssid"], info["apEnabled"], info["temp"]) == ("", 1, -1)
        refused = device.client.post("/api/system/OTA", content=b"x")
        assert refused.text == "Not allowed in AP mode"
        networks = device.client.get("/api/system/wifi/scan").json()["networks"]
        assert "softaxe" in [network["ssid"] for network in networks]

        answer = device.patch(ssid="softaxe", wifiPass="softaxe-wifi")
        assert answer.status_code == 200
        device.client.post("/api/system/restart")
        until(lambda: device.info()["wifiStatus"] == "Connected!")
        until(lambda: device.info()["sharesAccepted"] > 0)
        assert device.info()["apEnabled"] == 0

    with run_device(tmp_path, is_first_boot=True) as device:
        until(lambda: device.info()["wifiStatus"] == "Connected!")


@pytest.mark.unwatched
def test_a_wrong_password_can_be_put_right_over_http(
    tmp_path: Path, run_device: Any
) -> None:
    with run_device(tmp_path, speed=20.0) as device:
        device.patch(wifiPass="wrong-password")
        device.client.post("/api/system/restart")
        until(lambda: "Incorrect password" in device.info()["wifiStatus"])
        assert device.info()["apEnabled"] == 1

        device.patch(wifiPass="softaxe-wifi")
        device.client.post("/api/system/restart")
        until(lambda: device.info()["wifiStatus"] == "Connected!")


def test_a_pool_by_tls_is_refused_by_the_firmware_that_runs(
    tmp_path: Path, run_device: Any
) -> None:
    pool = "stratum+ssl://127.0.0.1:1"
    with run_device(tmp_path, firmware=("2.15.0",), pool=pool):
        pass
    with run_device(tmp_path, pool=pool) as device:  # as it is stored
        assert device.info()["stratumTLS"] == 1
    with (
        pytest.raises(SettingError, match=r"from 2\.13 on; v2\.12\.2 runs"),
        run_device(tmp_path / "new", pool=pool),
    ):
        pass


def test_a_slow_miner_s_shares_come_late_and_are_accepted() -> None:
    def counts(fleet: Fleet) -> tuple[int, int, float]:
        (member,) = fleet.members.values()
        response_ms = member.device.pools.response_time_ms
        return fleet.share_load.accepted, fleet.share_load.submitted, response_ms

    with running(share_rate=50, speed=100, warm_up_s=30.0) as bitaxe:
        bitaxe.faults.add("pool_slow", ms=3000, stall_ms=500, bytes_per_s=500)
        before = bitaxe.call(counts)[0]
        until(lambda: bitaxe.call(counts)[0] > before + 10)
        accepted, submitted, response_ms = bitaxe.call(counts)
        bitaxe.faults.clear()
        until(lambda: bitaxe.call(counts)[2] < 1000)

    assert accepted <= submitted
    assert response_ms > 3000
