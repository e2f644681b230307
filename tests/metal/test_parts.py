"""Fan controllers, sensors and meters, against bytes by their data sheets."""

import pytest
from tests.i2c_bus import Bus

from softaxe.catalog import board
from softaxe.metal.parts import (
    fan_controller,
    identify_ina260,
    identify_sensors,
    read_ina260,
    read_temperatures,
    set_ds4432u,
)
from softaxe.metal.raw import LineError

EMC2101, EMC2103, EMC2302 = 0x4C, 0x2E, 0x2F


@pytest.mark.parametrize(
    ("version", "address", "product", "name"),
    [
        ("601", EMC2101, "16", "EMC2101"),
        ("601", EMC2101, "28", "EMC2101-R"),
        ("801", EMC2103, "26", "EMC2103-2"),
        ("303", EMC2302, "36", "EMC2302"),
    ],
)
def test_fan_controllers_are_known_by_their_ids(
    version: str, address: int, product: str, name: str
) -> None:
    fan = fan_controller(board(version))
    bus = Bus({address: {0xFD: product, 0xFE: "5d"}})
    assert bus.run(fan.identify()) == name

    bus.held[address][0xFD] = b"\x99"
    with pytest.raises(
        LineError, match=rf"{address:02x}: .*product 99 is no {name[:7]}"
    ):
        bus.run(fan.identify())
    with pytest.raises(LineError, match="nobody"):
        Bus({}).run(fan.identify())


@pytest.mark.parametrize(
    ("version", "written"),
    [
        ("601", ["4c 03 04", "4c 4a 23", "4c 17 24", "4c 18 00"]),
        ("402", ["4c 03 04", "4c 4a 23"]),
        ("801", ["2e 20 00", "2e 2a 00", "2e 42 2b"]),
        ("303", ["2f 32 0b", "2f 42 0b"]),
    ],
)
def test_what_fan_controllers_are_told_first(version: str, written: list[str]) -> None:
    bus = Bus({EMC2101: {}, EMC2103: {}, EMC2302: {}})
    bus.run(fan_controller(board(version)).configure())
    assert bus.written == written


@pytest.mark.parametrize(
    ("version", "percent", "written"),
    [
        ("601", 100, ["4c 4c 3f"]),
        ("601", 50, ["4c 4c 1f"]),
        ("801", 50, ["2e 40 7f"]),
        ("303", 100, ["2f 30 ff", "2f 40 ff"]),
    ],
)
def test_duties(version: str, percent: float, written: list[str]) -> None:
    bus, fan = (
        Bus({EMC2101: {}, EMC2103: {}, EMC2302: {}}),
        fan_controller(board(version)),
    )
    bus.run(fan.set_percent(percent))
    assert bus.written == written
    for wrong in (-1, 101, float("nan")):
        with pytest.raises(ValueError, match=r"fan: .* outside 0\.\.100"):
            bus.run(fan.set_percent(wrong))


@pytest.mark.parametrize(
    ("version", "held", "rpms"),
    [
        ("601", {EMC2101: {0x46: "63", 0x47: "05"}}, (5_400_000 // 0x563, 0)),
        ("601", {EMC2101: {0x46: "ff", 0x47: "ff"}}, (0, 0)),
        ("601", {EMC2101: {}}, (0, 0)),
        ("801", {EMC2103: {0x4E: "3d", 0x4F: "70"}}, (7_864_320 // 0x7AE, 0)),
        ("801", {EMC2103: {0x4E: "ff", 0x4F: "f8"}}, (0, 0)),
        (
            "303",
            {EMC2302: {0x3E: "1e", 0x3F: "b8", 0x4E: "ff", 0x4F: "f8"}},
            (3_932_160 // 0x3D7, 0),
        ),
    ],
)
def test_speeds(
    version: str, held: dict[int, dict[int, str]], rpms: tuple[int, int]
) -> None:
    bus = Bus(held)
    assert bus.run(fan_controller(board(version)).read_rpms()) == rpms


@pytest.mark.parametrize(
    ("version", "held", "temperatures_c"),
    [
        ("601", {EMC2101: {0x01: "3c", 0x10: "20"}}, (60.125, None)),
        ("601", {EMC2101: {0x01: "fe", 0x10: "c0"}}, (-1.25, None)),
        ("601", {EMC2101: {0x01: "7f", 0x10: "00"}}, (None, None)),
        ("601", {EMC2101: {0x01: "7f", 0x10: "e0"}}, (None, None)),
        ("204", {EMC2101: {0x00: "32"}}, (55.0, None)),
        ("204", {EMC2101: {0x00: "f6"}}, (-5.0, None)),
        (
            "801",
            {EMC2103: {0x02: "3c", 0x03: "20", 0x04: "80", 0x05: "00"}},
            (60.125, None),
        ),
        ("303", {0x4A: {0: "32 10"}, 0x4B: {0: "ff f0"}}, (60.0625, 9.9375)),
    ],
)
def test_temperatures(
    version: str,
    held: dict[int, dict[int, str]],
    temperatures_c: tuple[float | None, float | None],
) -> None:
    bus = Bus(held)
    assert bus.run(read_temperatures(board(version))) == temperatures_c


def test_a_gamma_is_read_with_four_requests_beside_its_regulator() -> None:
    bus, gamma = Bus({EMC2101: {}}), board("601")
    bus.run(read_temperatures(gamma))
    bus.run(fan_controller(gamma).read_rpms())
    assert bus.requests == 4


def test_sensors_of_their_own_are_looked_for() -> None:
    bus = Bus({0x4A: {0x0F: "75 00"}, 0x4B: {0x0F: "75 00"}})
    bus.run(identify_sensors(board("303")))
    Bus({}).run(identify_sensors(board("601")))
    del bus.held[0x4B]
    with pytest.raises(LineError, match="nobody"):
        bus.run(identify_sensors(board("303")))


def test_the_input_is_measured_in_steps() -> None:
    bus = Bus({0x40: {0xFF: "22 70", 1: "08 00", 2: "0f a0", 3: "05 14"}})
    bus.run(identify_ina260())
    reading = bus.run(read_ina260())
    assert (reading.current_a, reading.voltage_v) == (2.56, 5.0)
    assert reading.power_w == pytest.approx(13.0)
    bus.held[0x40] |= {1: b"\xff\xff", 0xFF: b"\x22\x71"}
    assert bus.run(read_ina260()).current_a == -0.00125
    with pytest.raises(LineError, match="id 22 71 is not that of a INA260"):
        bus.run(identify_ina260())


def test_the_current_source_is_set_within_limits_and_read_back() -> None:
    bus, max_board = Bus({0x48: {}}), board("102")
    bus.run(set_ds4432u(max_board, 1.4))
    assert bus.written == ["48 f8 90"]
    with pytest.raises(
        ValueError, match=r"core voltage: 2.4 V is outside 0.046\.\.2.39"
    ):
        bus.run(set_ds4432u(max_board, 2.4))
    bus.fixed.add((0x48, 0xF8))
    with pytest.raises(LineError, match="holds 90 after"):
        bus.run(set_ds4432u(max_board, 1.2))
