"""Bytes on the wire between host and chips.

Host to chip: `55 AA | header | length | data | CRC`. Chip to host:
`AA 55 | payload | last`, where the top bit of `last` tells a nonce from a register and
its low five bits are a CRC. Source: asic-wire.md 2, 3, 6 to 9.
"""

from binascii import crc_hqx
from dataclasses import dataclass
from enum import IntEnum

from softaxe.bitcoin.header import Work
from softaxe.units import float32

HOST_PREAMBLE = b"\x55\xaa"
CHIP_PREAMBLE = b"\xaa\x55"
JOB = 0x20
BROADCAST = 0x10
SET_ADDRESS = 0x40
WRITE = 0x41
READ = 0x42
INACTIVE = 0x43
JOB_HEADER = 0x21
REPLY_BYTES = 11
NONCE_FLAG = 0x80
CRYSTAL_MHZ = 25
MAX_PENDING_BYTES = 4096
VERSION_SHIFT = 13
"""The lowest version bit that a chip rolls."""


class Register(IntEnum):
    """Registers in use."""

    CHIP_ID = 0x00
    PLL0 = 0x08
    HASH_COUNTING = 0x10
    TICKET_MASK = 0x14
    MISC_CONTROL = 0x18
    FAST_UART = 0x28
    CORE_CONTROL = 0x3C
    ERROR_COUNT = 0x4C
    ANALOG_MUX = 0x54
    IO_STRENGTH = 0x58
    DOMAIN_0 = 0x88
    DOMAIN_1 = 0x89
    DOMAIN_2 = 0x8A
    DOMAIN_3 = 0x8B
    TOTAL = 0x8C
    VERSION_MASK = 0xA4
    SOFT_RESET = 0xA8
    MISC_B9 = 0xB9


def _crc5_step(crc: int, byte: int, bits: int = 8) -> int:
    for shift in range(7, 7 - bits, -1):
        top = crc >> 4 ^ (byte >> shift & 1)
        crc = (crc << 1 & 0x1F) ^ (0x05 if top else 0)
    return crc


_CRC5 = tuple(bytes(_crc5_step(crc, byte) for byte in range(256)) for crc in range(32))


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
    data = b"".join(
        (
            bytes((job_id, 1)),
            b"\0\0\0\0",  # starting nonce
            work.nbits.to_bytes(4, "little"),
            work.ntime.to_bytes(4, "little"),
            reverse_words(work.merkle_root),
            reverse_words(work.prevhash),
            work.version.to_bytes(4, "little"),
        )
    )
    body = bytes((JOB_HEADER, len(data) + 4)) + data
    return HOST_PREAMBLE + body + crc16(body).to_bytes(2)


def read_job(data: bytes) -> tuple[int, Work]:
    """Take job id and work out of a job's data; the inverse of `job`."""
    little = int.from_bytes
    work = Work(
        nbits=little(data[6:10], "little"),
        ntime=little(data[10:14], "little"),
        merkle_root=reverse_words(data[14:46]),
        prevhash=reverse_words(data[46:78]),
        version=little(data[78:82], "little"),
    )
    return data[0], work


def reverse_words(data: bytes) -> bytes:
    """Reverse the order of 32-bit words, bytes inside words kept."""
    return b"".join(data[i : i + 4] for i in range(len(data) - 4, -1, -4))


def ticket_mask(difficulty: int) -> int:
    """Register value that lets nonces of about `difficulty` and better through.

    The largest power of two not above it counts; its mask's bytes are bit-reversed.
    """
    mask = (1 << (difficulty.bit_length() - 1)) - 1
    return int.from_bytes(_reverse_bits(byte) for byte in mask.to_bytes(4))


def ticket_difficulty(mask: int) -> int:
    """Difficulty behind a ticket mask register; the inverse of `ticket_mask`."""
    return int.from_bytes(_reverse_bits(byte) for byte in mask.to_bytes(4)) + 1


def _reverse_bits(byte: int) -> int:
    return int(f"{byte:08b}"[::-1], 2)


def version_mask_value(mask: int) -> int:
    """Register value for a version mask of the pool."""
    return 0x90000000 | mask >> VERSION_SHIFT & 0xFFFF


@dataclass(frozen=True, slots=True)
class Pll:
    """Dividers of a frequency: 25 MHz * fb / (ref * post1 * post2)."""

    fb_divider: int
    refdiv: int
    postdiv1: int
    postdiv2: int

    @property
    def frequency_mhz(self) -> float:
        """What the dividers give."""
        post = self.refdiv * self.postdiv1 * self.postdiv2
        return CRYSTAL_MHZ * self.fb_divider / post

    @property
    def value(self) -> int:
        """Register value: vdo scale, fb, ref, both post dividers minus one."""
        vco_mhz = self.fb_divider * CRYSTAL_MHZ / self.refdiv
        vdo_scale = 0x50 if vco_mhz >= 2400 else 0x40
        post = self.postdiv1 - 1 << 4 | self.postdiv2 - 1
        return vdo_scale << 24 | self.fb_divider << 16 | self.refdiv << 8 | post

    @classmethod
    def from_value(cls, value: int) -> "Pll":
        """Read the register."""
        return cls(
            fb_divider=value >> 16 & 0xFF,
            refdiv=value >> 8 & 0xFF or 1,
            postdiv1=(value >> 4 & 0xF) + 1,
            postdiv2=(value & 0xF) + 1,
        )


def pll_for(frequency_mhz: float, *, fb_min: int, fb_max: int) -> Pll | None:
    """Find the dividers nearest to a frequency.

    Among equally near ones the lowest VCO frequency wins, then the smallest post
    dividers, then the first found.

    Returns:
        None when no dividers fit.
    """
    best: tuple[float, float, int] | None = None
    found = None
    for refdiv in (2, 1):
        for postdiv1 in range(7, 0, -1):
            for postdiv2 in range(postdiv1 - 1, 0, -1):
                post = postdiv1 * postdiv2
                fb_divider = int(frequency_mhz / CRYSTAL_MHZ * refdiv * post + 0.5)
                if not fb_min <= fb_divider <= fb_max:
                    continue
                pll = Pll(fb_divider, refdiv, postdiv1, postdiv2)
                error = abs(float32(pll.frequency_mhz) - frequency_mhz)
                key = (error, CRYSTAL_MHZ * fb_divider / refdiv, post)
                if best is None or _is_better(key, best):
                    best, found = key, pll
    return found


def _is_better(
    candidate: tuple[float, float, int], best: tuple[float, float, int]
) -> bool:
    for new, old in zip(candidate, best, strict=True):
        if abs(new - old) >= 0.0001:
            return new < old
    return False


@dataclass(frozen=True, slots=True)
class NonceReply:
    """A nonce that met the ticket mask."""

    nonce: int
    """In search order: the wire's bytes read big-endian."""
    id_byte: int
    version_field: int
    """Rolled version bits, shifted down."""


@dataclass(frozen=True, slots=True)
class RegisterReply:
    """A register's value."""

    value: int
    address: int
    register: int


def nonce_reply(nonce: int, id_byte: int, version_field: int) -> bytes:
    """Frame a nonce (chip's side)."""
    payload = nonce.to_bytes(4) + bytes((0, id_byte)) + version_field.to_bytes(2)
    return _reply(payload, NONCE_FLAG)


def register_reply(value: int, address: int, register: int) -> bytes:
    """Frame a register's value (chip's side)."""
    return _reply(value.to_bytes(4) + bytes((address, register, 0, 0)), 0)


def chip_id_reply(chip_id: int, address: int) -> bytes:
    """Frame the answer to the enumeration (chip's side)."""
    return _reply(chip_id.to_bytes(2) + bytes((0, address, 0, 0, 0, 0)), 0)


def _reply(payload: bytes, flag: int) -> bytes:
    # The CRC runs over the payload and the three flag bits; the five CRC bits
    # then bring the whole to zero.
    crc = _crc5_step(crc5(payload), flag, bits=3)
    return CHIP_PREAMBLE + payload + bytes((flag | crc,))


class ReplyReader:
    """Takes chip frames out of a byte stream (host's side).

    As the firmware does, a frame of wrong preamble or CRC empties the buffer.
    """

    def __init__(self) -> None:
        self.bad_frames = 0
        self._buffer = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the bodies (payload and last byte) of the complete, valid frames."""
        self._buffer += data
        bodies = []
        while len(self._buffer) >= REPLY_BYTES:
            frame = self._buffer[:REPLY_BYTES]
            if not frame.startswith(CHIP_PREAMBLE) or crc5(frame[2:]):
                self.bad_frames += 1
                self._buffer = b""
                break
            self._buffer = self._buffer[REPLY_BYTES:]
            bodies.append(frame[2:])
        return bodies

    def flush(self) -> None:
        """Forget what is buffered."""
        self._buffer = b""


def read_reply(body: bytes) -> NonceReply | RegisterReply:
    """Read a body that `ReplyReader` returned."""
    if body[8] & NONCE_FLAG:
        return NonceReply(int.from_bytes(body[:4]), body[5], int.from_bytes(body[6:8]))
    return RegisterReply(int.from_bytes(body[:4]), body[4], body[5])


class CommandReader:
    """Takes host frames out of a byte stream (chip's side); skips to preambles."""

    def __init__(self) -> None:
        self.bad_frames = 0
        self._buffer = b""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Return header and data of the complete, valid frames."""
        self._buffer = (self._buffer + data)[-MAX_PENDING_BYTES:]
        frames: list[tuple[int, bytes]] = []
        while True:
            start = self._buffer.find(HOST_PREAMBLE)
            if start < 0:
                self._buffer = self._buffer[-1:]
                return frames
            body = self._buffer[start + 2 :]
            if len(body) < 2 or len(body) < body[1]:
                self._buffer = self._buffer[start:]
                return frames
            length = body[1]
            frame = body[:length]
            if _is_valid_command(frame):
                tail = 2 if frame[0] & JOB else 1
                frames.append((frame[0], frame[2:-tail]))
                self._buffer = body[length:]
            else:
                self.bad_frames += 1
                self._buffer = body


def _is_valid_command(frame: bytes) -> bool:
    if len(frame) < 5:
        return False
    if frame[0] & JOB:
        return crc16(frame[:-2]) == int.from_bytes(frame[-2:])
    return crc5(frame[:-1]) == frame[-1]
