"""esptool, the maker's own tool, as an independent judge of firmware images."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.each import each

from softaxe.errors import ImageError
from softaxe.flash.image import (
    AppImage,
    AppImageReader,
    release_bytes,
    release_image,
)

Make = Callable[..., bytes]


def ours(image: bytes) -> AppImage | None:
    """What our validator makes of an image; None when it refuses it."""
    reader = AppImageReader()
    try:
        reader.feed(image)
        return reader.finish()
    except ImageError:
        return None


def theirs(image: bytes, folder: Path) -> Any:
    """What esptool makes of it; None when it finds something wrong."""
    # Only who runs these tests imports it: that takes as long as a hundred of them.
    bin_image = pytest.importorskip("esptool.bin_image")
    esptool = pytest.importorskip("esptool")
    path = folder / "image.bin"
    path.write_bytes(image)
    try:
        read = bin_image.LoadFirmwareImage("esp32s3", str(path))
    except (esptool.FatalError, ValueError, IndexError, TypeError, OSError):
        return None
    is_right = read.checksum == read.calculate_checksum()
    if read.append_digest:
        is_right = is_right and read.stored_digest == read.calc_digest
    return read if is_right else None


@each("segments", [(512,), (1024, 2048), (300, 4, 64, 8192, 16)])
@each("has_digest", [True, False])
def test_what_we_accept_esptool_accepts(
    make_app_image: Make, tmp_path: Path, segments: tuple[int, ...], has_digest: bool
) -> None:
    image = make_app_image(segments=segments, has_digest=has_digest)

    read = theirs(image, tmp_path)
    assert ours(image) is not None
    assert read is not None
    assert read.chip_id == 9
    assert [len(segment.data) for segment in read.segments] == list(segments)


def test_both_read_the_same_description(make_app_image: Make, tmp_path: Path) -> None:
    image = make_app_image(version="v2.14.1", idf="v5.5.2")
    described = ours(image)
    descriptor = theirs(image, tmp_path).segments[0].data[:256]

    assert described is not None
    assert descriptor[16:48].rstrip(b"\0").decode() == described.version == "v2.14.1"
    assert descriptor[112:144].rstrip(b"\0").decode() == described.idf_version


def test_what_is_damaged_both_refuse(make_app_image: Make, tmp_path: Path) -> None:
    rng = random.Random(4)
    good = make_app_image(segments=(512, 256))
    for _ in range(60):
        damaged = bytearray(good)
        damaged[rng.randrange(32, len(good))] ^= rng.randrange(1, 256)

        assert ours(bytes(damaged)) is None
        assert theirs(bytes(damaged), tmp_path) is None


@each("missing", [1, 16, 32, 33, 100, 600])
def test_what_is_cut_off_both_refuse(
    make_app_image: Make, tmp_path: Path, missing: int
) -> None:
    cut = make_app_image(segments=(512, 256))[:-missing]

    assert ours(cut) is None
    assert theirs(cut, tmp_path) is None


def test_only_we_insist_on_the_description(
    make_app_image: Make, tmp_path: Path
) -> None:
    """esptool also takes images that are no application; a device does not."""
    image = bytearray(make_app_image(has_digest=False))
    for at in range(32, 36):
        image[at] ^= 0xFF  # four equal flips leave the checksum as it is

    assert theirs(bytes(image), tmp_path) is not None
    assert ours(bytes(image)) is None


def test_an_image_of_a_release_both_accept(tmp_path: Path) -> None:
    image = release_bytes("2.15.0")

    read, described = theirs(image, tmp_path), ours(image)

    assert read is not None
    assert described is not None
    assert replace(described, sha256="") == release_image("v2.15.0")
    assert (read.chip_id, read.flash_mode, len(image)) == (9, 2, described.size)
    for segment in read.segments:  # a page of flash is a page of memory
        assert segment.addr % 0x10000 == segment.file_offs + 8


def test_no_real_chip_is_new_enough_for_an_image_of_ours(tmp_path: Path) -> None:
    read = theirs(release_bytes("2.12.2"), tmp_path)

    assert read.min_rev_full == 0xFFFF
    assert b"There is no firmware in it." in read.segments[0].data
