"""Where a device settles: the model's answer without waiting for it.

The same power stage, heat and error model as the live device, stepped until nothing
changes; so a tuner's finding, or a live device after an hour, can be held against it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from softaxe.asic.hashing import domain_shares, error_share
from softaxe.board.fan import Fan
from softaxe.board.power import PowerStage
from softaxe.board.regulator import PowerReading, regulator_for
from softaxe.board.sensors import read_temperatures
from softaxe.board.thermal import Thermal
from softaxe.catalog.lottery import Specimen
from softaxe.units import Level

LONG_S = 1e7
"""A step that ends in the steady state of its inputs."""
ROUNDS = 30
AGREED_K = 1e-4
"""Power and heat agree when a round changes no more, or after so many rounds."""
FIRST_RISE_K = 25.0
"""A first guess of the rise over the air."""
BISECTIONS = 14
"""Halvings of the fan's range: to a hundredth of a percent."""


@dataclass(frozen=True, slots=True)
class SteadyState:
    """A settled device."""

    frequency_mhz: float
    core_voltage_mv: int
    hashrate_hs: float
    """Of the counters, errors included, as `hashRate` shows it."""
    error_share: float
    power: PowerReading
    temp_c: float
    temp2_c: float
    fan_percent: float
    fan_rpm: int

    @property
    def good_hs(self) -> float:
        """Hash rate without errors."""
        return self.hashrate_hs * (1 - self.error_share)

    @property
    def j_per_th(self) -> float:
        """Shown power per good hash rate; infinite without any."""
        return self.power.power_w / (self.good_hs / 1e12) if self.good_hs else 1e9


def steady_state(
    specimen: Specimen,
    *,
    frequency_mhz: float,
    core_voltage_mv: int,
    ambient_c: float = 25.0,
    target_c: float = 60.0,
    fan_percent: float | None = None,
    least_percent: float = 25.0,
) -> SteadyState:
    """Work out where a device settles.

    Args:
        specimen: Whose metal.
        frequency_mhz: Clock of the chips.
        core_voltage_mv: As set.
        ambient_c: Air.
        target_c: Where the fan control holds the hotter sensor, if it can.
        fan_percent: A fan speed set by hand instead.
        least_percent: Lower limit of the fan control.
    """

    def at(percent: float) -> SteadyState:
        return _settle(specimen, frequency_mhz, core_voltage_mv, ambient_c, percent)

    if fan_percent is not None:
        return at(fan_percent)
    low, high = least_percent, 100.0
    if _hottest(at(low)) <= target_c:
        return at(low)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if _hottest(at(middle)) > target_c:
            low = middle
        else:
            high = middle
    return at(high)


def steady_state_at(
    specimen: Specimen, temp_c: float, *, frequency_mhz: float, core_voltage_mv: int
) -> SteadyState:
    """Work out where a device settles in the air that makes its sensor show this.

    Readings of real devices tell the chip's temperature, hardly ever the air's. The fan
    turns at full speed.
    """
    ambient_c = temp_c - FIRST_RISE_K
    return _settle(
        specimen, frequency_mhz, core_voltage_mv, ambient_c, 100.0, held_c=temp_c
    )


def best_efficiency(
    specimen: Specimen,
    *,
    frequencies_mhz: Iterable[float],
    voltages_mv: Iterable[int],
    ambient_c: float = 25.0,
) -> SteadyState:
    """Find the setting with the fewest joules per terahash, trying all of them."""
    voltages = list(voltages_mv)
    states = (
        steady_state(
            specimen, frequency_mhz=mhz, core_voltage_mv=mv, ambient_c=ambient_c
        )
        for mhz in frequencies_mhz
        for mv in voltages
    )
    return min(states, key=lambda state: state.j_per_th)


def _hottest(state: SteadyState) -> float:
    return max(state.temp_c, state.temp2_c)


def _settle(
    specimen: Specimen,
    frequency_mhz: float,
    core_voltage_mv: int,
    ambient_c: float,
    fan_percent: float,
    *,
    held_c: float | None = None,
) -> SteadyState:
    board = specimen.board
    power, thermal, fan = (
        PowerStage(specimen),
        Thermal(board, ambient_c=ambient_c),
        Fan(board),
    )
    regulator = regulator_for(board, power, log=_silent)
    regulator.set_core_voltage(core_voltage_mv / 1000)
    fan.set_percent(fan_percent)
    fan.step(LONG_S)
    for _ in range(ROUNDS):
        before_c = thermal.chip_c + thermal.vr_c
        power.step(
            frequency_mhz=frequency_mhz,
            activity=1.0,
            temperatures_c=thermal.chips_c,
            airflow=fan.airflow,
        )
        heat = {
            "core_power_w": power.core_power_w,
            "regulator_heat_w": power.regulator_heat_w,
            "airflow": fan.airflow,
        }
        thermal.step(LONG_S, ambient_c=ambient_c, **heat)
        if held_c is not None:
            ambient_c += held_c - read_temperatures(board, thermal)[0]
            thermal.step(LONG_S, ambient_c=ambient_c, **heat)
        if abs(thermal.chip_c + thermal.vr_c - before_c) < AGREED_K:
            break
    regulator.step(thermal.vr_c, None)
    counted_hs = wrong_hs = 0.0
    for silicon, chip_c in zip(specimen.silicons, thermal.chips_c, strict=True):
        margin_v = power.core_voltage_v - silicon.half_voltage_v(frequency_mhz, chip_c)
        nominal_hs = board.expected_hashrate_hs(frequency_mhz) / board.asic_count
        chip_hs = nominal_hs * sum(domain_shares(silicon, margin_v))
        counted_hs += chip_hs
        wrong_hs += chip_hs * error_share(silicon, margin_v)
    temp_c, temp2_c = read_temperatures(board, thermal)
    return SteadyState(
        frequency_mhz=frequency_mhz,
        core_voltage_mv=core_voltage_mv,
        hashrate_hs=counted_hs,
        error_share=wrong_hs / counted_hs if counted_hs else 1.0,
        power=regulator.reading,
        temp_c=temp_c,
        temp2_c=temp2_c,
        fan_percent=fan_percent,
        fan_rpm=fan.rpm,
    )


def _silent(level: Level, tag: str, text: str) -> None:
    pass
