"""The regulator's numbers and what it is told, against the reference's tables."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.i2c_bus import Bus

from softaxe.board.regulator import Status
from softaxe.catalog import board
from softaxe.metal.raw import LineError
from softaxe.metal.tps546 import (
    Tps546,
    from_slinear11,
    from_ulinear16,
    slinear11,
    ulinear16,
)

ID, MODE, STATUS = 0xAD, 0x20, 0x79
DEVICE = "06 54 49 54 6d 24 41"


def regulator_bus(device_id: str = DEVICE, mode: str = "97") -> Bus:
    return Bus({0x24: {ID: device_id, MODE: mode}})


def configured(version: str = "601") -> tuple[Tps546, Bus]:
    part, bus = Tps546(board(version)), regulator_bus()
    bus.run(part.identify())
    bus.run(part.configure())
    return part, bus


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (0.0, 0x0000),
        (5.09375, 0xCA8C),  # 652 / 128
        (12.015625, 0xD301),  # 769 / 64
        (62.0, 0xE3E0),  # 992 / 16
        (-10.0, 0xD580),  # -640 / 64
        (0.25, 0xAA00),
        (650.0, 0x028A),
    ],
)
def test_slinear11(value: float, word: int) -> None:
    assert int.from_bytes(slinear11(value), "little") == word
    assert from_slinear11(word.to_bytes(2, "little")) == value


@settings(max_examples=50)
@example(1023.9)
@given(st.floats(-900, 900))
def test_slinear11_loses_less_than_a_thousandth(value: float) -> None:
    back = from_slinear11(slinear11(value))
    assert back == pytest.approx(value, rel=1 / 1000, abs=1e-4)


def test_ulinear16() -> None:
    assert ulinear16(1.15, -9).hex(" ") == "4d 02"
    assert from_ulinear16(b"\x4d\x02", -9) == 589 / 512
    with pytest.raises(ValueError, match=r"128 is outside 0\.\.127\.99"):
        ulinear16(128, -9)


@pytest.mark.parametrize(
    ("device_id", "name"),
    [(DEVICE, "TPS546D24A"), ("06 54 49 54 6d 24 62", "TPS546D24S")],
)
def test_it_is_known_by_its_id(device_id: str, name: str) -> None:
    bus = regulator_bus(device_id)
    bus.deaf = 5
    assert bus.run(Tps546(board("601")).identify()) == name
    assert bus.paused_s == pytest.approx(5 * 0.003)


@pytest.mark.parametrize(
    ("device_id", "mode", "text"),
    [
        ("06 54 49 54 6b 24 41", "97", "device id 06 54 49 54 6b 24 41 is that of no"),
        ("07 54 49 54 6d 24 41", "97", "device id 07"),
        (DEVICE, "17", "VOUT_MODE 17 is not linear with relative limits"),
        (DEVICE, "b7", "VOUT_MODE b7"),
        (DEVICE, "80", "VOUT_MODE 80"),
    ],
)
def test_another_is_refused(device_id: str, mode: str, text: str) -> None:
    with pytest.raises(LineError, match=text):
        regulator_bus(device_id, mode).run(Tps546(board("601")).identify())


def test_silence_is_told_after_six_tries() -> None:
    bus = Bus({})
    with pytest.raises(LineError, match="nobody"):
        bus.run(Tps546(board("601")).identify())
    assert bus.requests == 6


def test_it_is_off_while_it_gets_its_limits_and_stores_nothing() -> None:
    _, bus = configured()

    assert bus.written[:3] == ["24 01 00", "24 02 1f", "24 02 1b"]
    assert bus.written[-1] == "24 03"
    commands = {bytes.fromhex(line)[1] for line in bus.written}
    assert not commands & {0x10, 0x11, 0x15}
    assert "24 01 80" not in bus.written


@pytest.mark.parametrize(
    ("version", "numbers", "volts", "others"),
    [
        (
            "601",
            {0x35: 4.8, 0x36: 4.5, 0x55: 6.5, 0x29: 0.25, 0x4A: 25, 0x46: 30},
            {0x24: 2.0, 0x2B: 1.0, 0x21: 1.0},
            {0xEC: "00 00", 0xE4: "10", 0x04: "00"},
        ),
        (
            "303",
            {0x58: 11, 0x35: 11.5, 0x36: 11, 0x55: 14, 0x29: 0.125, 0x46: 30},
            {0x24: 4.5, 0x2B: 2.5, 0x21: 2.5},
            {0xEC: "00 00", 0xE4: "10", 0x04: "00"},
        ),
        (
            "801",
            {0x58: 11, 0x35: 11, 0x36: 10.5, 0x55: 14, 0x4A: 50, 0x46: 55},
            {0x24: 3.0, 0x2B: 1.0, 0x21: 1.0},
            {0xEC: "01 00", 0xE4: "d0", 0x04: "ff", 0xB1: "05 12 34 42 21 04"},
        ),
    ],
)
def test_each_board_has_its_own_limits(
    version: str,
    numbers: dict[int, float],
    volts: dict[int, float],
    others: dict[int, str],
) -> None:
    held = configured(version)[1].held[0x24]

    numbers |= {0x33: 650, 0x51: 105, 0x4F: 145, 0x60: 0, 0x61: 3, 0x62: 0, 0x64: 0}
    for command, value in numbers.items():
        assert from_slinear11(held[command]) == pytest.approx(value, abs=0.005)
    for command, value in volts.items():
        assert from_ulinear16(held[command], -9) == value
    shares = {0x40: 1.25, 0x42: 1.16, 0x25: 1.1, 0x26: 0.9, 0x43: 0.9, 0x44: 0.75}
    for command, value in shares.items():
        assert from_ulinear16(held[command], -9) == pytest.approx(value, abs=1 / 512)
    others |= {0x56: "b7", 0x47: "c0", 0x50: "80", 0x63: "3b", 0xEE: "ff ff"}
    for command, data in others.items():
        assert held[command].hex(" ") == data
    assert (0x58 in held) == (0x58 in numbers)


def test_it_switches_off_when_told_how_hot_it_may_be() -> None:
    part, bus = Tps546(board("601"), ot_fault_c=100.0), regulator_bus()
    bus.run(part.configure())
    held = bus.held[0x24]
    assert [from_slinear11(held[command]) for command in (0x4F, 0x51)] == [100, 100]


@pytest.mark.parametrize(
    ("command", "held", "name"),
    [
        (0x24, "00 08", "VOUT_MAX holds 00 08 after 00 04 was written"),
        (0x46, "80 e3", "IOUT_OC_FAULT_LIMIT"),
        (0x47, "ff", "IOUT_OC_FAULT_RESPONSE"),
        (0x4F, "96 00", "OT_FAULT_LIMIT"),
        (0x02, "1f", "ON_OFF_CONFIG"),
    ],
)
def test_a_limit_that_is_not_taken_is_an_error(
    command: int, held: str, name: str
) -> None:
    part, bus = Tps546(board("601")), regulator_bus()
    bus.held[0x24][command] = bytes.fromhex(held)
    bus.fixed.add((0x24, command))
    with pytest.raises(LineError, match=name):
        bus.run(part.configure())
    with pytest.raises(ValueError, match="before it was configured"):
        bus.run(part.switch_on())


def test_a_part_may_round_to_steps_of_its_own() -> None:
    part, bus = Tps546(board("601")), regulator_bus()
    bus.held[0x24][0x35] = slinear11(4.75)
    bus.fixed.add((0x24, 0x35))
    bus.run(part.configure())


def test_voltages_are_set_within_the_limits_and_read_back() -> None:
    part, bus = configured()
    bus.run(part.set_vout(1.15))
    bus.run(part.switch_on())
    bus.run(part.switch_off())
    assert bus.written[-3:] == ["24 21 4d 02", "24 01 80", "24 01 00"]

    for volts in (0.999, 2.001, float("nan")):
        with pytest.raises(ValueError, match=r"output voltage: .* outside 1\.\.2"):
            bus.run(part.set_vout(volts))
    bus.fixed.add((0x24, 0x21))
    with pytest.raises(LineError, match="VOUT_COMMAND holds 4d 02 after 66 02"):
        bus.run(part.set_vout(1.2))


def test_it_is_read_with_five_requests() -> None:
    part, bus = configured()
    bus.held[0x24] |= {
        0x88: bytes.fromhex("8c ca"),
        0x8B: bytes.fromhex("4a 02"),
        0x8C: bytes.fromhex("01 d3"),
        0x8D: bytes.fromhex("e0 e3"),
        STATUS: bytes.fromhex("40 08"),
    }
    before = bus.requests

    reading = bus.run(part.read())

    assert bus.requests == before + 5
    assert reading.input_voltage_v == 5.09375
    assert reading.output_voltage_v == 586 / 512
    assert reading.output_current_a == 12.015625
    assert reading.temperature_c == 62.0
    assert reading.status == Status.OFF | Status.POWER_NOT_GOOD
    assert bus.run(part.read_vout()) == 586 / 512
