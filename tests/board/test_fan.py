import random
from typing import Any

import pytest
from msgspec.structs import replace
from tests.each import each

from softaxe.board.fan import FAN_CHIPS, Fan, FanController
from softaxe.catalog import board
from softaxe.units import Level


def silent(level: Level, tag: str, text: str, /, **values: object) -> None:
    pass


def spun_up(percent: float, **curve: float) -> Fan:
    row = board("601")
    fan = Fan(replace(row, fan=replace(row.fan, **curve)))
    fan.set_percent(percent)
    fan.step(60.0)
    return fan


def test_the_controller_follows_the_firmware_pass_by_pass(
    boards_reference: dict[str, Any],
) -> None:
    vector = boards_reference["control_vectors"]["fan_pid_v2_12_2"]
    controller = FanController(vector["min"], log=silent)

    for row in vector["rows"]:
        output = controller.compute(row["temp"], vector["setpoint"])
        assert output == pytest.approx(row["output"], abs=1e-3)


def test_the_controller_tells_its_start_up_and_every_pass() -> None:
    lines: list[str] = []
    controller = FanController(
        25,
        log=lambda level, tag, text, /, **values: lines.append(text.format(**values)),
    )

    for _ in range(21):
        controller.compute(55.0, 60.0)

    assert lines[0] == "PID startup hold phase: 1/3, holding D at: 20.0"
    assert "PID startup ramp phase: 1/17 (Total cycle: 4), current D: 19.0" in lines
    assert "PID startup phase complete, switching to normal D value: 3.0" in lines
    assert lines[1].startswith("Temp: 55.0 °C, SetPoint: 60.0 °C, Output: 100.0%")


def test_the_sample_s_duty_gives_the_sample_s_speed() -> None:
    assert spun_up(48.42).rpm == pytest.approx(3915, rel=0.01)


def test_a_real_fan_s_flat_curve_can_be_had() -> None:
    full, seventy, fifty = (
        spun_up(percent, rpm_at_full=6758, knee_duty=0.63) for percent in (100, 70, 50)
    )

    assert full.rpm == 6758
    assert seventy.rpm == pytest.approx(0.97 * 6758, rel=0.01)
    assert fifty.rpm == pytest.approx(5217, rel=0.02)


def test_a_late_knee_leaves_a_straight_line() -> None:
    full, half = (spun_up(percent, knee_duty=1.3) for percent in (100, 50))

    assert half.rpm == pytest.approx(full.rpm * 31 / 63, rel=0.02)


@each(
    ("controller", "rpm"),
    # What real fans read: single readings, and two ends of a day at full duty.
    [("EMC2101", rpm) for rpm in (6758, 6792, 5217, 3915, 3859, 5471, 8095, 1997)]
    + [("EMC2101", 5654), ("EMC2101", 5320), ("EMC2101", 3517), ("EMC2302", 2536)],
)
def test_a_real_speed_is_one_the_controller_can_count(
    controller: str, rpm: int
) -> None:
    assert FAN_CHIPS[controller].shown_rpm(rpm) == rpm


def test_a_speed_flutters_by_a_few_counts() -> None:
    fan, rng = spun_up(100, rpm_at_full=6775), random.Random(1)
    speeds = []
    for _ in range(200):
        fan.step(1.0, rng)
        speeds.append(fan.rpm)

    assert 20 < max(speeds) - min(speeds) < 100
    assert sum(speeds) / 200 == pytest.approx(6775, rel=0.001)


def test_a_faster_kind_of_fan_moves_more_air() -> None:
    assert spun_up(100, full_flow=1.2).airflow == pytest.approx(1.2)


def test_speed_and_airflow_grow_with_the_duty() -> None:
    fans = [spun_up(percent) for percent in (10, 25, 50, 75, 100)]

    assert [fan.rpm for fan in fans] == sorted({fan.rpm for fan in fans})
    assert fans[-1].airflow == pytest.approx(1.0)


def test_a_fan_without_duty_stands_still() -> None:
    assert spun_up(0).rpm == 0
    assert spun_up(3).rpm == 0


def test_any_slicing_gives_the_same_speed() -> None:
    whole, sliced = Fan(board("601")), Fan(board("601"))
    for fan in (whole, sliced):
        fan.set_percent(48)

    whole.step(1.0)
    for _ in range(10):
        sliced.step(0.1)

    assert sliced.airflow == pytest.approx(whole.airflow, abs=1e-9)


def test_the_speed_needs_a_moment() -> None:
    fan = Fan(board("601"))
    fan.set_percent(100)
    fan.step(0.5)
    soon = fan.rpm
    fan.step(10)

    assert 0 < soon < 0.6 * fan.rpm
