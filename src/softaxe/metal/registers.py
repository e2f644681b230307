"""The chips on a board's I2C bus, register by register, over the modelled metal.

What a register shows comes from the model's power, heat and fan, and what is written
acts on them: the parts know no firmware and no host. Source of addresses, formats and
reset values: the data sheets of TPS546D24A, EMC2101, EMC2103, EMC2302, TMP1075, INA260,
DS4432U and SSD1306, and PMBus 1.3, part II.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import floor, frexp, inf, ldexp
from typing import Protocol

from msgspec.structs import replace

from softaxe.board.regulator import Ds4432u, Status, Tps546
from softaxe.board.sensors import has_chip_sensor
from softaxe.catalog import Board, Regulator
from softaxe.device.body import ModelBody
from softaxe.device.faults import Instrument
from softaxe.units import NEVER

TPS546_ADDRESS = 0x24
INA260_ADDRESS, DS4432U_ADDRESS = 0x40, 0x48
FAN_ADDRESSES = {"EMC2101": 0x4C, "EMC2103": 0x2E, "EMC2302": 0x2F}
TMP1075_ADDRESSES = (0x4A, 0x4B)
SSD1306_ADDRESS = 0x3C
DIODE_S = 0.5
"""After a chip's reset is released its diode tells nothing yet. Source: mujina."""
IDLE = 0xFF
"""A byte that nobody drives."""


@dataclass(slots=True)
class Metal:
    """The model behind the registers, and since when its chips run."""

    body: ModelBody
    now: float = 0.0
    chips_run_since: float = NEVER
    """Powered and out of reset; `NEVER` while they are not."""

    @property
    def board(self) -> Board:
        """Whose metal it is."""
        return self.body.board

    def switch(self) -> None:
        """Let the chips have at once what was switched."""
        self.body.switch(self.now)
        self.note_power()

    def note_power(self) -> None:
        """Look whether the chips run."""
        if not self.body.chips.is_on:
            self.chips_run_since = NEVER
        elif self.chips_run_since == NEVER:
            self.chips_run_since = self.now

    def sensor_c(self, index: int) -> float | None:
        """What a sensor feels, from 0 and without offset; None where it tells nothing.

        A diode is in the chip, and tells nothing while that has no power (an estimate:
        it looks open), nor for a moment after.
        """
        instrument = (Instrument.CHIP, Instrument.CHIP2)[index]
        if instrument in self.body.absent:
            return None
        is_settled = self.now - self.chips_run_since >= DIODE_S
        if has_chip_sensor(self.board) and not is_settled:
            return None
        return self.body.temperatures_c[index] - self.board.temp_offset_c

    def pulse_rpm(self, index: int) -> float:
        """Speed of a fan, from 0, as its pulses tell; 0 without any."""
        rpms = self.body.fan.pulse_rpms
        is_counted = Instrument.FAN not in self.body.absent and index < len(rpms)
        return rpms[index] if is_counted else 0.0

    def set_duty(self, code: int, steps: int) -> None:
        """Turn the fans with `code` of `steps`."""
        self.body.fan.set_percent((code + 0.5) * 100 / steps)  # which is cut to steps

    @property
    def has_fan_chip(self) -> bool:
        """True while the fan controller answers."""
        return self.body.fan.answers


class Part(Protocol):
    """A chip on the bus."""

    pointer: int
    """The register that was named last."""

    @property
    def answers(self) -> bool:
        """False when nobody acknowledges the address."""

    def write(self, data: bytes) -> None:
        """Take a register's number and what goes into it; nothing is nothing."""

    def read(self, count: int) -> bytes:
        """Return so many bytes, from the register that was named."""


def parts_of(metal: Metal) -> dict[int, Part]:
    """Make the parts of a board, by address, as they are after power-on."""
    board, parts = metal.board, dict[int, Part]()
    regulator = metal.body.regulator
    if isinstance(regulator, Tps546):
        parts[TPS546_ADDRESS] = Tps546Registers(metal, regulator)
    elif isinstance(regulator, Ds4432u):
        parts[DS4432U_ADDRESS] = _ds4432u(metal, regulator)
        parts[INA260_ADDRESS] = _ina260(metal)
    fan_chip = {"EMC2101": _emc2101, "EMC2103": _emc2103, "EMC2302": _emc2302}
    parts[FAN_ADDRESSES[board.fan_controller]] = fan_chip[board.fan_controller](metal)
    if board.temp_sensor == "TMP1075":
        for index, address in enumerate(TMP1075_ADDRESSES[: board.sensor_count]):
            parts[address] = _tmp1075(metal, index)
    parts[SSD1306_ADDRESS] = Ssd1306()
    return parts


class Registers:
    """Registers of one byte each.

    Args:
        held: What is in them after power-on.
        live: What is measured, by register; these cannot be written.
        latches: Reading the first keeps the second as it is until that is read.
        written: Told of each write to a held register, of its number.
        counts_on: The next byte is the next register; otherwise there is only one.
        answers: Asked at each transfer.
    """

    def __init__(
        self,
        held: Mapping[int, int],
        live: Mapping[int, Callable[[], int]],
        *,
        latches: Mapping[int, int] | None = None,
        written: Callable[[int], None] = lambda register: None,
        counts_on: bool = False,
        answers: Callable[[], bool] = lambda: True,
    ) -> None:
        self.held = dict(held)
        self.pointer = 0
        self._live = live
        self._latches = latches or {}
        self._latched: dict[int, int] = {}
        self._written = written
        self._counts_on = counts_on
        self._answers = answers

    @property
    def answers(self) -> bool:
        """False when nobody acknowledges the address."""
        return self._answers()

    def write(self, data: bytes) -> None:
        """Take a register's number and what goes into it."""
        if not data:
            return
        self.pointer = data[0]
        for value in data[1:] if self._counts_on else data[1:2]:
            if self.pointer in self.held:
                self.held[self.pointer] = value
                self._written(self.pointer)
            self._go_on()

    def read(self, count: int) -> bytes:
        """Return so many bytes, from the register that was named."""
        data = bytearray()
        for _ in range(count if self._counts_on else min(count, 1)):
            data.append(self._read())
            self._go_on()
        return bytes(data).ljust(count, bytes((IDLE,)))

    def _go_on(self) -> None:
        if self._counts_on:
            self.pointer = self.pointer + 1 & 0xFF

    def _read(self) -> int:
        register = self.pointer
        if register in self._latched:
            return self._latched.pop(register)
        if other := self._latches.get(register):
            self._latched[other] = self._live[other]()
        if measure := self._live.get(register):
            return measure()
        return self.held.get(register, 0)


class WordRegisters:
    """Registers of two bytes each, the high one first.

    Args:
        held: What is in them after power-on.
        live: What is measured, by register.
        answers: Asked at each transfer.
    """

    def __init__(
        self,
        held: Mapping[int, int],
        live: Mapping[int, Callable[[], int]],
        *,
        answers: Callable[[], bool],
    ) -> None:
        self.held = dict(held)
        self.pointer = 0
        self._live = live
        self._answers = answers

    @property
    def answers(self) -> bool:
        """False when nobody acknowledges the address."""
        return self._answers()

    def write(self, data: bytes) -> None:
        """Take a register's number and two bytes for it."""
        if data:
            self.pointer = data[0]
        if len(data) == 3 and self.pointer in self.held:
            self.held[self.pointer] = int.from_bytes(data[1:])

    def read(self, count: int) -> bytes:
        """Return so many bytes, from the register that was named."""
        measure = self._live.get(self.pointer)
        value = measure() if measure else self.held.get(self.pointer, 0)
        return (value & 0xFFFF).to_bytes(2)[:count].ljust(count, bytes((IDLE,)))


# Fans and heat

EMC2101_CONFIG, EMC2101_FAN_CONFIG, EMC2101_DUTY = 0x03, 0x4A, 0x4C
EMC2101_TACH_ON, EMC2101_BY_HAND = 0x04, 0x20
"""Bits of the first two: the pin counts pulses; the duty register turns the fan."""
EMC2101_RESET = {
    EMC2101_CONFIG: 0x00,
    0x04: 0x08,
    0x05: 0x46,
    0x07: 0x46,
    0x08: 0x00,
    0x0C: 0x00,
    0x11: 0x00,
    0x12: 0x00,
    0x13: 0x00,
    0x14: 0x00,
    0x16: 0xA4,
    0x17: 0x12,
    0x18: 0x08,
    0x19: 0x55,
    0x1A: 0x0A,
    0x48: 0xFF,
    0x49: 0xFF,
    EMC2101_FAN_CONFIG: EMC2101_BY_HAND,
    0x4B: 0x3F,
    EMC2101_DUTY: 0x00,
    0x4D: 0x17,
    0x4E: 0x01,
    0x4F: 0x04,
    0xBF: 0x00,
}
EMC2101_STEPS = 63
OPEN_DIODE, SHORTED_DIODE = 0x3F8, 0x3FF
"""In eighths of a kelvin."""
TACH_PER_MINUTE = 5_400_000
"""Counts of the EMC2101's clock."""
EMC230X_TACH = 3_932_160
"""Of the clock of EMC2103 and EMC2302, with multiplier 1 and two poles."""
EMC230X_RESET = {
    0x20: 0x40,
    0x21: 0x00,
    0x2A: 0x00,
    0x2B: 0x00,
    0x2C: 0x00,
    0x2D: 0x00,
}
EMC230X_FAN_RESET = {0: 0x00, 1: 0x01, 2: 0x2B, 3: 0x28}
"""Duty, divider, configuration and its second half, from a fan's first register on."""
ID, MAKER, REVISION = 0xFD, 0xFE, 0xFF
SMSC = 0x5D
MOST_COUNT = 0x1FFF


def _eighths(celsius: float | None) -> int:
    """A temperature in 11 bits."""
    if celsius is None:
        return OPEN_DIODE
    return max(-0x200, min(floor(celsius * 8), SHORTED_DIODE)) & 0x7FF


def _emc2101(metal: Metal) -> Registers:
    is_internal = metal.board.temp_sensor == "EMC2101 internal"

    def external() -> int:
        return _eighths(None if is_internal else metal.sensor_c(0))

    def internal() -> int:
        celsius = metal.sensor_c(0) if is_internal else metal.body.thermal.board_c[0]
        return 0x7F if celsius is None else floor(celsius) & 0xFF

    def count() -> int:
        rpm = metal.pulse_rpm(0)
        if not part.held[EMC2101_CONFIG] & EMC2101_TACH_ON or not rpm:
            return 0xFFFF
        return min(0xFFFF, int(TACH_PER_MINUTE / rpm))

    def written(register: int) -> None:
        is_by_hand = part.held[EMC2101_FAN_CONFIG] & EMC2101_BY_HAND
        if register != EMC2101_DUTY:
            return
        if is_by_hand:
            duty = part.held[EMC2101_DUTY] = part.held[EMC2101_DUTY] & EMC2101_STEPS
            metal.set_duty(duty, EMC2101_STEPS)

    part = Registers(
        EMC2101_RESET,
        {
            0x00: internal,
            0x01: lambda: external() >> 3,
            0x02: lambda: 0x04 * (external() == OPEN_DIODE),
            0x10: lambda: external() << 5 & 0xFF,
            0x46: lambda: count() & 0xFF,
            0x47: lambda: count() >> 8,
            ID: lambda: 0x16,
            MAKER: lambda: SMSC,
            REVISION: lambda: 0x01,
        },
        latches={0x01: 0x10, 0x46: 0x47},
        written=written,
        answers=lambda: metal.has_fan_chip,
    )
    return part


def _count13(rpm: float, config: int) -> int:
    """Return a count as two bytes hold it, the three lowest bits free."""
    multiplier = 1 << (config >> 5 & 3)
    count = int(EMC230X_TACH * multiplier / rpm) if rpm else MOST_COUNT
    return min(count, MOST_COUNT) << 3


def _emc2103(metal: Metal) -> Registers:
    def tach() -> int:
        return _count13(metal.pulse_rpm(0), part.held[0x42])

    def diode(index: int) -> int:
        celsius = metal.sensor_c(index)
        # A diode's fault is a half word that no temperature has.
        return 0x8000 if celsius is None else _eighths(celsius) << 5

    def written(register: int) -> None:
        if register == 0x40:
            metal.set_duty(part.held[0x40], 255)

    part = Registers(
        EMC230X_RESET
        | {0x40 + place: value for place, value in EMC230X_FAN_RESET.items()}
        | {0x11: 0x12, 0x12: 0x12, 0x14: 0x10, 0x15: 0x10},
        {
            0x00: lambda: floor(metal.body.thermal.board_c[0]) & 0xFF,
            0x01: lambda: 0,
            0x02: lambda: diode(0) >> 8,
            0x03: lambda: diode(0) & 0xFF,
            0x04: lambda: diode(1) >> 8,
            0x05: lambda: diode(1) & 0xFF,
            0x4E: lambda: tach() >> 8,
            0x4F: lambda: tach() & 0xFF,
            ID: lambda: 0x26,
            MAKER: lambda: SMSC,
            REVISION: lambda: 0x01,
        },
        latches={0x02: 0x03, 0x04: 0x05, 0x4E: 0x4F},
        written=written,
        counts_on=True,
        answers=lambda: metal.has_fan_chip,
    )
    return part


def _emc2302(metal: Metal) -> Registers:
    fans = (0x30, 0x40)

    def tach(index: int) -> int:
        return _count13(metal.pulse_rpm(index), part.held[fans[index] + 2])

    def written(register: int) -> None:
        if register in fans:  # the model turns both alike
            metal.set_duty(sum(part.held[fan] for fan in fans) // 2, 255)

    part = Registers(
        EMC230X_RESET
        | {
            fan + place: value
            for fan in fans
            for place, value in EMC230X_FAN_RESET.items()
        },
        {
            0x3E: lambda: tach(0) >> 8,
            0x3F: lambda: tach(0) & 0xFF,
            0x4E: lambda: tach(1) >> 8,
            0x4F: lambda: tach(1) & 0xFF,
            ID: lambda: 0x36,
            MAKER: lambda: SMSC,
            REVISION: lambda: 0x80,
        },
        latches={0x3E: 0x3F, 0x4E: 0x4F},
        written=written,
        counts_on=True,
        answers=lambda: metal.has_fan_chip,
    )
    return part


def _tmp1075(metal: Metal, index: int) -> WordRegisters:
    def temperature() -> int:
        celsius = metal.sensor_c(index)
        return 0 if celsius is None else floor(celsius * 16) << 4

    return WordRegisters(
        {0x01: 0x00FF, 0x02: 0x4B00, 0x03: 0x5000, 0x0F: 0x7500},
        {0x00: temperature},
        answers=lambda: metal.sensor_c(index) is not None,
    )


# Power


def _ina260(metal: Metal) -> WordRegisters:
    def measured(name: str, step: float) -> Callable[[], int]:
        return lambda: round(getattr(metal.body.power_reading, name) / step)

    return WordRegisters(
        {0x00: 0x6127, 0x06: 0x0000, 0x07: 0x0000, 0xFE: 0x5449, 0xFF: 0x2270},
        {
            0x01: measured("current_a", 0.00125),
            0x02: measured("input_voltage_v", 0.00125),
            0x03: measured("power_w", 0.01),
        },
        answers=lambda: Instrument.POWER not in metal.body.absent,
    )


def _ds4432u(metal: Metal, regulator: Ds4432u) -> Registers:
    def written(register: int) -> None:
        if register == 0xF8:  # its second output is not connected
            regulator.set_code(part.held[register])
            metal.switch()

    part = Registers({0xF8: 0x00, 0xF9: 0x00}, {}, written=written)
    return part


def linear11_value(word: int) -> float:
    """Read a number of PMBus: exponent of 5 bits, mantissa of 11, both signed."""
    exponent, mantissa = word >> 11, word & 0x7FF
    exponent -= exponent >> 4 << 5
    mantissa -= mantissa >> 10 << 11
    return ldexp(mantissa, exponent)


def linear11_word(value: float) -> int:
    """Write a number so, with the least exponent whose mantissa holds it."""
    exponent = max(-16, frexp(value)[1] - 10)
    mantissa = round(ldexp(value, -exponent))
    if abs(mantissa) > 0x3FF:
        exponent, mantissa = exponent + 1, mantissa // 2
    return (exponent & 0x1F) << 11 | mantissa & 0x7FF


OPERATION, ON_OFF_CONFIG, CLEAR_FAULTS, STORE_USER_ALL = 0x01, 0x02, 0x03, 0x15
VOUT_MODE, VOUT_COMMAND, VOUT_MAX, VOUT_MIN = 0x20, 0x21, 0x24, 0x2B
VOUT_SCALE_LOOP = 0x29
STATUS_BYTE, STATUS_WORD, STATUS_CML = 0x78, 0x79, 0x7E
REFERENCE_V = 0.75
"""The most that its converter gives; the output is that over VOUT_SCALE_LOOP."""
ALWAYS, BY_OPERATION, BY_PIN = 0x10, 0x08, 0x04
"""Bits of ON_OFF_CONFIG, of which the first is inverted. The pin is high on a board."""
IS_ON = 0x80
RELATIVE = 0x80
IN_VOUT_MODE = (VOUT_COMMAND, VOUT_MAX, VOUT_MIN, 0x25, 0x26, 0x40, 0x42, 0x43, 0x44)
OT_RESPONSE, OC_RESPONSE, OV_RESPONSE = 0x50, 0x47, 0x56
INVALID_COMMAND, INVALID_DATA = 0x80, 0x40
CML, VOUT_LIMITED = 0x0002, 0x08
TPS546_ID = bytes.fromhex("544954 6D2441")


def _word(value: float, exponent: int) -> bytes:
    mantissa = round(ldexp(value, -exponent)) & 0x7FF
    return ((exponent & 0x1F) << 11 | mantissa).to_bytes(2, "little")


def _volts(value: float) -> bytes:
    return round(ldexp(value, 9)).to_bytes(2, "little")


TPS546_RESET: Mapping[int, bytes] = {
    OPERATION: b"\x00",
    ON_OFF_CONFIG: b"\x17",
    0x04: b"\xff",
    0x10: b"\x00",
    VOUT_MODE: b"\x97",
    VOUT_COMMAND: _volts(0.8),
    VOUT_MAX: _volts(1.5),
    0x25: _volts(1.05),
    0x26: _volts(0.95),
    VOUT_SCALE_LOOP: _word(0.5, -3),
    VOUT_MIN: _volts(0.5),
    0x33: _word(550, 0),
    0x35: _word(2.75, -2),
    0x36: _word(2.5, -2),
    0x40: _volts(1.16),
    0x42: _volts(1.12),
    0x43: _volts(0.88),
    0x44: _volts(0.84),
    0x46: _word(52, -2),
    OC_RESPONSE: b"\xff",
    0x4A: _word(40, -2),
    0x4F: _word(150, 0),
    OT_RESPONSE: b"\xff",
    0x51: _word(125, 0),
    0x55: _word(21, 0),
    OV_RESPONSE: b"\x80",
    0x58: _word(2.5, -2),
    0x60: _word(0, -1),
    0x61: _word(3, -2),
    0x62: _word(0, -1),
    0x63: b"\x80",
    0x64: _word(0, -1),
    0x65: _word(0.5, -2),
    0xB1: b"\x22\x18\xc2\x1d\x06",
    0xE4: b"\xf0",
    0xEC: b"\x00\x00",
    0xEE: b"\x1f\xff",
}
"""What may be written, and what is there after power-on: of limits the data sheet's, of
responses and times estimates. A board's resistors may have it otherwise, which nobody
has told: here it gives 0.8 V by itself until it is ordered otherwise."""
BLOCKS = frozenset({0xB1})
"""Of which the first byte is how many follow."""


class Tps546Registers:
    """A TPS546D24A: what is written here is what the modelled one protects by.

    It drives the output as VOUT_COMMAND, its two limits, the scale of its loop,
    OPERATION and ON_OFF_CONFIG have it. Limits of input, current and heat act when
    written; a response without its top bit switches that protection off. After too much
    heat it starts again 20 K cooler, or, with no retry in bits 5 to 3, when ordered off
    and on; after an overcurrent it always waits for that. Margins, ramps and alerts are
    not modelled. STORE_USER_ALL ruins it, as it may in life: it answers no more, and is
    off.

    Args:
        metal: Its board.
        regulator: The model of it.
    """

    def __init__(self, metal: Metal, regulator: Tps546) -> None:
        self.pointer = 0
        self.is_ruined = False
        self._metal = metal
        self._regulator = regulator
        self._held = dict(TPS546_RESET)
        self._cml = 0
        self._is_limited = False
        """The target was outside VOUT_MIN and VOUT_MAX."""
        self._is_latched = False
        """Off after heat until ordered off and on."""
        self._arm()
        self._drive()

    @property
    def answers(self) -> bool:
        """False when nobody acknowledges the address."""
        return not self.is_ruined and Instrument.POWER not in self._metal.body.absent

    def step(self) -> None:
        """Look at what the model has become."""
        if self._is_ordered_on and self._is_over_heat and self._must_wait:
            self._is_latched = True
            self._drive()
        power = self._metal.body.power
        if (power.core_voltage_setting_v > 0) is not (power.core_voltage_v > 0):
            self._metal.switch()  # the model's output follows a second later

    # What is written

    def write(self, data: bytes) -> None:
        """Take a command and what belongs to it, low byte first."""
        if not data:
            return
        command, value = data[0], data[1:]
        self.pointer = command
        if not value and command not in (CLEAR_FAULTS, STORE_USER_ALL):
            return  # a read follows
        if command == CLEAR_FAULTS:
            self._clear()
        elif command == STORE_USER_ALL:
            self.is_ruined = True
            self._drive()
        elif command in self._held:
            self._set(command, value)
        else:
            self._cml |= INVALID_COMMAND

    def _set(self, command: int, value: bytes) -> None:
        if command in BLOCKS:
            count, value = value[0], value[1:]
            is_whole = count == len(value)
        else:
            is_whole = len(value) == len(self._held[command])
        is_fixed = command in (VOUT_MODE, VOUT_SCALE_LOOP) and self._is_ordered_on
        if not is_whole or is_fixed:
            self._cml |= INVALID_DATA
            return
        if command == VOUT_MODE and not self._set_mode(value[0]):
            self._cml |= INVALID_DATA
            return
        self._held[command] = value
        self._arm()
        self._drive()

    def _set_mode(self, mode: int) -> bool:
        """Say voltages by another exponent; return whether there is such a mode."""
        if mode & 0x60 or not -12 <= _signed5(mode) <= -4:
            return False
        shift = self._vout_exponent - _signed5(mode)
        for command in IN_VOUT_MODE:
            value = round(ldexp(self._number(command), shift))
            self._held[command] = min(value, 0xFFFF).to_bytes(2, "little")
        return True

    def _clear(self) -> None:
        self._regulator.clear_status()
        self._cml = 0
        self._is_limited = False

    def _arm(self) -> None:
        """Give the model its limits."""
        regulator, linear11 = self._regulator, self._linear11
        limits = Regulator(
            "TPS546",
            vout_min_v=0.0,
            vout_max_v=inf,  # which are seen to here
            vin_on_v=linear11(0x35),
            vin_off_v=linear11(0x36),
            vin_ov_fault_v=self._unless_ignored(OV_RESPONSE, linear11(0x55)),
            iout_oc_warn_a=linear11(0x4A),
            iout_oc_fault_a=self._unless_ignored(OC_RESPONSE, linear11(0x46)),
            ot_warn_c=linear11(0x51),
            ot_fault_c=self._unless_ignored(OT_RESPONSE, linear11(0x4F)),
        )
        regulator.board = replace(regulator.board, regulator=limits)

    def _unless_ignored(self, response: int, limit: float) -> float:
        return limit if self._number(response) & 0x80 else inf

    def _drive(self) -> None:
        """Have the output as it is ordered."""
        if not self._is_ordered_on:
            self._is_latched = False
        volts = 0.0
        if self._is_ordered_on and not self._is_latched:
            volts = self._target_v()
        self._regulator.set_core_voltage(volts / self._metal.board.voltage_domains)
        self._metal.switch()

    @property
    def _is_ordered_on(self) -> bool:
        config = self._number(ON_OFF_CONFIG)
        if self.is_ruined:
            return False
        if not config & ALWAYS:
            return True
        if not config & (BY_OPERATION | BY_PIN):
            return False
        return not config & BY_OPERATION or bool(self._number(OPERATION) & IS_ON)

    def _target_v(self) -> float:
        ordered_v = self._vout(VOUT_COMMAND)
        volts = max(ordered_v, self._vout(VOUT_MIN))
        volts = min(volts, self._vout(VOUT_MAX))
        self._is_limited |= volts != ordered_v
        scale = self._linear11(VOUT_SCALE_LOOP)
        return min(volts, REFERENCE_V / scale) if scale > 0 else 0.0

    @property
    def _is_over_heat(self) -> bool:
        vr_c = self._metal.body.thermal.vr_c
        return vr_c >= self._regulator.board.regulator.ot_fault_c

    @property
    def _must_wait(self) -> bool:
        return not self._number(OT_RESPONSE) & 0x38

    # What is read

    def read(self, count: int) -> bytes:
        """Return what the command tells, low byte first."""
        value = self._told(self.pointer)
        return value[:count].ljust(count, bytes((IDLE,)))

    def _told(self, command: int) -> bytes:
        if (held := self._held.get(command)) is not None:
            return bytes((len(held),)) + held if command in BLOCKS else held
        reading = self._metal.body.power_reading
        output_v = reading.core_voltage_v * self._metal.board.voltage_domains
        status = self._status()
        words = {
            STATUS_WORD: status,
            0x88: linear11_word(reading.input_voltage_v),
            0x8B: round(ldexp(output_v, -self._vout_exponent)),
            0x8C: linear11_word(reading.current_a),
            0x8D: linear11_word(reading.vr_temp_c),
        }
        if command in words:
            return words[command].to_bytes(2, "little")
        details = {
            0x19: 0xD0,
            STATUS_BYTE: status & 0xFF,
            0x7A: VOUT_LIMITED * self._is_limited,
            0x7B: 0xA0 * bool(status & Status.IOUT_OC)
            or 0x20 * bool(status & Status.IOUT),
            0x7C: 0x18 * bool(status & Status.VIN_UV)
            or 0x80 * bool(status & Status.INPUT),
            0x7D: bool(status & Status.TEMPERATURE) * (0x40 | 0x80 * self._was_hot),
            STATUS_CML: self._cml,
            0x80: 0x00,
            0x98: 0x33,
        }
        if command in details:
            return bytes((details[command],))
        if command == 0xAD:
            return bytes((len(TPS546_ID),)) + TPS546_ID
        self._cml |= INVALID_COMMAND
        return b""

    def _status(self) -> int:
        status = int(self._regulator.status)
        if self._is_limited:
            status |= Status.VOUT
        if self._cml:
            status |= CML
        return status

    @property
    def _was_hot(self) -> bool:
        return self._is_over_heat or self._is_latched

    def _number(self, command: int) -> int:
        return int.from_bytes(self._held[command], "little")

    def _linear11(self, command: int) -> float:
        return linear11_value(self._number(command))

    @property
    def _vout_exponent(self) -> int:
        return _signed5(self._number(VOUT_MODE))

    def _vout(self, command: int) -> float:
        return ldexp(self._number(command), self._vout_exponent)


def _signed5(value: int) -> int:
    value &= 0x1F
    return value - (value >> 4 << 5)


# Display

COLUMNS, PAGES = 128, 4
COMMANDS, DATA = 0x00, 0x40
"""What the control byte says of what follows."""
ARGUMENTS = {
    0x20: 1,
    0x21: 2,
    0x22: 2,
    0x26: 6,
    0x27: 6,
    0x29: 5,
    0x2A: 5,
    0x81: 1,
    0x8D: 1,
    0xA3: 2,
    0xA8: 1,
    0xD3: 1,
    0xD5: 1,
    0xD9: 1,
    0xDA: 1,
    0xDB: 1,
}
"""Bytes that belong to a command."""


class Ssd1306:
    """A display of 128 x 32: keeps the picture, eight rows of a column in a byte."""

    def __init__(self) -> None:
        self.picture = bytearray(COLUMNS * PAGES)
        """By page and column; the lowest bit is the uppermost row."""
        self.is_on = False
        self.is_inverted = False
        self.pointer = 0
        self._command: list[int] = []
        self._mode = 2
        """Of addressing: 0 goes on to the next page, 2 stays on one."""
        self._columns, self._pages = (0, COLUMNS - 1), (0, PAGES - 1)
        self._column = self._page = 0

    @property
    def answers(self) -> bool:
        """True: its faults are a matter of the wire."""
        return True

    def write(self, data: bytes) -> None:
        """Take a control byte, and commands or picture."""
        if not data:
            return
        self.pointer = data[0]
        for value in data[1:]:
            if self.pointer == DATA:
                self._draw(value)
            elif self.pointer == COMMANDS:
                self._obey(value)

    def read(self, count: int) -> bytes:
        """Return the status: bit 6 while it is off."""
        return bytes((0x40 * (not self.is_on),)).ljust(count, bytes((IDLE,)))

    def _draw(self, value: int) -> None:
        self.picture[self._page * COLUMNS + self._column] = value
        last = self._columns[1] if self._mode != 2 else COLUMNS - 1
        if self._column < last:
            self._column += 1
            return
        self._column = self._columns[0] if self._mode != 2 else 0
        if self._mode == 0:
            is_last = self._page >= self._pages[1]
            self._page = self._pages[0] if is_last else self._page + 1

    def _obey(self, value: int) -> None:
        self._command.append(value)
        code, *arguments = self._command
        if len(arguments) < ARGUMENTS.get(code, 0):
            return
        self._command = []
        match code:
            case 0x20:
                self._mode = arguments[0] & 3
            case 0x21:
                first, last = (value & 0x7F for value in arguments)
                self._columns, self._column = (first, last), first
            case 0x22:
                first, last = (value % PAGES for value in arguments)
                self._pages, self._page = (first, last), first
            case 0xA6 | 0xA7:
                self.is_inverted = code == 0xA7
            case 0xAE | 0xAF:
                self.is_on = code == 0xAF
            case _ if code >> 4 == 0x0:
                self._column = self._column & 0x70 | code & 0x0F
            case _ if code >> 4 == 0x1:
                self._column = self._column & 0x0F | (code & 0x07) << 4
            case _ if code >> 3 == 0xB0 >> 3:
                self._page = code & 0x07 & PAGES - 1
