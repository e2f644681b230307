"""The TPS546D24 core regulator over PMBus, as scripts.

Everything that it is told is volatile: it forgets it without power, and no command here
stores it, as that can ruin the part. Voltages here are those of its output, over all
domains of the chips. Source: TPS546D24A and TPS546D24S data sheets, PMBus 1.3 part II,
and what ESP-Miner (TPS546.c) and mujina write; where these leave it hot or let it start
again by itself, it is told to stay off.
"""

from collections.abc import Iterator
from enum import IntEnum
from math import frexp, ldexp

from msgspec import Struct

from softaxe.board.regulator import Status
from softaxe.catalog import Board
from softaxe.metal.raw import (
    FailureKind,
    LineError,
    Script,
    i2c_write,
    i2c_write_read,
    signed,
)

ADDRESS = 0x24
NAMES = {
    bytes.fromhex("54 49 54 6d 24 41"): "TPS546D24A",
    bytes.fromhex("54 49 54 6d 24 62"): "TPS546D24S",
}
"""By device id."""
IDENTIFY_TRIES = 6
IDENTIFY_PAUSE_S = 0.003
EXPONENTS = range(-12, -3)
"""That VOUT_MODE may have."""
RELATIVE = 0x80
"""In VOUT_MODE: limits around the output voltage are shares of it."""
MODE_BITS = 0x60
OFF, ON = 0x00, 0x80
BY_COMMAND = b"\x1b"
"""On and off by OPERATION alone, at once."""
SLINEAR11_BITS = 10
MAX_ULINEAR16 = 0xFFFF


class Command(IntEnum):
    """PMBus commands in use."""

    OPERATION = 0x01
    ON_OFF_CONFIG = 0x02
    CLEAR_FAULTS = 0x03
    PHASE = 0x04
    VOUT_MODE = 0x20
    VOUT_COMMAND = 0x21
    VOUT_MAX = 0x24
    VOUT_MARGIN_HIGH = 0x25
    VOUT_MARGIN_LOW = 0x26
    VOUT_SCALE_LOOP = 0x29
    VOUT_MIN = 0x2B
    FREQUENCY_SWITCH = 0x33
    VIN_ON = 0x35
    VIN_OFF = 0x36
    VOUT_OV_FAULT_LIMIT = 0x40
    VOUT_OV_WARN_LIMIT = 0x42
    VOUT_UV_WARN_LIMIT = 0x43
    VOUT_UV_FAULT_LIMIT = 0x44
    IOUT_OC_FAULT_LIMIT = 0x46
    IOUT_OC_FAULT_RESPONSE = 0x47
    IOUT_OC_WARN_LIMIT = 0x4A
    OT_FAULT_LIMIT = 0x4F
    OT_FAULT_RESPONSE = 0x50
    OT_WARN_LIMIT = 0x51
    VIN_OV_FAULT_LIMIT = 0x55
    VIN_OV_FAULT_RESPONSE = 0x56
    VIN_UV_WARN_LIMIT = 0x58
    TON_DELAY = 0x60
    TON_RISE = 0x61
    TON_MAX_FAULT_LIMIT = 0x62
    TON_MAX_FAULT_RESPONSE = 0x63
    TOFF_DELAY = 0x64
    TOFF_FALL = 0x65
    STATUS_WORD = 0x79
    READ_VIN = 0x88
    READ_VOUT = 0x8B
    READ_IOUT = 0x8C
    READ_TEMPERATURE = 0x8D
    IC_DEVICE_ID = 0xAD
    COMPENSATION_CONFIG = 0xB1
    SYNC_CONFIG = 0xE4
    STACK_CONFIG = 0xEC
    PIN_DETECT_OVERRIDE = 0xEE


class Setting(Struct, frozen=True):
    """One register and what it is to hold."""

    command: Command
    data: bytes
    is_block: bool = False
    tolerance: float | None = None
    """How far a number may be off when it is read back, as the part rounds to its own
    steps; 0 compares the bytes, None does not look."""


class Reading(Struct, frozen=True):
    """What it measures."""

    input_voltage_v: float
    output_voltage_v: float
    """Over all domains."""
    output_current_a: float
    temperature_c: float
    status: Status


def slinear11(value: float) -> bytes:
    """Write a number with the least exponent whose mantissa holds it."""
    if not value:
        return b"\0\0"
    exponent = max(-16, frexp(value)[1] - SLINEAR11_BITS)
    mantissa = round(ldexp(value, -exponent))
    if not -1024 <= mantissa <= 1023:  # it was rounded up
        exponent += 1
        mantissa = round(ldexp(value, -exponent))
    word = (exponent & 0x1F) << 11 | mantissa & 0x7FF
    return word.to_bytes(2, "little")


def from_slinear11(data: bytes) -> float:
    """Read a number of five bits of exponent and eleven of mantissa, both signed."""
    word = int.from_bytes(data, "little")
    return ldexp(signed(word & 0x7FF, 11), signed(word >> 11, 5))


def ulinear16(value: float, exponent: int) -> bytes:
    """Write a voltage or a share of one in the steps of VOUT_MODE.

    Raises:
        ValueError: It does not fit.
    """
    mantissa = round(ldexp(value, -exponent))
    if not 0 <= mantissa <= MAX_ULINEAR16:
        raise ValueError(f"{value} is outside 0..{ldexp(MAX_ULINEAR16, exponent)}")
    return mantissa.to_bytes(2, "little")


def from_ulinear16(data: bytes, exponent: int) -> float:
    """Read such a number."""
    return ldexp(int.from_bytes(data, "little"), exponent)


class Tps546:
    """The core regulator of a board.

    `identify` comes first, then `configure`, `set_vout` and `switch_on`.

    Args:
        board: Has its limits.
        ot_fault_c: Heat at which it switches itself off, the last help when no host is
            there any more; the board's own where None.
    """

    def __init__(self, board: Board, *, ot_fault_c: float | None = None) -> None:
        self._limits = board.regulator
        own_c = board.regulator.ot_fault_c
        self._ot_fault_c = own_c if ot_fault_c is None else min(ot_fault_c, own_c)
        self._exponent = -9
        self._is_configured = False

    def identify(self) -> Script[str]:
        """Make sure that it is there, and learn its steps; returns its name.

        Raises:
            LineError: It does not answer, or is another.
        """
        for left in reversed(range(IDENTIFY_TRIES)):
            try:
                found = yield from _read(Command.IC_DEVICE_ID, 7)
                mode = (yield from _read(Command.VOUT_MODE, 1))[0]
                break
            except LineError:
                if not left:
                    raise
            yield IDENTIFY_PAUSE_S
        if found[0] != 6 or found[1:] not in NAMES:
            raise _wrong(f"device id {found.hex(' ')} is that of no TPS546D24")
        exponent = signed(mode & 0x1F, 5)
        self._is_configured = False
        if mode & MODE_BITS or not mode & RELATIVE or exponent not in EXPONENTS:
            raise _wrong(f"VOUT_MODE {mode:02x} is not linear with relative limits")
        self._exponent = exponent
        return NAMES[found[1:]]

    def configure(self) -> Script[None]:
        """Switch it off and give it the board's limits, the decisive ones read back.

        Raises:
            LineError: It did not take one; it is off.
        """
        self._is_configured = False
        yield from self.switch_off()
        for setting in self._settings():
            yield from _write(setting)
            if setting.tolerance is not None:
                yield from self._check(setting)
        yield from self.clear_faults()
        self._is_configured = True

    def switch_on(self) -> Script[None]:
        """Let the output have the voltage that was set; it ramps up by itself.

        Raises:
            ValueError: It has not been given its limits.
        """
        if not self._is_configured:
            raise ValueError("regulator: switched on before it was configured")
        yield from _write(Setting(Command.OPERATION, bytes([ON])))

    def switch_off(self) -> Script[None]:
        """Switch the output off, at once."""
        yield from _write(Setting(Command.OPERATION, bytes([OFF])))

    def obey(self) -> Script[None]:
        """Let it follow commands alone: as shipped, its pin may have it on."""
        yield from _write(Setting(Command.ON_OFF_CONFIG, BY_COMMAND))

    def set_vout(self, volts: float) -> Script[None]:
        """Set the output voltage, and read back that it was taken.

        Raises:
            ValueError: It is outside the board's limits.
            LineError: It was not taken.
        """
        low_v, high_v = self._limits.vout_min_v, self._limits.vout_max_v
        if not low_v <= volts <= high_v:
            raise ValueError(f"output voltage: {volts} V is outside {low_v}..{high_v}")
        word = ulinear16(volts, self._exponent)
        setting = Setting(Command.VOUT_COMMAND, word, tolerance=0)
        yield from _write(setting)
        yield from self._check(setting)

    def clear_faults(self) -> Script[None]:
        """Forget faults that are over; what is off stays off."""
        yield i2c_write(ADDRESS, bytes([Command.CLEAR_FAULTS]))

    def read(self) -> Script[Reading]:
        """Measure: five requests."""
        input_v = from_slinear11((yield from _read(Command.READ_VIN, 2)))
        output = yield from _read(Command.READ_VOUT, 2)
        current_a = from_slinear11((yield from _read(Command.READ_IOUT, 2)))
        heat_c = from_slinear11((yield from _read(Command.READ_TEMPERATURE, 2)))
        status = yield from self.read_status()
        output_v = from_ulinear16(output, self._exponent)
        return Reading(input_v, output_v, current_a, heat_c, status)

    def read_vout(self) -> Script[float]:
        """Measure the output voltage alone."""
        return from_ulinear16((yield from _read(Command.READ_VOUT, 2)), self._exponent)

    def read_status(self) -> Script[Status]:
        """Read the status word alone."""
        word = yield from _read(Command.STATUS_WORD, 2)
        return Status(int.from_bytes(word, "little"))

    def _settings(self) -> Iterator[Setting]:
        """What it is told, in this order."""
        limits, c = self._limits, Command
        is_stacked = limits.phases > 1
        yield Setting(c.ON_OFF_CONFIG, b"\x1f")
        yield Setting(c.ON_OFF_CONFIG, BY_COMMAND, tolerance=0)
        yield Setting(c.STACK_CONFIG, b"\x01\0" if is_stacked else b"\0\0")
        yield Setting(c.SYNC_CONFIG, b"\xd0" if is_stacked else b"\x10")
        yield Setting(c.PHASE, b"\xff" if is_stacked else b"\0")
        if is_stacked:
            compensation = bytes.fromhex("12 34 42 21 04")
            yield Setting(c.COMPENSATION_CONFIG, compensation, is_block=True)
        yield _number(c.FREQUENCY_SWITCH, 650)
        if limits.vin_uv_warn_v:  # 0 is not taken as one should think
            yield _number(c.VIN_UV_WARN_LIMIT, limits.vin_uv_warn_v)
        yield _number(c.VIN_ON, limits.vin_on_v, 0.3)
        yield _number(c.VIN_OFF, limits.vin_off_v, 0.3)
        yield _number(c.VIN_OV_FAULT_LIMIT, limits.vin_ov_fault_v, 0.3)
        yield Setting(c.VIN_OV_FAULT_RESPONSE, b"\xb7")
        yield _number(c.VOUT_SCALE_LOOP, limits.vout_scale_loop, 0.001)
        for command, volts in (
            (c.VOUT_MAX, limits.vout_max_v),
            (c.VOUT_MIN, limits.vout_min_v),
            (c.VOUT_COMMAND, limits.vout_min_v),  # until another is set
        ):
            yield Setting(command, ulinear16(volts, self._exponent), tolerance=0)
        for command, share in (
            (c.VOUT_OV_FAULT_LIMIT, 1.25),
            (c.VOUT_OV_WARN_LIMIT, 1.16),
            (c.VOUT_MARGIN_HIGH, 1.10),
            (c.VOUT_MARGIN_LOW, 0.90),
            (c.VOUT_UV_WARN_LIMIT, 0.90),
            (c.VOUT_UV_FAULT_LIMIT, 0.75),
        ):
            yield Setting(command, ulinear16(share, self._exponent))
        yield _number(c.IOUT_OC_WARN_LIMIT, limits.iout_oc_warn_a, 1.0)
        yield _number(c.IOUT_OC_FAULT_LIMIT, limits.iout_oc_fault_a, 1.0)
        yield Setting(c.IOUT_OC_FAULT_RESPONSE, b"\xc0", tolerance=0)  # stay off
        yield _number(c.OT_WARN_LIMIT, min(limits.ot_warn_c, self._ot_fault_c), 1.0)
        yield _number(c.OT_FAULT_LIMIT, self._ot_fault_c, 1.0)
        # Stay off. The firmware writes FF: go on when it has cooled, again and again.
        yield Setting(c.OT_FAULT_RESPONSE, b"\x80", tolerance=0)
        yield _number(c.TON_DELAY, 0)
        yield _number(c.TON_RISE, 3)
        yield _number(c.TON_MAX_FAULT_LIMIT, 0)
        yield Setting(c.TON_MAX_FAULT_RESPONSE, b"\x3b")
        yield _number(c.TOFF_DELAY, 0)
        yield _number(c.TOFF_FALL, 0)
        yield Setting(c.PIN_DETECT_OVERRIDE, b"\xff\xff")

    def _check(self, setting: Setting) -> Script[None]:
        """Read back what was written."""
        held = yield from _read(setting.command, len(setting.data))
        tolerance = setting.tolerance
        if held == setting.data:
            return
        if tolerance and (
            abs(from_slinear11(held) - from_slinear11(setting.data)) <= tolerance
        ):
            return
        name, told = setting.command.name, setting.data.hex(" ")
        raise _wrong(f"{name} holds {held.hex(' ')} after {told} was written")


def _number(command: Command, value: float, tolerance: float | None = None) -> Setting:
    return Setting(command, slinear11(value), tolerance=tolerance)


def _read(command: Command, count: int) -> Script[bytes]:
    return (yield i2c_write_read(ADDRESS, bytes([command]), count))


def _write(setting: Setting) -> Script[None]:
    length = bytes([len(setting.data)]) if setting.is_block else b""
    yield i2c_write(ADDRESS, bytes([setting.command]) + length + setting.data)


def _wrong(text: str) -> LineError:
    return LineError(FailureKind.WRONG_PART, f"regulator at {ADDRESS:02x}: {text}")
