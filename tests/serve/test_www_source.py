import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from softaxe.errors import SettingError
from softaxe.flash.partitions import WWW_BYTES
from softaxe.serve.www_source import read_source

PAGE = b"<title>AxeOS</title>"
Make = Callable[..., bytes]


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A folder as a front end's build leaves it."""
    folder = tmp_path / "axe-os"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html.gz").write_bytes(gzip.compress(PAGE))
    (folder / "main.js").write_bytes(b"let axe;")
    (folder / "assets" / "font.woff2").write_bytes(b"font")
    (folder / "version.txt").write_bytes(b"v9.9.9")
    return folder


def test_a_folder_is_served_without_flashing(
    build: Path, tmp_path: Path, run_device: Any
) -> None:
    with run_device(tmp_path / "state", www=read_source(build)) as device:
        index = device.client.get("/")
        assert index.content == PAGE
        assert index.headers["content-encoding"] == "gzip"
        script = device.client.get("/main.js")
        assert script.headers["content-type"] == "application/javascript"
        assert device.client.get("/assets/font.woff2").content == b"font"
        assert device.info()["axeOSVersion"] == "v9.9.9"
        assert device.client.get("/nothing").status_code == 302
        for path in ("/../secret", "/assets/../../secret", "/%2e%2e/secret"):
            assert (
                b"secret"
                not in device.raw(
                    f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
                ).partition(b"\r\n\r\n")[2]
            )
    with run_device(tmp_path / "state") as device:
        assert device.info()["axeOSVersion"] != "v9.9.9"  # nothing was flashed


def test_an_image_is_served_without_flashing(
    make_www_image: Make, tmp_path: Path, run_device: Any
) -> None:
    image = tmp_path / "www.bin"
    image.write_bytes(make_www_image({"/index.html": PAGE, "/version.txt": b"v1"}))

    with run_device(tmp_path / "state", www=read_source(image)) as device:
        assert device.client.get("/").content == PAGE
        assert device.info()["axeOSVersion"] == "v1"


def test_a_flashed_page_can_be_erased(
    make_www_image: Make, tmp_path: Path, run_device: Any
) -> None:
    image = make_www_image({"/index.html": PAGE, "/version.txt": b"v1"})
    with run_device(tmp_path) as device:
        assert device.client.post("/api/system/OTAWWW", content=image).is_success
    with run_device(tmp_path) as device:
        assert device.client.get("/").content == PAGE
    for options in ({"erases_www": True}, {}):
        with run_device(tmp_path, **options) as device:
            assert b"softaxe" in device.client.get("/").content
            assert device.info()["axeOSVersion"] == "v2.12.2"


def test_links_out_of_the_folder_are_left_alone(build: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (build / "link").symlink_to(tmp_path / "secret")
    (build / "inside").symlink_to(build / "main.js")

    found = read_source(build)
    assert "/link" not in found
    assert found["/inside"] == b"let axe;"


def test_what_cannot_be_served_is_told(build: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"nothing"):
        read_source(tmp_path / "nothing")
    (tmp_path / "short.bin").write_bytes(b"x")
    with pytest.raises(SettingError, match="1 bytes; a www image has 3145728"):
        read_source(tmp_path / "short.bin")
    (tmp_path / "wrong.bin").write_bytes(bytes(WWW_BYTES))
    with pytest.raises(SettingError, match=r"wrong\.bin: "):
        read_source(tmp_path / "wrong.bin")
    (build / "large").write_bytes(bytes(WWW_BYTES))
    with pytest.raises(SettingError, match="over 3145728 bytes"):
        read_source(build)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SettingError, match=r"there is no index\.html in it"):
        read_source(tmp_path / "empty")
