"""The emulated board as other host programs speak to it: what they send, and its order.

Source: what their code sends, read for facts; frames and CRCs of captures.
"""

from collections.abc import Iterable

import pytest

from softaxe.asic import frames
from softaxe.bitcoin.header import Work, difficulty_of, sha256d
from softaxe.catalog import board
from softaxe.metal.raw import Dialect
from softaxe.metal.raw_board import RawBoard

PATIENCE_S = 1.0
"""Of mujina, for an answer."""
UNIT = 2.0**-32
"""What a nonce of the usual mode is worth, of its ticket."""


class Host:
    """Both ports, as a program has them that reads a stream of bytes."""

    def __init__(self, raw: RawBoard) -> None:
        self.raw = raw
        self._heard = bytearray()
        self._number = 0

    def wait(self, seconds: float) -> None:
        end = self.raw.now + seconds
        while self.raw.next_wake <= end:
            self._step(self.raw.next_wake)
        self._step(end)

    def _step(self, now: float) -> None:
        self.raw.step(now)
        for packet in self.raw.control_to_host():
            self._heard += packet

    def ask(self, request: str) -> bytes:
        """Send `page command data`; return the data of the answer, by mujina's reading.

        Raises:
            TimeoutError: Too few bytes came.
            ValueError: The answer has another request's number.
        """
        self._number = self._number % 254 + 1
        data = bytes.fromhex(request)
        size = (len(data) + 4).to_bytes(2, "little")
        packet = size + bytes((self._number, 0)) + data
        self.raw.control_received(packet, self.raw.now)
        end = self.raw.now + PATIENCE_S
        head = self._read(2, end)
        length = int.from_bytes(head, "little")
        is_old = self.raw.dialect is Dialect.V0
        rest = self._read(length + 1 if is_old else length - 2, end)
        if rest[0] != self._number:
            raise ValueError(f"response id mismatch: {rest[0]}")
        return rest[1:] if is_old else rest[2:]

    def _read(self, count: int, end: float) -> bytes:
        while len(self._heard) < count and self.raw.next_wake <= end:
            self._step(self.raw.next_wake)
        if len(self._heard) < count:
            self._step(end)
            raise TimeoutError
        data = bytes(self._heard[:count])
        del self._heard[:count]
        return data

    def send(self, *sent: str) -> bytes:
        """Send frames to the chips, a pause behind each; return what they say."""
        told = b""
        for frame in sent:
            self.raw.data_received(bytes.fromhex(frame), self.raw.now)
            self.wait(0.01)
            told += self.raw.data_to_host()
        return told


def job(number: int, work: Work, length: int) -> str:
    """A job with another length byte than ESP-Miner's."""
    frame = frames.job(number, work)
    body = bytes((frame[2], length)) + frame[4:-2]
    return (frame[:2] + body + frames.crc16(body).to_bytes(2)).hex()


def work(ntime: int = 1_700_000_000) -> Work:
    return Work(0x20000000, bytes(32), bytes(range(32)), ntime, 0x1705AE3A)


def good(found: Iterable[bytes], ntimes: Iterable[int]) -> int:
    """Count nonces that are worth their ticket of 256, with one of the times."""
    count = 0
    for frame in found:
        reply = frames.read_reply(frame)
        assert isinstance(reply, frames.NonceReply)
        version = 0x20000000 | reply.version_field << frames.VERSION_SHIFT
        nonce = int.from_bytes(reply.nonce.to_bytes(4), "little")
        headers = [work(one).header(nonce=nonce, version=version) for one in ntimes]
        best = max(difficulty_of(sha256d(header)) for header in headers)
        count += best >= 255.9 * UNIT
    return count


MUJINA_START = (
    ("06 00 00", "00"),  # reset low
    ("05 10 A0860100", "A0860100"),
    ("05 40 4C FD 01", "16"),
    ("05 20 4C 03 04", "02"),
    ("05 20 4C 4A 23", "02"),
    ("05 20 4C 17 24", "02"),
    ("05 20 4C 18 00", "02"),
    ("05 20 4C 4C 3F", "02"),
    ("05 40 24 AD 07", "06544954 6D2441"),
    ("05 20 24 01 00", "02"),
    ("05 20 24 02 1F", "02"),
    ("05 20 24 02 1B", "02"),
    ("05 40 24 20 01", "97"),
    ("05 20 24 29 01F0", "03"),  # 0.25
    ("05 20 24 24 0004", "03"),  # 2 V
    ("05 20 24 2B 0002", "03"),  # 1 V
    ("05 20 24 03", "01"),
    ("05 20 24 21 4D02", "03"),  # 1.15 V
    ("05 20 24 01 80", "02"),
)
MUJINA_CHIPS = (
    *["55AA510900A49000FFFF1C"] * 3,
    "55AA52050000 0A",
    "55AA510900A49000FFFF1C",
    "55AA510900A80007000003",
    "55AA51090018F000C10004",
    "55AA53050000 03",
    "55AA40050000 1C",
    "55AA5109003C80008B0012",
    "55AA5109003C8000800C11",
    "55AA51090014000000FF08",
    "55AA5109005800011111 0D",
)


def mujina(dialect: Dialect) -> Host:
    """A Gamma as mujina has it when it begins to mine at 525 MHz."""
    host = Host(RawBoard(board("601"), dialect=dialect))
    for request, answer in MUJINA_START:
        assert host.ask(request) == bytes.fromhex(answer), request
    host.wait(0.5)
    volts = int.from_bytes(host.ask("05 40 24 8B 02"), "little") / 512
    assert volts == pytest.approx(1.15, abs=0.01)
    assert host.ask("05 40 24 79 02") == b"\0\0"
    host.ask("06 00 01")
    host.wait(0.2)
    told = host.send(*MUJINA_CHIPS)
    assert told.hex() == "aa55137000000000000010"
    host.send(frames.write_all(frames.Register.PLL0, 0x40A80230).hex())
    return host


@pytest.mark.parametrize("dialect", [Dialect.V0, Dialect.V1])
def test_mujina_starts_checks_the_chip_and_mines(dialect: Dialect) -> None:
    host = mujina(dialect)

    def register(number: int) -> int:
        reader = frames.ReplyReader(11)
        (frame,) = reader.feed(host.send(frames.read_all(number).hex()))
        reply = frames.read_reply(frame)
        assert isinstance(reply, frames.RegisterReply)
        return reply.value

    assert register(frames.Register.PLL0) == 0xC0A80230  # locked
    assert register(frames.Register.TICKET_MASK) == 0x000000FF
    assert register(frames.Register.MISC_CONTROL) == 0xF000C100
    reader, found = frames.ReplyReader(11), list[bytes]()
    ntimes = range(1_700_000_000, 1_700_000_030)
    for ntime in ntimes:  # which it rolls
        found += reader.feed(host.send(job(ntime * 8 % 128, work(ntime), 0x36)))
        host.wait(0.99)
        found += reader.feed(host.raw.data_to_host())
        if ntime % 2:
            assert 20 < host.ask("05 40 4C 01 01")[0] < 80
    assert len(found) > 10
    assert good(found, ntimes) >= 0.9 * len(found)
    assert host.raw.chain.bad_frames == 0


def test_an_error_of_the_oldest_firmware_makes_mujina_lose_count() -> None:
    host = mujina(Dialect.V0)
    with pytest.raises(TimeoutError):
        host.ask("05 30 4F 01")

    for _ in range(3):  # it takes three bytes of each answer for the one before
        with pytest.raises((TimeoutError, ValueError)):
            host.ask("06 00")


def test_the_newer_firmware_tells_where_an_error_ends() -> None:
    host = mujina(Dialect.V1)

    assert host.ask("05 30 4F 01") == b"I2C Read Error"
    assert host.ask("06 00") == b"\x01"


PIAXE_CHIPS = (
    *["55AA510900A49000FFFF1C"] * 3,
    "55AA520500000A",
    "55AA510900A80007000003",
    "55AA51090018FF0FC10000",
    "55AA5305000003",
    "55AA400500001C",
    "55AA5109003C800085400C",
    "55AA5109003C8000802019",
    "55AA51090014000000FF08",
    "55AA51090054000000031D",
    "55AA510900580211111106",
    "55AA4109002C007C000303",
    "55AA410900A8000701F015",
    "55AA41090018F000C1000C",
    "55AA4109003C8000854004",
    "55AA4109003C8000802011",
    "55AA4109003C800082AA05",
)


def test_piaxe_miner_mines_on_a_bm1366() -> None:
    host = Host(RawBoard(board("207")))
    for request, answer in MUJINA_START:  # its power is another board's matter
        assert host.ask(request) == bytes.fromhex(answer), request
    host.ask("06 00 01")

    told = host.send(*PIAXE_CHIPS)
    assert told.hex() == "aa55136600000000000005"
    host.send("55AA5109000850C202401C", "55AA510900100000151C02")
    reader, found = frames.ReplyReader(11), list[bytes]()
    ntimes = range(1_700_000_000, 1_700_000_015)
    for number, ntime in enumerate(ntimes):
        found += reader.feed(host.send(job(number * 8 % 128, work(ntime), 0x56)))
        host.wait(1.99)
        found += reader.feed(host.raw.data_to_host())

    assert len(found) > 5
    assert good(found, ntimes) >= 0.9 * len(found)
    assert host.raw.chain.bad_frames == 0
