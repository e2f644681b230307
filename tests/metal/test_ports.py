"""Boards in a list of USB ports, and both ports of one over pseudo-terminals."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from softaxe.errors import NotThere, SettingError

pytest.importorskip("serialx")
from serialx import SerialPortInfo

from softaxe.metal import ports
from softaxe.metal.ports import BoardPorts, FoundBoard, Place

needs_terminals = pytest.mark.skipif(
    not hasattr(os, "openpty"), reason="no pseudo-terminals on this system"
)


def usb(
    device: str,
    interface: int,
    ids: tuple[int, int] = (0x1209, 0x6102),
    number: str = "1",
) -> SerialPortInfo:
    return SerialPortInfo(
        device=device,
        resolved_device=device,
        vid=ids[0],
        pid=ids[1],
        serial_number=number,
        manufacturer=None,
        product=None,
        bcd_device=1,
        interface_description=None,
        interface_num=interface,
    )


GAMMA = [usb("/dev/ttyACM7", 2), usb("/dev/ttyACM9", 0)]
OTHER = [
    usb("/dev/ttyACM0", 0, (0xC0DE, 0xCAFE), "0"),
    usb("/dev/ttyACM1", 2, (0xC0DE, 0xCAFE), "0"),
]


def test_places_are_read() -> None:
    assert ports.place("auto") == Place()
    assert ports.place("3A5F00C1") == Place(serial_number="3A5F00C1")
    assert ports.place("/dev/a,/dev/b") == Place("/dev/a", "/dev/b")
    for wrong in ("", "/dev/a", "a,", "a,b,c", "a,a"):
        with pytest.raises(
            SettingError, match=f"metal: '{wrong}' is neither auto, nor"
        ):
            ports.place(wrong)


def test_the_interface_tells_which_port_is_which() -> None:
    found = ports.choose(Place(), GAMMA)
    assert found == FoundBoard(
        "Bitaxe Gamma RHAP-D", "/dev/ttyACM9", "/dev/ttyACM7", "1"
    )


def test_one_of_several_is_taken_by_its_number() -> None:
    found = ports.choose(Place(serial_number="0"), GAMMA + OTHER)
    assert found.control_path == "/dev/ttyACM0"
    with pytest.raises(NotThere, match="which of the boards 1, 0"):
        ports.choose(Place(), GAMMA + OTHER)
    with pytest.raises(NotThere, match=r"no board with serial number 5; there are 1$"):
        ports.choose(Place(serial_number="5"), GAMMA)


def test_ports_are_not_paired_by_guess() -> None:
    assert ports.boards_among(GAMMA + GAMMA) == ()
    assert ports.boards_among(GAMMA[:1]) == ()
    assert ports.boards_among([usb("/dev/ttyS0", 0, (0x10C4, 0xEA60))]) == ()


def test_what_is_plugged_in_instead_is_named() -> None:
    with pytest.raises(NotThere, match=r"no board on USB$"):
        ports.choose(Place(), [])
    with pytest.raises(NotThere, match="no board on USB; there is an ESP32-S3 with"):
        ports.choose(Place(), [usb("/dev/ttyACM0", 0, (0x303A, 0x1001))])


def test_a_look_at_usb_ends() -> None:
    asyncio.run(ports.find_boards())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)  # what others do is looked at, not told


class Heard:
    """What was said of a board."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.control = b""
        self.data = b""

    def plugged(self, board: FoundBoard) -> None:
        self.events.append("plugged")

    def unplugged(self, why: str) -> None:
        self.events.append(why)

    def control_received(self, data: bytes) -> None:
        self.control += data

    def data_received(self, data: bytes) -> None:
        self.data += data


class Board:
    """Two pseudo-terminals behind two links."""

    def __init__(self, folder: Path) -> None:
        self.paths = str(folder / "control"), str(folder / "data")
        self.masters: list[int] = []

    def plug_in(self) -> None:
        for path in self.paths:
            master, slave = os.openpty()
            os.symlink(os.ttyname(slave), path)
            os.close(slave)
            self.masters.append(master)

    def unplug(self) -> None:
        for master in self.masters:
            os.close(master)
        self.masters.clear()
        for path in self.paths:
            os.unlink(path)


@asynccontextmanager
async def kept(board: Board) -> AsyncIterator[tuple[BoardPorts, Heard]]:
    heard, stopped = Heard(), asyncio.Event()
    kept_ports = BoardPorts(Place(*board.paths), heard, retry_s=0.02)
    running = asyncio.ensure_future(kept_ports.run(stopped))
    try:
        yield kept_ports, heard
    finally:
        stopped.set()
        await running
        assert not kept_ports.is_open


@needs_terminals
def test_bytes_go_both_ways_and_a_packet_in_one_piece(tmp_path: Path) -> None:
    async def talk() -> None:
        board = Board(tmp_path)
        board.plug_in()
        async with kept(board) as (both, heard):
            await until(lambda: both.is_open)
            packet = bytes(range(64))
            both.write_control(packet)
            both.write_data(b"\x55\xaa\x0d\x0a")
            await asyncio.sleep(0)
            assert os.read(board.masters[0], 999) == packet
            assert os.read(board.masters[1], 999) == b"\x55\xaa\x0d\x0a"
            os.write(board.masters[0], b"\x03\r\n\x11")
            os.write(board.masters[1], bytes(range(256)))
            await until(lambda: len(heard.data) == 256 and len(heard.control) == 4)
            assert heard.data == bytes(range(256))
            assert heard.control == b"\x03\r\n\x11"
        board.unplug()

    asyncio.run(talk())


@needs_terminals
def test_a_board_is_found_again_after_it_was_unplugged(tmp_path: Path) -> None:
    async def plug_and_unplug() -> None:
        board = Board(tmp_path)
        async with kept(board) as (both, heard):
            await until(lambda: both.trouble.endswith("control: there is no such port"))
            board.plug_in()
            await until(lambda: both.is_open)
            assert both.trouble == ""
            board.unplug()
            await until(lambda: not both.is_open)
            both.write_control(b"lost")
            both.write_data(b"lost")
            board.plug_in()
            await until(lambda: both.is_open)
            assert heard.events[::2] == ["plugged", "plugged"]
            assert heard.events[1].endswith(": unplugged")
            assert len(heard.events) == 3
        board.unplug()

    asyncio.run(plug_and_unplug())


@needs_terminals
def test_no_other_board_is_taken_for_one_that_is_gone(tmp_path: Path) -> None:
    async def exchange() -> None:
        board, heard, there = Board(tmp_path), Heard(), list[SerialPortInfo]()
        control, data = board.paths

        async def list_ports() -> list[SerialPortInfo]:
            return there

        both = BoardPorts(Place(), heard, retry_s=0.02, list_ports=list_ports)
        with pytest.raises(NotThere, match="no board on USB"):
            await both.open()
        board.plug_in()
        there += [usb(control, 0, number="A"), usb(data, 2, number="A")]
        await both.open()
        assert both.board == FoundBoard("Bitaxe Gamma RHAP-D", control, data, "A")
        board.unplug()
        await until(lambda: not both.is_open)

        board.plug_in()
        there[:] = [usb(control, 0, number="B"), usb(data, 2, number="B")]
        with pytest.raises(
            NotThere, match="no board with serial number A; there are B"
        ):
            await both.open()
        there[:] = [usb(control, 0, number="A"), usb(data, 2, number="A")]
        await both.open()
        await both.close()
        assert heard.events[::2] == ["plugged", "plugged"]
        board.unplug()

    asyncio.run(exchange())


@needs_terminals
def test_a_port_that_is_taken_says_so(tmp_path: Path) -> None:
    async def take_twice() -> None:
        board = Board(tmp_path)
        board.plug_in()
        async with kept(board) as (both, _):
            await until(lambda: both.is_open)
            second = BoardPorts(Place(*board.paths), Heard())
            with pytest.raises(NotThere, match="control: another program has it"):
                await second.open()
            beside = BoardPorts(Place(*board.paths), Heard(), is_exclusive=False)
            await beside.open()
            await beside.close()
        board.unplug()

    asyncio.run(take_twice())


@needs_terminals
def test_a_port_that_takes_nothing_counts_as_gone(tmp_path: Path) -> None:
    async def fill() -> None:
        board, heard = Board(tmp_path), Heard()
        board.plug_in()
        both = BoardPorts(Place(*board.paths), heard)
        await both.open()
        for _ in range(30):
            both.write_data(bytes(10_000))
        assert not both.is_open
        assert heard.events[1].startswith(f"{board.paths[1]}: takes nothing: ")
        await asyncio.sleep(0.05)
        board.unplug()

    asyncio.run(fill())


@needs_terminals
def test_both_ports_are_needed(tmp_path: Path) -> None:
    async def open_half() -> None:
        board = Board(tmp_path)
        board.plug_in()
        os.unlink(board.paths[1])
        heard = Heard()
        with pytest.raises(NotThere, match="data: there is no such port"):
            await BoardPorts(Place(*board.paths), heard).open()
        assert heard.events == []
        os.symlink(os.devnull, board.paths[1])
        board.unplug()

    asyncio.run(open_half())
