import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.running import until

from softaxe.device.device import Device
from softaxe.device.faults import DeviceFaults, UpdateFault
from softaxe.errors import StorageError
from softaxe.flash.image import release_bytes
from softaxe.serve.storage import ImageSink

Make = Callable[..., bytes]


def test_an_update_is_answered_however_slow_the_disk(
    run_device: Any,
    tmp_path: Path,
    make_app_image: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    discard = ImageSink.discard

    def slowly(sink: ImageSink) -> None:
        time.sleep(0.3)  # six device seconds: the device restarts after one
        discard(sink)

    monkeypatch.setattr(ImageSink, "discard", slowly)
    with run_device(tmp_path, speed=20.0) as device:
        image = make_app_image(version="v2.13.2")
        assert device.client.post("/api/system/OTA", content=image).status_code == 200


@pytest.mark.unwatched
def test_firmware_is_installed_and_runs_after_the_restart(
    run_device: Any, tmp_path: Path, make_app_image: Make
) -> None:
    image = make_app_image(version="v2.13.2", segments=(4096, 300_000))
    with run_device(tmp_path, speed=20.0) as device:
        answer = device.client.post("/api/system/OTA", content=image)
        assert answer.status_code == 200
        assert answer.text == "Firmware update complete, rebooting now!\n"

        def runs_new() -> bool:
            try:
                return bool(device.info()["version"] == "v2.13.2")
            except httpx.TransportError:
                return False

        until(runs_new)
        assert device.info()["runningPartition"] == "ota_0"
    with run_device(tmp_path) as again:
        assert again.info()["version"] == "v2.13.2"
        assert again.info()["runningPartition"] == "ota_0"


def test_an_update_is_answered_however_long_it_takes_to_be_stored(
    bitaxe: Any, make_app_image: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = bitaxe.member.storage.save

    def slow(*what: object) -> None:
        time.sleep(0.5)  # ten seconds of the device: it restarts after one
        save(*what)

    monkeypatch.setattr(bitaxe.member.storage, "save", slow)

    answer = bitaxe.client.post("/api/system/OTA", content=make_app_image())

    assert answer.text == "Firmware update complete, rebooting now!\n"


@pytest.mark.unwatched
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda image: b"MZ" + image[2:], "first byte is 0x4D"),
        (lambda image: image[:-40], "before its end"),
        (lambda image: image[:9000] + b"\xff" + image[9001:], "checksum"),
        (lambda image: b"", "empty"),
        (lambda image: image + bytes(5 << 20), "larger than its slot"),
    ],
)
def test_a_bad_firmware_is_a_400_with_the_reason_and_changes_nothing(
    bitaxe: Any, make_app_image: Make, damage: Callable[[bytes], bytes], reason: str
) -> None:
    image = make_app_image(segments=(4096, 30_000))

    answer = bitaxe.client.post("/api/system/OTA", content=damage(image))

    assert answer.status_code == 400
    assert reason in answer.text
    assert bitaxe.info()["version"] == "v2.12.2"
    assert list((bitaxe.fleet.options.state / "images").iterdir()) == []


def test_a_bad_firmware_gets_the_firmware_s_texts_in_its_profile(
    old_firmware: Any, make_app_image: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = old_firmware.client.post
    monkeypatch.setattr(Device, "check_update_allowed", lambda self: None)

    wrong = post("/api/system/OTA", content=b"MZ" * 50)
    short = post("/api/system/OTA", content=make_app_image()[:-1])

    assert (wrong.status_code, wrong.text) == (500, "Write Error")
    assert (short.status_code, short.text) == (500, "Validation / Activation Error")


@pytest.mark.parametrize(
    ("method", "path", "wanted"),
    [
        ("POST", "/api/system/OTA", (400, "larger than its slot")),
        ("POST", "/api/system/OTAWWW", (400, "File provided is too large for device")),
        ("PATCH", "/api/system", (500, "content too long")),
        ("POST", "/api/system/identify", (200, "Hi!")),
        ("POST", "/api/system/nothing", (404, "unknown route")),
    ],
)
def test_who_sends_a_whole_flash_before_reading_gets_the_answer(
    bitaxe: Any,
    make_app_image: Make,
    method: str,
    path: str,
    wanted: tuple[int, str],
) -> None:
    client = HTTPConnection("127.0.0.1", bitaxe.member.port, timeout=30)
    factory_image = make_app_image().ljust(16 << 20, b"\xff")

    client.request(method, path, body=factory_image)
    answer = client.getresponse()

    assert answer.status == wanted[0]
    assert wanted[1] in answer.read().decode()
    client.request("GET", "/api/system/info")  # on the same connection
    assert client.getresponse().status == 200
    client.close()


def test_a_full_disk_is_told_and_nothing_is_half_applied(
    bitaxe: Any, make_app_image: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StorageError("state.db: database or disk is full")

    monkeypatch.setattr(bitaxe.member.storage, "save", full)

    patched = bitaxe.patch(hostname="rig")
    updated = bitaxe.client.post("/api/system/OTA", content=make_app_image())
    time.sleep(0.5)  # ten seconds of the device: it would have restarted

    assert (patched.status_code, updated.status_code) == (500, 500)
    assert "disk is full" in patched.text
    assert bitaxe.info()["hostname"] == "bitaxe-f369"
    assert bitaxe.info()["version"] == "v2.12.2"
    assert bitaxe.info()["uptimeSeconds"] > 5


def test_an_upload_cut_off_changes_nothing(bitaxe: Any, make_app_image: Make) -> None:
    image = make_app_image(segments=(4096, 30_000))
    head = (
        b"POST /api/system/OTA HTTP/1.1\r\nHost: a\r\n"
        b"Content-Length: " + str(len(image)).encode() + b"\r\n\r\n"
    )

    bitaxe.raw(head + image[:20_000], patience_s=0.3)

    images = bitaxe.fleet.options.state / "images"
    until(lambda: not list(images.iterdir()))
    assert bitaxe.info()["version"] == "v2.12.2"


@pytest.mark.parametrize(
    ("image", "reason"),
    [(b"short", "5 bytes, not exactly 3145728"), (b"\xff" * 3145728, "no SPIFFS")],
)
def test_a_bad_www_image_is_refused_with_the_reason(
    bitaxe: Any, image: bytes, reason: str
) -> None:
    answer = bitaxe.client.post("/api/system/OTAWWW", content=image)

    assert answer.status_code == 400
    assert reason in answer.text
    assert bitaxe.info()["axeOSVersion"] == "v2.12.2"


def test_the_firmware_profile_stores_a_bad_www_image_and_goes_into_recovery(
    old_firmware: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Device, "check_update_allowed", lambda self: None)

    answer = old_firmware.client.post("/api/system/OTAWWW", content=b"short")

    assert answer.text == "WWW update complete\n"
    assert "AxeOS Recovery" in old_firmware.client.get("/anything").text
    assert "AxeOS Recovery" in old_firmware.client.get("/api/anything").text
    assert old_firmware.info()["axeOSVersion"] == ""


def test_an_image_that_cannot_be_stored_is_a_500_and_changes_nothing(
    bitaxe: Any, make_app_image: Make
) -> None:
    images = bitaxe.fleet.options.state / "images"
    images.rmdir()
    images.write_text("in the way")

    answer = bitaxe.client.post("/api/system/OTA", content=make_app_image())

    assert answer.status_code == 500
    assert str(images) in answer.text
    assert bitaxe.info()["runningPartition"] == "factory"
    images.unlink()
    images.mkdir()
    assert bitaxe.client.post("/api/system/OTA", content=make_app_image()).is_success


CORS = "access-control-allow-origin"


@pytest.fixture
def newest(run_device: Any, tmp_path: Path) -> Iterator[Any]:
    """A device of firmware 2.15.0, which has its page inside."""
    with run_device(tmp_path, firmware=("2.15.0",)) as device:
        yield device


def test_from_2_15_on_a_refused_image_is_json_that_pages_may_read(
    newest: Any, make_app_image: Make
) -> None:
    post = newest.client.post

    wrong = post("/api/system/OTA", content=b"MZ" * 50)
    large = post("/api/system/OTAWWW", content=bytes(3145729))
    faults = DeviceFaults(update=UpdateFault.REFUSED)
    newest.member.device.set_faults(faults, newest.member.device.now)
    full = post("/api/system/OTA", content=make_app_image())

    for answer in (wrong, large, full):
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers[CORS] == "*"
    assert (wrong.status_code, large.status_code, full.status_code) == (400, 400, 500)
    assert wrong.json()["message"].startswith("image: first byte is 0x4D")
    assert large.text == '{"message":"File provided is too large for device"}'
    assert full.text == '{"message":"Write Error"}'
    assert full.headers["connection"] == "close"


def test_from_2_15_on_a_new_page_is_shown_after_a_restart(
    newest: Any, make_www_image: Make, make_app_image: Make
) -> None:
    own = newest.client.get("/")
    assert newest.client.get("/version.txt").status_code == 302
    assert 'id="own">' in newest.client.get("/recovery").text
    page = make_www_image({"/index.html": b"mine", "/version.txt": b"v1"})

    answer = newest.client.post("/api/system/OTAWWW", content=page)

    assert answer.text == "WWW update complete, rebooting now!\n"
    assert answer.headers["content-type"] == "text/plain"
    newest.advance(10)
    assert (newest.info()["axeOSVersion"], newest.info()["useCustomWWW"]) == ("v1", 1)
    assert newest.client.get("/").text == "mine"
    newest.client.post("/api/system/OTA", content=make_app_image(version="v2.15.0"))
    newest.advance(10)
    assert newest.info()["runningPartition"] == "ota_0"
    assert (newest.info()["axeOSVersion"], newest.info()["useCustomWWW"]) == (
        "Unified",
        0,
    )
    again = newest.client.get("/")
    assert (again.content, again.headers) == (own.content, own.headers)
    assert own.headers["content-length"] == str(own.num_bytes_downloaded)


def test_another_partition_can_be_booted(newest: Any) -> None:
    def boot(body: str) -> tuple[int, str]:
        answer = newest.client.post("/api/system/boot", content=body)
        assert answer.headers[CORS] == "*"
        return answer.status_code, answer.text

    refused = {
        "": "Empty request body",
        "{": "Invalid JSON",
        "[]": "Missing partition label",
        '{"partition": 1}': "Missing partition label",
        '{"partition": "nvs"}': "Partition not found",
        '{"partition": "ota_1"}': "No valid firmware found on partition",
    }
    assert {body: boot(body) for body in refused} == {
        body: (400, text) for body, text in refused.items()
    }

    newest.client.post("/api/system/OTA", content=release_bytes("v2.15.9"))
    newest.advance(10)
    factory, ota_0, ota_1 = newest.info()["partitions"]
    assert newest.client.get("/softaxe/status.json").json()["speaks"] == "v2.15.0"
    said = "softaxe: v2.15.9 is unknown here; it speaks as v2.15.0"
    assert said in newest.client.get("/api/system/logs").text
    done = boot('{"Partition": "factory"}')

    assert done == (
        200,
        '{"message":"Next boot partition set successfully. Rebooting..."}',
    )
    newest.advance(10)
    assert newest.info()["runningPartition"] == "factory"
    assert list(ota_0.items()) == [
        ("label", "ota_0"),
        ("isCurrent", True),
        ("isFactory", False),
        ("version", "v2.15.9"),
        ("compileDate", "Aug 20 2026"),
        ("compileTime", "00:00:00"),
        ("usagePercent", 37),
    ]
    assert (factory["version"], factory["isFactory"]) == ("v2.15.0", True)
    assert list(ota_1.values()) == ["ota_1", False, False, None, None, None, None]


def test_from_2_13_on_an_update_is_answered_as_plain_text(
    run_device: Any, tmp_path: Path, make_www_image: Make
) -> None:
    types = []
    for version in ("2.12.2", "2.13.2"):
        with run_device(tmp_path / version, firmware=(version,)) as device:
            page = make_www_image({"/index.html": b"mine"})
            answer = device.client.post("/api/system/OTAWWW", content=page)
            types.append((answer.headers["content-type"], answer.text))

    text = "WWW update complete\n"
    assert types == [("text/html", text), ("text/plain", text)]
