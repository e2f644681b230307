import struct
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.each import each

from softaxe.errors import ImageError
from softaxe.flash.spiffs import AXEOS, Geometry, read_spiffs, write_spiffs

Make = Callable[..., bytes]

PAGE, BLOCK = 256, 4096
SMALL = Geometry(image_bytes=8 * BLOCK)
FLAGS_AT = 4
SIZE_AT, NAME_AT, TABLE_AT = 8, 13, 81
FIRST_INDEX = 1 * PAGE
"""Index page of the first file; page 0 is the look-up page."""
FIRST_DATA = 2 * PAGE

FILES = {
    "/index.html.gz": b"\x1f\x8b" + bytes(range(256)) * 9,
    "/main.0123456789abcdef.js.gz": (bytes(i * 7 & 0xFF for i in range(256)) * 1563)[
        :400_000
    ],
    "/assets/fonts/a.woff2": b"wOF2" * 64,
    "/empty.txt": b"",
    "/one-page.bin": bytes(251),
    "/one-page-and-a-byte.bin": bytes(252),
    "/one-index-page.bin": b"\x01" * (251 * 87),
    "/one-index-page-and-a-byte.bin": b"\x02" * (251 * 87 + 1),
    "/version.txt": b"v2.13.0",
}


@pytest.fixture
def two_files(make_www_image: Make) -> bytearray:
    return bytearray(make_www_image({"/a": b"1" * 300, "/b": b"2"}, size=8 * BLOCK))


def test_every_file_is_read_back_byte_for_byte(make_www_image: Make) -> None:
    image = make_www_image(FILES)

    assert read_spiffs(image) == FILES
    assert read_spiffs(memoryview(image)) == FILES


def test_the_magic_of_the_reference_is_where_it_says(make_www_image: Make) -> None:
    image = make_www_image({"/version.txt": b"v1"})

    assert image[252:254].hex() == "2907"
    assert image[4096 + 252 : 4096 + 254].hex() == "d606"
    assert image[-4096 + 252 : -4096 + 254].hex() == "2804"


def test_page_numbers_follow_the_meta_bytes_at_an_odd_offset() -> None:
    """ESP-IDF builds SPIFFS without aligned tables; aligned, real images are refused.

    The image is written out here, so that reader and builder cannot agree on an error.
    """
    image = bytearray(b"\xff" * SMALL.image_bytes)
    for block in range(8):
        magic = struct.pack("<H", (0x0529 ^ 0x0100 ^ 8 - block) & 0xFFFF)
        image[block * BLOCK + 252 : block * BLOCK + 254] = magic
    image[0:4] = b"\x01\x80\x01\x00"
    index = b"\x01\x80\x00\x00\xf8\xff\xff\xff" + b"\x05\x00\x00\x00\x01"
    index += b"/version.txt".ljust(64, b"\0") + b"\0\0\0\0" + b"\x02\x00"
    image[PAGE : PAGE + len(index)] = index
    image[2 * PAGE : 2 * PAGE + 10] = b"\x01\x00\x00\x00\xfc" + b"v2.12"

    assert read_spiffs(bytes(image), SMALL) == {"/version.txt": b"v2.12"}


@each(
    "geometry",
    [
        SMALL,
        Geometry(name_bytes=32, meta_bytes=0, image_bytes=16 * BLOCK),
        Geometry(block_bytes=65536, image_bytes=4 * 65536),
    ],
)
def test_other_geometries_are_read(make_www_image: Make, geometry: Geometry) -> None:
    files = {"/a": bytes(range(100)) * 250, "/b": b"", "/c": b"c"}
    image = make_www_image(
        files,
        size=geometry.image_bytes,
        block=geometry.block_bytes,
        name_length=geometry.name_bytes,
        meta_length=geometry.meta_bytes,
    )

    assert read_spiffs(image, geometry) == files


def test_a_full_page_is_read_quickly(make_www_image: Make) -> None:
    files = {f"/{i}.js.gz": bytes([i]) * 45_000 for i in range(60)}
    image = make_www_image(files)
    started = time.process_time()

    assert read_spiffs(image) == files
    assert time.process_time() - started < 0.1


@each(
    ("image", "reason"),
    [
        (b"", "0 bytes"),
        (bytes(AXEOS.image_bytes - 1), "not exactly"),
        (b"\xff" * AXEOS.image_bytes, "no SPIFFS block 0"),
        (bytes(AXEOS.image_bytes), "no SPIFFS block 0"),
    ],
)
def test_what_is_no_file_system_is_refused(image: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        read_spiffs(image)


def test_a_file_system_of_another_size_is_refused(make_www_image: Make) -> None:
    image = make_www_image({"/a": b"1"}, size=16 * BLOCK)

    with pytest.raises(ImageError, match="no SPIFFS block 0"):
        read_spiffs(image[: 8 * BLOCK], SMALL)


def test_an_empty_file_system_is_refused(make_www_image: Make) -> None:
    with pytest.raises(ImageError, match="no file"):
        read_spiffs(make_www_image({}))


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(0x78, id="deleted"),
        pytest.param(0xB8, id="about to be deleted"),
        pytest.param(0xFA, id="not finished"),
        pytest.param(0xF9, id="not used"),
        pytest.param(0xFC, id="no index"),
    ],
)
def test_a_file_without_a_live_index_is_not_there(
    two_files: bytearray, flags: int
) -> None:
    two_files[FIRST_INDEX + FLAGS_AT] = flags

    assert read_spiffs(bytes(two_files), SMALL) == {"/b": b"2"}


def test_a_file_deleted_in_the_look_up_page_is_not_there(two_files: bytearray) -> None:
    two_files[0:2] = b"\0\0"

    assert read_spiffs(bytes(two_files), SMALL) == {"/b": b"2"}


def test_a_file_created_but_never_written_is_empty(two_files: bytearray) -> None:
    two_files[FIRST_INDEX + SIZE_AT : FIRST_INDEX + SIZE_AT + 4] = b"\xff" * 4

    assert read_spiffs(bytes(two_files), SMALL) == {"/a": b"", "/b": b"2"}


def test_of_two_files_with_one_name_the_first_is_read(make_www_image: Make) -> None:
    image = bytearray(make_www_image({"/a": b"1", "/b": b"2"}, size=8 * BLOCK))
    image[3 * PAGE + NAME_AT + 1 : 3 * PAGE + NAME_AT + 2] = b"a"

    assert read_spiffs(bytes(image), SMALL) == {"/a": b"1"}


@pytest.mark.parametrize(
    ("offset", "value", "reason"),
    [
        (FIRST_DATA, b"\x07", "'/a': page 2 is not its own"),
        (FIRST_DATA + 2, b"\x01", "'/a': page 2 is not its own"),
        (FIRST_DATA + FLAGS_AT, b"\x7c", "'/a': page 2 has flags 0x7C"),
        (FIRST_DATA + FLAGS_AT, b"\xfe", "'/a': page 2 has flags 0xFE"),
        (FIRST_INDEX + TABLE_AT, b"\x00\x40", "'/a': page 16384 is outside"),
        (FIRST_INDEX + SIZE_AT, b"\0\0\x10\0", "'/a': 1048576 bytes in a smaller"),
        (FIRST_INDEX + SIZE_AT, b"\0\x7f\0\0", "'/a': index page 1 is missing"),
    ],
)
def test_a_damaged_file_is_refused_by_its_name(
    two_files: bytearray, offset: int, value: bytes, reason: str
) -> None:
    two_files[offset : offset + len(value)] = value

    with pytest.raises(ImageError, match=reason):
        read_spiffs(bytes(two_files), SMALL)


def test_a_refusal_is_one_line_whatever_the_name(two_files: bytearray) -> None:
    two_files[FIRST_INDEX + NAME_AT : FIRST_INDEX + NAME_AT + 2] = b"\r\n"
    two_files[FIRST_DATA] = 7

    with pytest.raises(ImageError) as refusal:
        read_spiffs(bytes(two_files), SMALL)
    assert len(str(refusal.value).splitlines()) == 1


def outcome(image: bytes) -> dict[str, bytes] | None:
    try:
        return read_spiffs(image, SMALL)
    except ImageError:
        return None


@settings(max_examples=200, deadline=10_000)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, 14 * PAGE - 1), st.integers(0, 255)),
        min_size=1,
        max_size=12,
    )
)
def test_a_mangled_image_gets_files_or_a_refusal(
    make_www_image: Make, changes: list[tuple[int, int]]
) -> None:
    image = bytearray(make_www_image({"/a": bytes(1500), "/b": b"2"}, size=8 * BLOCK))
    for at, value in changes:
        image[at] = value

    files = outcome(bytes(image))

    if files is not None:
        assert sum(map(len, files.values())) <= len(image)


@settings(max_examples=100, deadline=10_000)
@given(
    pages=st.lists(st.binary(max_size=PAGE), min_size=1, max_size=15),
    ids=st.lists(st.integers(0, 0xFFFF), min_size=15, max_size=15),
)
def test_any_pages_behind_a_valid_magic_get_files_or_a_refusal(
    make_www_image: Make, pages: list[bytes], ids: list[int]
) -> None:
    image = bytearray(make_www_image({}, size=8 * BLOCK))
    image[:30] = struct.pack("<15H", *ids)
    for number, (object_id, page) in enumerate(zip(ids, pages, strict=False), start=1):
        head = struct.pack("<HHB", object_id, 0, 0xF8 if object_id >> 15 else 0xFC)
        content = (head + page)[:PAGE]
        image[number * PAGE : number * PAGE + len(content)] = content

    files = outcome(bytes(image))

    if files is not None:
        assert sum(map(len, files.values())) <= len(image)


@settings(max_examples=50)
@given(data=st.binary(max_size=600))
def test_bytes_of_another_length_are_refused(data: bytes) -> None:
    with pytest.raises(ImageError, match="not exactly"):
        read_spiffs(data)


@each(
    "files",
    [
        {"/index.html": b"<p>"},
        {"/empty": b"", "/one": b"x"},
        # More pages than one index page lists, and than one block holds.
        {"/big": bytes(range(256)) * 400, "/a/b.js": b"y" * 251, "/c": b"z" * 252},
    ],
)
def test_what_is_written_is_read_and_is_as_another_tool_lays_it_out(
    files: dict[str, bytes], builders: Any
) -> None:
    image = write_spiffs(files)

    assert read_spiffs(image) == files
    assert image == builders.spiffs_image(files)


def test_what_does_not_fit_is_refused() -> None:
    small = Geometry(image_bytes=0x4000)

    with pytest.raises(ImageError, match="'/b' does not fit any more into 16384 bytes"):
        write_spiffs({"/a": b"a", "/b": bytes(15000)}, small)
    with pytest.raises(ImageError, match="a name has 63 bytes at most"):
        write_spiffs({"/" + "n" * 63: b""}, small)
