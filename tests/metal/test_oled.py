"""The display, by a memory that takes its bytes as the data sheet says."""

import random

import pytest

from softaxe.metal.oled import PAGES, WIDTH, Ssd1306, picture_of
from softaxe.metal.raw import FailureKind, LineError, Request, Script


class Memory:
    """What the display shows after the requests of scripts."""

    def __init__(self) -> None:
        self.points = bytearray(b"\x55" * WIDTH * PAGES)
        self.requests = 0
        self.fails_at = 0
        self._columns, self._page, self._column = (0, WIDTH - 1), 0, 0

    def run(self, script: Script[None]) -> None:
        for request in script:
            assert isinstance(request, Request)
            self.requests += 1
            if self.requests == self.fails_at:
                raise LineError(FailureKind.NO_ANSWER, "silence")
            address, control, *rest = request.data
            assert address == 0x3C
            if control == 0x40:
                self._take(bytes(rest))
            elif rest[0] == 0x21:
                self._columns, self._page = (rest[1], rest[2]), rest[4]
                self._column = rest[1]

    def _take(self, data: bytes) -> None:
        for byte in data:
            self.points[self._page * WIDTH + self._column] = byte
            self._column += 1
            if self._column > self._columns[1]:
                self._column = self._columns[0]


def test_pictures_arrive() -> None:
    display, memory, rng = Ssd1306(), Memory(), random.Random(1)
    memory.run(display.switch_on())
    assert memory.points == bytes(512)

    picture = bytearray(512)
    for _ in range(20):
        for _ in range(rng.randrange(9)):
            picture[rng.randrange(512)] = rng.randrange(256)
        memory.run(display.show(bytes(picture)))
        assert memory.points == picture


def test_only_what_changed_is_sent() -> None:
    display, memory = Ssd1306(), Memory()
    memory.run(display.switch_on())
    before = memory.requests

    memory.run(display.show(bytes(512)))
    assert memory.requests == before
    memory.run(display.show(bytes(200) + b"\xff" * 20 + bytes(292)))
    assert memory.requests == before + 2


def test_what_did_not_arrive_is_sent_again() -> None:
    display, memory = Ssd1306(), Memory()
    memory.run(display.switch_on())
    picture = bytes(range(256)) * 2
    memory.fails_at = memory.requests + 6

    with pytest.raises(LineError):
        memory.run(display.show(picture))
    assert memory.points != picture
    memory.run(display.show(picture))
    assert memory.points == picture


def test_other_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="511 bytes are not 512"):
        next(Ssd1306().show(bytes(511)))


def test_it_goes_dark_when_told() -> None:
    (off,) = Ssd1306().switch_off()
    assert isinstance(off, Request)
    assert off.data.hex(" ") == "3c 00 ae"


def test_dots_become_columns_of_eight() -> None:
    rows = bytearray(WIDTH * PAGES)
    rows[17 * WIDTH // 8 + 1] = 0b0100_0000  # column 9 of line 17

    picture = picture_of(bytes(rows))

    assert picture[2 * WIDTH + 9] == 0b10
    assert sum(picture) == 0b10
