"""A reader of SPIFFS images, the file system of the www partition.

Each block begins with look-up pages: one 16-bit object id per following page. A page
whose id has the top bit set is an index of a file; index page 0 of a file holds its
name and size, and every index page lists the pages with its contents in order. Flags
are active low. Source: the SPIFFS technical specification and http-api.md 9.3.
"""

from dataclasses import dataclass
from struct import Struct, unpack_from

from softaxe.errors import ImageError

PAGE_BYTES = 256
BLOCK_BYTES = 4096
NAME_BYTES = 64
META_BYTES = 4
IMAGE_BYTES = 0x300000
FREE_ID = 0xFFFF
DELETED_ID = 0x0000
INDEX_BIT = 0x8000
MAGIC = 0x20140529
_HEADER = Struct("<HHB")
_HEADER_BYTES = 5
_INDEX_TABLE_AT = 8
"""In index pages after the first: the header, padded to a word."""
_SIZE_AT = 8
_NAME_AT = 13
_FIRST_TABLE_AT = _NAME_AT + NAME_BYTES + META_BYTES + 1 & ~1
_USED, _FINAL, _INDEX, _INDEX_DELETED, _DELETED = 0x01, 0x02, 0x04, 0x40, 0x80
_PAGES_PER_BLOCK = BLOCK_BYTES // PAGE_BYTES
_LOOKUP_PAGES = 1
"""A page holds the ids of 128 pages; a block has 16."""
_MAGIC_AT = PAGE_BYTES - 4
"""The magic is in the last but one entry of the look-up page."""
_DATA_BYTES = PAGE_BYTES - _HEADER_BYTES
_UNDEFINED_SIZE = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class _IndexPage:
    span: int
    """Number of this index page within its file."""
    table: tuple[int, ...]
    """Page numbers of the contents."""
    name: str
    size: int


def read_spiffs(image: bytes) -> dict[str, bytes]:
    """Return the files of an image by name.

    Args:
        image: The whole partition, 3145728 bytes.

    Raises:
        ImageError: It is no such file system, or a file in it is damaged.
    """
    if len(image) != IMAGE_BYTES:
        raise ImageError(f"www: {len(image)} bytes, not exactly {IMAGE_BYTES}")
    _check_magic(image)
    files = {}
    for object_id, pages in _index_pages(image).items():
        first = pages.get(0)
        if first is None or first.size == _UNDEFINED_SIZE:
            continue  # a file that was never finished
        files[first.name] = _read_file(image, object_id, first, pages)
    if not files:
        raise ImageError("www: the file system holds no file")
    return files


def _check_magic(image: bytes) -> None:
    blocks = IMAGE_BYTES // BLOCK_BYTES
    for block in range(blocks):
        expected = (MAGIC ^ PAGE_BYTES ^ blocks - block) & 0xFFFF
        (found,) = unpack_from("<H", image, block * BLOCK_BYTES + _MAGIC_AT)
        if found != expected:
            raise ImageError(
                f"www: no SPIFFS block {block}: magic 0x{found:04X}, "
                f"not 0x{expected:04X}"
            )


def _index_pages(image: bytes) -> dict[int, dict[int, _IndexPage]]:
    """Find the index pages of every file, by object id and span."""
    found: dict[int, dict[int, _IndexPage]] = {}
    per_block = _PAGES_PER_BLOCK - _LOOKUP_PAGES
    for block_at in range(0, IMAGE_BYTES, BLOCK_BYTES):
        ids = unpack_from(f"<{per_block}H", image, block_at)
        for entry, object_id in enumerate(ids):
            if object_id in (FREE_ID, DELETED_ID) or not object_id & INDEX_BIT:
                continue
            page_at = block_at + (entry + _LOOKUP_PAGES) * PAGE_BYTES
            page = _read_index_page(image, page_at, object_id)
            if page is not None:
                found.setdefault(object_id & ~INDEX_BIT, {})[page.span] = page
    return found


def _read_index_page(image: bytes, page_at: int, object_id: int) -> _IndexPage | None:
    page_id, span, flags = _HEADER.unpack_from(image, page_at)
    is_live = flags & (_DELETED | _INDEX_DELETED) == _DELETED | _INDEX_DELETED
    is_index = not flags & (_USED | _FINAL | _INDEX)
    if page_id != object_id or not is_live or not is_index:
        return None
    name, size = "", 0
    table_at = _INDEX_TABLE_AT
    if span == 0:
        (size,) = unpack_from("<I", image, page_at + _SIZE_AT)
        raw = image[page_at + _NAME_AT : page_at + _NAME_AT + NAME_BYTES]
        name = raw.partition(b"\0")[0].decode("utf-8", "replace")
        table_at = _FIRST_TABLE_AT
    count = (PAGE_BYTES - table_at) // 2
    table = unpack_from(f"<{count}H", image, page_at + table_at)
    return _IndexPage(span, table, name, size)


def _read_file(
    image: bytes, object_id: int, first: _IndexPage, pages: dict[int, _IndexPage]
) -> bytes:
    if first.size > IMAGE_BYTES:
        raise ImageError(f"www: {first.name}: {first.size} bytes in a smaller image")
    needed = -(-first.size // _DATA_BYTES)
    table = list(first.table)
    span = 1
    while len(table) < needed:
        page = pages.get(span)
        if page is None:
            raise ImageError(f"www: {first.name}: index page {span} is missing")
        table += page.table
        span += 1
    parts = []
    for data_span, page_number in enumerate(table[:needed]):
        page_at = page_number * PAGE_BYTES
        if page_at >= IMAGE_BYTES:
            raise ImageError(f"www: {first.name}: page {page_number} is outside")
        page_id, page_span, _ = _HEADER.unpack_from(image, page_at)
        if page_id != object_id or page_span != data_span & 0xFFFF:
            raise ImageError(f"www: {first.name}: page {page_number} is not its own")
        parts.append(image[page_at + _HEADER_BYTES : page_at + PAGE_BYTES])
    return b"".join(parts)[: first.size]
