"""Find the frequency and voltage with the fewest joules per terahash.

    python examples/tuner.py http://127.0.0.1:8080

It only uses the API of a Bitaxe, so it tunes a real one too: expect a few hours there,
and seconds on `softaxe run --speed 1000`. Work rate counts good hashes only, because
errors cost energy and earn nothing.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import softaxe

SETTLE_S = 120
"""Device seconds between a change and the measurement."""
MEASURE_S = 240
"""Device seconds to average over."""
FREQUENCY_STEPS_MHZ = (50, 25, 12.5)
VOLTAGE_STEPS_MV = (40, 20, 10)
LEAST_MHZ, MOST_MHZ = 300, 900
CHIP_LIMIT_C = 70
VR_LIMIT_C = 95
UNSTABLE_PERCENT = 5.0
"""With more errors than this a setting is not worth keeping."""


@dataclass(frozen=True)
class Setting:
    """A frequency in MHz and a core voltage in mV."""

    mhz: float
    millivolts: int


@dataclass(frozen=True)
class Measurement:
    """Means over one measurement."""

    setting: Setting
    good_ths: float
    power_w: float
    temp_c: float
    vr_temp_c: float
    error_percent: float

    @property
    def j_per_th(self) -> float:
        """Energy per good work; infinite when it is not worth keeping."""
        is_safe = self.temp_c < CHIP_LIMIT_C and self.vr_temp_c < VR_LIMIT_C
        is_stable = self.error_percent < UNSTABLE_PERCENT and self.good_ths > 0
        return self.power_w / self.good_ths if is_safe and is_stable else float("inf")


class Bitaxe:
    """What a tuner does with a device."""

    def __init__(self, url: str) -> None:
        self.device = softaxe.AxeOS(url)

    def set(self, setting: Setting) -> None:
        """Change frequency and voltage, and have the device record often."""
        self.device.set(
            frequency=setting.mhz, coreVoltage=setting.millivolts, statsFrequency=5
        )

    def wait(self, seconds: float) -> None:
        """Wait on the device's own clock, which may run faster than ours."""
        pause, now = 0.02, self.uptime_s()
        end = now + seconds
        while now < end:
            time.sleep(pause)
            before, now = now, self.uptime_s()
            speed = (now - before) / pause
            pause = min(pause * 2, 5.0, (end - now) / speed if speed else 5.0)

    def uptime_s(self) -> float:
        """Device time since it was started."""
        return self.device.info().uptimeSeconds or 0

    def measure(self, setting: Setting) -> Measurement:
        """Try a setting: change, settle, and average what the device records."""
        self.set(setting)
        self.wait(SETTLE_S)
        began_ms = self.uptime_s() * 1000
        self.wait(MEASURE_S)
        columns = "hashrate", "errorPercentage", "power", "asicTemp", "vrTemp"
        rows = self.device.statistics(*columns).rows
        rows = [row for row in rows if (row["timestamp"] or 0) > began_ms]

        def mean(of: Callable[[dict[str, Any]], float]) -> float:
            return sum(map(of, rows)) / len(rows)

        return Measurement(
            setting,
            good_ths=mean(
                lambda row: row["hashrate"] * (1 - row["errorPercentage"] / 100) / 1000
            ),
            power_w=mean(lambda row: row["power"]),
            temp_c=mean(lambda row: row["asicTemp"]),
            vr_temp_c=mean(lambda row: row["vrTemp"]),
            error_percent=mean(lambda row: row["errorPercentage"]),
        )


def tune(bitaxe: Bitaxe, report: Callable[[Measurement], None]) -> Measurement:
    """Walk downhill, with ever smaller steps, from the present setting; apply the best.

    Returns:
        The measurement of the setting that was applied.
    """
    info, options = bitaxe.device.info(), bitaxe.device.asic().voltageOptions or []
    if info.overheat_mode:
        raise SystemExit("the device has overheated: cool it and clear overheat_mode")
    known: dict[Setting, Measurement] = {}

    def try_(setting: Setting) -> Measurement:
        if setting not in known:
            known[setting] = bitaxe.measure(setting)
            report(known[setting])
        return known[setting]

    best = try_(Setting(info.frequency or 0, info.coreVoltage or 0))
    for mhz, millivolts in zip(FREQUENCY_STEPS_MHZ, VOLTAGE_STEPS_MV, strict=True):
        moves = ((0, -1), (1, 0), (-1, 0), (-1, -1), (1, 1), (0, 1))
        is_better = True
        while is_better:
            is_better = False
            for up, more in moves:
                setting = Setting(
                    best.setting.mhz + up * mhz,
                    best.setting.millivolts + more * millivolts,
                )
                is_allowed = LEAST_MHZ <= setting.mhz <= MOST_MHZ and min(
                    options
                ) <= setting.millivolts <= max(options)
                if is_allowed and try_(setting).j_per_th < best.j_per_th:
                    best = try_(setting)
                    is_better = True
    bitaxe.set(best.setting)
    return best


def _print(measurement: Measurement) -> None:
    setting = measurement.setting
    print(
        f"{setting.mhz:6.1f} MHz {setting.millivolts:5d} mV  "
        f"{measurement.good_ths:6.3f} TH/s {measurement.power_w:6.2f} W "
        f"{measurement.temp_c:5.1f} °C {measurement.error_percent:5.2f} % errors  "
        f"{measurement.j_per_th:6.2f} J/TH",
        flush=True,
    )


def main() -> None:
    """Tune the device whose address is the argument."""
    if len(sys.argv) != 2:
        raise SystemExit("usage: python examples/tuner.py http://ADDRESS")
    best = tune(Bitaxe(sys.argv[1]), _print)
    print("applied:")
    _print(best)


if __name__ == "__main__":
    main()
