"""The rules by which a board that is there is cut off."""

from math import nan
from typing import Any

import pytest
from msgspec.structs import replace

from softaxe.board.regulator import Status
from softaxe.catalog import board
from softaxe.metal.safety import (
    MISSES,
    OLDEST_S,
    SPIN_UP_S,
    STUCK_S,
    Judge,
    Survey,
    allowed_core_v,
)

WELL = Survey(
    chips_c=(60.0,),
    rpms=(4000,),
    input_v=5.1,
    core_v=1.148,
    current_a=12.0,
    power_w=19.0,
    vr_c=65.0,
    status=Status(0),
)


def running() -> Judge:
    """Of a board that has been hashing for a while, at 0."""
    judge = Judge(board("601"))
    judge.fan_set(60.0, -100.0)
    judge.core_voltage_set(1.15, -100.0)
    judge.reset_set(-100.0, is_low=False)
    return judge


def looks(judge: Judge, count: int, **other: Any) -> str | None:
    """What it says to looks a second apart, alike but for the diode's noise."""
    said = None
    for second in range(count):
        chips_c = (60.0 + 0.125 * (second % 2),)
        survey = replace(WELL, at=float(second), chips_c=chips_c)
        said = said or judge.look(replace(survey, **other))
    return said


def test_a_board_that_is_well_goes_on() -> None:
    assert looks(running(), 1000) is None


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"chips_c": (85.0,)}, "chip sensor 1 shows 85.0 °C"),
        ({"vr_c": 110.0}, "the voltage regulator is at 110 °C"),
        ({"current_a": 25.5}, "the core takes 25.5 A"),
        ({"status": Status.IOUT_OC}, "overcurrent fault has occurred (status 0010)"),
        ({"status": Status.OFF}, "The voltage regulator is turned off (status 0040)"),
    ],
)
def test_danger_cuts_at_once(other: dict[str, Any], why: str) -> None:
    said = looks(running(), 1, **other)

    assert said is not None
    assert why in said


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"chips_c": (nan,)}, "chip sensor 1 is broken"),
        ({"chips_c": (-64.0,)}, "chip sensor 1 shows -64.0 °C"),
        ({"chips_c": (-1.0,)}, "chip sensor 1 shows -1.0 °C"),
        ({"chips_c": (127.0,)}, "chip sensor 1 shows 127.0 °C"),
        ({"vr_c": 0.0}, "the regulator's sensor shows 0 °C"),
        ({"rpms": (0,)}, "fan 1 stands still"),
        ({"core_v": 1.30}, "the core voltage is 1.300 V instead of 1.150 V"),
    ],
)
def test_what_may_be_a_slip_is_believed_the_third_time(
    other: dict[str, Any], why: str
) -> None:
    assert looks(running(), MISSES - 1, **other) is None
    assert looks(running(), MISSES, **other) == why


def test_slips_that_do_not_follow_each_other_are_forgiven() -> None:
    judge = running()
    for _ in range(MISSES):
        assert looks(judge, MISSES - 1, rpms=(0,)) is None
        assert looks(judge, 1) is None


@pytest.mark.parametrize(
    ("version", "kind", "shown_c"), [("601", "fine", 20.0), ("205", "coarse", 45.0)]
)
def test_a_sensor_that_never_changes_is_dead(
    version: str, kind: str, shown_c: float
) -> None:
    judge = Judge(board(version))
    judge.core_voltage_set(1.15, 0.0)
    judge.reset_set(0.0, is_low=False)
    said, at = None, 0.0
    while said is None and at < 2000:
        at += 1.0
        said = judge.look(replace(WELL, at=at, chips_c=(shown_c,)))

    assert at == pytest.approx(STUCK_S[kind] + MISSES, abs=2)
    assert said is not None
    assert f"shows {shown_c:.3f} °C since" in said


def test_a_diode_is_not_asked_while_its_chip_is_in_reset() -> None:
    judge = Judge(board("601"))
    judge.core_voltage_set(1.15, 0.0)
    for second in range(10):
        dead = replace(WELL, at=second + 1.0, chips_c=(nan,))
        assert judge.look(dead) is None


def test_a_fan_has_time_to_spin_up() -> None:
    judge = running()
    judge.fan_set(0.0, -1.0)
    judge.fan_set(100.0, 0.0)

    assert looks(judge, int(SPIN_UP_S), rpms=(0,)) is None
    assert looks(judge, int(SPIN_UP_S) + MISSES + 1, rpms=(0,)) == "fan 1 stands still"


def test_a_fan_that_stands_still_is_seen_though_its_duty_changes_all_the_time() -> None:
    judge, said = running(), list[str | None]()
    for second in range(MISSES + 1):
        judge.fan_set(55.0 + second, float(second))
        said.append(judge.look(replace(WELL, at=float(second), rpms=(0,))))

    assert said[MISSES - 1] == "fan 1 stands still"


def test_orders_of_voltage_after_voltage_hide_nothing() -> None:
    judge = running()
    judge.core_voltage_set(1.2, 0.0)

    said = judge.look(replace(WELL, at=0.1, current_a=26.0))

    assert said == "the core takes 26.0 A"


def test_a_core_that_has_voltage_though_it_was_switched_off_is_cut() -> None:
    judge = running()
    judge.core_voltage_set(0.0, 0.0)

    why = "the core has 1.148 V though it is switched off"
    assert judge.look(WELL) == why
    assert judge.look(replace(WELL, core_v=0.1)) is None
    assert Judge(board("401")).look(WELL) is None, "which cannot be switched off"


def test_nobody_looking_is_a_reason_only_while_there_is_voltage() -> None:
    judge = running()
    looks(judge, 1)

    assert judge.too_old(OLDEST_S) is None
    assert judge.too_old(OLDEST_S + 0.1) == "nothing is known of the board since 5.1 s"
    judge.core_voltage_set(0.0, 0.0)
    assert judge.too_old(1000.0) is None
    assert judge.look(replace(WELL, core_v=0.0, chips_c=(200.0,))) is None


def test_a_board_has_no_voltage_but_those_that_its_page_offers() -> None:
    assert allowed_core_v(board("601")) == (1.0, 1.25)
    assert allowed_core_v(board("402")) == (1.1, 1.3)
