"""Fan controllers, sensors and meters on a board's I2C bus, as scripts.

Temperatures come with the offset that the firmware adds; None stands for a sensor that
says itself that it is broken. Source: data sheets, and ESP-Miner EMC2101.c, EMC2103.c,
EMC2302.c, TMP1075.c, INA260.c and DS4432U.c.
"""

from typing import Protocol

from msgspec import Struct

from softaxe.board.fan import STANDSTILL_RPM
from softaxe.board.regulator import (
    INA260_CURRENT_STEP_A,
    INA260_POWER_STEP_W,
    INA260_VOLTAGE_STEP_V,
    dac_code,
)
from softaxe.catalog import Board
from softaxe.metal.raw import (
    FailureKind,
    LineError,
    Script,
    i2c_write,
    i2c_write_read,
    signed,
)

EMC2101 = 0x4C
EMC2103 = 0x2E
EMC2302 = 0x2F
TMP1075 = (0x4A, 0x4B)
INA260 = 0x40
DS4432U = 0x48
"""Addresses."""

MICROCHIP = 0x5D
"""Of the EMCs, once SMSC's."""
PRODUCT, MANUFACTURER = 0xFD, 0xFE
PRODUCTS = {
    EMC2101: {0x16: "EMC2101", 0x28: "EMC2101-R"},
    EMC2103: {0x24: "EMC2103-1", 0x26: "EMC2103-2"},
    EMC2302: {0x36: "EMC2302"},
}
EMC2101_STEPS = 63
EMC2103_STEPS = EMC2302_STEPS = 255
EMC2101_CLOCK = 5_400_000
EMC230X_CLOCK = 3_932_160
"""RPM times the count of a turn, with multiplier 1."""
STANDSTILL = 0xFF
"""The high byte of a count that ran over, of EMC2103 and EMC2302."""
RANGE_500_RPM, RANGE_1000_RPM = 0x0B, 0x2B
"""Fan configurations of multiplier 1 and, as after power-on, 2."""
OPEN_DIODE, SHORTED_DIODE = 0x3F8, 0x3FF
"""Eighths of a degree that the EMC2101 shows instead of one."""
BROKEN_DIODE = 0x8000
"""Both bytes of the EMC2103."""
TMP1075_ID = bytes.fromhex("75 00")
INA260_ID = bytes.fromhex("22 70")

Temperatures = tuple[float | None, float | None]


class FanController(Protocol):
    """What turns the fans and counts their turns."""

    def identify(self) -> Script[str]:
        """Make sure that it is there; returns its name.

        Raises:
            LineError: It does not answer, or is another.
        """

    def configure(self) -> Script[None]:
        """Let it take duties and count turns."""

    def set_percent(self, percent: float) -> Script[None]:
        """Turn all fans with a duty, 0 to 100; it keeps it until told otherwise."""

    def read_rpms(self) -> Script[tuple[int, int]]:
        """Measure both fans; 0 for one that stands still, or is none."""


def fan_controller(board: Board) -> FanController:
    """Return the controller that a board has."""
    match board.fan_controller:
        case "EMC2101":
            return Emc2101(board)
        case "EMC2103":
            return Emc2103()
        case "EMC2302":
            return Emc2302()


class Emc2101:
    """One fan, and the EMC2101's temperatures."""

    def __init__(self, board: Board) -> None:
        self._ideality, self._beta = board.emc_ideality, board.emc_beta

    def identify(self) -> Script[str]:
        """See `FanController`."""
        return (yield from _identify_emc(EMC2101))

    def configure(self) -> Script[None]:
        """Count turns, take duties, and know the diode."""
        yield from _write(EMC2101, 0x03, 0x04)
        yield from _write(EMC2101, 0x4A, 0x23)
        if self._ideality is not None:
            yield from _write(EMC2101, 0x17, self._ideality)
        if self._beta is not None:
            yield from _write(EMC2101, 0x18, self._beta)

    def set_percent(self, percent: float) -> Script[None]:
        """See `FanController`."""
        yield from _write(EMC2101, 0x4C, _duty(percent, EMC2101_STEPS))

    def read_rpms(self) -> Script[tuple[int, int]]:
        """See `FanController`."""
        # The low byte is read first: it holds the high one until that is read.
        low = yield from _read(EMC2101, 0x46)
        count = (yield from _read(EMC2101, 0x47)) << 8 | low
        rpm = EMC2101_CLOCK // count if count else 0
        return (0 if rpm == STANDSTILL_RPM else rpm), 0


class Emc2103:
    """One fan, and two diodes."""

    def identify(self) -> Script[str]:
        """See `FanController`."""
        return (yield from _identify_emc(EMC2103))

    def configure(self) -> Script[None]:
        """Take duties, and count turns in the usual range."""
        yield from _write(EMC2103, 0x20, 0x00)
        yield from _write(EMC2103, 0x2A, 0x00)
        yield from _write(EMC2103, 0x42, RANGE_1000_RPM)

    def set_percent(self, percent: float) -> Script[None]:
        """See `FanController`."""
        yield from _write(EMC2103, 0x40, _duty(percent, EMC2103_STEPS))

    def read_rpms(self) -> Script[tuple[int, int]]:
        """See `FanController`."""
        return (yield from _read_tach(EMC2103, 0x4E, 2 * EMC230X_CLOCK)), 0


class Emc2302:
    """Two fans."""

    def identify(self) -> Script[str]:
        """See `FanController`."""
        return (yield from _identify_emc(EMC2302))

    def configure(self) -> Script[None]:
        """Take duties, and count turns from 500 a minute on."""
        for register in (0x32, 0x42):
            yield from _write(EMC2302, register, RANGE_500_RPM)

    def set_percent(self, percent: float) -> Script[None]:
        """See `FanController`."""
        for register in (0x30, 0x40):
            yield from _write(EMC2302, register, _duty(percent, EMC2302_STEPS))

    def read_rpms(self) -> Script[tuple[int, int]]:
        """See `FanController`."""
        first = yield from _read_tach(EMC2302, 0x3E, EMC230X_CLOCK)
        return first, (yield from _read_tach(EMC2302, 0x4E, EMC230X_CLOCK))


def identify_sensors(board: Board) -> Script[None]:
    """Make sure that the sensors are there that are no part of the fan controller.

    Raises:
        LineError: One does not answer, or is another.
    """
    if board.temp_sensor == "TMP1075":
        for address in TMP1075:
            yield from _identify_word(address, 0x0F, TMP1075_ID, "TMP1075")


def read_temperatures(board: Board) -> Script[Temperatures]:
    """Read a board's sensors; the second is None where there is none, too."""
    second_c = None
    match board.temp_sensor:
        case "EMC2101 internal":
            first_c: float | None = signed((yield from _read(EMC2101, 0x00)), 8)
        case "EMC2101 diode":
            first_c = yield from _read_emc2101_diode()
        case "EMC2103 diode":
            first_c = yield from _read_emc2103_diode(0x02)
            second_c = yield from _read_emc2103_diode(0x04)
        case "TMP1075":
            first_c = yield from _read_tmp1075(TMP1075[0])
            second_c = yield from _read_tmp1075(TMP1075[1])
    if board.are_sensors_exchanged:
        first_c, second_c = second_c, first_c
    offset_c = board.temp_offset_c
    return (
        None if first_c is None else first_c + offset_c,
        None if second_c is None else second_c + offset_c,
    )


class InputReading(Struct, frozen=True):
    """What an INA260 measures at a board's input."""

    current_a: float
    voltage_v: float
    power_w: float


def identify_ina260() -> Script[None]:
    """Make sure that the meter is there.

    Raises:
        LineError: It does not answer, or is another.
    """
    yield from _identify_word(INA260, 0xFF, INA260_ID, "INA260")


def read_ina260() -> Script[InputReading]:
    """Measure the input: three requests."""
    current = signed((yield from _read_word(INA260, 0x01)), 16)
    voltage = yield from _read_word(INA260, 0x02)
    power = yield from _read_word(INA260, 0x03)
    return InputReading(
        current * INA260_CURRENT_STEP_A,
        voltage * INA260_VOLTAGE_STEP_V,
        power * INA260_POWER_STEP_W,
    )


def set_ds4432u(board: Board, volts: float) -> Script[None]:
    """Bend the core voltage of a board that cannot be switched off over this channel.

    Raises:
        ValueError: It is outside the board's limits.
        LineError: It was not taken.
    """
    low_v, high_v = board.regulator.vout_min_v, board.regulator.vout_max_v
    if not low_v <= volts <= high_v:
        raise ValueError(f"core voltage: {volts} V is outside {low_v}..{high_v}")
    code = dac_code(volts)
    yield from _write(DS4432U, 0xF8, code)
    if (held := (yield from _read(DS4432U, 0xF8))) != code:
        raise _wrong(DS4432U, f"holds {held:02x} after {code:02x} was written")


def _identify_emc(address: int) -> Script[str]:
    maker = yield from _read(address, MANUFACTURER)
    product = yield from _read(address, PRODUCT)
    names = PRODUCTS[address]
    if maker != MICROCHIP or product not in names:
        known = " or ".join(names.values())
        text = f"manufacturer {maker:02x}, product {product:02x} is no {known}"
        raise _wrong(address, text)
    return names[product]


def _identify_word(address: int, register: int, due: bytes, name: str) -> Script[None]:
    found = yield i2c_write_read(address, bytes([register]), 2)
    if found != due:
        text = f"id {found.hex(' ')} is not that of a {name}, {due.hex(' ')}"
        raise _wrong(address, text)


def _read_emc2101_diode() -> Script[float | None]:
    high = yield from _read(EMC2101, 0x01)
    eighths = (high << 8 | (yield from _read(EMC2101, 0x10))) >> 5
    if eighths in (OPEN_DIODE, SHORTED_DIODE):
        return None
    return signed(eighths, 11) / 8


def _read_emc2103_diode(register: int) -> Script[float | None]:
    high = yield from _read(EMC2103, register)
    both = high << 8 | (yield from _read(EMC2103, register + 1))
    return None if both == BROKEN_DIODE else signed(both >> 5, 11) / 8


def _read_tmp1075(address: int) -> Script[float]:
    return signed((yield from _read_word(address, 0x00)) >> 4, 12) / 16


def _read_tach(address: int, register: int, clock: int) -> Script[int]:
    """Read a count of 13 bits, the high byte first: it holds the low one."""
    high = yield from _read(address, register)
    count = (high << 8 | (yield from _read(address, register + 1))) >> 3
    return 0 if high == STANDSTILL or not count else clock // count


def _duty(percent: float, steps: int) -> int:
    if not 0 <= percent <= 100:
        raise ValueError(f"fan: {percent} % is outside 0..100")
    return int(steps * percent / 100)


def _read(address: int, register: int) -> Script[int]:
    return (yield i2c_write_read(address, bytes([register]), 1))[0]


def _read_word(address: int, register: int) -> Script[int]:
    data = yield i2c_write_read(address, bytes([register]), 2)
    return int.from_bytes(data, "big")


def _write(address: int, register: int, value: int) -> Script[None]:
    yield i2c_write(address, bytes([register, value]))


def _wrong(address: int, text: str) -> LineError:
    return LineError(FailureKind.WRONG_PART, f"part at {address:02x}: {text}")
