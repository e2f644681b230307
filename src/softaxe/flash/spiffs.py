"""Reads and writes SPIFFS images, the file system of the www partition.

Each block begins with look-up pages: one 16-bit object id per following page. A page
whose id has the top bit set is an index of a file; index page 0 of a file holds its
name and size, and every index page lists the pages with its contents in order. Flags
are active low, numbers little-endian. Sources: the public SPIFFS format with the
configuration of ESP-IDF (components/spiffs/include/spiffs_config.h).

Stricter than the firmware in two things: it would mount an image of which one block
lacks its magic, and one that holds no file or a damaged one. An image is checked here
while somebody can still be told.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from struct import Struct, unpack_from

from softaxe.errors import ImageError

MAGIC = 0x20140529
FREE_ID = 0xFFFF
DELETED_ID = 0x0000
INDEX_BIT = 0x8000
UNDEFINED_SIZE = 0xFFFFFFFF
"""Of a file that was created and never written: it is empty."""

_ID = Struct("<H")
_HEADER = Struct("<HHB")
"""Object id, number of the page within its file (span), flags."""
_INDEX_HEADER_BYTES = 8
"""The page header, padded to a word."""
_SIZE_AND_TYPE = Struct("<IB")

_USED, _FINAL, _INDEX, _INDEX_DELETED, _DELETED = 0x01, 0x02, 0x04, 0x40, 0x80
_INDEX_FLAGS = _USED | _FINAL | _INDEX | _INDEX_DELETED | _DELETED
_LIVE_INDEX = _INDEX_DELETED | _DELETED
_DATA_FLAGS = _USED | _FINAL | _INDEX | _DELETED
_LIVE_DATA = _INDEX | _DELETED


@dataclass(frozen=True, slots=True)
class Geometry:
    """Sizes that an image does not tell; the defaults are those of AxeOS."""

    page_bytes: int = 256
    block_bytes: int = 4096
    name_bytes: int = 64
    meta_bytes: int = 4
    image_bytes: int = 0x300000

    @property
    def blocks(self) -> int:
        """Blocks of the image."""
        return self.image_bytes // self.block_bytes

    @property
    def pages_per_block(self) -> int:
        """Pages of a block, look-up pages included."""
        return self.block_bytes // self.page_bytes

    @property
    def lookup_pages(self) -> int:
        """Look-up pages at the begin of each block."""
        return max(1, self.pages_per_block * _ID.size // self.page_bytes)

    @property
    def data_bytes(self) -> int:
        """Contents of a data page."""
        return self.page_bytes - _HEADER.size

    @property
    def name_at(self) -> int:
        """Offset of the name in index page 0 of a file."""
        return _INDEX_HEADER_BYTES + _SIZE_AND_TYPE.size

    def table_at(self, span: int) -> int:
        """Offset of the page numbers in an index page.

        Odd in page 0: ESP-IDF keeps SPIFFS_ALIGNED_OBJECT_INDEX_TABLES off.
        """
        if span:
            return _INDEX_HEADER_BYTES
        return self.name_at + self.name_bytes + self.meta_bytes

    def magic(self, block: int) -> int:
        """Return the mark of a block; it depends on the size of the image."""
        return (MAGIC ^ self.page_bytes ^ self.blocks - block) & 0xFFFF


AXEOS = Geometry()


def read_spiffs(
    image: bytes | memoryview, geometry: Geometry = AXEOS
) -> dict[str, bytes]:
    """Return the files of an image by name.

    Args:
        image: The whole partition, for AxeOS 3145728 bytes.
        geometry: How it was built.

    Raises:
        ImageError: It is no such file system, or no file or a damaged one is in it.
    """
    if len(image) != geometry.image_bytes:
        raise ImageError(f"www: {len(image)} bytes, not exactly {geometry.image_bytes}")
    files = _Reader(memoryview(image), geometry).files()
    if not files:
        raise ImageError("www: the file system holds no file")
    return files


def write_spiffs(files: Mapping[str, bytes], geometry: Geometry = AXEOS) -> bytes:
    """Return an image of files by name; each name starts with a slash.

    They lie one behind the other, an index page before the pages it lists.

    Raises:
        ImageError: They do not fit, or a name is too long.
    """
    writer = _Writer(geometry)
    for object_id, (name, content) in enumerate(files.items(), start=1):
        writer.add(object_id, name, content)
    return bytes(writer.image)


class _Writer:
    """Fills the pages of an image from its begin."""

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry
        self.image = bytearray(b"\xff" * geometry.image_bytes)
        self._free = (
            number
            for number in range(geometry.image_bytes // geometry.page_bytes)
            if number % geometry.pages_per_block >= geometry.lookup_pages
        )
        magic_at = geometry.lookup_pages * geometry.page_bytes - 2 * _ID.size
        for block in range(geometry.blocks):
            at = block * geometry.block_bytes + magic_at
            _ID.pack_into(self.image, at, geometry.magic(block))

    def add(self, object_id: int, name: str, content: bytes) -> None:
        geometry = self.geometry
        encoded = name.encode()
        if len(encoded) >= geometry.name_bytes:
            most = geometry.name_bytes - 1
            raise ImageError(f"www: {name!r}: a name has {most} bytes at most")
        first = bytearray(b"\xff" * geometry.page_bytes)
        _SIZE_AND_TYPE.pack_into(first, _INDEX_HEADER_BYTES, len(content), 1)
        named = encoded.ljust(geometry.name_bytes, b"\0") + bytes(geometry.meta_bytes)
        first[geometry.name_at : geometry.table_at(0)] = named
        starts = range(0, len(content), geometry.data_bytes)
        pages = iter(
            (span, content[at : at + geometry.data_bytes])
            for span, at in enumerate(starts)
        )
        index_span, left, page = 0, len(starts), first
        while index_span == 0 or left:
            place = self._next(name)
            table_at = geometry.table_at(index_span)
            room = (geometry.page_bytes - table_at) // _ID.size
            for entry, (span, data) in enumerate(islice(pages, room)):
                number = self._next(name)
                head = _HEADER.pack(object_id, span, 0xFF & ~(_USED | _FINAL))
                self._put(number, object_id, head + data)
                _ID.pack_into(page, table_at + entry * _ID.size, number)
                left -= 1
            flags = 0xFF & ~(_USED | _FINAL | _INDEX)
            _HEADER.pack_into(page, 0, object_id | INDEX_BIT, index_span, flags)
            self._put(place, object_id | INDEX_BIT, page)
            page = bytearray(b"\xff" * geometry.page_bytes)
            index_span += 1

    def _next(self, name: str) -> int:
        number = next(self._free, None)
        if number is None:
            size = self.geometry.image_bytes
            raise ImageError(f"www: {name!r} does not fit any more into {size} bytes")
        return number

    def _put(self, number: int, entry: int, page: bytes | bytearray) -> None:
        geometry = self.geometry
        at = number * geometry.page_bytes
        self.image[at : at + len(page)] = page
        block, within = divmod(number, geometry.pages_per_block)
        entry_at = (within - geometry.lookup_pages) * _ID.size
        _ID.pack_into(self.image, block * geometry.block_bytes + entry_at, entry)


@dataclass(frozen=True, slots=True)
class _Reader:
    image: memoryview
    geometry: Geometry

    def files(self) -> dict[str, bytes]:
        self._check_magic()
        files: dict[str, bytes] = {}
        for object_id, index in self._indexes().items():
            if 0 in index:
                name = self._name(index[0])
                files.setdefault(name, self._contents(name, object_id, index))
        return files

    def _check_magic(self) -> None:
        """The last but one entry that the look-up pages have room for is the magic."""
        geometry = self.geometry
        magic_at = geometry.lookup_pages * geometry.page_bytes - 2 * _ID.size
        for block in range(geometry.blocks):
            expected = geometry.magic(block)
            (found,) = _ID.unpack_from(
                self.image, block * geometry.block_bytes + magic_at
            )
            if found != expected:
                raise ImageError(
                    f"www: no SPIFFS block {block}: magic 0x{found:04X}, "
                    f"not 0x{expected:04X}"
                )

    def _indexes(self) -> dict[int, dict[int, int]]:
        """Offsets of each file's index pages by span, by the file's object id."""
        indexes: dict[int, dict[int, int]] = {}
        for page_at, object_id in self._index_pages():
            page_id, span, flags = _HEADER.unpack_from(self.image, page_at)
            if page_id == object_id and flags & _INDEX_FLAGS == _LIVE_INDEX:
                indexes.setdefault(object_id & ~INDEX_BIT, {}).setdefault(span, page_at)
        return indexes

    def _index_pages(self) -> Iterator[tuple[int, int]]:
        """Offset and id of every page that the look-up pages call an index."""
        geometry = self.geometry
        lookup = Struct(f"<{geometry.pages_per_block - geometry.lookup_pages}H")
        for block_at in range(0, geometry.image_bytes, geometry.block_bytes):
            first_page_at = block_at + geometry.lookup_pages * geometry.page_bytes
            ids = lookup.unpack_from(self.image, block_at)
            for entry, object_id in enumerate(ids):
                if object_id not in (FREE_ID, DELETED_ID) and object_id & INDEX_BIT:
                    yield first_page_at + entry * geometry.page_bytes, object_id

    def _contents(self, name: str, object_id: int, index: dict[int, int]) -> bytes:
        page_bytes = self.geometry.page_bytes
        size, _ = _SIZE_AND_TYPE.unpack_from(self.image, index[0] + _INDEX_HEADER_BYTES)
        if size == UNDEFINED_SIZE:
            return b""
        if size > self.geometry.image_bytes:
            raise ImageError(f"www: {name!r}: {size} bytes in a smaller image")
        parts = []
        for span, number in enumerate(self._page_numbers(name, index, size)):
            page_at = number * page_bytes
            if page_at >= self.geometry.image_bytes:
                raise ImageError(f"www: {name!r}: page {number} is outside the image")
            page_id, page_span, flags = _HEADER.unpack_from(self.image, page_at)
            if (page_id, page_span) != (object_id, span):
                raise ImageError(f"www: {name!r}: page {number} is not its own")
            if flags & _DATA_FLAGS != _LIVE_DATA:
                raise ImageError(
                    f"www: {name!r}: page {number} has flags 0x{flags:02X}, "
                    "not those of finished data"
                )
            parts.append(self.image[page_at + _HEADER.size : page_at + page_bytes])
        return b"".join(parts)[:size]

    def _page_numbers(self, name: str, index: dict[int, int], size: int) -> list[int]:
        """Numbers of the pages with a file's contents, in order."""
        needed = -(-size // self.geometry.data_bytes)
        numbers: list[int] = []
        span = 0
        while len(numbers) < needed:
            if span not in index:
                raise ImageError(f"www: {name!r}: index page {span} is missing")
            table_at = self.geometry.table_at(span)
            room = (self.geometry.page_bytes - table_at) // _ID.size
            count = min(room, needed - len(numbers))
            numbers += unpack_from(f"<{count}H", self.image, index[span] + table_at)
            span += 1
        return numbers

    def _name(self, page_at: int) -> str:
        name_at = page_at + self.geometry.name_at
        raw = bytes(self.image[name_at : name_at + self.geometry.name_bytes])
        return raw.partition(b"\0")[0].decode("utf-8", "replace")
