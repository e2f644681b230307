from statistics import median

import pytest
from msgspec.structs import replace
from tests.each import each

from softaxe.catalog import board, boards
from softaxe.catalog.lottery import Specimen, draw, typical
from softaxe.device.steady import SteadyState, best_efficiency, steady_state

GAMMA = board("601")


def test_the_page_s_sample_is_a_thirsty_specimen_s_steady_state() -> None:
    chip = GAMMA.chip.silicon
    # The sample's chip draws a tenth more than the typical one, and hardly errs.
    thirsty = replace(chip, switching_f=1.1 * chip.switching_f, error_floor=0.0003)
    state = steady_state(
        Specimen(GAMMA, (thirsty,)), frequency_mhz=525, core_voltage_mv=1150
    )

    assert state.power.power_w == pytest.approx(18.75, rel=0.02)
    assert state.power.current_a == pytest.approx(12.016, rel=0.02)
    assert state.power.core_voltage_v == pytest.approx(1.144, abs=0.002)
    assert state.power.input_voltage_v == pytest.approx(5.094, abs=0.04)
    assert state.power.vr_temp_c == pytest.approx(62, abs=3)
    assert state.fan_percent == pytest.approx(48.4, abs=4)
    assert state.fan_rpm == pytest.approx(3915, rel=0.1)
    assert state.error_share == pytest.approx(0.0003, abs=0.0002)


def settled(version: str, seed: int, fan_percent: float | None = None) -> SteadyState:
    row = board(version)
    return steady_state(
        draw(row, seed),
        frequency_mhz=row.default_frequency_mhz,
        core_voltage_mv=row.default_core_voltage_mv,
        fan_percent=fan_percent,
    )


@pytest.mark.unwatched
@each("version", sorted({row.usual_version for row in boards()}))
def test_nearly_every_device_holds_its_target_and_none_overheats(version: str) -> None:
    states = [settled(version, seed, fan_percent=100) for seed in range(200)]
    hottest_c = [max(state.temp_c, state.temp2_c) for state in states]

    held = sum(celsius <= 60 for celsius in hottest_c) / len(hottest_c)
    assert held >= 0.93
    assert max(hottest_c) < 72
    assert max(state.power.vr_temp_c for state in states) < 100


@pytest.mark.unwatched
def test_regulators_are_cooler_and_hotter_than_their_chips() -> None:
    above_k = [
        state.power.vr_temp_c - state.temp_c
        for state in (settled("601", seed) for seed in range(100))
    ]

    # Real ones, at settings of their own: from 9 below to 22 above.
    assert -13 < min(above_k) < -6
    assert 15 < max(above_k) < 27
    assert -5 < median(above_k) < 5


@pytest.mark.unwatched
def test_a_regulator_is_hotter_with_more_power_and_a_slower_fan() -> None:
    def vr_c(mhz: float, fan_percent: float) -> float:
        state = steady_state(
            typical(GAMMA),
            frequency_mhz=mhz,
            core_voltage_mv=1100,
            fan_percent=fan_percent,
        )
        return state.power.vr_temp_c

    assert vr_c(500, 100) < vr_c(600, 100) < vr_c(600, 50)


def test_hot_air_cannot_be_held() -> None:
    hot = steady_state(
        typical(GAMMA), frequency_mhz=525, core_voltage_mv=1150, ambient_c=65
    )

    assert hot.fan_percent == 100
    assert hot.temp_c > 75


def test_ten_degrees_more_need_a_faster_fan() -> None:
    speeds = [
        steady_state(
            typical(GAMMA), frequency_mhz=525, core_voltage_mv=1150, ambient_c=celsius
        ).fan_percent
        for celsius in (15, 25, 35)
    ]

    assert speeds[0] + 8 < speeds[1] < speeds[2] - 8


def test_a_dead_fan_overheats_every_board() -> None:
    for version in ("102", "205", "402", "601", "303", "702", "801"):
        row = board(version)
        state = steady_state(
            typical(row),
            frequency_mhz=row.default_frequency_mhz,
            core_voltage_mv=row.default_core_voltage_mv,
            fan_percent=0,
        )
        assert state.temp_c > 75, version


@pytest.mark.unwatched
def test_no_two_devices_have_the_same_best_setting() -> None:
    best = [
        best_efficiency(
            draw(GAMMA, seed),
            frequencies_mhz=range(375, 526, 25),
            voltages_mv=range(1000, 1101, 20),
        )
        for seed in range(1, 5)
    ]

    assert len({(s.frequency_mhz, s.core_voltage_mv) for s in best}) > 1
    assert len({round(s.j_per_th, 2) for s in best}) == 4
    default = steady_state(draw(GAMMA, 1), frequency_mhz=525, core_voltage_mv=1150)
    assert best[0].j_per_th < 0.95 * default.j_per_th


def test_far_too_little_voltage_is_worth_nothing() -> None:
    state = steady_state(typical(GAMMA), frequency_mhz=900, core_voltage_mv=1000)

    assert state.good_hs < 1e9
    assert state.j_per_th > 1000
