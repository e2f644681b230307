"""The fans, and the firmware's PID controllers that turn them.

Source of the controllers: ESP-Miner PID.c and power_management_task.c (v2.12.2), and
fan_controller_task.c (from v2.13); of the fan controller chips: EMC2101.c, EMC2103.c
and EMC2302.c.
"""

import random
from collections.abc import Callable, Collection
from math import exp

from msgspec import Struct

from softaxe.catalog import Board, FanCurve
from softaxe.units import LazyLog, Level

KNEE_SHARPNESS = 10.0
"""How suddenly a fan's curve becomes flat. Fitted by docs/fit.py."""
FLUTTER = 0.0015
"""Standard deviation of a reading of the speed, relative. Source: a 601 at full duty
shows 6758 to 6792 rpm."""

STANDSTILL_RPM = 82
"""What the EMC2101's full count of a standing fan would give; shown as 0."""

KP = 15.0
KI = 0.2
KD = 3.0
KD_AT_START = 20.0
HOLD_PASSES = 3
RAMP_PASSES = 17
"""Passes after the hold in which the derivative's weight falls to KD."""
SAMPLE_S = 1.799
TASK_SAMPLE_S = 0.1
"""Of the task of its own. Source: ESP-Miner fan_controller_task.c."""
PASS_TEXT = (
    "Temp: {temperature_c:.1f} °C, SetPoint: {setpoint_c:.1f} °C, "
    f"Output: {{output:.1f}}% (P:{KP:.1f} I:{KI:.1f} D_val:{{kd:.1f}} "
    f"D_start_val:{KD_AT_START:.1f})"
)
MAX_PERCENT = 100.0
TAG = "power_management"


class FanChip(Struct, frozen=True):
    """How a fan controller chip sets and measures."""

    pwm_steps: int
    shown_rpm: Callable[[float], int]
    """From the true speed to what the firmware makes of the chip's count."""


def _emc2101_rpm(rpm: float) -> int:
    count = min(0xFFFF, int(5_400_000 / rpm)) if rpm > 0 else 0xFFFF
    shown = 5_400_000 // count
    return 0 if shown == STANDSTILL_RPM else shown


def _emc2103_rpm(rpm: float) -> int:
    # The count has 13 bits: a standing fan shows as the slowest that fits in.
    count = min(0x1FFF, int(7_864_320 / rpm)) if rpm > 0 else 0x1FFF
    return 7_864_320 // count


def _emc2302_rpm(rpm: float) -> int:
    count = int(7_864_320 / rpm) if rpm > 0 else 0x1FFF
    return 0 if count << 3 >= 0xFF00 else 7_864_320 // count


FAN_CHIPS = {
    "EMC2101": FanChip(63, _emc2101_rpm),
    "EMC2103": FanChip(255, _emc2103_rpm),
    "EMC2302": FanChip(255, _emc2302_rpm),
}


class Fan:
    """The board's fans, all commanded alike, and their controller chip."""

    least_percent = 0.0
    """They may stand still."""

    def __init__(self, board: Board) -> None:
        self._curve = board.fan
        self._chip = FAN_CHIPS[board.fan_controller]
        self._count = board.fan_count
        self._duty = 0.0
        self._end_rpm = 0.0
        """Where the speed goes."""
        self._rpm = 0.0
        self._kept_over_s, self._kept = 0.0, 1.0
        """The latest seconds of a step, and what they leave of a difference."""
        self._flutter = 1.0
        self._turning = [1.0] * self._count
        self._told = [1.0] * self._count
        self._flow = 1.0
        self.answers = True
        """The controller chip takes duties."""

    def set_percent(self, percent: float) -> bool:
        """Command a duty, 0 to 100; the controller chip cuts it to its steps.

        Returns:
            Whether it answered; the duty stays what it was when it did not.
        """
        if not self.answers:
            return False
        duty = int(self._chip.pwm_steps * percent / 100) / self._chip.pwm_steps
        if duty != self._duty:
            self._duty = duty
            self._end_rpm = self._curve.rpm_at_full * speed_share(self._curve, duty)
        return True

    def set_condition(
        self,
        *,
        dead: Collection[int],
        blocked: Collection[int],
        blocked_flow: float,
        untold: Collection[int] = (),
    ) -> None:
        """Let fans stand still, or turn without moving much air.

        Args:
            dead: Numbers of those that stand, from 1.
            blocked: Of those that are covered.
            blocked_flow: Share of their air that these still move.
            untold: Of those whose speed cannot be measured.
        """
        numbers = range(1, self._count + 1)
        self._turning = [0.0 if number in dead else 1.0 for number in numbers]
        self._told = [0.0 if number in untold else 1.0 for number in numbers]
        flows = [
            turning * (blocked_flow if number in blocked else 1.0)
            for number, turning in zip(numbers, self._turning, strict=True)
        ]
        self._flow = sum(flows) / self._count

    def step(self, dt_s: float, rng: random.Random | None = None) -> None:
        """Let the speed follow the duty for `dt_s` seconds.

        Args:
            dt_s: Seconds, at least 0.
            rng: For the scatter of what is measured; None measures without.
        """
        if dt_s != self._kept_over_s:
            self._kept_over_s = dt_s
            self._kept = exp(-dt_s / self._curve.inertia_s)
        self._rpm = self._end_rpm + (self._rpm - self._end_rpm) * self._kept
        if rng is not None:
            self._flutter = rng.gauss(1.0, FLUTTER)

    @property
    def rpm(self) -> int:
        """Speed of the first fan as the firmware shows it."""
        return self._shown_rpm(self._turning[0] * self._told[0])

    @property
    def rpm2(self) -> int:
        """Speed of the second; 0 without one."""
        if self._count == 1:
            return 0
        turning = self._turning[1] * self._told[1]
        return self._shown_rpm(self._curve.second_share * turning)

    @property
    def pulse_rpms(self) -> list[float]:
        """Speed of every fan as the pulses tell it that the chip counts."""
        shares = (1.0, self._curve.second_share)[: self._count]
        return [
            self._rpm * self._flutter * share * turning * told
            for share, turning, told in zip(
                shares, self._turning, self._told, strict=True
            )
        ]

    def _shown_rpm(self, share: float) -> int:
        return self._chip.shown_rpm(self._rpm * self._flutter * share)

    @property
    def airflow(self) -> float:
        """Flow relative to that of the usual fan at full speed."""
        curve = self._curve
        return self._flow * curve.full_flow * self._rpm / curve.rpm_at_full


def speed_share(
    curve: FanCurve, duty: float, sharpness: float = KNEE_SHARPNESS
) -> float:
    """Speed over that at full duty: it grows with the duty up to a knee."""
    if duty < curve.stall_duty:
        return 0.0

    def bent(x: float) -> float:
        return float(x / (1 + x**sharpness) ** (1 / sharpness))

    return bent(duty / curve.knee_duty) / bent(1 / curve.knee_duty)


class Pid:
    """A fan's controller without what it does at its start: hotter means faster.

    Proportional on error; the integral gives up what the limits cut off, so that it
    does not wind up.

    Args:
        weights: P, I and D.
        sample_s: Time between two passes.
        low: Where the integral starts, in percent.
        newest: What the newest temperature counts in the one that is followed.
    """

    def __init__(
        self,
        weights: tuple[float, float, float],
        *,
        sample_s: float,
        low: float,
        newest: float = 1.0,
    ) -> None:
        self._kp, ki, self.kd = weights
        self._ki = ki * sample_s
        self._sample_s = sample_s
        self._newest = newest
        self._sum = low
        self.followed_c = 0.0
        """The temperature of the last pass, smoothed."""

    def compute(
        self,
        temperature_c: float,
        setpoint_c: float,
        *,
        low: float,
        kd: float,
        passes: int = 1,
    ) -> float:
        """Take passes with this weight of D; return the last one's duty in percent."""
        kp, ki, per_kelvin, newest = (
            self._kp,
            self._ki,
            kd / self._sample_s,
            self._newest,
        )
        total, last_c, high, output = self._sum, self.followed_c, MAX_PERCENT, low
        for _ in range(passes):
            now_c = temperature_c
            if newest != 1:
                now_c = last_c + newest * (temperature_c - last_c)
            error = setpoint_c - now_c
            total -= ki * error
            if total > high:
                total = high
            elif total < low:
                total = low
            output = -kp * error + total + per_kelvin * (now_c - last_c)
            if output > high:
                total -= output - high
                output = high
            elif output < low:
                total += low - output
                output = low
            last_c = now_c
        self._sum, self.followed_c = total, last_c
        return output


class FanController:
    """The PID of the power loop, with more weight on changes at its start.

    Args:
        min_percent: Lower limit of the output.
        log: For the line of every pass.
    """

    def __init__(self, min_percent: float, *, log: LazyLog) -> None:
        self._min_percent = min_percent
        self._log = log
        self._pid = Pid((KP, KI, KD), sample_s=SAMPLE_S, low=min_percent)
        self._passes = 0

    def compute(self, temperature_c: float, setpoint_c: float) -> float:
        """Take one pass; return the duty in percent."""
        kd = self._derivative_weight()
        output = self._pid.compute(
            temperature_c, setpoint_c, low=self._min_percent, kd=kd
        )
        self._log(
            Level.INFO,
            TAG,
            PASS_TEXT,
            temperature_c=temperature_c,
            setpoint_c=setpoint_c,
            output=output,
            kd=kd,
        )
        return output

    def _derivative_weight(self) -> float:
        self._passes += 1
        passes = self._passes
        if passes <= HOLD_PASSES:
            self._say(
                f"PID startup hold phase: {passes}/{HOLD_PASSES}, "
                f"holding D at: {KD_AT_START:.1f}"
            )
            return KD_AT_START
        ramp = passes - HOLD_PASSES
        if ramp < RAMP_PASSES:
            kd = KD_AT_START - ramp
            self._say(
                f"PID startup ramp phase: {ramp}/{RAMP_PASSES} "
                f"(Total cycle: {passes}), current D: {kd:.1f}"
            )
            return kd
        if ramp == RAMP_PASSES:
            text = f"PID startup phase complete, switching to normal D value: {KD:.1f}"
            self._say(text)
        return KD

    def _say(self, text: str) -> None:
        self._log(Level.INFO, TAG, text)
