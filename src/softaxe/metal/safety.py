"""What a real board must not do: judged before the firmware's own rules come to it.

A firmware trusts its sensors; a sensor that has died cool lets it turn the fan down. So
a board that is there is judged by these rules, and the first that it breaks cuts its
core voltage. Where a rule has no source it is a choice, on the safe side of what the
firmware allows.
"""

from collections.abc import Iterator
from math import isnan

from msgspec import Struct

from softaxe.board.regulator import FAULTS, Status
from softaxe.board.sensors import STEPS_C
from softaxe.catalog import Board

CHIP_LIMIT_C = 85.0
"""The firmware stops at 75."""
VR_LIMIT_C = 110.0
"""The firmware stops at 105; the regulator itself, as it is shipped, at 145."""
PLAUSIBLE_C = (1.0, 120.0)
"""A dead diode reads -64, -1, 0 or 127."""
MISSES = 3
"""Looks in a row at which a sensor may fail."""
OLDEST_S = 5.0
"""Age of the last look that was whole, beyond which nothing is known."""
STUCK_S = {"fine": 60.0, "coarse": 900.0}
"""For so long a powered chip does not read the same: its diode shows eighths of a
degree, a sensor on the board whole ones."""
COARSE_STEP_C = 1.0
SPIN_UP_S = 5.0
TURNING_PERCENT = 30.0
"""Duty at which a fan that is well turns."""
SETTLED_S = 0.5
"""From switching on to readings that hold. Source: mujina."""
MOST_OFF_V, MOST_OFF_SHARE = 0.05, 0.03
"""By how much the core voltage may differ from what it was set to."""
FULL_FAN_PERCENT, LEAST_FAN_PERCENT = 100.0, 50.0
"""The least while there is core voltage: the last duty outlives who set it."""
OFF_V = 0.3
"""Below this there is no core voltage."""
STEP_V = 0.025
"""Most that the core voltage changes between two looks at what came of it."""


class Survey(Struct, frozen=True, kw_only=True):
    """What one look at a board's instruments found."""

    at: float = 0.0
    """Seconds, on the clock of who looked."""
    chips_c: tuple[float, ...]
    """Each sensor, with the board's offset; not a number where it says that it is
    broken."""
    rpms: tuple[int, ...]
    input_v: float
    core_v: float
    """Per domain."""
    current_a: float
    """Of the core where the regulator measures it, of the input elsewhere."""
    power_w: float
    vr_c: float | None
    """None where nothing measures it."""
    status: Status


class Judge:
    """Watches one board; tell it of what is ordered and of every look.

    Args:
        board: Whose limits.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        is_coarse = STEPS_C[board.temp_sensor] >= COARSE_STEP_C
        self._stuck_s = STUCK_S["coarse" if is_coarse else "fine"]
        self._core_v = 0.0
        self._switched_at = 0.0
        self._is_reset_low = True
        self._released_at = 0.0
        self._percent = 0.0
        self._turned_at = 0.0
        self._looked_at = 0.0
        self._misses: dict[str, int] = {}
        self._same: dict[int, tuple[float, float]] = {}
        """By sensor, what it shows and since when."""

    def core_voltage_set(self, volts: float, now: float) -> None:
        """The core voltage, 0 for none, is so from now on."""
        if not self._core_v:
            self._misses.clear()
            self._same.clear()
            self._looked_at = now  # what was known before is no excuse, and no crime
            self._switched_at = now
        self._core_v = volts

    def reset_set(self, now: float, *, is_low: bool) -> None:
        """The chips are held in reset, or let go."""
        if self._is_reset_low and not is_low:
            self._released_at = now
        self._is_reset_low = is_low

    def fan_set(self, percent: float, now: float) -> None:
        """The fans have another duty."""
        if self._percent < TURNING_PERCENT <= percent:
            self._turned_at = now  # a fan that turns has no excuse for standing still
        self._percent = percent

    @property
    def is_powered(self) -> bool:
        """Whether there is anything to protect."""
        return self._core_v > 0

    def too_old(self, now: float) -> str | None:
        """Tell why it may not go on if nobody has looked for too long."""
        age_s = now - self._looked_at
        if self.is_powered and age_s > OLDEST_S:
            return f"nothing is known of the board since {age_s:.1f} s"
        return None

    def look(self, survey: Survey) -> str | None:
        """Judge a look; return why the board may not go on."""
        if not self.is_powered:
            return self._comes_on(survey)
        self._looked_at = survey.at
        fatal = next(self._fatal(survey), None)
        if fatal:
            return fatal
        wrong = dict(self._wrong(survey))
        self._misses = {what: self._misses.get(what, 0) + 1 for what in wrong}
        for what, count in self._misses.items():
            if count >= MISSES:
                return wrong[what]
        return None

    def _comes_on(self, survey: Survey) -> str | None:
        """Tell of a voltage that nobody has ordered; a DS4432U always has one."""
        if not self._board.has_tps546 or survey.core_v < OFF_V:
            return None
        return f"the core has {survey.core_v:.3f} V though it is switched off"

    def _fatal(self, survey: Survey) -> Iterator[str]:
        """Yield what is dangerous at once."""
        limits = self._board.regulator
        for number, chip_c in enumerate(survey.chips_c, 1):
            if CHIP_LIMIT_C <= chip_c <= PLAUSIBLE_C[1] and self._is_chip_on(survey.at):
                yield f"chip sensor {number} shows {chip_c:.1f} °C"
        if survey.vr_c is not None and VR_LIMIT_C <= survey.vr_c <= 200:
            yield f"the voltage regulator is at {survey.vr_c:.0f} °C"
        if survey.at - self._switched_at < SETTLED_S:
            return
        if survey.current_a > limits.iout_oc_warn_a:
            yield f"the core takes {survey.current_a:.1f} A"
        for bit, text in FAULTS.items():
            if survey.status & bit:
                yield f"{text} (status {survey.status:04x})"

    def _wrong(self, survey: Survey) -> Iterator[tuple[str, str]]:
        """Yield what is wrong and not yet dangerous, and how to say it."""
        if self._is_chip_on(survey.at):
            for number, chip_c in enumerate(survey.chips_c, 1):
                if text := self._is_sensor_dead(number, chip_c, survey.at):
                    yield f"chip {number}", text
        if survey.vr_c is not None and not _is_plausible(survey.vr_c):
            yield "regulator", f"the regulator's sensor shows {survey.vr_c:.0f} °C"
        has_spun_up = survey.at - self._turned_at >= SPIN_UP_S
        if self._percent >= TURNING_PERCENT and has_spun_up:
            for number, rpm in enumerate(survey.rpms, 1):
                if rpm <= 0:
                    yield f"fan {number}", f"fan {number} stands still"
        has_settled = survey.at - self._switched_at >= SETTLED_S
        if has_settled and not self.is_near(survey.core_v):
            text = f"the core voltage is {survey.core_v:.3f} V"
            yield "voltage", f"{text} instead of {self._core_v:.3f} V"

    def _is_chip_on(self, at: float) -> bool:
        return not self._is_reset_low and at - self._released_at >= SETTLED_S

    def _is_sensor_dead(self, number: int, chip_c: float, at: float) -> str | None:
        if isnan(chip_c):
            return f"chip sensor {number} is broken"
        if not _is_plausible(chip_c):
            return f"chip sensor {number} shows {chip_c:.1f} °C"
        shown_c, since = self._same.get(number, (chip_c, at))
        self._same[number] = (chip_c, since if shown_c == chip_c else at)
        same_s = at - self._same[number][1]
        if same_s >= self._stuck_s:
            return f"chip sensor {number} shows {chip_c:.3f} °C since {same_s:.0f} s"
        return None

    def is_near(self, core_v: float) -> bool:
        """Whether this can be the core voltage that was set."""
        most_off_v = MOST_OFF_V + MOST_OFF_SHARE * self._core_v
        return abs(core_v - self._core_v) <= most_off_v


def _is_plausible(degrees_c: float) -> bool:
    least_c, most_c = PLAUSIBLE_C
    return least_c <= degrees_c <= most_c


def allowed_core_v(board: Board) -> tuple[float, float]:
    """Least and most core voltage of a board that is there, per domain in volts.

    What its page offers, and nothing beyond. Source: the options of its chip.
    """
    options_mv = board.chip.core_voltage_options_mv
    return min(options_mv) / 1000, max(options_mv) / 1000
