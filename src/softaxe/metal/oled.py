"""The SSD1306 display of 128 by 32 points, as scripts: only what has changed is sent.

A whole picture takes 46 ms of a bus of 100 kHz, which would keep the sensors waiting.
Source: SSD1306 data sheet.
"""

from softaxe.metal.raw import MAX_DATA_BYTES, Script, i2c_write

ADDRESS = 0x3C
WIDTH, PAGES = 128, 4
"""A byte is eight points below each other, the lowest bit on top."""
COMMANDS, DATA = b"\x00", b"\x40"
"""The control byte says what follows."""
CHUNK_BYTES = MAX_DATA_BYTES - 2
"""Columns in a request, beside address and control byte."""
SWITCH_ON = bytes.fromhex(
    "ae"  # off
    "d5 80 a8 1f d3 00 40"  # clock; 32 lines, none skipped
    "8d 14"  # charge pump
    "20 00 a1 c8 da 02"  # rows from left to right, turned as it is mounted
    "81 8f d9 f1 db 40"  # contrast, times and level
    "a4 a6 af"  # show the memory, not inverted; on
)
SWITCH_OFF = b"\xae"
BLACK = bytes(WIDTH * PAGES)


class Ssd1306:
    """A display, and what it shows."""

    def __init__(self) -> None:
        self._shown: bytearray | None = None
        """None before its memory was written."""

    def switch_on(self) -> Script[None]:
        """Set it up, dark."""
        self._shown = None
        yield i2c_write(ADDRESS, COMMANDS + SWITCH_ON)
        yield from self.show(BLACK)

    def switch_off(self) -> Script[None]:
        """Let it go dark."""
        yield i2c_write(ADDRESS, COMMANDS + SWITCH_OFF)

    def show(self, picture: bytes) -> Script[None]:
        """Send what differs from what it shows.

        Args:
            picture: 512 bytes, pages from top to bottom.

        Raises:
            ValueError: It has another size.
        """
        if len(picture) != len(BLACK):
            raise ValueError(f"picture: {len(picture)} bytes are not {len(BLACK)}")
        for page in range(PAGES):
            start = page * WIDTH
            row = picture[start : start + WIDTH]
            old = None if self._shown is None else self._shown[start : start + WIDTH]
            if not (changed := _changed(old, row)):
                continue
            yield from _write(page, changed, row)
            if self._shown is not None:
                self._shown[start : start + WIDTH] = row
        self._shown = bytearray(picture)


def picture_of(rows: bytes) -> bytes:
    """Turn dots into what `show` takes.

    Args:
        rows: Line by line from the top, eight dots in a byte, the leftmost in its
            highest bit.
    """
    return bytes(
        sum(_is_lit(rows, column, 8 * page + dot) << dot for dot in range(8))
        for page in range(PAGES)
        for column in range(WIDTH)
    )


def _is_lit(rows: bytes, column: int, line: int) -> int:
    return rows[(line * WIDTH + column) >> 3] >> (7 - column % 8) & 1


def _changed(old: bytearray | None, row: bytes) -> range:
    """Columns from the first to the last that differ."""
    if old is None:
        return range(WIDTH)
    differ = [column for column in range(WIDTH) if old[column] != row[column]]
    return range(differ[0], differ[-1] + 1) if differ else range(0)


def _write(page: int, columns: range, row: bytes) -> Script[None]:
    place = bytes([0x21, columns[0], columns[-1], 0x22, page, page])
    yield i2c_write(ADDRESS, COMMANDS + place)
    for first in range(columns.start, columns.stop, CHUNK_BYTES):
        chunk = row[first : min(first + CHUNK_BYTES, columns.stop)]
        yield i2c_write(ADDRESS, DATA + chunk)
