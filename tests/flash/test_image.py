from collections.abc import Callable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from softaxe.errors import ImageError
from softaxe.flash.image import (
    SLOT_BYTES,
    VALIDATION_ERROR,
    WRITE_ERROR,
    AppImage,
    AppImageReader,
)

Make = Callable[..., bytes]


def read(image: bytes, chunk_size: int = 1000) -> AppImage:
    reader = AppImageReader()
    for start in range(0, len(image), chunk_size):
        reader.feed(image[start : start + chunk_size])
    return reader.finish()


def test_a_valid_image_is_described(make_app_image: Make) -> None:
    image = make_app_image(version="v2.13.2", idf="v6.0.2")

    described = read(image)

    assert described.version == "v2.13.2"
    assert described.project_name == "esp-miner"
    assert described.idf_version == "v6.0.2"
    assert described.compile_date == "Jan  6 2026"
    assert described.compile_time == "12:34:56"
    assert described.size == len(image)


def test_an_image_without_appended_digest_is_valid(make_app_image: Make) -> None:
    assert read(make_app_image(has_digest=False)).version == "v2.13.0"


def test_padding_after_the_image_is_ignored(make_app_image: Make) -> None:
    padded = make_app_image() + b"\xff" * 5000

    assert read(padded).size == len(padded)


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(1, 700), min_size=1, max_size=40))
def test_any_slicing_gives_the_same_answer(
    make_app_image: Make, sizes: list[int]
) -> None:
    image = make_app_image()
    reader, start = AppImageReader(), 0
    for size in sizes:
        reader.feed(image[start : start + size])
        start += size
    reader.feed(image[start:])

    assert reader.finish() == read(image)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda i: b"\x7f" + i[1:], "first byte is 0x7F"),
        (lambda i: i[:1] + b"\x00" + i[2:], "0 segments"),
        (lambda i: i[:1] + b"\x11" + i[2:], "17 segments"),
        (lambda i: i[:12] + b"\x05\x00" + i[14:], "chip id 5"),
        (lambda i: i[:32] + b"\x00\x00\x00\x00" + i[36:], "no application description"),
        (lambda i: i[:28] + b"\xff\xff\xff\x7f" + i[32:], "does not fit"),
        (lambda i: i[:400] + bytes([i[400] ^ 1]) + i[401:], "checksum"),
        (lambda i: i[:-1] + bytes([i[-1] ^ 1]), "SHA-256"),
        (lambda i: i[:-1], "before its end"),
        (lambda i: i[:300], "before its end"),
        (lambda i: b"", "empty"),
    ],
)
def test_a_damaged_image_is_refused_with_its_reason(
    make_app_image: Make, damage: Callable[[bytes], bytes], reason: str
) -> None:
    with pytest.raises(ImageError, match=reason):
        read(damage(make_app_image()))


def test_a_first_segment_too_short_for_a_description_is_refused(
    make_app_image: Make,
) -> None:
    with pytest.raises(ImageError, match="too short"):
        read(make_app_image(segments=(64, 64)))


def test_more_than_a_slot_is_refused_as_soon_as_it_is_known() -> None:
    reader = AppImageReader()
    reader.feed(b"\xe9")

    with pytest.raises(ImageError, match="larger than its slot"):
        reader.feed(bytes(SLOT_BYTES))
    assert reader.firmware_text == WRITE_ERROR


def test_the_firmware_calls_a_wrong_first_byte_a_write_error() -> None:
    reader = AppImageReader()

    with pytest.raises(ImageError):
        reader.feed(b"MZ")
    assert reader.firmware_text == WRITE_ERROR
    assert AppImageReader().firmware_text == VALIDATION_ERROR


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=600))
def test_any_bytes_get_an_answer_and_never_another_exception(data: bytes) -> None:
    with pytest.raises(ImageError):
        read(b"\xe9" + data)


@settings(max_examples=80, deadline=None)
@given(at=st.integers(0, 3000), value=st.integers(0, 255))
def test_one_changed_byte_is_noticed(make_app_image: Make, at: int, value: int) -> None:
    image = bytearray(make_app_image())
    at %= len(image)
    assume(at != 23)  # without its digest the image is as valid as before
    unchanged = image[at] == value
    image[at] = value

    if unchanged:
        read(bytes(image))
    else:
        with pytest.raises(ImageError):
            read(bytes(image))
