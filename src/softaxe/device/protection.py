"""The power management task: in each pass it reads, protects, cools and applies.

Overheat protection is a sequence inside it that takes half a minute or more, during
which the task does nothing else. A pass comes every 1.8 s or, from v2.14, every 100 ms:
of those only the ones that can have something new to do are taken. Source of the order,
the texts and all numbers: ESP-Miner power_management_task.c.
"""

from collections.abc import Mapping
from enum import Enum, auto

from msgspec import Struct

from softaxe.asic.driver import Driver, DriverState
from softaxe.board.regulator import FAULTS
from softaxe.board.sensors import ABSENT_C, has_chip_sensor, has_cold_sensor
from softaxe.catalog import Board
from softaxe.catalog.firmware.rows import Rows
from softaxe.device.body import Body
from softaxe.device.cooling import FanControl
from softaxe.device.settings import Settings
from softaxe.device.stopping import MiningSwitch, StopReason
from softaxe.units import NEVER, LazyLog, Level, tick_number

TAG = "power_management"
FIRST_PASS_S = 0.5
QUICK_PERIOD_S = 0.1
"""From this on passes are taken only when something may have changed."""
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
FULL_FAN_PERCENT = 100
MIN_FREQUENCY_MHZ = 50
MIN_INPUT_V = 1.0
RESTORE_PAUSES_S = (0.5, 0.5, 0.1)
"""After restoring the voltage, stopping the tasks and flushing the UART."""
FREQUENCY_EPSILON_MHZ = 0.001
FAULT_TEXT = "Power Fault Detected."
SAFE_MODE_TEXT = (
    "Entering safe mode due to overheat condition. System operation halted."
)


class Readings(Struct):
    """What the last pass read; the API shows these."""

    power_w: float = 0.0
    input_voltage_v: float = 0.0
    current_a: float = 0.0
    core_voltage_v: float = 0.0
    """Per domain."""
    temp_c: float = ABSENT_C
    """-1 while the chip is not initialised."""
    temp2_c: float = ABSENT_C
    vr_temp_c: float = 0.0
    fan_percent: float = 0.0
    """As commanded."""
    fan_rpm: int = 0
    fan2_rpm: int = 0

    @property
    def hottest_c(self) -> float:
        """Of what the sensors show."""
        return self.temp_c if self.temp_c > self.temp2_c else self.temp2_c


class Reduction(Struct, frozen=True):
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
    SWITCHING = auto()
    """Mining is about to stop or to start."""


class PowerManagement:
    """Reads the sensors and drives fan, core voltage, frequency and protection.

    When `has_news` look at `changes`, settings the task itself wants changed, and at
    what else it asks for.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        rows: Rows,
        board: Board,
        body: Body,
        driver: Driver,
        log: LazyLog,
    ) -> None:
        self.readings = Readings()
        self.expected_hashrate_hs = 0.0
        self.frequency_mhz = settings.frequency_mhz
        """Applied, as far as the task knows."""
        self.next_wake = NEVER
        self.has_news = False
        self.has_overheated = False
        """True from the pass that saw it until somebody takes note."""
        self.must_restart = False
        """The firmware gives up, and the device restarts."""
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
        self.fan = FanControl(settings, rows=rows, fan=body.fan, log=log)
        self.switch = MiningSwitch(
            driver=driver, set_core_voltage=self._set_core_voltage, log=log
        )
        self._rows = rows
        self._can_ramp = rows.ramps_bm1397 or board.chip.name != "BM1397"
        self._period_s = rows.power_loop_s
        self._is_quick = rows.power_loop_s == QUICK_PERIOD_S
        self._is_recovering = False
        """Mining starts anew after overheating."""
        self._first_at = NEVER
        self._due = NEVER
        self._core_voltage_mv: int | None = None
        self._phase = _Phase.RUNNING
        self._cycles = 0
        self._changes: dict[str, bool | int | float] = {}
        self._expect()

    @property
    def is_in_routine(self) -> bool:
        """True while pass follows pass and mining goes on."""
        return self._phase is _Phase.RUNNING and self.switch.is_on

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
        self._first_at = self._due = now + FIRST_PASS_S
        self.fan.start(self._first_at)
        self._schedule()

    def wake(self, now: float) -> None:
        """Look at what has changed in the next pass, if passes come quickly."""
        if not self.fan.has_task:  # nor has then the loop a quick pass
            return
        if self._phase is _Phase.RUNNING and self._is_quick and self._first_at <= now:
            number = tick_number(now, first_at=self._first_at, period_s=QUICK_PERIOD_S)
            due = self._first_at + number * QUICK_PERIOD_S
            self._due = due if due < self._due else self._due
        self.fan.wake(now)
        self._schedule()

    def hold(self, reason: StopReason, now: float, *, is_held: bool) -> None:
        """Give a reason for which mining shall stop, or take it back."""
        self.switch.hold(reason, is_held=is_held)
        self.wake(now)

    def step(self, settings: Settings, now: float, *, is_ap_enabled: bool) -> None:
        """Do what is due: a pass, a step of a sequence, passes of the fan."""
        self.has_news = True
        if self._due <= now:
            self._step_phase(settings, now, is_ap_enabled=is_ap_enabled)
        if self.fan.next_wake <= now:
            self._step_fan(settings, now)
        self._schedule()

    def _step_fan(self, settings: Settings, now: float) -> None:
        reasons = self.switch.reasons
        self.fan.step(
            settings,
            self.readings.hottest_c,
            now,
            is_paused=StopReason.PAUSE in reasons,
            has_no_pool=StopReason.NO_POOL in reasons,
        )
        self.readings.fan_percent = self.fan.percent
        has_failed = self.fan.hardware_fault is not None
        if has_failed and StopReason.HARDWARE_FAULT not in reasons:
            self.hold(StopReason.HARDWARE_FAULT, now, is_held=True)

    def _step_phase(
        self, settings: Settings, now: float, *, is_ap_enabled: bool
    ) -> None:
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
            case _Phase.SWITCHING:
                self.frequency_mhz = settings.frequency_mhz
                self._core_voltage_mv = settings.core_voltage_mv
                self.switch.step(settings, now)
                self._due = NEVER
            case _Phase.RAMPING | _Phase.REINITIALISING:
                self._due = NEVER

    def frequency_reached(self, settings: Settings, now: float) -> None:
        """The driver finished a ramp; the pass that asked for it goes on."""
        self.has_news = True
        if self._phase is _Phase.RAMPING:
            self._expect()
            self._finish_pass(settings, now)
        elif self._phase is _Phase.SWITCHING:
            self.switch.frequency_reached()
            self._has_stopped(settings, now)

    def chip_ready(self, settings: Settings, now: float, *, has_failed: bool) -> None:
        """The driver finished its initialisation; recovery may end here."""
        self.has_news = True
        if self._phase is _Phase.REINITIALISING:
            self._phase = _Phase.RUNNING
            if has_failed:
                self._finish_pass(settings, now)
                return
            self._recovered(settings)
            self._core_voltage_mv = settings.core_voltage_mv
            self._apply_frequency(settings, now)
        elif self.switch.chip_ready(has_failed=has_failed):
            if not has_failed:
                self._expect()
                if self._is_recovering:
                    self._recovered(settings)
                    settings = settings.changed({"is_overheated": False})
            self._is_recovering = False
            self._finish_pass(settings, now)
        self.wake(now)

    def _recovered(self, settings: Settings) -> None:
        self._changes["is_overheated"] = False
        self.shows_overheat = False
        self._say(
            "Resuming normal operation. Reduced frequency "
            f"({settings.frequency_mhz:.0f} MHz) will be applied automatically."
        )

    # One pass

    def _pass(self, settings: Settings, now: float, *, is_ap_enabled: bool) -> None:
        self._read()
        if self.switch.is_on and self._is_too_hot():
            self._overheat(now)
            return
        if not self.fan.has_task:
            hottest_c = self.readings.hottest_c
            self.fan.run(settings, hottest_c, is_ap_enabled=is_ap_enabled)
            self.readings.fan_percent = self.fan.percent
            self.must_restart = self.fan.must_restart
        if self.switch.follow(settings, now):
            self._go(_Phase.SWITCHING, self.switch.next_wake)
            return
        if self.switch.is_stopped:
            self._finish_pass(settings, now)
            return
        if self._core_voltage_mv != settings.core_voltage_mv:
            self._core_voltage_mv = settings.core_voltage_mv
            self._say(f"setting new vcore voltage to {settings.core_voltage_mv}mV")
            self._set_core_voltage(settings.core_voltage_mv / 1000)
        self._apply_frequency(settings, now)

    def _read(self) -> None:
        power = self._body.power_reading
        fan_rpm, fan2_rpm = self._body.fan_rpms
        temp_c = temp2_c = ABSENT_C
        if self._driver.state is DriverState.READY or (
            self.switch.is_stopped and not has_chip_sensor(self._board)
        ):
            temp_c, temp2_c = self._body.temperatures_c
            if not self._rows.reads_second_sensor:
                temp2_c = ABSENT_C
        self.readings = Readings(
            power.power_w,
            power.input_voltage_v,
            power.current_a,
            power.core_voltage_v,
            temp_c,
            temp2_c,
            power.vr_temp_c,
            self.readings.fan_percent,
            fan_rpm,
            fan2_rpm,
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

    def _apply_frequency(self, settings: Settings, now: float) -> None:
        wanted = settings.frequency_mhz
        is_ready = self._driver.state is DriverState.READY and self._can_ramp
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
        if not self.switch.is_stopped:  # that it is off then is no fault
            self._check_regulator()
        self._go(_Phase.RUNNING, NEVER if self._is_quick else now + self._period_s)

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
        degrees = self._degrees
        read = self.readings
        if read.temp2_c > 0:
            asics = f"ASIC1: {read.temp_c:f}{degrees} ASIC2: {read.temp2_c:f}{degrees}"
        else:
            asics = f"ASIC: {read.temp_c:f}{degrees}"
        text = f"OVERHEAT! VR: {read.vr_temp_c:f}{degrees} {asics}"
        self._log(Level.ERROR, TAG, text)
        self.has_overheated = True
        self._changes |= {
            "is_fan_automatic": False,
            "fan_manual_percent": FULL_FAN_PERCENT,
            "is_overheated": True,
        }
        if self._rows.overheat == "stop":
            self._warn(SAFE_MODE_TEXT)
            self.switch.hold(StopReason.OVERHEAT, is_held=True)
            self.switch.stop(now)
            self._go(_Phase.SWITCHING, NEVER)
            if self.switch.is_stopped:
                self._begin_cooling(now)
            return
        self.fan.set(FULL_FAN_PERCENT)
        self.readings.fan_percent = self.fan.percent
        self._set_core_voltage(0.0)
        self._say("Setting RST pin to low due to overheat condition")
        self._driver.stop()
        self.switch.has_stopped = True
        self._warn(SAFE_MODE_TEXT)
        if self._rows.overheat == "reboot":
            self._changes |= {
                "core_voltage_mv": LOWEST_MV,
                "frequency_mhz": float(MIN_FREQUENCY_MHZ),
            }
            self.must_restart = True
            self._go(_Phase.COOLING, NEVER)
            return
        self._begin_cooling(now)

    def _has_stopped(self, settings: Settings, now: float) -> None:
        self.expected_hashrate_hs = 0.0
        if StopReason.OVERHEAT in self.switch.reasons:
            self._begin_cooling(now)
        else:
            self._finish_pass(settings, now)
            self.wake(now)

    def _begin_cooling(self, now: float) -> None:
        self._cycles = 0
        self._go(_Phase.COOLING, now + COOLING_CYCLE_S)

    def _cool(self, settings: Settings, now: float) -> None:
        degrees = self._degrees
        self._cycles += 1
        vr_c = self._body.power_reading.vr_temp_c
        if has_cold_sensor(self._board):
            temp_c, temp2_c = self._body.temperatures_c
            self._warn(
                f"Safe mode active (cycle {self._cycles}) - VR: {vr_c:.1f}{degrees} "
                f"ASIC1: {temp_c:.1f}{degrees} ASIC2: {temp2_c:.1f}{degrees}"
            )
            if max(temp_c, temp2_c) > CHIP_SAFE_C:
                self._cycles = 0
        else:
            self._warn(
                f"Safe mode active (cycle {self._cycles}/{COOLING_CYCLES}) - "
                f"VR: {vr_c:.1f}{degrees} "
                "(ASIC temps unavailable while powered down)"
            )
        if self._cycles < COOLING_CYCLES or vr_c > VR_SAFE_C:
            self._due = now + COOLING_CYCLE_S
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
        if self._rows.overheat == "stop":
            self._say(
                f"Restoring at reduced settings: {after_mv}mV (was {before_mv}mV), "
                f"{after_mhz:.0f} MHz (was {before_mhz:.0f} MHz)"
            )
            self._is_recovering = True
            self.switch.hold(StopReason.OVERHEAT, is_held=False)
            self.switch.start(after_mv, now)
            self._go(_Phase.SWITCHING, self.switch.next_wake)
            return
        self._say(
            f"Restoring core voltage to {after_mv}mV = {after_mv / 1000:.3f}V "
            f"(reduced from {before_mv}mV = {before_mv / 1000:.3f}V)..."
        )
        self._set_core_voltage(after_mv / 1000)
        self._go(_Phase.RESTORING, now + RESTORE_PAUSES_S[0])

    @property
    def _degrees(self) -> str:
        return "°C" if self._rows.overheat == "stop" else "C"

    # Helpers

    def _set_core_voltage(self, volts: float) -> None:
        self._log(Level.INFO, "vcore", f"Set ASIC voltage = {volts:.3f}V")
        self._body.regulator.set_core_voltage(volts)

    def _expect(self) -> None:
        expected_hs = self._board.expected_hashrate_hs(self.frequency_mhz)
        self.expected_hashrate_hs = expected_hs

    def _go(self, phase: _Phase, due: float) -> None:
        self._phase = phase
        self._due = due
        self._schedule()

    def _schedule(self) -> None:
        due, fan_due = self._due, self.fan.next_wake
        self.next_wake = due if due < fan_due else fan_due

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
