from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from softaxe.errors import ImageError
from softaxe.flash.spiffs import IMAGE_BYTES, read_spiffs

Make = Callable[..., bytes]

FILES = {
    "/index.html.gz": b"\x1f\x8b" + bytes(range(256)) * 9,
    "/main.0123456789abcdef.js.gz": bytes(i * 7 & 0xFF for i in range(400_000)),
    "/assets/fonts/a.woff2": b"wOF2" * 64,
    "/empty.txt": b"",
    "/exactly-one-page.bin": bytes(251),
    "/version.txt": b"v2.13.0",
}


def test_every_file_is_read_back_byte_for_byte(make_www_image: Make) -> None:
    assert read_spiffs(make_www_image(FILES)) == FILES


def test_the_magic_of_the_reference_is_where_it_says(make_www_image: Make) -> None:
    image = make_www_image({"/version.txt": b"v1"})

    assert image[252:254].hex() == "2907"
    assert image[4096 + 252 : 4096 + 254].hex() == "d606"
    assert image[-4096 + 252 : -4096 + 254].hex() == "2804"


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (b"", "0 bytes"),
        (bytes(IMAGE_BYTES - 1), "not exactly"),
        (b"\xff" * IMAGE_BYTES, "no SPIFFS block 0"),
        (bytes(IMAGE_BYTES), "no SPIFFS block 0"),
    ],
)
def test_what_is_no_file_system_is_refused(image: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        read_spiffs(image)


def test_an_empty_file_system_is_refused(make_www_image: Make) -> None:
    with pytest.raises(ImageError, match="no file"):
        read_spiffs(make_www_image({}))


def test_a_deleted_file_is_not_there(make_www_image: Make) -> None:
    image = bytearray(make_www_image({"/a": b"1", "/b": b"2"}))
    image[256 + 4] &= 0x7F  # the first file's index page: clear its "not deleted"

    assert read_spiffs(bytes(image)) == {"/b": b"2"}


def test_a_file_whose_page_belongs_to_another_is_refused(make_www_image: Make) -> None:
    image = bytearray(make_www_image({"/a": b"1", "/b": b"2"}))
    image[512] ^= 0xFF  # the first file's only data page: another object id

    with pytest.raises(ImageError, match="/a: page 2 is not its own"):
        read_spiffs(bytes(image))


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, 12_000), st.integers(0, 255)), min_size=1, max_size=20
    )
)
def test_a_mangled_image_gets_files_or_a_refusal(
    make_www_image: Make, changes: list[tuple[int, int]]
) -> None:
    image = bytearray(make_www_image({"/a": bytes(3000), "/b": b"2"}))
    for at, value in changes:
        image[at] = value

    try:
        files = read_spiffs(bytes(image))
    except ImageError:
        return
    assert sum(map(len, files.values())) <= IMAGE_BYTES
