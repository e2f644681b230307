import random

import pytest
from tests.mining import mining

from softaxe.board.ambient import Ambient
from softaxe.catalog import board
from softaxe.catalog.lottery import draw
from softaxe.device.body import ModelBody
from softaxe.device.faults import DeviceFaults, Sensor


@pytest.fixture
def body() -> ModelBody:
    specimen = draw(board("601"), 1)
    return ModelBody.of(specimen, Ambient(25.0), 0.0, lambda *_: None, random.Random(1))


def settle(body: ModelBody, *, seconds: int = 3600) -> float:
    """Let time pass without work; return the chip's temperature."""
    rng = random.Random(1)
    for second in range(1, seconds + 1):
        body.step(float(second), rng)
    return body.thermal.chips_c[0]


@pytest.mark.unwatched
def test_a_body_that_does_nothing_is_as_warm_as_the_air(body: ModelBody) -> None:
    assert settle(body) == pytest.approx(25, abs=0.5)


@pytest.mark.unwatched
def test_ordered_air_goes_before_the_day_s_until_it_is_mended(body: ModelBody) -> None:
    body.set_faults(DeviceFaults(ambient_c=50.0), 0.0, counted_s=1.0)
    assert settle(body) == pytest.approx(50, abs=0.5)

    body.set_faults(DeviceFaults(), 0.0, counted_s=1.0)

    assert settle(body) == pytest.approx(25, abs=0.5)


def test_faults_of_the_metal_reach_their_parts(body: ModelBody) -> None:
    stuck = {Sensor.CHIP: 99.0}
    body.set_faults(
        DeviceFaults(sag_v=0.3, stuck_c=stuck, has_regulator_fault=True),
        0.0,
        counted_s=1.0,
    )

    assert body.power.sag_v == 0.3
    assert body.stuck_c == stuck


def test_the_adc_measures_all_domains_in_whole_millivolts() -> None:
    specimen = draw(board("302"), 1)
    body = ModelBody.of(specimen, Ambient(25.0), 0.0, lambda *_: None, random.Random(1))
    body.power.core_voltage_v = 1.20049

    assert body.adc_v == 3.601
    assert body.power_reading.core_voltage_v == pytest.approx(1.2, abs=0.001)


@pytest.mark.parametrize(
    ("version", "least_mv", "most_mv"), [("2.10.1", 1119, 1126), ("2.11.0", 1143, 1147)]
)
def test_a_gamma_s_core_voltage_is_read_at_the_chip_up_to_2_10(
    version: str, least_mv: int, most_mv: int
) -> None:
    device = mining(40, firmware=version).device

    assert least_mv <= device.core_voltage_actual_v * 1000 <= most_mv
