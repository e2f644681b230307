"""The core regulator and the power meter, as the firmware sees them.

Two kinds: the TPS546 takes voltages, reports power and faults and protects itself; the
DS4432U only bends another regulator's feedback, beside an INA260 that measures the
input. Both set what the `PowerStage` works with. Source: ESP-Miner vcore.c, power.c,
TPS546.c, DS4432U.c and INA260.c; noise without a source is an estimate.
"""

import random
from enum import IntFlag
from math import ceil, floor, frexp, ldexp
from typing import Protocol

from msgspec import Struct

from softaxe.board.power import PowerStage
from softaxe.catalog import Board
from softaxe.units import Level, Log

SLINEAR11_BITS = 10
"""Of the mantissa, beside its sign. Source: PMBus 1.3, part II, 7.3."""
VOUT_STEP_V = 1 / 512
CURRENT_NOISE_A = 0.03
"""Scatter of the TPS546's current. Source: power of three 601s, 30 s apart, has 0.05 W
between its tenth and ninetieth percentile."""
OT_RECOVERY_K = 20.0
"""Cooling after which it starts again. Source: TPS546D24A data sheet."""

INA260_CURRENT_STEP_A = 0.00125
INA260_VOLTAGE_STEP_V = 0.00125
INA260_POWER_STEP_W = 0.01
INA260_NOISE_A = 0.003
ADC_NOISE_V = 0.001
"""Scatter of the ESP32's converter on the core voltage."""

DAC_FULL_SCALE_A = 0.000098921
DAC_STEPS = 127
FEEDBACK_V, FEEDBACK_LOW_OHM, FEEDBACK_HIGH_OHM = 0.6, 3320.0, 4750.0
DAC_NEUTRAL_V = 1.451
"""Below this the DAC sources, above it sinks."""


class Status(IntFlag):
    """Bits of the TPS546's STATUS_WORD. Source: PMBus 1.3, part II, 17.2."""

    TEMPERATURE = 0x0004
    VIN_UV = 0x0008
    IOUT_OC = 0x0010
    VOUT_OV = 0x0020
    OFF = 0x0040
    POWER_NOT_GOOD = 0x0800
    INPUT = 0x2000
    IOUT = 0x4000
    VOUT = 0x8000


ALL_WELL = Status(0)
FAULTS = {
    Status.OFF: "The voltage regulator is turned off",
    Status.VOUT_OV: "An output overvoltage fault has occurred",
    Status.IOUT_OC: "An output overcurrent fault has occurred",
    Status.VIN_UV: "An input undervoltage fault has occurred",
    Status.TEMPERATURE: "A temperature fault/warning has occurred",
}
"""What the firmware says to each bit, in its order."""


class PowerReading(Struct, frozen=True):
    """What the board measures about its power."""

    power_w: float
    input_voltage_v: float
    current_a: float
    """Core current with a TPS546, input current with an INA260."""
    core_voltage_v: float
    """Per domain."""
    vr_temp_c: float
    """0 where nothing measures it."""


class Regulator(Protocol):
    """What the firmware needs of either kind."""

    board: Board
    """As the firmware describes it."""
    is_driven: bool
    """False while a firmware runs that does not know there is one."""

    def boot(self, *, has_plug: bool = True, closes_line: bool = False) -> None:
        """Be initialised, as after power-on or a restart.

        Args:
            has_plug: False when the barrel plug is out and something else feeds the
                board.
            closes_line: A voltage also closes the enable line that 0 has opened.
        """

    def set_core_voltage(self, volts: float) -> None:
        """Ask for a voltage per domain; 0 means off, where that is possible."""

    def set_broken(self, is_broken: bool) -> None:
        """Let the output fail, or be whole again; it may not come back by itself."""

    def step(self, vr_c: float, rng: random.Random | None) -> None:
        """Take in what the power stage and the heat have become.

        Args:
            vr_c: The regulator's temperature.
            rng: For the scatter of what is measured; None measures without.
        """

    @property
    def reading(self) -> PowerReading:
        """What it measures now."""

    @property
    def status(self) -> Status:
        """Its status word; 0 where there is none."""


def regulator_for(board: Board, power: PowerStage, *, log: Log) -> Regulator:
    """Make the regulator a board has."""
    if board.has_tps546:
        return Tps546(board, power, log=log)
    return Ds4432u(board, power)


class Tps546:
    """A regulator that measures, reports and protects itself."""

    def __init__(self, board: Board, power: PowerStage, *, log: Log) -> None:
        self.board = board
        self.is_driven = True
        self._power = power
        self._log = log
        self._commanded_v = 0.0
        self._vr_c = 0.0
        self._noise_a = 0.0
        self._has_low_input = False
        self._has_high_input = False
        self._is_too_hot = False
        self._is_broken = False
        self._faults = ALL_WELL
        """Bits that stay, as PMBus has it, until it is commanded off and on."""
        self._is_overloaded = False
        """`IOUT_OC` is one of them: it does not start again by itself."""

    def boot(self, *, has_plug: bool = True, closes_line: bool = False) -> None:
        """Be initialised: output off, faults cleared. Nothing senses the plug."""
        self._commanded_v = 0.0
        self._clear_faults()
        self._apply()

    def set_core_voltage(self, volts: float) -> None:
        """Ask for a voltage per domain; out of range the old one stays."""
        if not self.is_driven:
            return
        limits = self.board.regulator
        total_v = volts * self.board.voltage_domains
        if total_v and not limits.vout_min_v <= total_v <= limits.vout_max_v:
            text = f"Voltage requested ({total_v:f} V) is out of range"
            self._log(Level.ERROR, "TPS546", text)
            return
        if not self._commanded_v:
            self._clear_faults()
        self._commanded_v = volts
        if total_v:
            self._log(Level.INFO, "TPS546", f"Vout changed to {total_v:1.2f} V")
        self._apply()

    def set_broken(self, is_broken: bool) -> None:
        """Let the output be short-circuited, or no longer."""
        self._is_broken = is_broken

    def step(self, vr_c: float, rng: random.Random | None) -> None:
        """Measure, and switch off what must not go on."""
        limits, power = self.board.regulator, self._power
        input_v = power.input_voltage_v
        self._vr_c = vr_c
        self._noise_a = 0.0
        if rng is not None and power.core_current_a:
            self._noise_a = rng.gauss(0.0, CURRENT_NOISE_A)
        if input_v < limits.vin_off_v:
            self._has_low_input = True
        elif input_v > limits.vin_on_v:
            self._has_low_input = False
        self._has_high_input = input_v > limits.vin_ov_fault_v
        if vr_c >= limits.ot_fault_c:
            self._is_too_hot = True
        elif vr_c < limits.ot_fault_c - OT_RECOVERY_K:
            self._is_too_hot = False
        present = self._present_faults()
        if present is not ALL_WELL:
            self._faults |= present
            if Status.IOUT_OC in present:
                self._is_overloaded = True
        self._apply()

    def _present_faults(self) -> Status:
        limits, status = self.board.regulator, ALL_WELL
        current_a = self._power.core_current_a
        if self._has_low_input:
            status |= Status.VIN_UV | Status.INPUT
        if self._has_high_input:
            status |= Status.INPUT
        if current_a >= limits.iout_oc_warn_a:
            status |= Status.IOUT  # only a warning, which the firmware does not tell
        if current_a >= limits.iout_oc_fault_a or self._is_broken:
            status |= Status.IOUT_OC | Status.IOUT
        if self._is_too_hot or self._vr_c >= limits.ot_warn_c:
            status |= Status.TEMPERATURE
        return status

    def clear_status(self) -> None:
        """Forget the bits; what is off stays off, and what is wrong comes back."""
        self._faults = ALL_WELL

    def _clear_faults(self) -> None:
        self._faults = ALL_WELL
        self._is_overloaded = False

    def _apply(self) -> None:
        self._power.core_voltage_setting_v = (
            0.0 if self._is_tripped else self._commanded_v
        )

    @property
    def _is_tripped(self) -> bool:
        return (
            self._has_low_input
            or self._has_high_input
            or self._is_too_hot
            or self._is_overloaded
        )

    @property
    def status(self) -> Status:
        """The status word."""
        if self._is_tripped or not self._commanded_v:
            return self._faults | Status.OFF | Status.POWER_NOT_GOOD
        return self._faults

    @property
    def reading(self) -> PowerReading:
        """Telemetry in its steps; the power is output and a fixed offset."""
        power, board = self._power, self.board
        domains = board.voltage_domains
        output_v = _quantise(power.core_voltage_v * domains, VOUT_STEP_V)
        measured_a = slinear11(power.core_current_a + self._noise_a)
        current_a = measured_a if measured_a > 0.0 else 0.0
        return PowerReading(
            output_v * current_a + board.power_offset_w,
            slinear11(power.input_voltage_v),
            current_a,
            output_v / domains,
            float(floor(self._vr_c)),
        )


class Ds4432u:
    """A current DAC on the regulator's feedback, an INA260 and the ESP32's ADC."""

    def __init__(self, board: Board, power: PowerStage) -> None:
        self.board = board
        self.is_driven = True
        self._power = power
        self._is_enabled = True
        self._closes_line = False
        self._is_broken = False
        self._feedback_v = dac_voltage(0)
        self._noise_a = 0.0
        self._noise_v = 0.0
        self._apply()

    def boot(self, *, has_plug: bool = True, closes_line: bool = False) -> None:
        """Be initialised: chip power on, the DAC as it was.

        Without its plug a board that senses it keeps the power off, unless it has an
        enable line.
        """
        self._closes_line = closes_line
        board = self.board
        minds_plug = board.has_plug_sense and not board.has_asic_enable
        self._is_enabled = has_plug or not minds_plug
        self._apply()

    def set_core_voltage(self, volts: float) -> None:
        """Ask for a voltage; 0 opens the enable line, which not all firmware closes.

        A board without that line cannot switch off, and ignores it.
        """
        limits = self.board.regulator
        if volts == 0:
            self._is_enabled = self._is_enabled and not self.board.has_asic_enable
        elif limits.vout_min_v <= volts <= limits.vout_max_v:
            self._feedback_v = dac_voltage(dac_code(volts))
            if self._closes_line and self.board.has_asic_enable:
                self._is_enabled = True
        self._apply()

    def set_code(self, code: int) -> None:
        """Set the DAC's register; the enable line stays as it is."""
        self._feedback_v = dac_voltage(code)
        self._apply()

    def set_broken(self, is_broken: bool) -> None:
        """Let the output be dead, or no longer."""
        self._is_broken = is_broken
        self._apply()

    def step(self, vr_c: float, rng: random.Random | None) -> None:
        """Measure; nothing here knows the regulator's heat or protects it."""
        if rng is not None:
            self._noise_a = rng.gauss(0.0, INA260_NOISE_A)
            self._noise_v = rng.gauss(0.0, ADC_NOISE_V)

    def _apply(self) -> None:
        is_on = self._is_enabled and not self._is_broken
        volts = self._feedback_v if is_on else 0.0
        self._power.core_voltage_setting_v = volts

    @property
    def status(self) -> Status:
        """Nothing: it has no status word."""
        return ALL_WELL

    @property
    def reading(self) -> PowerReading:
        """What INA260 and ADC measure, in their steps."""
        power = self._power
        current_a = max(0.0, power.input_current_a + self._noise_a)
        input_w = power.input_voltage_v * current_a
        core_v = power.core_voltage_v and power.core_voltage_v + self._noise_v
        return PowerReading(
            power_w=_quantise(input_w, INA260_POWER_STEP_W),
            input_voltage_v=_quantise(power.input_voltage_v, INA260_VOLTAGE_STEP_V),
            current_a=_quantise(current_a, INA260_CURRENT_STEP_A),
            core_voltage_v=_quantise(core_v, 0.001),
            vr_temp_c=0.0,
        )


def dac_code(volts: float) -> int:
    """Register value of the DS4432U for a core voltage."""
    source_a = _neutral_a() - (volts - FEEDBACK_V) / FEEDBACK_HIGH_OHM
    code = ceil(abs(source_a / DAC_FULL_SCALE_A * DAC_STEPS))
    return code | 0x80 if volts < DAC_NEUTRAL_V else code


def dac_voltage(code: int) -> float:
    """Core voltage that a register value of the DS4432U gives."""
    current_a = (code & 0x7F) * DAC_FULL_SCALE_A / DAC_STEPS
    source_a = current_a if code & 0x80 else -current_a
    return FEEDBACK_V + FEEDBACK_HIGH_OHM * (_neutral_a() - source_a)


def _neutral_a() -> float:
    return FEEDBACK_V / FEEDBACK_LOW_OHM


def slinear11(value: float) -> float:
    """Round as PMBus writes currents and input voltages.

    The exponent is the least with which the mantissa holds the value, so the step grows
    with the value: 1/128 from 4, 1/64 from 8, 1/32 from 16 on.
    """
    step = ldexp(1.0, frexp(value)[1] - SLINEAR11_BITS)
    return floor(value / step + 0.5) * step


def _quantise(value: float, step: float) -> float:
    return floor(value / step + 0.5) * step
