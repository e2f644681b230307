"""ESP32-S3 application images: checked while they stream in, and made to test updates.

Source of the layout: ESP-IDF esp_app_format.h. The checks are those of ESP-IDF's
esp_image_format.c, with three differences: an application description is wanted, no
segments at all are refused, load addresses and chip revisions are not looked at. What
follows a complete image inside its slot is ignored, as there.
"""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from struct import Struct, pack

from softaxe.catalog.firmware import firmware, nearest
from softaxe.errors import ImageError, SettingError

SLOT_BYTES = 4 << 20
MAGIC = 0xE9
CHIP_ID_ESP32S3 = 9
MAX_SEGMENTS = 16
CHECKSUM_START = 0xEF
DESCRIPTOR_MAGIC = 0xABCD5432
DESCRIPTOR_BYTES = 256
BLOCK_BYTES = 16
DIGEST_BYTES = 32
_HEADER_BYTES = 24
_SEGMENT = Struct("<II")
_TEXTS = {
    "version": (16, 32),
    "project_name": (48, 32),
    "compile_time": (80, 16),
    "compile_date": (96, 16),
    "idf_version": (112, 32),
}
"""Offset in the descriptor and size of its texts."""

RELEASE_BYTES = 0x180000
"""Of a release's image; an estimate."""
NO_CHIP_REVISION = 0xFFFF
"""Higher than that of any chip."""
FLASH_MODE_DIO = 2
FLASH_16_MB_80_MHZ = 0x4F
NO_PIN = 0xEE
HAS_DIGEST = 1
DATA_MAPPED_AT = 0x3C000000
CODE_MAPPED_AT = 0x42000000
"""Where an ESP32-S3 maps its flash."""
BUILD_TIME = "00:00:00"
"""Of a release only the day is known."""
NOTICE = b"Made by softaxe to test updates. There is no firmware in it.\0"
PROJECT_NAME = "esp-miner"

WRITE_ERROR = "Write Error"
VALIDATION_ERROR = "Validation / Activation Error"


@dataclass(frozen=True, slots=True)
class AppImage:
    """What a valid image says of itself."""

    version: str
    project_name: str
    idf_version: str
    compile_date: str
    compile_time: str
    size: int
    """Bytes received, padding included."""
    sha256: str
    """Of all received bytes, hexadecimal; empty of what a new device has."""


@cache
def release_image(version: str) -> AppImage:
    """Return what a release's image says of itself; see `release_bytes`.

    Raises:
        SettingError: The version's text does not fit into an image.
    """
    try:
        of = firmware(version)
    except SettingError:
        of, text = nearest(version), version
    else:
        text = of.tag
    if not 1 <= len(text.encode()) < _TEXTS["version"][1]:
        raise SettingError(f"{text!r} has not 1..{_TEXTS['version'][1] - 1} bytes")
    return AppImage(
        version=text,
        project_name=PROJECT_NAME,
        idf_version=of.idf_version,
        compile_date=_c_date(of.released),
        compile_time=BUILD_TIME,
        size=RELEASE_BYTES,
        sha256="",
    )


def release_bytes(version: str) -> bytes:
    """Make an image as a release comes in: valid, and without any code.

    It asks for a chip revision that there is not, so that to a real device it is
    invalid and changes nothing. Source: ESP-IDF bootloader_common_loader.c.

    Args:
        version: A release, `2.15.0`. Another text stands in the image as it is, beside
            what belongs to the known release nearest to it.

    Raises:
        SettingError: The text does not fit into an image.
    """
    described = release_image(version)
    descriptor = bytearray(DESCRIPTOR_BYTES)
    descriptor[:4] = pack("<I", DESCRIPTOR_MAGIC)
    for name, (offset, size) in _TEXTS.items():
        text = getattr(described, name).encode()
        descriptor[offset : offset + size] = text.ljust(size, b"\0")
    image = bytearray(_HEADER_BYTES)
    image[:4] = bytes((MAGIC, 2, FLASH_MODE_DIO, FLASH_16_MB_80_MHZ))
    image[8] = NO_PIN
    image[12:14] = pack("<H", CHIP_ID_ESP32S3)
    image[15:19] = pack("<HH", NO_CHIP_REVISION, NO_CHIP_REVISION)
    image[23] = HAS_DIGEST
    head = bytes(descriptor) + NOTICE.ljust(-len(NOTICE) // 4 * -4, b"\0")
    end = RELEASE_BYTES - DIGEST_BYTES
    rest = bytes(end - BLOCK_BYTES - len(image) - 2 * _SEGMENT.size - len(head))
    for start, data in (DATA_MAPPED_AT, head), (CODE_MAPPED_AT, rest):
        # A page of flash is mapped to a page of memory.
        address = start + len(image) + _SEGMENT.size
        image += _SEGMENT.pack(address, len(data)) + data
    image = image.ljust(_end_of_block(len(image)), b"\0")
    image[-1] = CHECKSUM_START ^ _xor(head) ^ _xor(rest)
    return bytes(image + sha256(image).digest())


class AppImageReader:
    """Checks an image as it comes; memory does not grow with the image.

    Feed chunks of any size, then call `finish`; how the image is cut makes no
    difference. After an ImageError the reader is spent, and `firmware_text` is what the
    firmware would have answered.
    """

    def __init__(self) -> None:
        self.firmware_text = VALIDATION_ERROR
        self._size = 0
        self._digest = sha256()
        self._image_digest = sha256()
        self._pending = bytearray()
        self._segments_left = 1
        self._segment_left = 0
        self._checksum = CHECKSUM_START
        self._descriptor = bytearray()
        self._has_digest = False
        self._image_size = 0
        self._state = self._take_header

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes.

        Raises:
            ImageError: The image is not valid; says why, at once.
        """
        if not self._size and chunk and chunk[0] != MAGIC:
            self.firmware_text = WRITE_ERROR
            raise ImageError(
                f"image: first byte is 0x{chunk[0]:02X}, an ESP32 application "
                f"begins with 0x{MAGIC:02X}"
            )
        fits = chunk[: SLOT_BYTES - self._size]
        self._size += len(fits)
        self._digest.update(fits)
        self._pending += fits
        while self._state():
            pass
        if len(fits) < len(chunk):
            self.firmware_text = WRITE_ERROR
            raise ImageError(f"image: larger than its slot of {SLOT_BYTES} bytes")

    def finish(self) -> AppImage:
        """Return the image's description after the last chunk.

        Raises:
            ImageError: The image is not complete.
        """
        if not self._size:
            raise ImageError("image: empty")
        if self._state != self._ignore:
            raise ImageError(
                f"image: ends after {self._size} bytes, before its end: "
                f"{self._missing()} bytes are missing"
            )
        return AppImage(
            **{name: self._text(*place) for name, place in _TEXTS.items()},
            size=self._size,
            sha256=self._digest.hexdigest(),
        )

    def _missing(self) -> str:
        """How many bytes would have to follow, as far as the segments tell."""
        end = self._image_size
        if self._state != self._take_digest:
            heads = self._segments_left * _SEGMENT.size
            data_end = max(end, _HEADER_BYTES) + self._segment_left + heads
            end = _end_of_block(data_end)
        missing = end + DIGEST_BYTES * self._has_digest - self._size
        return f"at least {missing}" if self._segments_left else f"{missing}"

    # States: each takes what it needs from the pending bytes; False wants more.

    def _take_header(self) -> bool:
        header = self._take(_HEADER_BYTES)
        if header is None:
            return False
        segments, chip_id = header[1], int.from_bytes(header[12:14], "little")
        if not 1 <= segments <= MAX_SEGMENTS:
            raise ImageError(f"image: {segments} segments, not 1..{MAX_SEGMENTS}")
        if chip_id != CHIP_ID_ESP32S3:
            raise ImageError(
                f"image: chip id {chip_id}, an ESP32-S3 has {CHIP_ID_ESP32S3}"
            )
        self._segments_left = segments
        self._has_digest = header[23] != 0
        self._state = self._take_segment
        return True

    def _take_segment(self) -> bool:
        if not self._segments_left:
            self._state = self._take_end
            return True
        head = self._take(_SEGMENT.size)
        if head is None:
            return False
        _, length = _SEGMENT.unpack(head)
        if self._image_size + length > SLOT_BYTES:
            raise ImageError(
                f"image: a segment of {length} bytes does not fit into the slot"
            )
        if length % 4:
            raise ImageError(f"image: a segment of {length} bytes, not whole words")
        self._segments_left -= 1
        self._segment_left = length
        self._state = self._take_data
        return True

    def _take_data(self) -> bool:
        if not self._segment_left:
            self._check_descriptor()
            self._state = self._take_segment
            return True
        data = self._take(min(len(self._pending), self._segment_left))
        if not data:
            return False
        self._segment_left -= len(data)
        missing = DESCRIPTOR_BYTES - len(self._descriptor)
        self._descriptor += data[:missing]
        self._check_descriptor_magic()
        self._checksum ^= _xor(data)
        return True

    def _take_end(self) -> bool:
        end = self._take(_end_of_block(self._image_size) - self._image_size)
        if end is None:
            return False
        if end[-1] != self._checksum:
            raise ImageError(
                f"image: checksum 0x{end[-1]:02X}, its data give 0x{self._checksum:02X}"
            )
        self._state = self._take_digest if self._has_digest else self._ignore
        return True

    def _take_digest(self) -> bool:
        expected = self._image_digest.digest()
        digest = self._take(DIGEST_BYTES)
        if digest is None:
            return False
        if digest != expected:
            raise ImageError("image: SHA-256 at the end does not match the image")
        self._state = self._ignore
        return True

    def _ignore(self) -> bool:
        self._pending.clear()
        return False

    # Helpers

    def _take(self, count: int) -> bytes | None:
        if len(self._pending) < count:
            return None
        taken = bytes(self._pending[:count])
        del self._pending[:count]
        self._image_size += count
        self._image_digest.update(taken)
        return taken

    def _check_descriptor_magic(self) -> None:
        if len(self._descriptor) < 4:
            return
        magic = int.from_bytes(self._descriptor[:4], "little")
        if magic != DESCRIPTOR_MAGIC:
            raise ImageError(
                f"image: no application description "
                f"(0x{magic:08X} instead of 0x{DESCRIPTOR_MAGIC:08X})"
            )

    def _check_descriptor(self) -> None:
        if len(self._descriptor) < DESCRIPTOR_BYTES:
            raise ImageError("image: first segment is too short for a description")

    def _text(self, offset: int, size: int) -> str:
        field = bytes(self._descriptor[offset : offset + size])
        return field.partition(b"\0")[0].decode("utf-8", "replace")


def _c_date(day: str) -> str:
    """Return `2026-01-06` as C compilers write it: `Jan  6 2026`."""
    year, month, of_month = map(int, day.split("-"))
    name = "JanFebMarAprMayJunJulAugSepOctNovDec"[3 * month - 3 : 3 * month]
    return f"{name} {of_month:2} {year}"


def _end_of_block(data_end: int) -> int:
    """Where the block ends whose last byte is the checksum of the data before it."""
    return (data_end // BLOCK_BYTES + 1) * BLOCK_BYTES


def _xor(data: bytes) -> int:
    """XOR of all bytes, in words as wide as they come."""
    value = int.from_bytes(data)
    width = len(data)
    while width > 1:
        half = (width + 1) // 2
        value = value >> 8 * half ^ value & (1 << 8 * half) - 1
        width = half
    return value
