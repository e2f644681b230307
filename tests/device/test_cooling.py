"""The fan of every release."""

import pytest
from tests.each import each
from tests.mining import logged, mining, model_of

from softaxe.board.fan import Fan
from softaxe.catalog import board
from softaxe.catalog.firmware import firmware
from softaxe.device.cooling import FanControl
from softaxe.device.device import PANIC_RESET, POWER_ON
from softaxe.device.faults import NO_FAULTS, DeviceFaults
from softaxe.device.settings import Settings
from softaxe.device.stopping import StopReason
from softaxe.units import Level

LOOPS = ("2.8.1", "2.9.0", "2.10.1", "2.11.0", "2.12.2")


class Log(list[str]):
    def __call__(self, level: Level, tag: str, text: str, /, **values: object) -> None:
        self.append(f"{level} {text.format(**values)}")


def control(
    release: str, **settings: str | int
) -> tuple[FanControl, Settings, Log, Fan]:
    row = board("601")
    stored = Settings.from_nvs(settings, row)
    log, fan = Log(), Fan(row)
    rows = firmware(release).rows
    return FanControl(stored, rows=rows, fan=fan, log=log), stored, log, fan


@each("release", LOOPS)
def test_up_to_2_12_the_fan_is_a_part_of_the_power_loop(release: str) -> None:
    fan, settings, _, _ = control(release)
    fan.start(0.5)

    assert not fan.has_task
    assert fan.next_wake == float("inf")
    fan.run(settings, 60.0, is_ap_enabled=False)
    assert fan.percent == 100  # of the change from 0


@each("release", LOOPS)
def test_without_a_temperature_it_goes_at_70_on_its_own_access_point(
    release: str,
) -> None:
    fan, settings, _, _ = control(release)
    fan.run(settings, -1.0, is_ap_enabled=True)
    assert fan.percent == 70

    fan.run(settings, -1.0, is_ap_enabled=False)
    assert fan.percent == (70 if release in LOOPS[:3] else 100)


@each(
    ("release", "at_boot", "live"),
    [("2.9", 25, 25), ("2.10", 40, 40), ("2.12.2", 40, 40), ("2.13", 40, 60)],
)
def test_the_least_speed_is_fixed_or_of_the_boot_or_of_now(
    release: str, at_boot: float, live: float
) -> None:
    fan, settings, _, _ = control(release, minfanspeed=40)
    later = settings.changed({"fan_min_percent": 60})
    fan.start(0.0)
    lows = []
    for pass_, stored in enumerate([settings] * 3 + [later] * 3):
        if fan.has_task:
            fan.step(stored, 30.0, pass_ / 10, is_paused=False, has_no_pool=False)
        else:
            fan.run(stored, 30.0, is_ap_enabled=False)
        lows.append(fan.percent)

    assert (lows[2], lows[-1]) == (at_boot, live)


def test_the_task_s_passes_may_be_taken_one_by_one_or_later_together() -> None:
    one, settings, _, _ = control("2.14")
    many, _, _, _ = control("2.14")
    for fan in one, many:
        fan.start(0.0)
        fan.step(settings, 70.0, 0.0, is_paused=False, has_no_pool=False)
    for pass_ in range(1, 20):
        one.step(settings, 70.0, pass_ / 10, is_paused=False, has_no_pool=False)
    for fan in one, many:
        fan.step(settings, 68.0, 2.0, is_paused=False, has_no_pool=False)

    assert one.percent == pytest.approx(many.percent)
    # P on 8.4 K, I on 200 samples of 10 K, D on the newest fifth of -2 K in 0.1 s.
    assert one.percent == pytest.approx(5 * 9.6 + 25 + 0.01 * 199.6 - 8, abs=0.1)


def test_from_2_14_the_first_temperature_is_no_change() -> None:
    new, settings, log, _ = control("2.14")
    new.start(0.0)
    new.step(settings, 50.0, 0.0, is_paused=False, has_no_pool=False)
    old, _, _, _ = control("2.13")
    old.start(0.0)
    old.step(settings, 50.0, 0.0, is_paused=False, has_no_pool=False)

    assert (new.percent, old.percent) == (25, 100)
    assert log == ["I Set to Auto mode, fan speed: 25.0%"]


def test_what_decides_the_speed_is_told_when_it_changes() -> None:
    fan, auto, log, _ = control("2.15")
    hot = auto.changed({"is_overheated": True})
    manual = auto.changed({"is_fan_automatic": False, "fan_manual_percent": 55})
    fan.start(0.0)
    for pass_, (stored, temp_c, is_paused, has_no_pool) in enumerate(
        (
            (auto, -1.0, False, False),
            (auto, 60.0, False, False),
            (auto, -1.0, False, True),
            (auto, -1.0, True, True),
            (hot, -1.0, True, True),
            (manual, -1.0, False, False),
            (manual, 60.0, False, False),
        )
    ):
        fan.step(
            stored, temp_c, pass_ / 10, is_paused=is_paused, has_no_pool=has_no_pool
        )

    assert [line.removeprefix("I Set to ") for line in log] == [
        "Startup mode, fan speed: 70.0%",
        "Auto mode, fan speed: 25.0%",
        "No pool mode, fan speed: 30.0%",
        "Paused mode, fan speed: 30.0%",
        "Overheat mode, fan speed: 100.0%",
        "Manual mode, fan speed: 55.0%",
    ]


@pytest.mark.unwatched
@pytest.mark.parametrize("release", ["2.13", "2.15"])
def test_a_device_holds_its_temperature(release: str) -> None:
    simulation = mining(400, firmware=release)
    device = simulation.device
    device.log.take()
    simulation.advance(20)

    assert device.readings.temp_c == pytest.approx(60, abs=2)
    assert 25 < device.readings.fan_percent < 100
    told = [line for line in logged(device) if "°C, SetPoint: 60.0°C, Out" in line]
    assert len(told) == 10


DEAD = DeviceFaults(is_fan_controller_dead=True)


def test_a_fan_that_takes_no_orders_makes_old_releases_restart() -> None:
    simulation = mining(60, firmware="2.12.2")
    device = simulation.device
    device.set_faults(DEAD, simulation.now)
    simulation.advance(2)

    assert device.reset_reason == PANIC_RESET
    assert device.hardware_fault is None


def test_in_2_13_its_speed_stays_what_it_was() -> None:
    simulation = mining(60, firmware="2.13")
    device = simulation.device
    device.set_faults(DEAD, simulation.now)
    simulation.advance(2)
    percent = device.readings.fan_percent
    device.set_faults(NO_FAULTS, simulation.now)
    simulation.advance(60)

    assert device.readings.fan_percent == percent
    assert device.reset_reason == POWER_ON
    assert model_of(device).chips.is_hashing


def test_from_2_14_it_stops_mining_until_a_restart() -> None:
    simulation = mining(60, firmware="2.14")
    device = simulation.device
    device.set_faults(DEAD, simulation.now)
    simulation.advance(20)
    assert device.hardware_fault == "Fan Control Failed (Auto)"
    assert device.readings.fan_rpm == 0
    assert device.is_mining_stopped

    device.set_faults(NO_FAULTS, simulation.now)
    device.set_paused(True, simulation.now)
    device.set_paused(False, simulation.now)
    simulation.advance(30)
    assert device.stop_reasons == [StopReason.HARDWARE_FAULT]
    assert device.is_mining_stopped
    assert not device.is_paused

    device.restart(simulation.now)
    simulation.advance(40)
    assert device.hardware_fault is None
    assert model_of(device).chips.is_hashing
