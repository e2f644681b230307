import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.each import each

from softaxe.catalog.firmware import versions
from softaxe.errors import ImageError, SettingError
from softaxe.flash.image import (
    SLOT_BYTES,
    VALIDATION_ERROR,
    WRITE_ERROR,
    AppImage,
    AppImageReader,
    release_bytes,
    release_image,
)

Make = Callable[..., bytes]

HAS_DIGEST_AT = 23


BOUND_MS = 10_000
"""Far more than an answer takes, far less than something that runs away."""


@pytest.fixture(scope="module")
def large_image(make_app_image: Make) -> bytes:
    return make_app_image(segments=(1024, 200_000, 64, 150_000, 40_000))


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


def verdict(image: bytes, cuts: list[int]) -> AppImage | tuple[str, str]:
    reader, start = AppImageReader(), 0
    try:
        for cut in [*sorted(cuts), len(image)]:
            reader.feed(image[start:cut])
            start = max(start, cut)
        return reader.finish()
    except ImageError as error:
        return str(error), reader.firmware_text


@settings(max_examples=100, deadline=BOUND_MS)
@given(
    cuts=st.lists(st.integers(0, 3300), max_size=40),
    at=st.integers(0, 3100),
    value=st.integers(0, 255),
    length=st.integers(0, 3300),
)
def test_any_slicing_gives_the_same_answer(
    make_app_image: Make, cuts: list[int], at: int, value: int, length: int
) -> None:
    image = bytearray(make_app_image() + bytes(50))
    image[at] = value
    cut_off = bytes(image[:length])

    assert verdict(cut_off, cuts) == verdict(cut_off, [])


def test_byte_by_byte_is_as_good_as_all_at_once(make_app_image: Make) -> None:
    image = make_app_image()

    assert read(image, chunk_size=1) == read(image, chunk_size=len(image))


@pytest.mark.parametrize("chunk_size", [1000, 8 << 20])
def test_the_first_reason_counts_however_the_image_comes(
    make_app_image: Make, chunk_size: int
) -> None:
    image = bytearray(make_app_image())
    image[400] ^= 1

    with pytest.raises(ImageError, match="checksum"):
        read(bytes(image) + bytes(SLOT_BYTES), chunk_size)


@each(
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
        (lambda i: i[:28] + b"\x02" + i[29:], "not whole words"),
    ],
)
def test_a_damaged_image_is_refused_with_its_reason(
    make_app_image: Make, damage: Callable[[bytes], bytes], reason: str
) -> None:
    with pytest.raises(ImageError, match=reason):
        read(damage(make_app_image()))


@each("has_digest", [True, False])
@each(
    ("cut_off", "is_exact"),
    [(1, True), (15, True), (40, True), (1500, True), (2500, False), (3100, False)],
)
def test_a_truncated_image_tells_how_much_is_missing(
    make_app_image: Make, *, has_digest: bool, cut_off: int, is_exact: bool
) -> None:
    image = make_app_image(has_digest=has_digest)

    with pytest.raises(ImageError, match="before its end") as refusal:
        read(image[:-cut_off])

    words = str(refusal.value).split(": ")[-1]
    missing = int(words.split()[-4])
    assert words.startswith("at least") is not is_exact
    assert missing == cut_off if is_exact else 0 < missing <= cut_off


def test_a_whole_slot_is_accepted_and_one_byte_more_is_not(
    make_app_image: Make,
) -> None:
    image = make_app_image().ljust(SLOT_BYTES, b"\xff")

    assert read(image, 1 << 16).size == SLOT_BYTES
    with pytest.raises(ImageError, match="larger than its slot"):
        read(image + b"\xff", 1 << 16)


def test_memory_does_not_grow_with_the_image(make_app_image: Make) -> None:
    image = make_app_image(segments=(1024, 1 << 18)) + bytes(1 << 16)
    reader = AppImageReader()
    reader.feed(image[:1000])
    tracemalloc.start()
    for start in range(1000, len(image), 1000):
        reader.feed(image[start : start + 1000])
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    reader.finish()
    assert peak_bytes < 50_000


def test_a_first_segment_too_short_for_a_description_is_refused(
    make_app_image: Make,
) -> None:
    with pytest.raises(ImageError, match="too short"):
        read(make_app_image(segments=(64, 64)))


def test_more_than_a_slot_is_refused_as_soon_as_it_is_known(
    make_app_image: Make,
) -> None:
    reader = AppImageReader()
    reader.feed(make_app_image())

    with pytest.raises(ImageError, match="larger than its slot"):
        reader.feed(bytes(SLOT_BYTES))
    assert reader.firmware_text == WRITE_ERROR


def test_the_firmware_calls_a_wrong_first_byte_a_write_error() -> None:
    reader = AppImageReader()

    with pytest.raises(ImageError):
        reader.feed(b"MZ")
    assert reader.firmware_text == WRITE_ERROR
    assert AppImageReader().firmware_text == VALIDATION_ERROR


@settings(max_examples=150, deadline=BOUND_MS)
@given(data=st.binary(max_size=60_000))
def test_any_bytes_get_an_answer_and_never_another_exception(data: bytes) -> None:
    with pytest.raises(ImageError):
        read(b"\xe9" + data)


@settings(max_examples=150, deadline=BOUND_MS)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, 400_000), st.binary(min_size=1, max_size=64)),
        max_size=8,
    ),
    heads=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=4),
    length=st.integers(0, 400_000),
)
def test_a_mangled_large_image_gets_its_answer_in_bounded_time(
    large_image: bytes,
    changes: list[tuple[int, bytes]],
    heads: list[tuple[int, int]],
    length: int,
) -> None:
    image = bytearray(large_image)
    for at, patch in changes:
        image[at : at + len(patch)] = patch
    for at, value in heads:  # the headers, where lengths and counts are
        image[at] = value

    answer = verdict(bytes(image[:length]), [])

    assert isinstance(answer, AppImage | tuple)


@settings(max_examples=80, deadline=BOUND_MS)
@given(at=st.integers(0, 3100), flip=st.integers(1, 255))
def test_one_changed_byte_is_noticed(make_app_image: Make, at: int, flip: int) -> None:
    image = bytearray(make_app_image())
    assume((at, image[at] ^ flip) != (HAS_DIGEST_AT, 0))
    image[at] ^= flip

    with pytest.raises(ImageError):
        read(bytes(image))


def test_a_header_that_denies_its_digest_leaves_only_the_checksum(
    make_app_image: Make,
) -> None:
    image = bytearray(make_app_image())
    image[HAS_DIGEST_AT] = 0
    image[-1] ^= 1

    assert read(bytes(image)).version == "v2.13.0"


def test_any_other_digest_mark_than_0_wants_the_digest(make_app_image: Make) -> None:
    image = bytearray(make_app_image())
    image[HAS_DIGEST_AT] = 2

    with pytest.raises(ImageError, match="SHA-256"):
        read(bytes(image))


def test_every_release_has_a_description() -> None:
    described = [release_image(version) for version in versions()]

    assert [f"v{version}" for version in versions()] == [d.version for d in described]
    assert release_image("2.14") == release_image("v2.14.2")
    assert release_image("2.12.2").compile_date == "Jan  6 2026"


def test_an_image_may_be_of_no_release() -> None:
    described = read(release_bytes("v2.14.7-mine"), 100_000)

    assert described.version == "v2.14.7-mine"
    assert described.idf_version == release_image("2.14.2").idf_version


@each("text", ["", "v" * 32, "\u00e4" * 16])
def test_a_version_has_to_fit_into_an_image(text: str) -> None:
    with pytest.raises(SettingError, match="bytes"):
        release_bytes(text)
