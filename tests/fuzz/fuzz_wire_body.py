"""Orders, faults and pulled plugs in any order, at a board on a wire and its rules."""

from functools import cache
from math import isnan

from softaxe.catalog import Board, board
from softaxe.device.faults import NO_FAULTS, DeviceFaults, Instrument, Sensor
from softaxe.metal.control_line import ControlLine
from softaxe.metal.raw import Dialect
from softaxe.metal.raw_board import NO_WIRE_FAULTS, RawBoard, WireFaults
from softaxe.metal.registers import EMC2101_DUTY, Registers
from softaxe.metal.safety import OLDEST_S, allowed_core_v
from softaxe.metal.wire_body import State, WireBody

CORPUS = [
    # Each order is a byte, and its number the next one.
    bytes((0, 150, 15, 90, 0, 0, 15, 50, 0, 180, 15, 9, 2, 0, 15, 99)),
    bytes((15, 200, 8, 0, 15, 30, 8, 99, 0, 180, 15, 200)),
    bytes((15, 99, 5, 0, 15, 99, 5, 0, 15, 99, 0, 150, 2, 0, 15, 200)),
    bytes((6, 1, 15, 250, 6, 0, 15, 99, 6, 3, 15, 99)),
    bytes((15, 99, 7, 1, 15, 250, 7, 0, 9, 200, 15, 200)),
    bytes((4, 1, 15, 99, 0, 99, 15, 99, 3, 25, 15, 99, 9, 255, 15, 255)),
    bytes((3, 1, 7, 7, 15, 200, 8, 0, 15, 200)),
    bytes((7, 8, 15, 200, 7, 9, 15, 200, 10, 0, 15, 99, 0, 150)),
]
RUNS = 5
MOST_ORDERS = 30
EMC2101, FULL_DUTY = 0x4C, 63
LOOK_S, STEP_S = 1.0, 0.05
CUT_S = 3.0
"""In which a cut must be done on a board that obeys, with what is in flight before."""
FAULTS = (
    NO_FAULTS,
    DeviceFaults(dead_fans=frozenset({1})),
    DeviceFaults(stuck_c={Sensor.CHIP: 90}),
    DeviceFaults(stuck_c={Sensor.CHIP: -1}),
    DeviceFaults(stuck_c={Sensor.REGULATOR: 150}),
    DeviceFaults(absent=frozenset({Instrument.CHIP})),
    DeviceFaults(is_fan_controller_dead=True),
    DeviceFaults(has_regulator_fault=True),
    DeviceFaults(sag_v=1.0),
)
WIRE = (
    NO_WIRE_FAULTS,
    WireFaults(lost_requests=0.2),
    WireFaults(lost_answers=0.5),
    WireFaults(garbled_answers=0.5),
    WireFaults(late_s=0.15),
    WireFaults(late_s=0.5),
    WireFaults(silent=frozenset({0x24})),
    WireFaults(silent=frozenset({0x4C})),
    WireFaults(is_bus_dead=True),
    WireFaults(stuck={(0x24, 0x8B): b"\x4d\x02"}),
    WireFaults(lost_requests=1.0),
)


@cache
def _row(version: str) -> Board:
    return board(version)


class Watched:
    """A board, its rules, and somebody who sees that they are kept."""

    def __init__(self, version: str, dialect: Dialect) -> None:
        self.row = _row(version)
        self.now = self._look_at = 0.0
        self.raw = RawBoard(self.row, dialect=dialect)
        self.line = ControlLine()
        self.body = WireBody(
            self.row, self.line, tell=lambda level, text: None, on_work=lambda: None
        )
        self.is_whole = True
        self._dead_until = 0.0
        self._cut_since: float | None = None
        self._was_off = self._was_mine = False
        self.plug()

    def plug(self) -> None:
        if self.raw.dialect is Dialect.V0:
            self.raw.press_reset(self.now)  # it is deaf after a plug was pulled
            self.raw.step(self.now + 1.5)
            self.now += 1.5
        self.raw.plug(self.now)
        self.line.plugged(self.now)
        self.body.arm(self.now)

    def turn_plug(self) -> None:
        if not self.raw.has_cable:
            self.plug()
            return
        self.raw.unplug(self.now)
        self.body.unplugged(self.now)
        self.line.unplugged()

    def order(self, what: int, number: int) -> None:
        body = self.body
        match what % 16:
            case 0 | 1:
                body.set_core_voltage(0.9 + number / 512 if number > 20 else 0.0)
            case 2:
                body.chips.set_reset(is_low=bool(number % 2), now=0.0)
            case 3:
                body.set_percent(number % 101)
            case 4:
                body.boot(
                    self.row, NO_FAULTS, has_drivers=bool(number % 2), closes_line=True
                )
            case 5:
                self.turn_plug()
            case 6:
                self.break_it(FAULTS[number % len(FAULTS)], NO_WIRE_FAULTS)
            case 7:
                self.break_it(NO_FAULTS, WIRE[number % len(WIRE)])
            case 8:
                body.set_guarded(is_guarded=number > 20)
            case 9:  # the program hangs, though not for so long that it is killed
                self._dead_until = self.now + number / 60
            case 10:  # the board forgets what it was told
                self.raw.press_reset(self.now)
            case _:
                self.advance(number / 32)

    def break_it(self, faults: DeviceFaults, wire: WireFaults) -> None:
        self.is_whole = faults == NO_FAULTS and wire == NO_WIRE_FAULTS
        self.raw.set_faults(faults, wire)

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            due = min(end, self.now + STEP_S, self.raw.next_wake)
            if not self.is_hung:
                due = min(due, self.line.next_wake, self._look_at)
            self.now = max(self.now, due)
            self.raw.step(self.now)
            if not self.is_hung:
                self._host()
            self.see()

    @property
    def duty(self) -> int:
        """Of the fan, as its controller holds it."""
        controller = self.raw.parts[EMC2101]
        assert isinstance(controller, Registers)
        return controller.held[EMC2101_DUTY]

    @property
    def is_hung(self) -> bool:
        return self.now < self._dead_until

    def _host(self) -> None:
        for packet in self.raw.control_to_host():
            self.line.received(packet, self.now)
        if self._look_at <= self.now:
            self._look_at = self.now + LOOK_S
            self.body.look(self.now)
        self.line.step(self.now)
        for packet in self.line.packets():
            self.raw.control_received(packet, self.now)

    def see(self) -> None:
        """Look at the board itself, and whether all is as it must be."""
        body, metal = self.body, self.raw.body
        core_v = metal.power.core_voltage_setting_v
        least_v, most_v = allowed_core_v(self.row)
        is_mine = body.state is State.ON
        assert core_v <= most_v + 0.002, "more than is allowed"
        if is_mine and core_v and not self.is_hung:
            assert core_v >= least_v - 0.002, "less than is allowed"
            assert self.duty >= 31, "the fan is too slow"
        seen = body.survey
        if is_mine and seen is not None and not self.is_hung:
            assert self.now - seen.at < OLDEST_S + LOOK_S + 0.1, "nobody looks"
            assert not isnan(seen.core_v)
        if body.state is State.CUT and body.is_off:
            self._was_off = self._was_off or not core_v
        if self._was_off and self.is_whole:
            assert not core_v, "on again after a cut"


def one_input(data: bytes) -> None:
    kind = sum(data)
    watched = Watched(("601", "402")[kind % 2], (Dialect.V1, Dialect.V0)[kind // 2 % 2])
    watched.advance(0.5)
    watched.body.set_core_voltage(1.15)
    watched.body.chips.set_reset(is_low=False, now=0.0)
    for place in range(0, min(len(data), 2 * MOST_ORDERS) - 1, 2):
        watched.order(data[place], data[place + 1])
    watched.break_it(NO_FAULTS, NO_WIRE_FAULTS)
    if not watched.raw.has_cable:
        watched.turn_plug()
    watched.body.set_guarded(is_guarded=True)
    watched.advance(8)
    body, metal = watched.body, watched.raw.body
    assert body.state in (State.OFF, State.ON, State.CUT)
    if body.state is not State.ON:
        assert body.is_off
        assert not metal.power.core_voltage_setting_v
        assert watched.raw.is_reset_low or body.state is State.OFF
    if body.state is State.CUT:
        assert watched.duty == FULL_DUTY
        body.set_core_voltage(1.2)
        body.arm(watched.now)
        watched.advance(3)
        assert not metal.power.core_voltage_setting_v
