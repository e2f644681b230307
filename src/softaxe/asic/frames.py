"""Bytes on the wire between host and chips.

Host to chip: `55 AA | header | length | data | CRC`. Chip to host:
`AA 55 | payload | last`, where the top bit of `last` tells a nonce from a register and
its low five bits are a CRC. Source: ESP-Miner components/asic.
"""

from binascii import crc_hqx
from collections.abc import Mapping, Sequence
from enum import IntEnum
from functools import cache, lru_cache
from math import ceil
from struct import Struct

import msgspec

from softaxe.bitcoin.header import Work

HOST_PREAMBLE = b"\x55\xaa"
CHIP_PREAMBLE = b"\xaa\x55"
BROADCAST = 0x10
SET_ADDRESS = 0x40
WRITE = 0x41
READ = 0x42
INACTIVE = 0x43
COMMAND_BYTES = {SET_ADDRESS: 5, WRITE: 9, READ: 5, INACTIVE: 5}
"""Of a command behind its preamble, as its length byte says too."""
SHORT_BYTES = 16
"""More than any command has, preamble included, and less than a job."""
KNOWN_COMMANDS = 256
JOB_HEADER = 0x21
JOB_BYTES = 82
"""Data of a job that carries a whole header."""
MIDSTATE_JOB_BYTES = 146
"""Data of a job that carries midstates."""
MAX_MIDSTATES = 4
MIDSTATE_BYTES = 32
NONCE_FLAG = 0x80
CRC5_MASK = 0x1F
"""Of a reply's last byte; the bits above tell its kind."""
ADDRESSES = 256
"""Values of a chip address, and of the address bits of a nonce."""
SHORT_REPLY_BYTES = 9
"""Of every reply of a chip that rolls no versions, or not yet. Source: 256foundation
mujina, a BM1370 asked before anything was written."""
VERSION_SHIFT = 13
"""The lowest version bit that a chip rolls."""
ROLLING = 0x80000000
"""In the version mask register: roll versions, and tell them."""
ROLLING_GENERATION = 0x30000000
"""Bits of that register that read as 0, whatever was written. Source: as above."""
PLL_ENABLED = 0x40000000
PLL_LOCKED = 0x80000000
"""Reads as 1 once the enabled PLL runs. Source: LuxOS on an S19 XP (BM1366), in
MoellerDi ESP-Miner s19xp_luxos_startup.3.txt; mujina on a BM1370."""
_JOB_START = Struct("<BBIII")
_WORDS = Struct("<8I")


class Register(IntEnum):
    """Registers in use."""

    CHIP_ID = 0x00
    HASH_RATE = 0x04
    PLL0 = 0x08
    HASH_COUNTING = 0x10
    TICKET_MASK = 0x14
    MISC_CONTROL = 0x18
    MISC_CONTROL_ADD = 0x19
    ORDERED_CLOCK = 0x20
    FAST_UART = 0x28
    UNNAMED_2C = 0x2C
    CORE_CONTROL = 0x3C
    ERROR_COUNT = 0x4C
    ANALOG_MUX = 0x54
    IO_STRENGTH = 0x58
    PLL1 = 0x60
    PLL3 = 0x68
    """On the BM1373, its pads."""
    PLL0_DIVIDER = 0x70
    CLOCK_ORDER_0 = 0x80
    CLOCK_ORDER_1 = 0x84
    DOMAIN_0 = 0x88
    DOMAIN_1 = 0x89
    DOMAIN_2 = 0x8A
    DOMAIN_3 = 0x8B
    TOTAL = 0x8C
    VERSION_MASK = 0xA4
    SOFT_RESET = 0xA8
    THERMOMETER_CONTROL = 0xB0
    THERMOMETER = 0xB4
    MISC_B9 = 0xB9
    AUTO_WORK = 0xC4


class Wire(msgspec.Struct, frozen=True):
    """What one kind of chip does differently on the wire."""

    reply_bytes: int
    """Length of a reply, preamble included, once version rolling is on."""
    job_id_mask: int
    """Job bits of a reply's id byte."""
    job_id_shift: int
    """How far the id byte holds them too high."""
    small_core_mask: int
    """Small core bits of a reply's id byte."""
    fastest_baud: tuple[Register, int]
    """The write that switches to the chip's highest baud rate."""
    polled: tuple[Register, ...]
    """What the hash rate monitor reads, in its order."""
    reset_values: Mapping[int, int] = msgspec.field(default_factory=dict)
    """What registers hold that nobody wrote, where it is not 0."""
    has_thermometer: bool = False
    """On the die, read through a register."""
    core_num: int = 0
    """Told when the chain is enumerated."""
    has_raw_dividers: bool = False
    """How the PLL register holds its dividers, see `pll.Pll.value`."""
    takes_midstates: bool = False
    """Jobs carry midstates; a reply's id byte names the one."""
    pll_write_s: float = 0.0
    """What the pauses around the frames of one frequency add up to."""
    other_chip_ids: tuple[int, ...] = ()
    """Accepted in the enumeration beside the chip's own."""
    address_stride: int | None = None
    """From one chip's address to the next; None shares 256 among the chips."""
    has_startup_baud: bool = False
    """Its startup switches the baud rate itself."""

    def address_interval(self, asic_count: int) -> int:
        """From one chip's address to the next in a chain of so many."""
        return self.address_stride or ADDRESSES // min(asic_count, ADDRESSES)

    def result(self, job_id: int, version_field: int, excess: int) -> tuple[int, int]:
        """Two bytes of a nonce: what it is worth, and whose it is (chip's side).

        One word of 16 bits: `excess`, job id without its three lowest bits, small core,
        which searches the versions that end in its number. Of a chip with 16 small
        cores the job id's top bit is in the first byte; ESP-Miner's ids have none.

        Args:
            job_id: As the job has it.
            version_field: Rolled version bits, shifted down.
            excess: Zero bits of the hash beyond the ticket's; what is too much for its
                bits is told as the most.

        Source: the captures of BM1366, BM1368 and BM1370.
        """
        low_bits = self.small_core_mask.bit_length()
        job_and_core = (job_id & 0xFF) >> 3 << low_bits | (
            version_field & self.small_core_mask
        )
        most = 0xFF >> low_bits - 3
        told = excess if excess < most else most
        word = told << low_bits + 5 | job_and_core
        return word >> 8, word & 0xFF

    @property
    def job_bytes(self) -> int:
        """Data of a job."""
        return MIDSTATE_JOB_BYTES if self.takes_midstates else JOB_BYTES


_COUNTERS = (
    Register.ERROR_COUNT,
    Register.DOMAIN_0,
    Register.DOMAIN_1,
    Register.DOMAIN_2,
    Register.DOMAIN_3,
    Register.TOTAL,
)
_FAST_UART_1M = (Register.FAST_UART, 0x11300200)
_RESET_VALUES: Mapping[int, int] = {
    Register.MISC_CONTROL: 0x0000C100,
    Register.FAST_UART: 0x01301A00,
    Register.PLL1: 0x20500174,
    Register.VERSION_MASK: 0x0000FFFF,
    Register.SOFT_RESET: 0x00070000,
}
"""Read from BM1366 and BM1370. Source: mujina, REFERENCE.md; the captures of MoellerDi
ESP-Miner."""
WIRES = {
    "BM1397": Wire(
        reply_bytes=9,
        job_id_mask=0xFC,
        job_id_shift=0,
        small_core_mask=0x0F,
        fastest_baud=(Register.MISC_CONTROL, 0x00006031),
        polled=(Register.HASH_RATE, Register.ERROR_COUNT),
        core_num=0x18,
        has_raw_dividers=True,
        takes_midstates=True,
        pll_write_s=0.05,
    ),
    "BM1366": Wire(11, 0xF8, 0, 0x07, _FAST_UART_1M, _COUNTERS, _RESET_VALUES),
    "BM1368": Wire(
        reply_bytes=11,
        job_id_mask=0xF0,
        job_id_shift=1,
        small_core_mask=0x0F,
        fastest_baud=_FAST_UART_1M,
        polled=_COUNTERS,
        reset_values=_RESET_VALUES,
        has_thermometer=True,
    ),
    "BM1370": Wire(11, 0xF0, 1, 0x0F, _FAST_UART_1M, _COUNTERS, _RESET_VALUES),
    "BM1372/BM1373": Wire(
        reply_bytes=11,
        job_id_mask=0xF0,
        job_id_shift=1,
        small_core_mask=0x0F,
        fastest_baud=(Register.FAST_UART, 0x80000000),
        polled=_COUNTERS,
        reset_values=_RESET_VALUES,
        other_chip_ids=(0x1372,),
        address_stride=0x10,
        has_startup_baud=True,
    ),
}
"""By chip name. Source: ESP-Miner components/asic; of what it does not look at,
captures of BM1366, BM1368 and BM1370 in MoellerDi ESP-Miner and mujina; the BM1373
is taken to be like them."""


@cache
def numbers(registers: tuple[Register, ...]) -> frozenset[int]:
    """Return their numbers, in one set for all chips that share it."""
    return frozenset(map(int, registers))


def _crc5_step(crc: int, byte: int, bits: int = 8) -> int:
    for shift in range(7, 7 - bits, -1):
        top = crc >> 4 ^ (byte >> shift & 1)
        crc = (crc << 1 & 0x1F) ^ (0x05 if top else 0)
    return crc


_CRC5_FROM_0 = bytes(_crc5_step(0, byte) for byte in range(256))
_CRC5 = tuple(
    bytes(_CRC5_FROM_0[byte ^ crc << 3] for byte in range(256)) for crc in range(32)
)
"""What was before counts as if it stood in the byte's first bits."""
_CRC5_OF_FLAGS = {
    flag: bytes(_crc5_step(crc, flag, bits=3) for crc in range(32))
    for flag in (0, NONCE_FLAG)
}
"""Going on with the three bits of a reply's flags."""


def crc5(data: bytes) -> int:
    """CRC-5 with polynomial 05 and initial value 1F."""
    crc = 0x1F
    for byte in data:
        crc = _CRC5[crc][byte]
    return crc


def crc16(data: bytes) -> int:
    """CRC-16/CCITT-FALSE."""
    return crc_hqx(data, 0xFFFF)


def command(header: int, data: bytes) -> bytes:
    """Frame a command; `header` includes BROADCAST where it is meant."""
    body = bytes((header, len(data) + 3)) + data
    return HOST_PREAMBLE + body + bytes((crc5(body),))


def write_all(register: int, value: int) -> bytes:
    """Write a register of every chip."""
    return command(WRITE | BROADCAST, bytes((0, register)) + value.to_bytes(4))


def write_one(address: int, register: int, value: int) -> bytes:
    """Write a register of one chip."""
    return command(WRITE, bytes((address, register)) + value.to_bytes(4))


def read_all(register: int) -> bytes:
    """Ask every chip for a register."""
    return command(READ | BROADCAST, bytes((0, register)))


def set_address(address: int) -> bytes:
    """Give the next chip without an address this one."""
    return command(SET_ADDRESS, bytes((address, 0)))


def chain_inactive() -> bytes:
    """Let chips take addresses again."""
    return command(INACTIVE | BROADCAST, b"\0\0")


def job(job_id: int, work: Work) -> bytes:
    """Frame a whole header for chips that roll versions themselves."""
    return _job(
        _job_start(job_id, 1, work)
        + reverse_words(work.merkle_root)
        + reverse_words(work.prevhash)
        + work.version.to_bytes(4, "little")
    )


def midstate_job(job_id: int, work: Work, midstates: Sequence[bytes]) -> bytes:
    """Frame the end of a header with midstates of its first 64 bytes (BM1397).

    Args:
        job_id: With its low two bits free for the index of a midstate.
        work: Where the end of the header comes from.
        midstates: Up to four, one per version, last word first.
    """
    size = MAX_MIDSTATES * MIDSTATE_BYTES
    return _job(
        _job_start(job_id, len(midstates), work)
        + work.merkle_root[28:]
        + b"".join(midstates).ljust(size, b"\0")
    )


def _job_start(job_id: int, midstate_count: int, work: Work) -> bytes:
    starting_nonce = 0
    return _JOB_START.pack(
        job_id, midstate_count, starting_nonce, work.nbits, work.ntime
    )


def _job(data: bytes) -> bytes:
    body = bytes((JOB_HEADER, len(data) + 4)) + data
    return HOST_PREAMBLE + body + crc16(body).to_bytes(2)


def read_job(data: bytes) -> tuple[int, Work]:
    """Take job id and work out of the `JOB_BYTES` of a job; the inverse of `job`."""
    job_id, _, _, nbits, ntime = _JOB_START.unpack_from(data)
    work = Work(
        version=int.from_bytes(data[78:82], "little"),
        prevhash=reverse_words(data[46:78]),
        merkle_root=reverse_words(data[14:46]),
        ntime=ntime,
        nbits=nbits,
    )
    return job_id, work


def read_midstate_job(data: bytes) -> tuple[int, list[bytes], bytes]:
    """Take apart the `MIDSTATE_JOB_BYTES` of a job; the inverse of `midstate_job`.

    Returns:
        The job id, the midstates (first word first) and the 12 bytes of the header
        that come after them.
    """
    job_id, count, _, nbits, ntime = _JOB_START.unpack_from(data)
    tail = data[14:18] + ntime.to_bytes(4, "little") + nbits.to_bytes(4, "little")
    starts = range(18, 18 + MIDSTATE_BYTES * min(count, MAX_MIDSTATES), MIDSTATE_BYTES)
    midstates = [reverse_words(data[at : at + MIDSTATE_BYTES]) for at in starts]
    return job_id, midstates, tail


def reverse_words(data: bytes) -> bytes:
    """Reverse the order of a hash's eight 32-bit words, bytes inside words kept."""
    return _WORDS.pack(*_WORDS.unpack(data)[::-1])


def ticket_mask(difficulty: int) -> int:
    """Register value that lets nonces of about `difficulty` and better through.

    The largest power of two not above it counts; its mask's bytes are bit-reversed.
    """
    mask = (1 << (difficulty.bit_length() - 1)) - 1
    return int.from_bytes(_reverse_bits(byte) for byte in mask.to_bytes(4))


def ticket_bits(mask: int) -> int:
    """Zero bits that a ticket mask register wants beyond a hash's first 32.

    A chip looks at bits, not at a target: of difficulty 256 it lets through what is
    better than 255.996.
    """
    return int.from_bytes(_reverse_bits(byte) for byte in mask.to_bytes(4)).bit_length()


def _reverse_bits(byte: int) -> int:
    return int(f"{byte:08b}"[::-1], 2)


def version_mask_value(mask: int) -> int:
    """Register value for a version mask of the pool."""
    return 0x90000000 | mask >> VERSION_SHIFT & 0xFFFF


class NonceReply(msgspec.Struct, frozen=True):
    """A nonce that met the ticket mask."""

    nonce: int
    """In search order: the wire's bytes read big-endian."""
    id_byte: int
    version_field: int
    """Rolled version bits, shifted down."""
    excess_byte: int
    """Zero bits of the hash beyond the ticket's, see `Wire.result`."""


class RegisterReply(msgspec.Struct, frozen=True):
    """A register's value."""

    value: int
    address: int
    register: int


Reply = NonceReply | RegisterReply


def reply_frame(reply_bytes: int, reply: Reply) -> bytes:
    """Frame a reply (chip's side)."""
    frame = nonce_reply if isinstance(reply, NonceReply) else register_reply
    return frame(reply_bytes, *msgspec.structs.astuple(reply))


def nonce_reply(
    reply_bytes: int,
    nonce: int,
    id_byte: int,
    version_field: int = 0,
    excess_byte: int = 0,
) -> bytes:
    """Frame a nonce (chip's side); a short reply has no version field."""
    result = bytes((excess_byte, id_byte))
    payload = nonce.to_bytes(4) + result + version_field.to_bytes(2)
    return _reply(payload[: reply_bytes - 3], NONCE_FLAG)


def register_reply(reply_bytes: int, value: int, address: int, register: int) -> bytes:
    """Frame a register's value (chip's side)."""
    payload = value.to_bytes(4) + bytes((address, register, 0, 0))
    return _reply(payload[: reply_bytes - 3], 0)


def chip_id_reply(wire: Wire, reply_bytes: int, chip_id: int, address: int) -> bytes:
    """Frame the answer to the enumeration (chip's side)."""
    value = chip_id_value(wire, chip_id, address)
    return register_reply(reply_bytes, value, address, Register.CHIP_ID)


def chip_id_value(wire: Wire, chip_id: int, address: int) -> int:
    """What that register holds."""
    return chip_id << 16 | wire.core_num << 8 | address


def _reply(payload: bytes, flag: int) -> bytes:
    # The CRC runs over the payload and the three flag bits; the five CRC bits
    # then bring the whole to zero.
    crc = _CRC5_OF_FLAGS[flag][crc5(payload)]
    return CHIP_PREAMBLE + payload + bytes((flag | crc,))


def is_reply(frame: bytes) -> bool:
    """Tell whether preamble, kind and CRC of a complete reply are right."""
    is_known = frame[-1] & ~CRC5_MASK in (0, NONCE_FLAG)
    return is_known and frame.startswith(CHIP_PREAMBLE) and crc5(frame[2:]) == 0


class ReplyReader:
    """Takes chip frames out of a byte stream (host's side).

    What is no frame is skipped, up to the next preamble with a right CRC.

    Args:
        reply_bytes: Length of each frame; may be changed later.
    """

    def __init__(self, reply_bytes: int) -> None:
        self.reply_bytes = reply_bytes
        self.bad_frames = 0
        """Skipped, in lengths of a frame; a shorter stretch counts as one."""
        self._buffer = b""
        self._skipped = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Return the bodies (payload and last byte) of the complete, valid frames."""
        buffer, at, bodies = self._buffer + data, 0, []
        while True:
            start = _next_preamble(CHIP_PREAMBLE, buffer, at)
            self._skip(start - at)
            end = start + self.reply_bytes
            if end > len(buffer):
                break
            if is_reply(frame := buffer[start:end]):
                bodies.append(frame[2:])
                self._skipped, at = 0, end
            else:
                self._skip(1)
                at = start + 1
        self._buffer = buffer[start:]
        return bodies

    def _skip(self, count: int) -> None:
        if not count:
            return
        before = ceil(self._skipped / self.reply_bytes)
        self._skipped += count
        self.bad_frames += ceil(self._skipped / self.reply_bytes) - before

    @property
    def is_waiting(self) -> bool:
        """True while a part of a frame is there."""
        return bool(self._buffer)

    def flush(self) -> None:
        """Forget what is buffered."""
        self._buffer, self._skipped = b"", 0

    def give_up(self) -> None:
        """Skip the part of a frame that is there."""
        self._skip(len(self._buffer))
        self.flush()


def read_reply(body: bytes) -> Reply:
    """Read a body that `ReplyReader` returned; a BM1397's is two bytes shorter."""
    first = int.from_bytes(body[:4])
    if body[-1] & NONCE_FLAG:
        return NonceReply(first, body[5], int.from_bytes(body[6:-1]), body[4])
    return RegisterReply(first, body[4], body[5])


class CommandReader:
    """Takes host frames out of a byte stream (chip's side); skips to preambles.

    A job has the length that the chip expects: hosts write 36, 56 or FF (hex) into its
    length byte, and the same 88 bytes follow. Source: captures of stock firmware and
    LuxOS (MoellerDi ESP-Miner), mujina, cgminer.

    Args:
        job_bytes: Data of a job, as its `Wire` tells.
    """

    def __init__(self, job_bytes: int) -> None:
        self.bad_frames = 0
        self._job_bytes = job_bytes
        self._buffer = b""

    @property
    def is_waiting(self) -> bool:
        """True while a part of a frame is there."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Return header and data of the complete, valid frames."""
        if not self._buffer and len(data) <= SHORT_BYTES and (one := _command(data)):
            return [one]
        buffer, at = self._buffer + data, 0
        frames: list[tuple[int, bytes]] = []
        while True:
            start = _next_preamble(HOST_PREAMBLE, buffer, at)
            body = start + len(HOST_PREAMBLE)
            if body + 2 > len(buffer):
                break
            header = buffer[body]
            end = body + self._frame_bytes(header, buffer[body + 1])
            if end > len(buffer):
                break
            if _is_valid_command(frame := buffer[body:end]):
                tail = 2 if header == JOB_HEADER else 1
                frames.append((header, frame[2:-tail]))
                at = end
            else:
                self.bad_frames += 1
                at = body
        self._buffer = buffer[start:]
        return frames

    def _frame_bytes(self, header: int, length: int) -> int:
        """Bytes behind the preamble; 0 when this is no frame."""
        if header == JOB_HEADER:
            return self._job_bytes + 4
        size = COMMAND_BYTES.get(header & ~BROADCAST, 0)
        return size if size == length else 0


@lru_cache(KNOWN_COMMANDS)
def _command(data: bytes) -> tuple[int, bytes] | None:
    """Read one whole command, as hosts send the same again and again."""
    frame = data[2:]
    is_whole = data.startswith(HOST_PREAMBLE) and len(frame) > 1
    if is_whole and COMMAND_BYTES.get(frame[0] & ~BROADCAST) == len(frame) == frame[1]:
        return (frame[0], frame[2:-1]) if _is_valid_command(frame) else None
    return None


def _is_valid_command(frame: bytes) -> bool:
    if not frame:
        return False
    if frame[0] == JOB_HEADER:
        return crc16(frame[:-2]) == int.from_bytes(frame[-2:])
    return crc5(frame[:-1]) == frame[-1]


def _next_preamble(preamble: bytes, buffer: bytes, at: int) -> int:
    """Where the next preamble begins or, where there is none, may still begin."""
    start = buffer.find(preamble, at)
    if start >= 0:
        return start
    is_begun = len(buffer) > at and buffer[-1] == preamble[0]
    return len(buffer) - is_begun
