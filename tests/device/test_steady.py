import pytest

from softaxe import Device, Pool, Simulation
from softaxe.catalog import board
from softaxe.catalog.lottery import draw, typical
from softaxe.device.steady import best_efficiency, steady_state

GAMMA = board("601")


@pytest.mark.unwatched
@pytest.mark.parametrize("version", ["601", "205", "303", "801"])
def test_a_live_device_settles_where_the_model_says(version: str) -> None:
    row = board(version)
    device = Device(board=row, seed=5)
    Simulation(device, Pool.for_scaled_work(seed=5)).advance(2400)
    state = steady_state(
        draw(row, 5),
        frequency_mhz=row.default_frequency_mhz,
        core_voltage_mv=row.default_core_voltage_mv,
    )

    read = device.readings
    assert read.power_w == pytest.approx(state.power.power_w, rel=0.01)
    assert read.temp_c == pytest.approx(60, abs=1)
    assert read.vr_temp_c == pytest.approx(state.power.vr_temp_c, abs=2)
    assert read.fan_percent == pytest.approx(state.fan_percent, abs=4)
    rate_hs = device.hashrate.ten_minutes_hs
    assert rate_hs == pytest.approx(state.hashrate_hs, rel=0.02)


def test_the_page_s_sample_is_a_steady_state() -> None:
    state = steady_state(typical(GAMMA), frequency_mhz=525, core_voltage_mv=1150)

    assert state.power.power_w == pytest.approx(18.75, rel=0.02)
    assert state.power.current_a == pytest.approx(12.016, rel=0.02)
    assert state.power.core_voltage_v == pytest.approx(1.144, abs=0.002)
    assert state.power.input_voltage_v == pytest.approx(5.094, abs=0.04)
    assert state.power.vr_temp_c == pytest.approx(62, abs=1)
    assert state.fan_percent == pytest.approx(48.4, abs=2)
    assert state.fan_rpm == pytest.approx(3915, rel=0.03)
    assert state.error_share == pytest.approx(0.0003, abs=0.0002)


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
