"""The fan: driven by a pass of the power loop, or by a task of its own.

Source of rules, numbers and texts: ESP-Miner power_management_task.c up to v2.12, and
fan_controller_task.c from v2.13.
"""

from enum import StrEnum

from softaxe.board.fan import TASK_SAMPLE_S, FanController, Pid
from softaxe.catalog.firmware.rows import Rows
from softaxe.device.body import FanDrive
from softaxe.device.settings import Settings
from softaxe.units import NEVER, LazyLog, Level, tick_number

LOOP_TAG = "power_management"
TASK_TAG = "fan_controller"
FULL_PERCENT = 100
STARTUP_PERCENT = 70
"""Without a temperature: in access point mode, and in the fan's own task."""
STOPPED_PERCENT = 30
FIXED_MIN_PERCENT = 25
"""Before there was a setting."""
PASSES_PER_LINE = 20
"""The task tells of its control every two seconds."""


class FanMode(StrEnum):
    """What decides the speed, as the firmware words it; the first that holds."""

    OVERHEAT = "Overheat"
    PAUSED = "Paused"
    NO_POOL = "No pool"
    MANUAL = "Manual"
    AUTO = "Auto"
    STARTUP = "Startup"


class FanControl:
    """Chooses the fan's speed.

    With a task of its own call `step` when `next_wake` comes; otherwise `run` in each
    pass of the power loop.

    Args:
        settings: In force at boot.
        rows: Of the firmware.
        fan: Takes the speed.
        log: Takes the lines of the firmware's log.
    """

    def __init__(
        self, settings: Settings, *, rows: Rows, fan: FanDrive, log: LazyLog
    ) -> None:
        self.percent = 0.0
        """As commanded."""
        self.next_wake = NEVER
        self.must_restart = False
        """The firmware gives up: the fan's controller did not answer."""
        self.hardware_fault: str | None = None
        """That the controller did not answer, as the API tells it until a restart."""
        self.has_task = rows.fan_loop_s == TASK_SAMPLE_S
        self._rows = rows
        self._fan = fan
        self._log = log
        is_fixed = rows.min_fan_speed == "fixed 25"
        low = FIXED_MIN_PERCENT if is_fixed else settings.fan_min_percent
        self._low_at_boot = low
        self._in_loop = FanController(low, log=log)
        self._pid = Pid(
            rows.fan_pid, sample_s=TASK_SAMPLE_S, low=low, newest=rows.fan_smoothing
        )
        self._first_at = NEVER
        self._passes = 0
        """Of the task, up to the last `step`."""
        self._lines = 0
        self._mode: FanMode | None = None
        self._setpoint_c = 0.0
        self._temp_c = 0.0
        self._has_begun = False

    # In the power loop

    def run(self, settings: Settings, temp_c: float, *, is_ap_enabled: bool) -> None:
        """Take a pass of the power loop, of which the fan is a part.

        Args:
            settings: As stored now.
            temp_c: The hottest that a sensor shows; below 0 for none.
            is_ap_enabled: The device's own access point is on.
        """
        if not settings.is_fan_automatic:
            percent = settings.fan_manual_percent
            if self.percent != percent:
                self._say(LOOP_TAG, f"Setting manual fan speed to {percent}%")
                self.set(percent)
        elif temp_c >= 0:
            self.set(self._in_loop.compute(temp_c, settings.target_temperature_c))
        elif is_ap_enabled:
            self._warn(
                LOOP_TAG,
                f"AP mode with invalid temperature reading: {temp_c:.1f} °C - "
                f"Setting fan to {STARTUP_PERCENT}%",
            )
            self.set(STARTUP_PERCENT)
        else:
            text = f"Ignoring invalid temperature reading: {temp_c:.1f} °C"
            self._warn(LOOP_TAG, text)
            if self._rows.fan_without_temperature == "100":
                if self.percent != FULL_PERCENT:
                    self._say(LOOP_TAG, f"Setting fan speed to {FULL_PERCENT}%")
                self.set(FULL_PERCENT)

    # A task of its own

    def start(self, first_at: float) -> None:
        """Begin the task, if the fan has one; its first pass is at `first_at`."""
        if self.has_task:
            self._first_at = self.next_wake = first_at

    def wake(self, now: float) -> None:
        """Look at what has changed in the task's next pass."""
        if self._first_at <= now:
            number = tick_number(now, first_at=self._first_at, period_s=TASK_SAMPLE_S)
            due = self._first_at + number * TASK_SAMPLE_S
            self.next_wake = due if due < self.next_wake else self.next_wake

    def step(
        self,
        settings: Settings,
        temp_c: float,
        now: float,
        *,
        is_paused: bool,
        has_no_pool: bool,
    ) -> None:
        """Take the task's passes since the last `step`, and one with what is new.

        Args:
            settings: As stored now.
            temp_c: The hottest that a sensor shows; 0 or less for none.
            now: Device time.
            is_paused: A user has stopped mining.
            has_no_pool: It has stopped because no pool can be reached.
        """
        self.next_wake = NEVER
        number = 1 + tick_number(now, first_at=self._first_at, period_s=TASK_SAMPLE_S)
        passes, self._passes = number - self._passes, number
        if settings.is_overheated:
            mode, percent = FanMode.OVERHEAT, float(FULL_PERCENT)
        elif is_paused:
            mode, percent = FanMode.PAUSED, float(STOPPED_PERCENT)
        elif has_no_pool:
            mode, percent = FanMode.NO_POOL, float(STOPPED_PERCENT)
        elif not settings.is_fan_automatic:
            mode, percent = FanMode.MANUAL, float(settings.fan_manual_percent)
        elif temp_c > 0:
            mode, percent = FanMode.AUTO, self._control(settings, temp_c, passes)
        else:
            mode, percent = FanMode.STARTUP, float(STARTUP_PERCENT)
        if mode is not self._mode:
            self._mode = mode
            self._tell_mode(mode, percent)
        self.set(percent)

    def _control(self, settings: Settings, temp_c: float, passes: int) -> float:
        low, pid, setpoint_c = self._low_at_boot, self._pid, self._setpoint_c
        if self._rows.min_fan_speed == "live":
            low = settings.fan_min_percent
        if not self._has_begun:
            self._has_begun = True
            if self._rows.fan_smoothing < 1:
                pid.followed_c = temp_c  # the first is no change
        if self._mode is not FanMode.AUTO:
            self._lines = self._passes // PASSES_PER_LINE
        elif passes > 1:  # those before had what was known then
            pid.compute(self._temp_c, setpoint_c, low=low, kd=pid.kd, passes=passes - 1)
        self._temp_c = temp_c
        self._setpoint_c = setpoint_c = settings.target_temperature_c
        percent = pid.compute(temp_c, setpoint_c, low=low, kd=pid.kd)
        if (lines := self._passes // PASSES_PER_LINE) != self._lines:
            self._lines = lines
            self._say(
                TASK_TAG,
                f"Temp: {pid.followed_c:.1f}°C, SetPoint: {setpoint_c:.1f}°C, "
                f"Output: {percent:.1f}%",
            )
        return percent

    def _tell_mode(self, mode: FanMode, percent: float) -> None:
        if self._rows.fan_tells_mode:
            self._say(TASK_TAG, f"Set to {mode} mode, fan speed: {percent:.1f}%")
        elif mode is FanMode.MANUAL:
            self._say(TASK_TAG, f"Setting manual fan speed to {percent:.0f}%")
        elif mode is FanMode.STARTUP:
            self._warn(TASK_TAG, "Temperature sensor starting up...")

    # Both

    def set(self, percent: float) -> None:
        """Command a speed, and see whether the controller takes it."""
        least = self._fan.least_percent
        self.percent = percent = float(percent if percent > least else least)
        if self._fan.set_percent(percent):
            return
        match self._rows.fan_failure:
            case "restart":
                self.must_restart = True
            case "task ends":
                self._first_at = NEVER
            case "hardware_fault" if self.hardware_fault is None:
                self.hardware_fault = f"Fan Control Failed ({self._mode})"
                self._log(Level.ERROR, TASK_TAG, self.hardware_fault)
            case _:
                pass

    def _say(self, tag: str, text: str) -> None:
        self._log(Level.INFO, tag, text)

    def _warn(self, tag: str, text: str) -> None:
        self._log(Level.WARNING, tag, text)
