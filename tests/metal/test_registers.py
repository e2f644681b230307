"""Each part against the examples and tables of its data sheet."""

from random import Random

import pytest

from softaxe.board.ambient import Ambient
from softaxe.catalog import board
from softaxe.catalog.lottery import typical
from softaxe.device.body import ModelBody
from softaxe.device.faults import DeviceFaults, Instrument, Sensor
from softaxe.metal.registers import (
    Metal,
    Ssd1306,
    Tps546Registers,
    linear11_value,
    linear11_word,
    parts_of,
)

PASS_S = 1.0
ON, OFF = bytes((1, 0x80)), bytes((1, 0x00))
BY_OPERATION = bytes((2, 0x1B))


class Bench:
    """A board's parts, and time."""

    def __init__(self, version: str) -> None:
        specimen = typical(board(version))
        self.body = ModelBody.of(
            specimen, Ambient(25.0), 0.0, lambda level, tag, text: None, Random("chips")
        )
        self.metal = Metal(self.body)
        self.parts = parts_of(self.metal)
        self._rng = Random("body")

    def run(self, seconds: int) -> None:
        for _ in range(seconds):
            self.metal.now += PASS_S
            self.body.step(self.metal.now, self._rng)
            if isinstance(part := self.parts.get(0x24), Tps546Registers):
                part.step()
            self.metal.note_power()

    def break_(self, faults: DeviceFaults) -> None:
        self.body.set_faults(faults, self.metal.now, counted_s=5.0)

    def read(self, address: int, register: int, count: int = 1) -> bytes:
        part = self.parts[address]
        part.write(bytes((register,)))
        return part.read(count)

    def word(self, address: int, register: int) -> int:
        return int.from_bytes(self.read(address, register, 2), "little")

    def write(self, address: int, *values: int) -> None:
        self.parts[address].write(bytes(values))

    def write_word(self, address: int, register: int, value: int) -> None:
        self.write(address, register, value & 0xFF, value >> 8)

    def power(self, volts: float = 1.2) -> None:
        """What every host writes first, as far as it matters here."""
        part = self.parts[0x24]
        part.write(BY_OPERATION)
        part.write(OFF)
        self.write_word(0x24, 0x29, linear11_word(0.25))
        self.write_word(0x24, 0x24, 2 * 512)
        self.write_word(0x24, 0x2B, 1 * 512)
        self.write_word(0x24, 0x21, round(volts * 512))
        part.write(ON)
        self.body.chips.set_reset(False, self.metal.now)
        self.metal.note_power()


@pytest.mark.parametrize(
    ("value", "word"),
    # PMBus 1.3 part II, 7.3; a 601's 5.09375 V and 12.015625 A; a negative.
    [
        (0.5, 0xB200),
        (5.09375, 0xCA8C),
        (12.015625, 0xD301),
        (145, 0xF244),
        (-5, 0xCD80),
    ],
)
def test_numbers_of_pmbus(value: float, word: int) -> None:
    assert linear11_value(word) == value
    assert linear11_value(linear11_word(value)) == value


@pytest.mark.parametrize(
    ("version", "addresses"),
    [
        ("601", {0x24, 0x4C, 0x3C}),
        ("204", {0x48, 0x40, 0x4C, 0x3C}),
        ("303", {0x24, 0x2F, 0x4A, 0x4B, 0x3C}),
        ("801", {0x24, 0x2E, 0x3C}),
    ],
)
def test_a_board_has_its_parts(version: str, addresses: set[int]) -> None:
    assert set(Bench(version).parts) == addresses


def test_a_regulator_powers_up_by_itself_and_minds_operation_when_told_to() -> None:
    bench = Bench("601")
    bench.run(1)

    assert bench.word(0x24, 0x8B) / 512 == pytest.approx(0.8, abs=0.01)
    bench.parts[0x24].write(OFF)
    bench.run(1)
    assert bench.word(0x24, 0x8B) > 0  # its pin is still what counts
    bench.parts[0x24].write(BY_OPERATION)
    bench.run(1)

    assert bench.word(0x24, 0x8B) == 0
    assert bench.word(0x24, 0x79) == 0x0840


def test_its_identity_and_its_readings() -> None:
    bench = Bench("601")
    bench.power(1.15)
    bench.run(2)

    assert bench.read(0x24, 0xAD, 7) == bytes.fromhex("06544954 6D2441")
    assert bench.read(0x24, 0x20) == b"\x97"
    assert bench.word(0x24, 0x8B) / 512 == pytest.approx(1.15, abs=0.01)
    assert linear11_value(bench.word(0x24, 0x88)) == pytest.approx(5.1, abs=0.2)
    assert linear11_value(bench.word(0x24, 0x8D)) == pytest.approx(25, abs=3)
    assert bench.word(0x24, 0x79) == 0


def test_voltage_keeps_to_its_limits_and_to_the_scale_of_the_loop() -> None:
    bench = Bench("601")
    bench.power(1.2)

    bench.write_word(0x24, 0x21, round(3.3 * 512))
    bench.run(1)

    assert bench.word(0x24, 0x8B) / 512 == pytest.approx(2.0, abs=0.02)
    assert bench.word(0x24, 0x79) & 0x8000
    assert bench.read(0x24, 0x7A) == b"\x08"
    bench.parts[0x24].write(OFF)
    bench.write_word(0x24, 0x29, linear11_word(0.5))
    bench.parts[0x24].write(ON)
    bench.run(1)
    assert bench.word(0x24, 0x8B) / 512 == pytest.approx(1.5, abs=0.02)


def test_a_loop_is_not_changed_while_it_works() -> None:
    bench = Bench("601")
    bench.power()

    bench.write_word(0x24, 0x29, linear11_word(0.5))
    bench.write(0x24, 0x20, 0x98)

    assert bench.word(0x24, 0x29) == linear11_word(0.25)
    assert bench.read(0x24, 0x20) == b"\x97"
    assert bench.read(0x24, 0x7E) == b"\x40"
    assert bench.word(0x24, 0x79) & 0x02
    bench.write(0x24, 0x03)
    assert bench.word(0x24, 0x79) == 0


def test_another_exponent_says_the_same_voltages() -> None:
    bench = Bench("601")
    bench.write(0x24, 0x02, 0x1B)
    bench.write_word(0x24, 0x21, 614)

    bench.write(0x24, 0x20, 0x98)  # 2**-8

    assert bench.word(0x24, 0x21) == 307
    bench.write(0x24, 0x20, 0x20)
    assert bench.read(0x24, 0x7E) == b"\x40"


def test_what_it_does_not_know_is_noted_and_size_is_minded() -> None:
    bench = Bench("601")

    bench.write(0x24, 0xD7, 1)
    assert bench.read(0x24, 0x7E) == b"\x80"
    bench.write(0x24, 0x46, 1)
    assert bench.read(0x24, 0x7E) == b"\xc0"
    bench.write(0x24, 0xB1, 5, 0x12, 0x34, 0x42, 0x21, 0x04)
    assert bench.read(0x24, 0xB1, 6) == bytes.fromhex("05 1234422104")


@pytest.mark.parametrize(("response", "is_back"), [(0xFF, True), (0xC0, False)])
def test_a_lower_heat_limit_acts(response: int, is_back: bool) -> None:
    bench = Bench("601")
    bench.power()
    bench.write(0x24, 0x50, response)
    bench.write_word(0x24, 0x4F, linear11_word(60))
    bench.body.thermal.vr_c = 70.0

    bench.run(1)
    assert bench.word(0x24, 0x8B) == 0
    assert bench.word(0x24, 0x79) & 0x0844 == 0x0844
    assert bench.read(0x24, 0x7D) == b"\xc0"
    assert not bench.body.chips.is_on

    bench.body.thermal.vr_c = 30.0
    bench.run(2)
    assert (bench.word(0x24, 0x8B) > 0) is is_back
    assert bench.word(0x24, 0x79) & 0x04  # it stays until it is cleared

    bench.parts[0x24].write(OFF)
    bench.parts[0x24].write(ON)
    bench.run(1)
    assert bench.word(0x24, 0x8B) > 0
    assert bench.word(0x24, 0x79) == 0


def test_a_lower_current_limit_acts_and_waits_to_be_ordered() -> None:
    bench = Bench("601")
    bench.power()
    bench.run(1)
    bench.write_word(0x24, 0x46, linear11_word(0.0625))
    bench.write(0x24, 0x47, 0xC0)

    bench.run(2)
    assert bench.word(0x24, 0x79) & 0x4850 == 0x4850
    assert bench.read(0x24, 0x7B) == b"\xa0"
    bench.write(0x24, 0x03)
    bench.run(2)
    assert bench.word(0x24, 0x8B) == 0  # clearing does not start it

    bench.write_word(0x24, 0x46, linear11_word(30))
    bench.parts[0x24].write(OFF)
    bench.parts[0x24].write(ON)
    bench.run(1)
    assert bench.word(0x24, 0x79) == 0


def test_a_response_that_goes_on_lets_it_burn() -> None:
    bench = Bench("601")
    bench.power()
    bench.write(0x24, 0x50, 0x00)
    bench.body.thermal.vr_c = 200.0

    bench.run(1)

    assert bench.word(0x24, 0x8B) > 0


def test_input_limits_act() -> None:
    bench = Bench("601")
    bench.power()
    bench.write_word(0x24, 0x35, linear11_word(7))
    bench.write_word(0x24, 0x36, linear11_word(6))

    bench.run(1)

    assert bench.word(0x24, 0x79) & 0x2848 == 0x2848
    assert bench.read(0x24, 0x7C) == b"\x18"


def test_storing_ruins_it() -> None:
    bench = Bench("601")
    bench.power()

    bench.write(0x24, 0x15)

    assert not bench.parts[0x24].answers
    assert not bench.body.chips.is_on


def test_it_is_gone_with_the_power_meter() -> None:
    bench = Bench("601")
    bench.break_(DeviceFaults(absent=frozenset({Instrument.POWER})))

    assert not bench.parts[0x24].answers


def test_a_hex_takes_the_sum_of_its_domains() -> None:
    bench = Bench("303")
    bench.write(0x24, 0x02, 0x1B)
    bench.write_word(0x24, 0x29, linear11_word(0.125))
    bench.write_word(0x24, 0x24, round(4.5 * 512))
    bench.write_word(0x24, 0x21, round(3.6 * 512))
    bench.parts[0x24].write(ON)
    bench.run(1)

    assert bench.word(0x24, 0x8B) / 512 == pytest.approx(3.6, abs=0.03)
    assert bench.body.power.core_voltage_v == pytest.approx(1.2, abs=0.01)


def test_an_emc2101_turns_the_fan_and_counts_its_pulses() -> None:
    bench = Bench("601")

    assert (bench.read(0x4C, 0xFD), bench.read(0x4C, 0xFE)) == (b"\x16", b"\x5d")
    bench.write(0x4C, 0x4C, 63)
    bench.run(20)
    assert bench.read(0x4C, 0x46) + bench.read(0x4C, 0x47) == b"\xff\xff"  # not counted
    bench.write(0x4C, 0x03, 0x04)
    count = bench.read(0x4C, 0x46)[0] | bench.read(0x4C, 0x47)[0] << 8
    assert 5_400_000 // count == pytest.approx(bench.body.fan_rpms[0], abs=3)
    assert bench.read(0x4C, 0x4C) == b"\x3f"

    bench.write(0x4C, 0x4A, 0x03)  # by its table now
    bench.write(0x4C, 0x4C, 0)
    bench.run(5)
    assert bench.body.fan_rpms[0] > 4000


def test_an_emc2101_feels_a_chip_that_runs() -> None:
    bench = Bench("601")

    def shown_c() -> float:
        high, low = bench.read(0x4C, 0x01)[0], bench.read(0x4C, 0x10)[0]
        word = high << 8 | low
        return (word - (word >> 15 << 16)) / 256

    bench.run(1)
    assert shown_c() == 127.0  # an open diode
    assert bench.read(0x4C, 0x02) == b"\x04"
    bench.power()
    assert shown_c() == 127.0
    bench.run(1)
    assert shown_c() == bench.body.temperatures_c[0] < 40
    bench.break_(DeviceFaults(stuck_c={Sensor.CHIP: -1.125}))
    assert shown_c() == -1.125
    bench.break_(DeviceFaults(absent=frozenset({Instrument.CHIP})))
    assert shown_c() == 127.0


def test_a_dead_or_uncounted_fan_and_a_dead_controller() -> None:
    bench = Bench("601")
    bench.write(0x4C, 0x03, 0x04)
    bench.write(0x4C, 0x4C, 63)
    bench.run(20)

    for faults in (
        DeviceFaults(dead_fans=frozenset({1})),
        DeviceFaults(dead_tachometers=frozenset({1})),
        DeviceFaults(absent=frozenset({Instrument.FAN})),
    ):
        bench.break_(faults)
        assert bench.read(0x4C, 0x46) + bench.read(0x4C, 0x47) == b"\xff\xff"
    bench.break_(DeviceFaults(is_fan_controller_dead=True))
    assert not bench.parts[0x4C].answers


def test_the_second_byte_belongs_to_the_first() -> None:
    bench = Bench("601")
    bench.power()
    bench.run(1)
    bench.break_(DeviceFaults(stuck_c={Sensor.CHIP: 49.875}))
    assert bench.read(0x4C, 0x01) == b"\x31"

    bench.break_(DeviceFaults(stuck_c={Sensor.CHIP: 50.0}))

    assert bench.read(0x4C, 0x10) == b"\xe0"
    assert bench.read(0x4C, 0x10) == b"\x00"
    assert bench.read(0x4C, 0x01, 3) == b"\x32\xff\xff"  # it has no reads of many


def test_an_old_board_is_measured_beside_the_chip() -> None:
    bench = Bench("204")
    bench.run(1)

    shown_c = bench.read(0x4C, 0x00)[0] + 5
    assert shown_c == bench.body.temperatures_c[0]
    assert bench.read(0x4C, 0x01) == b"\x7f"


def test_a_dac_sets_the_voltage_and_a_meter_measures_the_input() -> None:
    bench = Bench("204")

    bench.write(0x48, 0xF8, 0xC2)
    bench.run(1)

    assert bench.body.adc_v == pytest.approx(1.22, abs=0.02)
    volts = int.from_bytes(bench.read(0x40, 0x02, 2)) * 0.00125
    amperes = int.from_bytes(bench.read(0x40, 0x01, 2)) * 0.00125
    watts = int.from_bytes(bench.read(0x40, 0x03, 2)) * 0.01
    assert volts == pytest.approx(5.1, abs=0.2)
    assert watts == pytest.approx(volts * amperes, abs=0.02)
    assert bench.read(0x40, 0xFE, 2) == b"TI"
    bench.write(0x40, 0x00, 0x61, 0x26)
    assert bench.read(0x40, 0x00, 2) == b"\x61\x26"
    bench.break_(DeviceFaults(absent=frozenset({Instrument.POWER})))
    assert not bench.parts[0x40].answers


def test_an_emc2302_turns_two_fans_and_a_tmp1075_feels_the_board() -> None:
    bench = Bench("303")
    for fan in (0x30, 0x40):
        bench.write(0x2F, fan, 255)
        bench.write(0x2F, fan + 2, 0x0B)  # 500 rpm, multiplier 1
    bench.run(20)

    for fan, rpm in zip((0x3E, 0x4E), bench.body.fan_rpms, strict=True):
        count = int.from_bytes(bench.read(0x2F, fan, 2)) >> 3
        assert 3_932_160 // count == pytest.approx(rpm, rel=0.003)
    for address, celsius in zip((0x4A, 0x4B), bench.body.temperatures_c, strict=True):
        sixteenths = int.from_bytes(bench.read(address, 0x00, 2)) >> 4
        assert sixteenths / 16 + 10 == celsius
    bench.break_(DeviceFaults(dead_fans=frozenset({2})))
    assert bench.read(0x2F, 0x4E) == b"\xff"


def test_an_emc2103_feels_two_chips() -> None:
    bench = Bench("801")
    assert bench.read(0x2E, 0x02, 4) == b"\x80\x00\x80\x00"
    bench.write(0x24, 0x02, 0x1B)
    bench.parts[0x24].write(ON)
    bench.body.chips.set_reset(False, 0.0)
    bench.write(0x2E, 0x40, 255)
    bench.run(20)

    told = bench.read(0x2E, 0x02, 4)
    for place, celsius in zip((0, 2), bench.body.temperatures_c, strict=True):
        assert (told[place] << 8 | told[place + 1]) / 256 == celsius
    count = int.from_bytes(bench.read(0x2E, 0x4E, 2)) >> 3
    assert 7_864_320 // count == pytest.approx(bench.body.fan_rpms[0], abs=5)


def test_a_display_keeps_what_is_drawn() -> None:
    display = Ssd1306()
    assert display.read(1) == b"\x40"

    display.write(bytes((0x00, 0xAE, 0x20, 0x00, 0x21, 126, 127, 0x22, 1, 2, 0xA7)))
    display.write(b"\x00\xaf")
    display.write(bytes((0x40, 1, 2, 3, 4, 5)))

    assert (display.is_on, display.is_inverted) == (True, True)
    drawn = {place: value for place, value in enumerate(display.picture) if value}
    assert drawn == {128 + 126: 5, 128 + 127: 2, 256 + 126: 3, 256 + 127: 4}
    display.write(bytes((0x00, 0x20, 0x02, 0xB3, 0x05, 0x11)))
    display.write(bytes((0x40, 9)))
    assert display.picture[3 * 128 + 0x15] == 9
    assert display.read(2) == b"\x00\xff"


@pytest.mark.parametrize("version", ["601", "303", "204", "801"])
def test_nothing_written_is_nothing(version: str) -> None:
    for part in Bench(version).parts.values():
        before = part.pointer
        part.write(b"")
        assert part.pointer == before
        assert part.answers
