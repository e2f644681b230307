"""The power management task: every 1.8 s it reads, protects, cools and applies.

Overheat protection is a sequence inside it that takes half a minute or more, during
which the task does nothing else. Source of the order, the texts and all numbers:
ESP-Miner power_management_task.c.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from softaxe.asic.driver import Driver, DriverState
from softaxe.board.fan import FanController
from softaxe.board.regulator import FAULTS
from softaxe.board.sensors import ABSENT_C, has_cold_sensor
from softaxe.catalog import Board
from softaxe.device.body import Body
from softaxe.device.settings import Settings
from softaxe.units import NEVER, Level, Log

TAG = "power_management"
FIRST_PASS_S = 0.5
PERIOD_S = 1.8
CHIP_LIMIT_C = 75.0
VR_LIMIT_C = 105.0
VR_SAFE_C = 95.0
CHIP_SAFE_C = 45.0
COOLING_CYCLE_S = 5.0
COOLING_CYCLES = 6
REDUCTION_MV = 100
REDUCTION_MHZ = 100
LOWEST_MV = 1000
LOWEST_MHZ = 400
AP_MODE_FAN_PERCENT = 70
FULL_FAN_PERCENT = 100
MIN_FREQUENCY_MHZ = 50
MIN_INPUT_V = 1.0
RESTORE_PAUSES_S = (0.5, 0.5, 0.1)
"""After restoring the voltage, stopping the tasks and flushing the UART."""
FREQUENCY_EPSILON_MHZ = 0.001
FAULT_TEXT = "Power Fault Detected."


@dataclass(slots=True)
class Readings:
    """What the last pass read; the API shows these."""

    power_w: float = 0.0
    input_voltage_v: float = 0.0
    temp_c: float = ABSENT_C
    """-1 while the chip is not initialised."""
    temp2_c: float = ABSENT_C
    vr_temp_c: float = 0.0
    fan_percent: float = 0.0
    """As commanded."""
    fan_rpm: int = 0
    fan2_rpm: int = 0


@dataclass(frozen=True, slots=True)
class Reduction:
    """What the recovery from overheating took away."""

    before_mhz: float
    after_mhz: float
    before_mv: int
    after_mv: int


class _Phase(Enum):
    RUNNING = auto()
    RAMPING = auto()
    COOLING = auto()
    RESTORING = auto()
    STOPPING = auto()
    FLUSHING = auto()
    REINITIALISING = auto()


class PowerManagement:
    """Reads the sensors and drives fan, core voltage, frequency and protection.

    After each call look at `changes`: settings the task itself wants changed.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        board: Board,
        body: Body,
        driver: Driver,
        log: Log,
    ) -> None:
        self.readings = Readings()
        self.expected_hashrate_hs = 0.0
        self.frequency_mhz = settings.frequency_mhz
        """Applied, as far as the task knows."""
        self.next_wake = NEVER
        self.has_overheated = False
        """True from the pass that saw it until somebody takes note."""
        self.power_fault: str | None = None
        """The regulator's fault, as the API names it."""
        self.reduction: Reduction | None = None
        """What the last overheating since boot has cost."""
        self.shows_overheat = settings.is_overheated
        """The screen's flag: it follows the setting at the end of a pass."""
        self._board = board
        self._body = body
        self._driver = driver
        self._log = log
        self._controller = FanController(settings.fan_min_percent, log=log)
        self._core_voltage_mv: int | None = None
        self._phase = _Phase.RUNNING
        self._cycles = 0
        self._changes: dict[str, bool | int | float] = {}
        self._expect()

    def changes(self) -> Mapping[str, bool | int | float]:
        """Return and forget the settings to change, by their Python names."""
        changes, self._changes = self._changes, {}
        return changes

    def start(self, now: float) -> None:
        """Begin; the first pass comes half a second later."""
        hashrate = _si(self.expected_hashrate_hs)
        self._say("Starting")
        self._say(
            f"ASIC Frequency: {self.frequency_mhz:g} MHz, "
            f"Expected hashrate: {hashrate}H/s"
        )
        self.next_wake = now + FIRST_PASS_S

    def step(self, settings: Settings, now: float, *, is_ap_enabled: bool) -> None:
        """Do the pass, or the step of the overheat sequence, that is due."""
        match self._phase:
            case _Phase.RUNNING:
                self._pass(settings, now, is_ap_enabled=is_ap_enabled)
            case _Phase.COOLING:
                self._cool(settings, now)
            case _Phase.RESTORING:
                self._say("Stopping ASIC tasks...")
                self._go(_Phase.STOPPING, now + RESTORE_PAUSES_S[1])
            case _Phase.STOPPING:
                self._say("Flushing UART buffers...")
                self._go(_Phase.FLUSHING, now + RESTORE_PAUSES_S[2])
            case _Phase.FLUSHING:
                self._go(_Phase.REINITIALISING, NEVER)
                self._driver.start(self.frequency_mhz, now, is_recovery=True)
            case _Phase.RAMPING | _Phase.REINITIALISING:
                self.next_wake = NEVER

    def frequency_reached(self, settings: Settings, now: float) -> None:
        """The driver finished a ramp; the pass that asked for it goes on."""
        if self._phase is _Phase.RAMPING:
            self._expect()
            self._finish_pass(settings, now)

    def chip_ready(self, settings: Settings, now: float, *, has_failed: bool) -> None:
        """The driver finished its initialisation; recovery may end here."""
        if self._phase is not _Phase.REINITIALISING:
            return
        self._phase = _Phase.RUNNING
        if has_failed:
            self._finish_pass(settings, now)
            return
        self._changes["is_overheated"] = False
        self.shows_overheat = False
        self._say(
            "Resuming normal operation. Reduced frequency "
            f"({settings.frequency_mhz:.0f} MHz) will be applied automatically."
        )
        self._core_voltage_mv = settings.core_voltage_mv
        self._apply_frequency(settings, now)

    # One pass

    def _pass(self, settings: Settings, now: float, *, is_ap_enabled: bool) -> None:
        self._read()
        if self._is_too_hot():
            self._overheat(now)
            return
        self._drive_fan(settings, is_ap_enabled=is_ap_enabled)
        if self._core_voltage_mv != settings.core_voltage_mv:
            self._core_voltage_mv = settings.core_voltage_mv
            self._say(f"setting new vcore voltage to {settings.core_voltage_mv}mV")
            self._set_core_voltage(settings.core_voltage_mv / 1000)
        self._apply_frequency(settings, now)

    def _read(self) -> None:
        power = self._body.power_reading
        fan_rpm, fan2_rpm = self._body.fan_rpms
        temp_c = temp2_c = ABSENT_C
        if self._driver.state is DriverState.READY:
            temp_c, temp2_c = self._body.temperatures_c
        self.readings = Readings(
            power_w=power.power_w,
            input_voltage_v=power.input_voltage_v,
            temp_c=temp_c,
            temp2_c=temp2_c,
            vr_temp_c=power.vr_temp_c,
            fan_percent=self.readings.fan_percent,
            fan_rpm=fan_rpm,
            fan2_rpm=fan2_rpm,
        )

    def _is_too_hot(self) -> bool:
        read = self.readings
        is_powered = (
            self.frequency_mhz > MIN_FREQUENCY_MHZ or read.input_voltage_v > MIN_INPUT_V
        )
        is_hot = (
            read.temp_c > CHIP_LIMIT_C
            or read.temp2_c > CHIP_LIMIT_C
            or read.vr_temp_c > VR_LIMIT_C
        )
        return is_powered and is_hot

    def _drive_fan(self, settings: Settings, *, is_ap_enabled: bool) -> None:
        temp_c = max(self.readings.temp_c, self.readings.temp2_c)
        if not settings.is_fan_automatic:
            if self.readings.fan_percent != settings.fan_manual_percent:
                percent = settings.fan_manual_percent
                self._say(f"Setting manual fan speed to {percent}%")
                self._set_fan(percent)
        elif temp_c >= 0:
            setpoint_c = settings.target_temperature_c
            self._set_fan(self._controller.compute(temp_c, setpoint_c))
        elif is_ap_enabled:
            self._warn(
                f"AP mode with invalid temperature reading: {temp_c:.1f} °C - "
                f"Setting fan to {AP_MODE_FAN_PERCENT}%"
            )
            self._set_fan(AP_MODE_FAN_PERCENT)
        else:
            self._warn(f"Ignoring invalid temperature reading: {temp_c:.1f} °C")
            if self.readings.fan_percent != FULL_FAN_PERCENT:
                self._say(f"Setting fan speed to {FULL_FAN_PERCENT}%")
            self._set_fan(FULL_FAN_PERCENT)

    def _apply_frequency(self, settings: Settings, now: float) -> None:
        wanted = settings.frequency_mhz
        is_ready = self._driver.state is DriverState.READY
        if abs(wanted - self.frequency_mhz) < FREQUENCY_EPSILON_MHZ or not is_ready:
            self._finish_pass(settings, now)
            return
        self._say(
            f"New ASIC frequency requested: {wanted:g} MHz "
            f"(current: {self.frequency_mhz:g} MHz)"
        )
        self.frequency_mhz = wanted
        self._go(_Phase.RAMPING, NEVER)
        self._driver.set_frequency(wanted, now)

    def _finish_pass(self, settings: Settings, now: float) -> None:
        if self.shows_overheat != settings.is_overheated:
            self.shows_overheat = settings.is_overheated
            self._say(f"Overheat mode updated to: {int(settings.is_overheated)}")
        self._check_regulator()
        self._go(_Phase.RUNNING, now + PERIOD_S)

    def _check_regulator(self) -> None:
        status = self._body.regulator.status
        faults = (
            [text for bit, text in FAULTS.items() if status & bit] if status else []
        )
        if faults and self.power_fault is None:
            for text in (f"Status: 0x{status:04X}", *faults):
                self._log(Level.ERROR, "TPS546", text)
        self.power_fault = FAULT_TEXT if faults else None

    # Overheat

    def _overheat(self, now: float) -> None:
        read = self.readings
        if read.temp2_c > 0:
            asics = f"ASIC1: {read.temp_c:f}C ASIC2: {read.temp2_c:f}C"
        else:
            asics = f"ASIC: {read.temp_c:f}C"
        text = f"OVERHEAT! VR: {read.vr_temp_c:f}C {asics}"
        self._log(Level.ERROR, TAG, text)
        self._set_fan(FULL_FAN_PERCENT)
        self._set_core_voltage(0.0)
        self._say("Setting RST pin to low due to overheat condition")
        self._driver.stop()
        self._changes |= {
            "is_fan_automatic": False,
            "fan_manual_percent": FULL_FAN_PERCENT,
            "is_overheated": True,
        }
        self._warn(
            "Entering safe mode due to overheat condition. System operation halted."
        )
        self.has_overheated = True
        self._cycles = 0
        self._go(_Phase.COOLING, now + COOLING_CYCLE_S)

    def _cool(self, settings: Settings, now: float) -> None:
        self._cycles += 1
        vr_c = self._body.power_reading.vr_temp_c
        if has_cold_sensor(self._board):
            temp_c, temp2_c = self._body.temperatures_c
            self._warn(
                f"Safe mode active (cycle {self._cycles}) - VR: {vr_c:.1f}C "
                f"ASIC1: {temp_c:.1f}C ASIC2: {temp2_c:.1f}C"
            )
            if max(temp_c, temp2_c) > CHIP_SAFE_C:
                self._cycles = 0
        else:
            self._warn(
                f"Safe mode active (cycle {self._cycles}/{COOLING_CYCLES}) - "
                f"VR: {vr_c:.1f}C (ASIC temps unavailable while powered down)"
            )
        if self._cycles < COOLING_CYCLES or vr_c > VR_SAFE_C:
            self.next_wake = now + COOLING_CYCLE_S
            return
        self._say(
            f"Temperature normalized after {self._cycles} cooling cycles. "
            "Reinitializing ASIC..."
        )
        before_mv, before_mhz = settings.core_voltage_mv, settings.frequency_mhz
        after_mv = before_mv - REDUCTION_MV if before_mv > REDUCTION_MV else LOWEST_MV
        after_mhz = (
            before_mhz - REDUCTION_MHZ if before_mhz > REDUCTION_MHZ else LOWEST_MHZ
        )
        self._changes |= {"core_voltage_mv": after_mv, "frequency_mhz": after_mhz}
        self.reduction = Reduction(before_mhz, after_mhz, before_mv, after_mv)
        self._say(
            f"Restoring core voltage to {after_mv}mV = {after_mv / 1000:.3f}V "
            f"(reduced from {before_mv}mV = {before_mv / 1000:.3f}V)..."
        )
        self._set_core_voltage(after_mv / 1000)
        self._go(_Phase.RESTORING, now + RESTORE_PAUSES_S[0])

    # Helpers

    def _set_core_voltage(self, volts: float) -> None:
        self._log(Level.INFO, "vcore", f"Set ASIC voltage = {volts:.3f}V")
        self._body.regulator.set_core_voltage(volts)

    def _set_fan(self, percent: float) -> None:
        self.readings.fan_percent = float(percent)
        self._body.fan.set_percent(percent)

    def _expect(self) -> None:
        expected_hs = self._board.expected_hashrate_hs(self.frequency_mhz)
        self.expected_hashrate_hs = expected_hs

    def _go(self, phase: _Phase, due: float) -> None:
        self._phase = phase
        self.next_wake = due

    def _say(self, text: str) -> None:
        self._log(Level.INFO, TAG, text)

    def _warn(self, text: str) -> None:
        self._log(Level.WARNING, TAG, text)


def _si(value_hs: float) -> str:
    # The firmware prints GH/s times 1e6 here, so a 601 shows 1.07G. See ESP-Miner.
    value = value_hs / 1e3
    for suffix in ("", "k", "M", "G"):
        if value < 1000 or suffix == "G":
            break
        value /= 1000
    return f"{value:.2f}{suffix}"
