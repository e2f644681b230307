import hashlib

import pytest
from tests.each import each

from softaxe.errors import SettingError
from softaxe.flash.image import AppImage, release_image
from softaxe.flash.partitions import PARTITIONS, WWW_BYTES, Flash
from softaxe.flash.spiffs import AXEOS


def sha256_of(version: str) -> str:
    return hashlib.sha256(version.encode()).hexdigest()


def image(version: str) -> AppImage:
    return AppImage(version, "esp-miner", "v5.5.1", "", "", 4096, sha256_of(version))


def test_the_table_is_that_of_the_reference() -> None:
    table = {part.name: (part.offset, part.size) for part in PARTITIONS}

    assert table["factory"] == (0x10000, 4 << 20)
    assert table["www"] == (0x410000, WWW_BYTES)
    assert table["ota_0"] == (0x710000, 4 << 20)
    assert table["ota_1"] == (0xB10000, 4 << 20)
    ends = [part.offset + part.size for part in PARTITIONS]
    starts = [part.offset for part in PARTITIONS[1:]]
    assert all(end <= start for end, start in zip(ends, starts, strict=False))
    assert ends[-1] <= 16 << 20
    assert AXEOS.image_bytes == WWW_BYTES


def test_updates_alternate_between_the_slots() -> None:
    flash = Flash()
    ran = [flash.running]
    for version in ("v1", "v2", "v3"):
        flash.install(image(version))
        ran.append(flash.boot())

    assert ran == ["factory", "ota_0", "ota_1", "ota_0"]
    assert flash.running_image.version == "v3"


def test_nothing_runs_before_the_boot() -> None:
    flash = Flash()

    flash.install(image("v9"))

    assert flash.running == "factory"
    assert flash.running_image.version == "v2.12.2"


def test_an_image_that_fails_at_boot_leads_back_to_the_old_one() -> None:
    flash = Flash()
    flash.install(image("v1"))
    flash.boot()
    label = flash.install(image("v2"))
    flash.fail_at_boot(label)

    assert flash.boot() == "ota_0"
    assert flash.running_image.version == "v1"


def test_a_failing_first_update_leads_back_to_the_factory_slot() -> None:
    flash = Flash()
    flash.fail_at_boot(flash.install(image("v1")))
    stored = Flash.from_rows(flash.to_rows())

    assert stored.boot() == "factory"
    assert stored.running_image.version == "v2.12.2"
    assert stored.boot_label == "factory"
    assert stored.next_update_slot == "ota_0"


def test_a_second_update_before_the_boot_replaces_the_first() -> None:
    flash = Flash()
    flash.install(image("v1"))
    flash.install(image("v2"))

    assert flash.boot() == "ota_0"
    assert flash.images() == {sha256_of("v2")}


def test_the_table_of_contents_survives_storage() -> None:
    flash = Flash()
    flash.install(image("v1"))
    flash.boot()
    flash.install_www("ab" * 32)

    again = Flash.from_rows(flash.to_rows())

    assert again.to_rows() == flash.to_rows()
    assert again.running_image.version == "v1"
    assert again.images() == {sha256_of("v1"), "ab" * 32}
    assert Flash.from_rows({}).running == "factory"


def test_rows_of_before_more_was_kept_are_still_read() -> None:
    flash = Flash()
    flash.install(image("v1"))
    flash.boot()
    newer = {"factory.version", "ota_0.compile_date", "ota_0.compile_time"}
    rows = {k: v for k, v in flash.to_rows().items() if k not in newer}

    again = Flash.from_rows(rows)

    assert len(rows) == len(flash.to_rows()) - len(newer)
    assert again.to_rows() == flash.to_rows()


def test_the_factory_slot_holds_a_release() -> None:
    image = Flash(factory_version="v2.15.0").image("factory")

    assert image == release_image("2.15.0")
    assert image is not None
    assert (image.idf_version, image.compile_date) == ("v6.0.2", "Aug 20 2026")


@each(
    ("key", "value", "complaint", "version"),
    [
        ("ota_0.sha256", "v1", "ota_0: no image", "v2.12.2"),
        ("ota_0.sha256", b"\0" * 64, "ota_0: no image", "v2.12.2"),
        ("ota_0.size", 1e300, "ota_0: no image", "v2.12.2"),
        ("ota_0.size", -1, "ota_0: no image", "v2.12.2"),
        ("ota_0.version", "v\udcff", "ota_0: no image", "v2.12.2"),
        ("ota_0.boots", "yes", "ota_0: no image", "v2.12.2"),
        ("running", "ota_7", "running: nothing to run is in 'ota_7'", "v2.12.2"),
        ("boot", b"ota_0", "boot: nothing to run is in b'ota_0'", "v1"),
        ("www_sha256", "../../etc/passwd", "www_sha256: '../../etc", "v1"),
    ],
)
def test_rows_that_nobody_wrote_are_named_and_their_place_is_empty(
    key: str, value: object, complaint: str, version: str
) -> None:
    flash = Flash()
    flash.install(image("v1"))
    flash.boot()
    flash.install_www("ab" * 32)
    rows = {**flash.to_rows(), key: value}

    sifted, complaints = Flash.sift(rows)

    assert complaint in complaints[0]
    assert sifted.running_image.version == version
    assert Flash.sift(sifted.to_rows())[1] == []
    with pytest.raises(SettingError, match=complaint.partition(":")[0]):
        Flash.from_rows(rows)
