"""Mining stops and starts again without a restart of the device.

To stop is a ramp down, power off and reset; to start is everything from the power on
anew. Source: ESP-Miner power_management_task.c from v2.14.
"""

from collections.abc import Callable
from enum import Enum, StrEnum, auto

from softaxe.asic.driver import START_FREQUENCY_MHZ, Driver, DriverState
from softaxe.device.settings import Settings
from softaxe.units import NEVER, Level, Log

TAG = "power_management"
POWER_ON_S = 0.5
"""From the core voltage to the initialisation of the chips."""


class StopReason(StrEnum):
    """Why mining shall not go on; the first that holds is the one to tell."""

    HARDWARE_FAULT = "hardware fault"
    OVERHEAT = "overheat"
    PAUSE = "pause"
    """A user wants it."""
    NO_POOL = "no pool"


class _State(Enum):
    ON = auto()
    RAMPING_DOWN = auto()
    STOPPED = auto()
    POWERING_ON = auto()
    STARTING = auto()
    FAILED = auto()
    """Started in vain; tried again once there has been another reason to stop."""


_WITHOUT_POWER = _State.STOPPED, _State.FAILED


class MiningSwitch:
    """Takes the chips' power and gives it back.

    Call `step` when `next_wake` comes, and `frequency_reached` and `chip_ready` when
    the driver says so.

    Args:
        driver: Of the chips.
        set_core_voltage: Takes volts.
        log: Takes the lines of the firmware's log.
    """

    def __init__(
        self, *, driver: Driver, set_core_voltage: Callable[[float], None], log: Log
    ) -> None:
        self.reasons: set[StopReason] = set()
        """Why mining shall not go on at present."""
        self.has_stopped = False
        """True from when the chips were gone until somebody takes note."""
        self.has_switched = False
        """The chips' power was switched on or off; until somebody takes note."""
        self.next_wake = NEVER
        self._state = _State.ON
        self._driver = driver
        self._set_core_voltage = set_core_voltage
        self._log = log

    @property
    def is_on(self) -> bool:
        """Mining goes on, or would if the chips were there."""
        return self._state is _State.ON

    @property
    def is_stopped(self) -> bool:
        """The chips have no power, for a reason or because they did not start."""
        return self._state in _WITHOUT_POWER

    @property
    def is_busy(self) -> bool:
        """On the way from one to the other; nothing else happens meanwhile."""
        return not (self.is_on or self.is_stopped)

    def hold(self, reason: StopReason, *, is_held: bool) -> None:
        """Give a reason to stop, or take it back."""
        if is_held:
            self.reasons.add(reason)
        else:
            self.reasons.discard(reason)

    def follow(self, settings: Settings, now: float) -> bool:
        """Do in a pass of the power loop what the reasons want; tell if anything."""
        if self.reasons:
            if self._state is _State.FAILED:
                self._state = _State.STOPPED
            elif self.is_on and self._driver.state is DriverState.READY:
                self.stop(now)
                return True
        elif self._state is _State.STOPPED:
            self.start(settings.core_voltage_mv, now)
            return True
        return False

    def stop(self, now: float) -> None:
        """Begin to stop; chips that are not ready lose their power at once."""
        self._say("Stopping mining")
        self._state = _State.RAMPING_DOWN
        if self._driver.state is DriverState.READY:
            self._driver.set_frequency(START_FREQUENCY_MHZ, now)
        else:
            self._have_stopped()

    def start(self, core_voltage_mv: int, now: float) -> None:
        """Begin to start; what the settings say then holds."""
        self._say("Starting mining")
        self._set_core_voltage(core_voltage_mv / 1000)
        self.has_switched = True
        self._state = _State.POWERING_ON
        self.next_wake = now + POWER_ON_S

    def step(self, settings: Settings, now: float) -> None:
        """Initialise the chips, whose power is on."""
        self._state = _State.STARTING
        self.next_wake = NEVER
        self._driver.start(settings.frequency_mhz, now, is_recovery=True)

    def frequency_reached(self) -> None:
        """The ramp down is over."""
        if self._state is _State.RAMPING_DOWN:
            self._have_stopped()

    def chip_ready(self, *, has_failed: bool) -> bool:
        """The initialisation is over; tell whether it was one of these starts."""
        if self._state is not _State.STARTING:
            return False
        if has_failed:
            text = "Mining start failed - ASIC not detected"
            self._log(Level.ERROR, TAG, text)
            self._switch_off(_State.FAILED)
        else:
            self._state = _State.ON
            count = self._driver.detected_count
            self._say(f"Mining started successfully ({count} chip(s))")
        return True

    def _have_stopped(self) -> None:
        self._switch_off(_State.STOPPED)
        self._say("Mining stopped")

    def _switch_off(self, state: _State) -> None:
        self._set_core_voltage(0.0)
        self._driver.stop()
        self._driver.frequency_mhz = self._driver.pll_mhz = START_FREQUENCY_MHZ
        self.has_stopped = self.has_switched = True
        self._state = state

    def _say(self, text: str) -> None:
        self._log(Level.INFO, TAG, text)
