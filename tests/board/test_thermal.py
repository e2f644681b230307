import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softaxe.board.fan import Fan, FanController
from softaxe.board.power import PowerStage
from softaxe.board.regulator import regulator_for
from softaxe.board.sensors import read_temperatures
from softaxe.board.thermal import Thermal
from softaxe.catalog import board
from softaxe.catalog.lottery import typical

pytestmark = pytest.mark.unwatched

BOARD = board("601")


class Bench:
    """Power, heat and fan, stepped as the device does."""

    def __init__(
        self,
        *,
        mhz: float,
        millivolts: int,
        ambient_c: float = 25,
        activity: float = 1.0,
        seed: int = 1,
    ) -> None:
        def silent(level: object, tag: str, text: str, /, **values: object) -> None:
            pass

        self.power = PowerStage(typical(BOARD))
        self.regulator = regulator_for(BOARD, self.power, log=silent)
        self.thermal = Thermal(BOARD, ambient_c=ambient_c)
        self.fan = Fan(BOARD)
        self.controller = FanController(25, log=silent)
        self.percent = 100.0
        self.regulator.set_core_voltage(millivolts / 1000)
        self._mhz = mhz
        self._ambient_c = ambient_c
        self._activity = activity
        self._rng = random.Random(seed)

    @property
    def temp_c(self) -> float:
        return read_temperatures(BOARD, self.thermal)[0]

    def run(self, seconds: int, *, percent: float | None = None) -> "Bench":
        for second in range(seconds):
            if percent is not None:
                self.percent = percent
            elif second % 2 == 0:
                self.percent = self.controller.compute(self.temp_c, 60)
            self.fan.set_percent(self.percent)
            self.fan.step(1.0)
            self.power.step(
                frequency_mhz=self._mhz,
                activity=self._activity,
                temperatures_c=self.thermal.chips_c,
                airflow=self.fan.airflow,
            )
            self.regulator.step(self.thermal.vr_c, self._rng)
            self.thermal.step(
                1.0,
                core_power_w=self.power.core_power_w,
                regulator_heat_w=self.power.regulator_heat_w,
                airflow=self.fan.airflow,
                ambient_c=self._ambient_c,
            )
        return self


def test_a_gamma_settles_at_the_page_s_sample() -> None:
    bench = Bench(mhz=525, millivolts=1150).run(3600)

    # The sample's chip draws a tenth more than the typical one.
    assert 17.0 < bench.regulator.reading.power_w < 18.0
    assert 10.5 < bench.regulator.reading.current_a < 11.5
    assert 59 < bench.temp_c < 61
    assert 35 < bench.percent < 58
    assert 57 <= bench.regulator.reading.vr_temp_c <= 65
    assert bench.fan.rpm == pytest.approx(3915, rel=0.2)
    assert 5.05 < bench.regulator.reading.input_voltage_v < 5.15


def test_it_is_warm_within_three_minutes() -> None:
    bench = Bench(mhz=525, millivolts=1150).run(180)

    assert bench.temp_c > 55


def test_a_slow_fan_overheats_it_and_a_fast_one_cools_it() -> None:
    slow = Bench(mhz=525, millivolts=1150).run(1200, percent=25)
    fast = Bench(mhz=525, millivolts=1150).run(1200, percent=100)

    assert slow.temp_c > 75
    assert fast.temp_c < 52


def test_more_power_is_more_heat() -> None:
    temperatures = [
        Bench(mhz=mhz, millivolts=mv).run(1200, percent=60).thermal.chip_c
        for mhz, mv in ((400, 1000), (525, 1150), (625, 1250))
    ]

    assert temperatures == sorted(temperatures)
    assert temperatures[-1] - temperatures[0] > 15


def test_frequency_and_voltage_each_raise_the_power_of_the_warm_board() -> None:
    base, faster, higher = (
        Bench(mhz=mhz, millivolts=mv).run(1200).power.core_power_w
        for mhz, mv in ((500, 1100), (550, 1100), (500, 1200))
    )

    assert faster > 1.05 * base
    assert higher == pytest.approx(base * (1200 / 1100) ** 2, rel=0.01)


def test_an_idle_board_stays_cool_at_the_slowest_fan() -> None:
    idle = Bench(mhz=50, millivolts=1150, activity=0.0).run(1800, percent=25)

    assert idle.thermal.chip_c < 30
    assert idle.regulator.reading.power_w < 6


def test_a_hot_chip_finds_an_end_to_its_appetite() -> None:
    hot = Bench(mhz=525, millivolts=1150).run(5400, percent=26)
    before_c = hot.thermal.chip_c
    hot.run(1800, percent=26)

    assert 75 < hot.thermal.chip_c < 150
    assert hot.thermal.chip_c == pytest.approx(before_c, abs=0.01)


def test_without_any_wind_the_regulator_still_loses_its_heat_to_the_air() -> None:
    thermal = Thermal(BOARD, ambient_c=25)

    thermal.step(1e6, core_power_w=0.0, regulator_heat_w=1.8, airflow=0.0, ambient_c=25)

    assert 50 < thermal.vr_c < 85


def test_the_same_seed_gives_the_same_readings() -> None:
    def currents(seed: int) -> list[float]:
        bench = Bench(mhz=525, millivolts=1150, seed=seed)
        return [bench.run(1).regulator.reading.current_a for _ in range(50)]

    assert currents(3) == currents(3)
    assert currents(3) != currents(4)


def test_a_warm_room_makes_the_fan_faster() -> None:
    cool = Bench(mhz=525, millivolts=1150, ambient_c=20).run(1800)
    warm = Bench(mhz=525, millivolts=1150, ambient_c=32).run(1800)

    assert warm.percent > cool.percent + 15


@given(
    pieces=st.lists(st.floats(0.01, 50), min_size=2, max_size=20),
    watts=st.floats(0, 40),
    airflow=st.floats(0, 1),
)
def test_any_slicing_of_constant_inputs_gives_the_same_heat(
    pieces: list[float], watts: float, airflow: float
) -> None:
    whole, sliced = Thermal(BOARD, ambient_c=20), Thermal(BOARD, ambient_c=20)

    def step(thermal: Thermal, dt_s: float) -> None:
        thermal.step(
            dt_s,
            core_power_w=watts,
            regulator_heat_w=watts / 8,
            airflow=airflow,
            ambient_c=25,
        )

    step(whole, sum(pieces))
    for piece in pieces:
        step(sliced, piece)

    assert sliced.chip_c == pytest.approx(whole.chip_c, abs=1e-9)
    assert sliced.vr_c == pytest.approx(whole.vr_c, abs=1e-9)


def test_readings_have_the_sensors_steps() -> None:
    bench = Bench(mhz=525, millivolts=1150).run(100)

    assert (bench.temp_c * 8).is_integer()
    assert bench.regulator.reading.vr_temp_c.is_integer()
