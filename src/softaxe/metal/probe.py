"""What a board on USB is and measures, found out by reading alone."""

import asyncio
import time
from collections.abc import Callable, Iterator

from softaxe.catalog import Board
from softaxe.catalog import board as board_named
from softaxe.errors import NotThere
from softaxe.metal import oled, parts, raw
from softaxe.metal.control_line import ControlLine
from softaxe.metal.ports import BoardPorts, FoundBoard, Place
from softaxe.metal.raw import LineError, Script
from softaxe.metal.tps546 import Tps546

ANSWER_S = 10.0
"""Until all must be read."""
TRIES = 3
"""To hear an answer: a busy machine may come too late for one."""
Findings = dict[str, str]


async def look_around(place: Place) -> Findings:
    """Read everything that is known of such boards; what is not there says so.

    Raises:
        NotThere: There is no board, or it does not answer.
    """
    line = ControlLine()
    found: list[Findings | LineError] = []
    ports = BoardPorts(place, _Prober(line))
    await ports.open()
    assert ports.board is not None
    about = _about(ports.board)
    try:
        line.start(_read_all(), found.append)
        end = time.monotonic() + ANSWER_S
        while not found and time.monotonic() < end and ports.is_open:
            line.step(time.monotonic())
            for packet in line.packets():
                ports.write_control(packet)
            await asyncio.sleep(0.001)
    finally:
        await ports.close()
    if line.dialect is None or not found or isinstance(found[0], LineError):
        raise NotThere(
            "metal: the board does not answer: press its reset button, and see that it "
            "has bitaxe-raw or RHAP-D"
        )
    return {**about, "answers": str(line.dialect), **found[0]}


class _Prober:
    """Takes what the ports bring to the line."""

    def __init__(self, line: ControlLine) -> None:
        self._line = line

    def plugged(self, board: FoundBoard) -> None:
        self._line.plugged(time.monotonic())

    def unplugged(self, why: str) -> None:
        self._line.unplugged()

    def control_received(self, data: bytes) -> None:
        self._line.received(data, time.monotonic())

    def data_received(self, data: bytes) -> None:
        """The chips may talk; nobody listens."""


def _about(board: FoundBoard) -> Findings:
    found = {"board": board.name, "control": board.control_path}
    found["data"] = board.data_path
    if board.serial_number:
        found["serial number"] = board.serial_number
    return found


def _read_all() -> Script[Findings]:
    found: Findings = {}
    for name, script in _questions():
        try:
            found[name] = yield from _patiently(script())
        except LineError as error:
            is_absent = error.kind is raw.FailureKind.NAK
            found[name] = "nothing answers" if is_absent else str(error)
    return found


def _patiently(script: Script[str]) -> Script[str]:
    """Ask again for what was not heard; to read twice does no harm."""
    try:
        request = next(script)
        while True:
            try:
                answer = yield from _ask(request)
            except LineError as error:
                request = script.throw(error)
            else:
                request = script.send(answer)
    except StopIteration as end:
        return str(end.value)


def _ask(request: raw.Request | float) -> Script[bytes]:
    for _ in range(TRIES - 1):
        try:
            return (yield request)
        except LineError as error:
            if error.kind not in {raw.FailureKind.NO_ANSWER, raw.FailureKind.GARBLED}:
                raise
    return (yield request)


def _questions() -> Iterator[tuple[str, Callable[[], Script[str]]]]:
    """Yield what is asked, and how."""
    gamma, turbo, hexa = map(board_named, ("601", "801", "302"))
    yield "reset line", _reset_line
    yield "TPS546 at 24", _regulator
    yield "EMC2101 at 4c", lambda: _fan(gamma)
    yield "EMC2103 at 2e", lambda: _fan(turbo)
    yield "EMC2302 at 2f", lambda: _fan(hexa)
    yield "TMP1075 at 4a, 4b", lambda: _sensors(hexa)
    yield "INA260 at 40", _meter
    yield "DS4432U at 48", lambda: _there(raw.i2c_write_read(parts.DS4432U, b"\xf8", 1))
    yield "display at 3c", lambda: _there(raw.i2c_read(oled.ADDRESS, 1))


def _reset_line() -> Script[str]:
    level = yield raw.gpio_get(raw.RESET_PIN)
    return "high: the chips may run" if level[0] else "low: the chips are held"


def _regulator() -> Script[str]:
    regulator = Tps546(board_named("601"))
    name = yield from regulator.identify()
    read = yield from regulator.read()
    return (
        f"{name}: input {read.input_voltage_v:.2f} V, output "
        f"{read.output_voltage_v:.3f} V {read.output_current_a:.1f} A, "
        f"{read.temperature_c:.0f} °C, status {read.status:04x}"
    )


def _fan(board: Board) -> Script[str]:
    controller = parts.fan_controller(board)
    name = yield from controller.identify()
    rpms = yield from controller.read_rpms()
    told = f"{name}: " + ", ".join(f"{rpm} rpm" for rpm in rpms[: board.fan_count])
    if board.temp_sensor == "TMP1075":
        return told
    return f"{told}, {(yield from _temperatures(board))}"


def _sensors(board: Board) -> Script[str]:
    yield from parts.identify_sensors(board)
    return (yield from _temperatures(board))


def _temperatures(board: Board) -> Script[str]:
    read_c = (yield from parts.read_temperatures(board))[: board.sensor_count]
    return ", ".join("a dead diode" if c is None else f"{c:.2f} °C" for c in read_c)


def _meter() -> Script[str]:
    yield from parts.identify_ina260()
    read = yield from parts.read_ina260()
    return f"{read.voltage_v:.2f} V, {read.current_a:.2f} A, {read.power_w:.1f} W"


def _there(request: raw.Request) -> Script[str]:
    return f"answers {(yield request).hex()}"
