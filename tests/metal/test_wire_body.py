"""A Bitaxe whose firmware is softaxe and whose board is emulated, byte by byte."""

import json
from itertools import pairwise

import pytest
from tests.metal.wired import Wired

from softaxe.api.views import info_body
from softaxe.asic.driver import DriverState
from softaxe.device.faults import DeviceFaults, Instrument, Sensor
from softaxe.device.logbook import LEVELS
from softaxe.metal.raw import Dialect
from softaxe.metal.raw_board import WireFaults
from softaxe.metal.wire_body import State
from softaxe.units import Level

NOTHING_ELSE = WireFaults()
FAN, DIODE, REGULATOR = frozenset({1}), Sensor.CHIP, Sensor.REGULATOR


@pytest.mark.unwatched
def test_it_mines_and_shows_what_the_board_measures() -> None:
    wired = Wired(dialect=Dialect.V0)
    device = wired.mine(0)
    device.log.levels = LEVELS
    wired.advance(300)

    assert device.driver.state is DriverState.READY
    assert device.shares.accepted > 15
    assert device.shares.rejected == 0
    assert device.hashrate.current_hs == pytest.approx(1.07e12, rel=0.1)
    assert device.readings.temp_c == pytest.approx(wired.raw.body.temperatures_c[0], 2)
    assert device.readings.temp_c == pytest.approx(60, abs=2)
    assert device.readings.power_w == pytest.approx(19, abs=2)
    assert device.readings.fan_rpm == pytest.approx(wired.raw.body.fan_rpms[0], rel=0.1)
    assert device.core_voltage_actual_v == pytest.approx(1.145, abs=0.01)
    assert device.driver.bad_frames == wired.line.stray_bytes == 0
    info = json.loads(info_body(device))
    assert (info["coreVoltage"], info["temp"]) == (1150, device.readings.temp_c)
    assert wired.told == []
    assert device.hashing_count == 1
    assert device.chips_hs == device.hashrate.current_hs
    errors = [line.text for line in device.log.take() if line.level is Level.ERROR]
    assert errors == []


def test_settings_reach_the_board_in_small_steps() -> None:
    wired = Wired()
    device = wired.mine(20)
    seen_v = set()

    device.patch([("coreVoltage", 1250), ("frequency", 600)], wired.now)
    device.patch([("autofanspeed", 0), ("fanspeed", 20)], wired.now)
    for _ in range(400):
        wired.advance(0.01)
        seen_v.add(wired.raw.body.power.core_voltage_setting_v)

    steps_v = sorted(seen_v)
    assert steps_v[-1] == pytest.approx(1.25, abs=0.001)
    highest_v = max(b - a for a, b in pairwise(steps_v))
    assert highest_v == pytest.approx(0.025, abs=0.002)
    assert wired.raw.chain.frequency_mhz == 600
    # A fan outlives its host: it is not turned down as far as a page may ask.
    assert device.readings.fan_percent == 50


def test_a_voltage_that_the_board_does_not_offer_is_refused() -> None:
    wired = Wired()
    wired.mine(10)
    before_v = wired.raw.body.power.core_voltage_setting_v

    wired.body.set_core_voltage(1.4)
    wired.advance(2)

    assert wired.raw.body.power.core_voltage_setting_v == before_v
    assert wired.told == ["E 1.400 V is refused: 1 to 1.25 V are allowed"]


@pytest.mark.unwatched
@pytest.mark.parametrize(
    ("faults", "wire", "within_s", "why"),
    [
        (DeviceFaults(dead_fans=FAN), NOTHING_ELSE, 6, "fan 1 stands still"),
        (DeviceFaults(stuck_c={DIODE: 20}), NOTHING_ELSE, 65, "20.000 °C since"),
        (DeviceFaults(stuck_c={DIODE: -64}), NOTHING_ELSE, 4, "shows -64.0 °C"),
        (DeviceFaults(stuck_c={DIODE: 127}), NOTHING_ELSE, 4, "is broken"),
        (DeviceFaults(stuck_c={DIODE: 90}), NOTHING_ELSE, 3, "shows 90.0 °C"),
        (DeviceFaults(stuck_c={REGULATOR: 0}), NOTHING_ELSE, 4, "shows 0 °C"),
        (
            DeviceFaults(absent=frozenset({Instrument.CHIP})),
            NOTHING_ELSE,
            4,
            "is broken",
        ),
        (DeviceFaults(has_regulator_fault=True), NOTHING_ELSE, 2, "is turned off"),
        (DeviceFaults(sag_v=1.0), NOTHING_ELSE, 2, "is turned off"),
        (DeviceFaults(), WireFaults(silent=frozenset({0x4C})), 7, "I2C Write"),
        (DeviceFaults(), WireFaults(late_s=0.3), 7, "nothing is known"),
        (DeviceFaults(), WireFaults(garbled_answers=0.8), 7, "nothing is known"),
    ],
)
def test_what_is_dangerous_cuts_the_core_voltage(
    faults: DeviceFaults, wire: WireFaults, within_s: float, why: str
) -> None:
    wired = Wired()
    device = wired.mine(15)
    wired.break_it(faults, wire)

    wired.advance(within_s)

    assert wired.body.state is State.CUT
    assert why in wired.body.cut_reason
    wired.break_it(faults)  # the wire is whole again
    wired.advance(5)
    assert wired.body.is_off
    assert wired.raw.body.power.core_voltage_v == 0
    assert wired.raw.is_reset_low
    assert device.readings.fan_percent == 100
    assert device.power_fault or device.settings.is_overheated
    device.restart(wired.now)
    wired.break_it()
    wired.advance(20)
    assert wired.raw.body.power.core_voltage_v == 0, "it stays off"


def test_the_core_is_cut_before_anything_else_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wired = Wired()
    wired.mine(15)
    sent: list[str] = []
    receive = wired.raw.control_received

    def note(packet: bytes, now: float) -> None:
        sent.append(packet[4:].hex(" "))
        receive(packet, now)

    monkeypatch.setattr(wired.raw, "control_received", note)
    wired.body.cut("a test")
    wired.advance(0.1)

    off, by_command = "05 20 24 01 00", "05 20 24 02 1b"
    assert sent[:4] == [off, by_command, "06 00 00", off]
    assert sent[5] == "05 20 4c 4c 3f"


def test_a_regulator_that_does_not_answer_is_told_of_until_it_is_off() -> None:
    wired = Wired()
    wired.mine(15)
    wired.break_it(wire=WireFaults(silent=frozenset({0x24})))
    wired.advance(10)
    assert not wired.body.is_off
    assert any("may still be on, pull the power plug" in one for one in wired.told)

    wired.break_it()
    wired.advance(3)

    assert wired.body.is_off
    assert wired.raw.body.power.core_voltage_v == 0


@pytest.mark.unwatched
def test_lost_and_extra_bytes_cost_frames_and_nothing_else() -> None:
    wired = Wired()
    device = wired.mine(60)
    before = device.shares.accepted

    wired.break_it(wire=WireFaults(lost_bytes=0.01, extra_bytes=0.01))
    wired.advance(200)

    assert device.shares.accepted > before + 5
    assert device.driver.bad_frames > 0
    assert wired.body.state is State.ON


@pytest.mark.unwatched
def test_a_plug_that_was_pulled_and_put_back() -> None:
    wired = Wired()
    device = wired.mine(30)

    wired.unplug()
    wired.advance(20)
    assert wired.body.state is State.GONE
    assert device.readings.temp_c == -1
    assert wired.raw.body.power.core_voltage_v > 1, "nobody can switch it off"
    assert wired.told == ["E the board is gone; nothing can switch it off now"]

    wired.plug()
    wired.advance(0.2)
    assert wired.raw.body.power.core_voltage_v == 0, "off first, whatever it did"
    device.restart(wired.now)
    wired.advance(60)
    assert wired.body.regulator.state is State.ON
    assert device.driver.state is DriverState.READY
    assert device.hashrate.current_hs > 1e12


@pytest.mark.unwatched
def test_a_restart_brings_the_board_up_anew() -> None:
    wired = Wired()
    device = wired.mine(30)

    device.restart(wired.now)
    wired.advance(1.5)
    assert wired.raw.body.power.core_voltage_v == 0
    wired.advance(60)

    assert wired.body.state is State.ON
    assert device.hashrate.current_hs > 1e12


@pytest.mark.parametrize("moment_s", [0.002, 0.02, 0.07])
def test_a_restart_amid_a_change_of_voltage(moment_s: float) -> None:
    wired = Wired()
    wired.arm()
    wired.body.set_core_voltage(1.25)
    wired.advance(moment_s)

    wired.body.arm(wired.now)
    wired.advance(0.5)

    assert wired.body.state is State.OFF
    assert wired.raw.body.power.core_voltage_v == 0


SHOWN_V = WireFaults(stuck={(0x24, 0x8B): (0x24D).to_bytes(2, "little")})


def test_a_regulator_that_stays_on_is_told_of_until_it_is_off() -> None:
    wired = Wired()
    wired.mine(15)
    wired.break_it(wire=SHOWN_V)

    wired.body.set_core_voltage(0)
    wired.advance(3)

    assert wired.body.cut_reason.endswith(
        "the core has 1.150 V though it was switched off"
    )
    assert not wired.body.is_off
    assert "may still be on, pull the power plug: it is 1.150 V" in wired.told[-1]
    wired.break_it()
    wired.advance(2)
    assert wired.body.is_off


def test_a_fan_that_was_out_of_reach_at_a_cut_is_turned_up_later() -> None:
    wired = Wired()
    device = wired.mine(15)
    wired.break_it(wire=WireFaults(silent=frozenset({0x4C})))
    wired.body.cut("a test")
    wired.advance(3)
    assert wired.body.is_off
    assert any("is off (0.000 V), but: I2C write 4c 3f" in one for one in wired.told)
    slow_rpm = wired.raw.body.fan_rpms[0]

    wired.break_it()
    wired.advance(8)

    assert wired.raw.body.fan_rpms[0] > 1.2 * slow_rpm
    assert wired.body.is_off
    assert device.readings.fan_percent == 100


def test_a_voltage_that_comes_back_is_taken_away_again() -> None:
    wired = Wired()
    wired.arm()
    wired.body.cut("a test")
    wired.advance(1)
    assert wired.body.is_off
    wired.raw.parts[0x24].write(b"\x01\x80")
    assert wired.raw.body.power.core_voltage_v > 0.5

    wired.advance(1.2)

    assert wired.raw.body.power.core_voltage_v == 0


def test_a_board_that_is_on_though_it_was_switched_off_is_not_brought_up() -> None:
    wired = Wired()
    wired.break_it(wire=SHOWN_V)

    wired.arm()

    assert "up as a 601: the core has 1.150 V" in wired.body.cut_reason


def test_a_dialect_that_cannot_tell_a_byte_from_an_error_is_not_tried() -> None:
    wired = Wired(dialect=Dialect.VB)
    wired.arm()

    assert wired.body.state is State.CUT
    assert "could not tell the answer from an error" in wired.body.cut_reason
