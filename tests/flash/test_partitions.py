from softaxe.flash.image import AppImage
from softaxe.flash.partitions import PARTITIONS, WWW_BYTES, Flash
from softaxe.flash.spiffs import AXEOS


def image(version: str) -> AppImage:
    return AppImage(version, "esp-miner", "v5.5.1", "", "", 4096, version * 8)


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
    assert flash.running_version == "v3"


def test_nothing_runs_before_the_boot() -> None:
    flash = Flash()

    flash.install(image("v9"))

    assert flash.running == "factory"
    assert flash.running_version == "v2.12.2"


def test_an_image_that_fails_at_boot_leads_back_to_the_old_one() -> None:
    flash = Flash()
    flash.install(image("v1"))
    flash.boot()
    label = flash.install(image("v2"))
    flash.fail_at_boot(label)

    assert flash.boot() == "ota_0"
    assert flash.running_version == "v1"


def test_a_failing_first_update_leads_back_to_the_factory_slot() -> None:
    flash = Flash()
    flash.fail_at_boot(flash.install(image("v1")))
    stored = Flash.from_rows(flash.to_rows())

    assert stored.boot() == "factory"
    assert stored.running_version == "v2.12.2"
    assert stored.boot_label == "factory"
    assert stored.next_update_slot == "ota_0"


def test_a_second_update_before_the_boot_replaces_the_first() -> None:
    flash = Flash()
    flash.install(image("v1"))
    flash.install(image("v2"))

    assert flash.boot() == "ota_0"
    assert flash.images() == {"v2" * 8}


def test_the_table_of_contents_survives_storage() -> None:
    flash = Flash()
    flash.install(image("v1"))
    flash.boot()
    flash.install_www("ab" * 32)

    again = Flash.from_rows(flash.to_rows())

    assert again.to_rows() == flash.to_rows()
    assert again.running_version == "v1"
    assert again.images() == {"v1" * 8, "ab" * 32}
    assert Flash.from_rows({}).running == "factory"
