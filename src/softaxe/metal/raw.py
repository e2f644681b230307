"""The control channel of firmware bitaxe-raw: requests, and what answers look like.

A request is the same in every firmware: `length u16 | id | bus 00 | page | command |
data`, the length that of the whole packet. Answers come in three dialects, and none
says which it is: their lengths count differently, so that one must know how many data
bytes are due. Source: the firmwares bitaxe-raw (main, bitaxeProto, bonanza), EmberOne
and RHAP-D; nothing of it was tried on a board.

What a host must know of these firmwares, and where it is minded:

1. A `V0` answer's length leaves its head out when all is well and counts it in errors:
   `read_answer` knows how many bytes are due, and decides after silence where that
   leaves two readings.
2. A `V0` error has no mark of its own: as above.
3. On `VB` one byte of 10 to 13 reads as an error: `is_ambiguous`.
4. An answer that fills more than a USB packet never comes: `MAX_ANSWER_BYTES`.
5. A request whose packets come apart is dropped: `MAX_DATA_BYTES` fit into one.
6. A second request that comes with the first is lost: `control_line` sends one at a
   time.
7. A wrong length field crashes the firmware: `encode` works it out from the data.
8. After an unplugging some firmware never answers again: `control_line` counts the
   probes that nobody answered, and asks for the reset button.
9. More than 64 bytes at once from the chips crash the firmware: that is the other port,
   of which a host reads without pause, and no broadcast read goes to six chips.
10. The port hangs over usbipd (WSL): no host can help that, so the user is told.
"""

from collections.abc import Generator
from enum import IntEnum, StrEnum
from struct import Struct as Packing
from typing import TypeVar

from msgspec import Struct

from softaxe.errors import SoftaxeError

T = TypeVar("T")

MAX_DATA_BYTES = 58
"""Of a request behind its head; with it the packet is a USB packet of 64 bytes."""
MAX_ANSWER_BYTES = 60
"""Data bytes of an answer that still is one USB packet in every dialect."""
MAX_ID = 0xFE
"""FF is that of the answer to a request that the firmware could not read."""
UNREADABLE_ID = 0xFF
USUAL_TIMEOUT_S = 0.2
TACHOMETER_TIMEOUT_S = 1.5
"""The firmware counts for a second before it answers."""

ERROR_MARK = 0xFF
ERROR_CODES = {0x10: "timeout", 0x11: "invalid", 0x12: "overflow", 0x13: "fault"}
"""12 is `denied` on VB."""
NAK_TEXTS = {"I2C Write Error", "I2C Read Error", "I2C WriteRead Error"}
VB_TEXT = "Buf"
"""Its one text, of an overflow."""
_HEAD = Packing("<HBBBB")
_WORD = Packing("<H")
_LONG = Packing("<I")
_ANSWER_HEAD_BYTES = 3
_SHORTEST_ANSWER_BYTES = 4


class Dialect(StrEnum):
    """How answers look."""

    V0 = "v0"
    """bitaxe-raw main and bitaxeProto, EmberOne of minor 0."""
    VB = "vb"
    """bitaxe-raw bonanza."""
    V1 = "v1"
    """RHAP-D, EmberOne from minor 1 on."""


class Page(IntEnum):
    """What a request is for."""

    I2C = 0x05
    GPIO = 0x06
    ADC = 0x07
    FAN = 0x08


class I2c(IntEnum):
    """Commands of the I2C page."""

    SPEED = 0x10
    WRITE = 0x20
    READ = 0x30
    WRITE_READ = 0x40


class FailureKind(StrEnum):
    """Why a request failed."""

    NO_ANSWER = "no answer"
    REFUSED = "refused"
    """By the firmware, with a code or a text."""
    NAK = "not acknowledged"
    """Nobody answers at an address of the I2C bus, or no longer does."""
    GARBLED = "garbled"
    """What came cannot be the answer."""
    UNPLUGGED = "unplugged"
    CUT = "cut short"
    """Its script had to give way to one that could not wait."""
    UNSAFE = "unsafe"
    """Not sent, as its answer could not be told from an error."""
    BROKEN = "broken"
    """The script raised what no script should: a defect of this program."""
    WRONG_PART = "wrong part"
    """The part answers, but is not the one, or not as, the board should have it."""


class LineError(SoftaxeError):
    """A request to a board failed; the text says what was asked and what came.

    Args:
        kind: Why.
        text: For a person.
        came: The bytes that were no good answer, if any.
    """

    def __init__(self, kind: FailureKind, text: str, came: bytes = b"") -> None:
        super().__init__(text)
        self.kind = kind
        self.came = came


class Request(Struct, frozen=True):
    """One question to the firmware.

    Raises:
        ValueError: It or its answer would not fit into a USB packet.
    """

    page: int
    command: int
    data: bytes
    answer_bytes: int
    """Data bytes of a good answer."""
    expected: bytes | None = None
    """What these must be, where that is known."""
    timeout_s: float = USUAL_TIMEOUT_S

    def __post_init__(self) -> None:
        if len(self.data) > MAX_DATA_BYTES:
            raise ValueError(
                f"{self}: {len(self.data)} data bytes; at most {MAX_DATA_BYTES} fit"
            )
        if not 1 <= self.answer_bytes <= MAX_ANSWER_BYTES:
            raise ValueError(
                f"{self}: an answer of {self.answer_bytes} bytes is outside "
                f"1..{MAX_ANSWER_BYTES}"
            )

    def __str__(self) -> str:
        data = self.data.hex(" ")
        match self.page, self.command:
            case Page.I2C, I2c.SPEED:
                return f"I2C speed {_LONG.unpack(self.data)[0]} Hz"
            case Page.I2C, I2c.WRITE:
                return f"I2C write {data[3:] or 'nothing'} to {data[:2]}"
            case Page.I2C, I2c.READ:
                return f"I2C read {self.answer_bytes} from {data[:2]}"
            case Page.I2C, I2c.WRITE_READ:
                return f"I2C read {self.answer_bytes} at {data[3:-3]} from {data[:2]}"
            case Page.GPIO, pin:
                return f"set pin {pin} to {self.data[0]}" if data else f"read pin {pin}"
            case _:
                return f"page {self.page:02x} command {self.command:02x} {data}".strip()


class Answer(Struct, frozen=True):
    """A good answer."""

    data: bytes
    dialect: Dialect
    size: int
    """Bytes that it took."""


class Refusal(Struct, frozen=True):
    """An error of the firmware."""

    text: str
    size: int


Script = Generator[Request | float, bytes, T]
"""Work on a board: yields requests and gets the data of their answers, or yields
seconds to wait; a request that fails raises its `LineError` there."""


def i2c_speed(speed_hz: int) -> Request:
    """Set the clock of the I2C bus."""
    data = _LONG.pack(speed_hz)
    return Request(Page.I2C, I2c.SPEED, data, 4, data)


def i2c_write(address: int, data: bytes) -> Request:
    """Write to a part; the answer is how many bytes it took."""
    return Request(Page.I2C, I2c.WRITE, bytes([address]) + data, 1, bytes([len(data)]))


def i2c_read(address: int, count: int) -> Request:
    """Read from a part."""
    return Request(Page.I2C, I2c.READ, bytes([address, count]), count)


def i2c_write_read(address: int, data: bytes, count: int) -> Request:
    """Write to a part, a register's number say, and read without letting go."""
    body = bytes([address]) + data + bytes([count])
    return Request(Page.I2C, I2c.WRITE_READ, body, count)


def gpio_set(pin: int, *, is_high: bool) -> Request:
    """Set a pin; the answer must be its level."""
    level = bytes([is_high])
    return Request(Page.GPIO, pin, level, 1, level)


def gpio_get(pin: int) -> Request:
    """Read a pin's level: 00 or 01."""
    return Request(Page.GPIO, pin, b"", 1)


def adc(channel: int = 0x50) -> Request:
    """Read a count of the converter, uncalibrated, as u16; 50 is that of VDD."""
    return Request(Page.ADC, channel, b"", 2)


def fan_duty(duty: int) -> Request:
    """Set the fan of a board that the ESP32 drives itself (bitaxeProto), 0 to 255."""
    return Request(Page.FAN, 0x00, bytes([duty]), 1, bytes([duty]))


def fan_rpm() -> Request:
    """Measure that fan, as u32; takes a second."""
    return Request(Page.FAN, 0x01, b"", 4, timeout_s=TACHOMETER_TIMEOUT_S)


RESET_PIN = 0x00
"""Low holds the chips in reset, in every firmware."""
PROBE = gpio_get(RESET_PIN)
"""Harmless, and answered differently in each dialect."""


def encode(request: Request, request_id: int) -> bytes:
    """Write a request as one packet, which must go to the port in one piece.

    Args:
        request: What to ask.
        request_id: What the answer will carry, 0 to `MAX_ID`.
    """
    size = _HEAD.size + len(request.data)
    head = _HEAD.pack(size, request_id, 0, request.page, request.command)
    return head + request.data


def is_ambiguous(request: Request, dialect: Dialect | None) -> bool:
    """Tell whether a good answer could read as an error.

    On `VB` that is so of every single byte of 10 to 13: one that is read from a part,
    or the number of bytes that one took.
    """
    if dialect is not Dialect.VB or request.answer_bytes != 1:
        return False
    if request.expected is not None:
        return request.expected[0] in ERROR_CODES
    return request.page != Page.GPIO  # a level is 0 or 1


def read_answer(
    data: bytes,
    request: Request,
    request_id: int,
    dialect: Dialect | None,
    *,
    is_quiet: bool = False,
) -> Answer | Refusal | None:
    """Find the answer to a request at the start of what came.

    Args:
        data: What came.
        request: What was asked,
        request_id: under this id.
        dialect: How the firmware answers; None reads any.
        is_quiet: Nothing more comes.

    Returns:
        None when it is not there, or not yet.
    """
    if len(data) < _SHORTEST_ANSWER_BYTES:
        return None
    answer = _good_answer(data, request, request_id, dialect)
    refusal = _refusal(data, request_id, dialect)
    if refusal is None or (answer and answer.dialect is Dialect.V0):
        return answer
    # An error of V0 may be the start of a good answer whose length field is the same.
    may_grow = (
        dialect in (None, Dialect.V0)
        and data[2] == request_id
        and _WORD.unpack_from(data)[0] == request.answer_bytes
    )
    return refusal if is_quiet or not may_grow else None


def _good_answer(
    data: bytes, request: Request, request_id: int, dialect: Dialect | None
) -> Answer | None:
    (length,) = _WORD.unpack_from(data)
    count = request.answer_bytes
    if data[2] != request_id:
        return None
    start = _ANSWER_HEAD_BYTES
    if length == count and dialect in (None, Dialect.V0):
        found = Dialect.V0
    elif length == count + 3 and dialect in (None, Dialect.VB):
        found = Dialect.VB
    elif length == count + 4 and data[3] == 0 and dialect in (None, Dialect.V1):
        found = Dialect.V1
        start += 1
    else:
        return None
    end = start + count
    return Answer(data[start:end], found, end) if len(data) >= end else None


def _refusal(data: bytes, request_id: int, dialect: Dialect | None) -> Refusal | None:
    (length,) = _WORD.unpack_from(data)
    if data[2] not in {request_id, UNREADABLE_ID} or not 4 <= length <= len(data):
        return None
    if length == _SHORTEST_ANSWER_BYTES:
        if (code := data[3]) not in ERROR_CODES:
            return None
        text = f"code {code:02x} ({ERROR_CODES[code]})"
        is_unreadable = data[2] == UNREADABLE_ID
        return Refusal(f"cannot read it, {text}" if is_unreadable else text, length)
    text = data[_SHORTEST_ANSWER_BYTES:length].decode("latin-1")
    is_text = data[3] == ERROR_MARK and text.isascii() and text.isprintable()
    if dialect is Dialect.VB:  # which knows no other, and counts good answers alike
        is_text = is_text and text == VB_TEXT
    return Refusal(text, length) if is_text else None


def signed(value: int, bits: int) -> int:
    """Read so many bits as two's complement."""
    return value - ((value >> bits - 1) << bits)
