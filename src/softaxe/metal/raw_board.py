"""A board with bitaxe-raw, emulated: bytes of two USB ports over the modelled metal.

The control port carries requests for I2C, GPIO and ADC, one at a time, with three
formats of answers; the data port the bytes of the chips. What a request does it does to
the same power, heat, fan and chips that a device has. Nobody watches the host: when it
dies the board goes on as it was last told. Also emulated is how the firmware itself
dies. Source: bitaxe-raw (main and bonanza) and RHAP-D, read in their code and in
mujina's, mostly not tried on hardware.
"""

import random
from collections import deque
from collections.abc import Mapping
from enum import IntEnum

from msgspec import Struct, field

from softaxe.asic.chip import SCALED, Search, WorkMode
from softaxe.board.ambient import Ambient
from softaxe.catalog import Board
from softaxe.catalog.lottery import draw
from softaxe.device.body import BODY_PERIOD_S, ModelBody
from softaxe.device.faults import NO_FAULTS, DeviceFaults
from softaxe.metal.raw import Dialect
from softaxe.metal.registers import (
    TPS546_ADDRESS,
    Metal,
    Part,
    Tps546Registers,
    parts_of,
)
from softaxe.units import NEVER, Level

PACKET_BYTES = 64
"""Of USB at full speed."""
GAP_S = 0.004
"""Between two packets of a request; a longer one, and what came is dropped."""
TURN_S = 0.001
"""From a packet to its answer, besides the time on the bus: a frame of USB. An
estimate."""
BOOT_S = 1.0
"""From a reset until the ports are there again; an estimate."""
HEAD_BYTES = 6
MOST_REQUEST_BYTES = 1024
"""An estimate."""
I2C_HZ = 100_000
BITS_PER_BYTE = 9
"""On the I2C bus, with the acknowledgement."""
BAUD = 115_200
BAUD_TOLERANCE = 0.03
ADC_FULL_V, ADC_STEPS = 3.1, 4095
"""Of the ESP32-S3's converter at 11 dB. Source: its data sheet."""
MOST_PACKETS = 64
"""That wait to be read; of USB itself the host would have to wait."""
MOST_AT_ONCE_BYTES = 64
"""From the chips; `Dialect.V0` dies of more."""
COUNTED_S = 5.0
"""Between two looks of a host at the hash counters, as ESP-Miner takes them."""


class Page(IntEnum):
    """What a request is about."""

    I2C = 0x05
    GPIO = 0x06
    """Its command is the pin."""
    ADC = 0x07
    LED = 0x08
    SYSTEM = 0x09
    """Known to `Dialect.V1`."""


SET_SPEED, WRITE, READ, WRITE_READ = 0x10, 0x20, 0x30, 0x40
READ_VDD, SET_COLOR = 0x50, 0x10
REBOOT, LOADER = (0x01, bytes.fromhex("deadbeef")), (0x02, bytes.fromhex("b00710ad"))
RESET_PINS = {Dialect.V0: {0}, Dialect.VB: {0, 2}, Dialect.V1: {0}}
"""The only ones of the bitaxe's that a host can reach, and their other name."""
INVALID, OVERFLOW, FAULT = 0x11, 0x12, 0x13
NOBODY = 0xFF
"""The id of an answer to what could not be read, and what begins a text."""
LEAST_DATA = {WRITE: 1, READ: 2, WRITE_READ: 2}
"""Bytes that an I2C request has besides its head."""
NAK_TEXTS = {
    WRITE: "I2C Write Error",
    READ: "I2C Read Error",
    WRITE_READ: "I2C WriteRead Error",
}


class WireFaults(Struct, frozen=True):
    """What is wrong between host and parts; shares are 0 to 1, drawn each time."""

    lost_requests: float = 0.0
    """Share of packets of the control port that never arrive."""
    lost_answers: float = 0.0
    garbled_answers: float = 0.0
    """Share with one wrong byte."""
    late_s: float = 0.0
    """By which each answer comes later."""
    lost_bytes: float = 0.0
    """Share of the data port's bytes, both ways."""
    extra_bytes: float = 0.0
    """Share of them that another one follows."""
    silent: frozenset[int] = frozenset()
    """I2C addresses that acknowledge nothing."""
    is_bus_dead: bool = False
    """An I2C request never ends, and nothing after it is heard until the bus is whole
    or the board is reset."""
    stuck: Mapping[tuple[int, int], bytes] = field(default_factory=dict)
    """What a register shows whatever it holds, by address and number."""


NO_WIRE_FAULTS = WireFaults()


class _UnreadableError(Exception):
    """A request makes no sense."""


class _NotAcknowledgedError(Exception):
    """No part says that it is there; the text is the firmware's."""


class RawBoard:
    """One board on USB, cold and just powered: chips in reset, fan still.

    Give it bytes and `now`, or call `step(now)` at `next_wake`; then take its bytes.

    In the usual mode every nonce is searched, but one stands for 2**32 hashes of a
    chip: rate, hash counters and ticket mask are a chip's, a Gamma at 525 MHz tells a
    nonce per second of ticket difficulty 256, and each is worth 2**-32 of its ticket
    when it is hashed again, as with 32 bits of ease. A host mines with it on a pool of
    such a difficulty; an hour of a Gamma takes a million hashes, seconds of a CPU. With
    `WorkMode("real", 1, 2.0**-ease_bits)` every hash is one, and somebody has to search
    by `take_search` and `finish_search`.

    Args:
        board: The row of it.
        seed: Of all chance.
        dialect: Of its firmware, which has its own ways to die too.
        mode: What a searched hash stands for.
        ambient_c: The air.
        now: Seconds, of the clock that goes on.
    """

    def __init__(
        self,
        board: Board,
        *,
        seed: int = 0,
        dialect: Dialect = Dialect.V1,
        mode: WorkMode = SCALED,
        ambient_c: float = 25.0,
        now: float = 0.0,
    ) -> None:
        specimen = draw(board, seed)
        self.board = specimen.board
        self.dialect = dialect
        self.now = now
        self.body = ModelBody.of(
            specimen,
            Ambient(ambient_c),
            now,
            _log_nothing,
            random.Random(f"chips {seed}"),
        )
        self.chain = self.body.chips
        self.chain.set_mode(mode, now)
        self._metal = Metal(self.body, now)
        self.parts: dict[int, Part] = parts_of(self._metal)
        """By I2C address."""
        self.color = (0, 0, 0)
        """Of the LED: red, green, blue."""
        self.baud = BAUD
        """Of the line to the chips, as the data port's settings have it."""
        self.is_panicked = False
        """The firmware stands still, until the reset button is pressed."""
        self.is_reset_low = True
        self.has_cable = True
        """The USB plug is in."""
        self._is_deaf = False
        """It does not hear the control port, though it runs."""
        self._is_loader = False
        self._booted_at = NEVER
        self._i2c_hz = I2C_HZ
        self._rng = random.Random(f"body {seed}")
        self._wire_rng = random.Random(f"wire {seed}")
        self._faults = NO_WIRE_FAULTS
        self._began = now
        self._body_steps = 0
        self._packets: deque[tuple[float, bytes]] = deque()
        """That wait to be read, each with when it came."""
        self._buffer = b""
        self._read_at = now
        self._free_at = now
        """The firmware is at something until then, and reads no packet."""
        self._answers: deque[tuple[float, bytes]] = deque()
        self._control: list[bytes] = []
        self._data: list[bytes] = []

    # The host's side

    def control_received(self, data: bytes, now: float) -> None:
        """The host wrote to the control port, in one call."""
        self.step(now)
        if not self._hears_control:
            return
        for start in range(0, len(data), PACKET_BYTES):
            is_lost = self._happens(self._faults.lost_requests)
            if not is_lost and len(self._packets) < MOST_PACKETS:
                self._packets.append((now, data[start : start + PACKET_BYTES]))
        self.step(now)

    def control_to_host(self) -> list[bytes]:
        """Return and forget what the control port sends, a packet each."""
        packets, self._control = self._control, []
        return packets

    def data_received(self, data: bytes, now: float) -> None:
        """The host wrote to the data port."""
        self.step(now)
        if self._runs and self.is_plugged and self._is_baud_right:
            self.chain.receive(self._on_wire(data), now)
            self._collect()

    def data_to_host(self) -> bytes:
        """Return and forget what the data port sends."""
        data = b"".join(self._data)
        self._data.clear()
        return data

    @property
    def next_wake(self) -> float:
        """When to call `step` next."""
        heard = self._packets[0][0] if self._packets else NEVER
        return min(
            max(heard, self._free_at),
            self._answers[0][0] if self._answers else NEVER,
            self._next_body,
            self.chain.next_wake,
            self._booted_at,
        )

    def step(self, now: float) -> None:
        """Let time pass, everything in its order."""
        while (due := self.next_wake) <= now:
            self._at(due)
            if self._booted_at <= due:
                self._booted_at = NEVER
            if self._next_body <= due:
                self._body_steps += 1
                self._step_body()
            if self.chain.next_wake <= due:
                self.chain.step(due)
                self._collect()
            if self._packets and max(self._packets[0][0], self._free_at) <= due:
                self._read_packet()
            while self._answers and self._answers[0][0] <= due:
                self._control.append(self._answers.popleft()[1])
        self._at(now)

    # Real work

    def take_search(self, max_nonces: int) -> Search | None:
        """Return nonces to search, in the mode of real work."""
        return self.chain.take_search(max_nonces)

    def finish_search(self, search: Search, found: list[int], now: float) -> None:
        """Tell what a search found."""
        self.step(now)
        self.chain.finish_search(search, found, now)
        self._collect()

    # What happens to it

    def set_faults(
        self, faults: DeviceFaults = NO_FAULTS, wire: WireFaults = NO_WIRE_FAULTS
    ) -> None:
        """Break what both say of heat, fan, power, sensors and wire.

        What they leave out is whole again.
        """
        self.body.set_faults(faults, self.now, counted_s=COUNTED_S)
        if self._faults.is_bus_dead and not wire.is_bus_dead:
            self._free_at = self.now
        self._faults = wire

    def unplug(self, now: float) -> None:
        """Pull the USB plug; the board has its power from another."""
        self.step(now)
        self.has_cable = False
        self._forget_bytes()
        if self.dialect is Dialect.V0:
            self._is_deaf = True

    def plug(self, now: float) -> None:
        """Put the USB plug in again."""
        self.step(now)
        self.has_cable = True

    def press_reset(self, now: float) -> None:
        """Start the firmware anew, as its button does; power and fan stay as they are.

        The chips go into reset, and the ports away for `BOOT_S`.
        """
        self.step(now)
        self._forget_bytes()
        self.is_panicked = self._is_deaf = self._is_loader = False
        self._i2c_hz = I2C_HZ
        self._set_reset(is_low=True)
        self._booted_at = now + BOOT_S

    @property
    def is_plugged(self) -> bool:
        """True while the ports are there."""
        is_there = not self._is_loader and self._booted_at == NEVER
        return self.has_cable and is_there

    # Inside

    @property
    def _runs(self) -> bool:
        return not self.is_panicked and not self._is_loader and self._booted_at == NEVER

    @property
    def _hears_control(self) -> bool:
        return self._runs and self.is_plugged and not self._is_deaf

    @property
    def _is_baud_right(self) -> bool:
        baud = self.board.chip.max_baud if self.chain.is_fast else BAUD
        return abs(self.baud / baud - 1) < BAUD_TOLERANCE

    @property
    def _next_body(self) -> float:
        return self._began + (self._body_steps + 1) * BODY_PERIOD_S

    def _at(self, now: float) -> None:
        self.now = self._metal.now = now

    def _step_body(self) -> None:
        self.body.step(self.now, self._rng)
        if isinstance(regulator := self.parts.get(TPS546_ADDRESS), Tps546Registers):
            regulator.step()
        self._metal.note_power()
        self._collect()

    def _forget_bytes(self) -> None:
        self._packets.clear()
        self._answers.clear()
        self._control.clear()
        self._data.clear()
        self._buffer = b""
        self._free_at = self.now

    def _panic(self) -> None:
        self.is_panicked = True
        self._forget_bytes()

    def _set_reset(self, *, is_low: bool) -> None:
        self.is_reset_low = is_low
        self.chain.set_reset(is_low, self.now)
        self._metal.note_power()

    def _happens(self, share: float) -> bool:
        return bool(share) and self._wire_rng.random() < share

    def _on_wire(self, data: bytes) -> bytes:
        """Return what is left of bytes of the data port, with what came to them."""
        faults = self._faults
        if not faults.lost_bytes and not faults.extra_bytes:
            return data
        arrived = bytearray()
        for value in data:
            if not self._happens(faults.lost_bytes):
                arrived.append(value)
            if self._happens(faults.extra_bytes):
                arrived.append(self._wire_rng.randrange(256))
        return bytes(arrived)

    def _collect(self) -> None:
        """Hand what the chips say to USB."""
        data = self.chain.data_to_host()
        if not data or not self._runs or not self.is_plugged:
            return
        if not self._is_baud_right:
            return
        if self.dialect is Dialect.V0 and len(data) > MOST_AT_ONCE_BYTES:
            self._panic()
        else:
            self._data.append(self._on_wire(data))

    # Requests

    def _read_packet(self) -> None:
        _, packet = self._packets.popleft()
        if self._buffer and self.now - max(self._read_at, self._free_at) >= GAP_S:
            self._buffer = b""
        self._read_at = self.now
        self._buffer += packet
        if len(self._buffer) < 2:
            return
        size = int.from_bytes(self._buffer[:2], "little")
        if size < HEAD_BYTES:
            self._panic()
        elif size > MOST_REQUEST_BYTES:
            self._buffer = b""
            self._answer(self._refusal(NOBODY, OVERFLOW), took_s=0.0)
        elif len(self._buffer) >= size:
            request, self._buffer = self._buffer[:size], self._buffer[size:]
            self._take(request)

    def _take(self, request: bytes) -> None:
        """Do what a whole request asks, and answer."""
        number, bus, page, command = request[2:HEAD_BYTES]
        data = request[HEAD_BYTES:]
        if bus or page not in list(Page):
            self._answer(self._refusal(NOBODY, INVALID), took_s=0.0)
            return
        if page == Page.I2C and command != SET_SPEED and self._faults.is_bus_dead:
            self._free_at = NEVER
            return
        took_s = 0.0
        try:
            match page:
                case Page.I2C:
                    told, took_s = self._i2c(command, data)
                case Page.GPIO:
                    told = self._gpio(command, data)
                case Page.ADC:
                    told = self._adc(command)
                case Page.LED:
                    told = self._led(command, data)
                case _:
                    self._obey(command, data)
                    return
        except _UnreadableError:
            self._answer(self._refusal(NOBODY, INVALID), took_s)
        except _NotAcknowledgedError as error:
            self._answer(self._refusal(number, str(error)), took_s)
        else:
            self._answer(self._success(number, told), took_s)

    def _i2c(self, command: int, data: bytes) -> tuple[bytes, float]:
        """Return the answer, and how long the bus was taken."""
        if command == SET_SPEED:
            if len(data) != 4 or not (speed_hz := int.from_bytes(data, "little")):
                raise _UnreadableError
            self._i2c_hz = speed_hz
            return data, 0.0
        if len(data) < LEAST_DATA.get(command, MOST_REQUEST_BYTES):
            raise _UnreadableError
        address = data[0]
        part = self.parts.get(address)
        if part is None or not part.answers or address in self._faults.silent:
            raise _NotAcknowledgedError(NAK_TEXTS[command])
        count = 0
        if command == WRITE:
            part.write(data[1:])
            told = bytes((len(data) - 1 & 0xFF,))
        else:
            if command == WRITE_READ:
                part.write(data[1:-1])
            count = data[-1]
            told = self._shown(address, part, count)
        return told, (len(data) + count) * BITS_PER_BYTE / self._i2c_hz

    def _shown(self, address: int, part: Part, count: int) -> bytes:
        stuck = self._faults.stuck.get((address, part.pointer))
        told = part.read(count)
        return told if stuck is None else stuck[:count] + told[len(stuck) :]

    def _gpio(self, pin: int, data: bytes) -> bytes:
        if pin not in RESET_PINS[self.dialect] or data not in (b"", b"\0", b"\1"):
            raise _UnreadableError
        if data:
            self._set_reset(is_low=data == b"\0")
            self._collect()
        return bytes((not self.is_reset_low,))

    def _adc(self, command: int) -> bytes:
        if command != READ_VDD:
            raise _UnreadableError
        code = round(self.body.adc_v / ADC_FULL_V * ADC_STEPS)
        return min(code, ADC_STEPS).to_bytes(2, "little")

    def _led(self, command: int, data: bytes) -> bytes:
        if command != SET_COLOR or len(data) != 3:
            raise _UnreadableError
        self.color = (data[0], data[1], data[2])
        return data

    def _obey(self, command: int, data: bytes) -> None:
        """Start anew, or wait for another firmware; neither is answered."""
        order = (command, data)
        if self.dialect is not Dialect.V1 or order not in (REBOOT, LOADER):
            self._answer(self._refusal(NOBODY, INVALID), took_s=0.0)
            return
        self.press_reset(self.now)
        if order == LOADER:
            self._booted_at = NEVER
            self._is_loader = True

    # Answers

    def _success(self, number: int, data: bytes) -> bytes:
        match self.dialect:
            case Dialect.V0:
                return _framed(len(data), number, data)
            case Dialect.VB:
                return _framed(len(data) + 3, number, data)
            case Dialect.V1:
                return _framed(len(data) + 4, number, b"\0" + data)

    def _refusal(self, number: int, reason: int | str) -> bytes:
        if self.dialect is Dialect.VB:
            if reason == OVERFLOW:
                return _framed(7, number, b"\xffBuf")
            if isinstance(reason, str):
                reason = FAULT
        if isinstance(reason, str):
            return _framed(len(reason) + 4, number, b"\xff" + reason.encode())
        return _framed(4, number, bytes((reason,)))

    def _answer(self, packet: bytes, took_s: float) -> None:
        """Send it when it is ready; what does not fit in a packet gets lost."""
        faults = self._faults
        self._free_at = self.now + took_s
        if len(packet) > PACKET_BYTES or self._happens(faults.lost_answers):
            return
        if self._happens(faults.garbled_answers):
            place = self._wire_rng.randrange(len(packet))
            wrong = packet[place] ^ self._wire_rng.randrange(1, 256)
            packet = packet[:place] + bytes((wrong,)) + packet[place + 1 :]
        due = self._free_at + TURN_S + faults.late_s
        latest = self._answers[-1][0] if self._answers else due
        self._answers.append((max(due, latest), packet))


def _framed(length: int, number: int, rest: bytes) -> bytes:
    return length.to_bytes(2, "little") + bytes((number,)) + rest


def _log_nothing(level: Level, tag: str, text: str) -> None:
    """What the firmware of a device would log: there is none."""
