"""Boards on USB: found, both ports opened and read without pause, and found again.

A board with bitaxe-raw shows two serial ports: the control channel on USB interface 0,
the chips' bytes on interface 2. The interface counts, not the port's number, which
shifts with every other device. Two paths may be given instead: of ports that no list
knows, such as pseudo-terminals, or symbolic links. By what each firmware is known is
from its source; nothing of it was tried on a board.
"""

import asyncio
import errno
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Protocol

from msgspec import Struct

from softaxe.errors import NotThere, SettingError

try:
    import serialx
except ModuleNotFoundError as error:
    text = "--metal: needs serialx: pip install 'softaxe[metal]'"
    raise SettingError(text) from error

AUTO = "auto"
FIRMWARES = {
    (0xC0DE, 0xCAFE): "bitaxe-raw",
    (0x1209, 0x6102): "Bitaxe Gamma RHAP-D",
    (0x1209, 0x256F): "EmberOne",
}
"""By USB vendor and product."""
OTHERS = {
    (0xC0DE, 0xCAFF): "a QAxe, whose firmware speaks another language",
    (0xC0DE, 0xB17D): "the bridge of a bonanza board, which is not for hosts",
    (
        0x303A,
        0x1001,
    ): "an ESP32-S3 with another firmware, as a Bitaxe with ESP-Miner is",
}
"""What one may have plugged in instead, to say so."""
CONTROL_INTERFACE, DATA_INTERFACE = 0, 2
BAUD = 115_200
"""Of the chips; both ports are opened with it, and it is not changed."""
RETRY_S = 1.0
"""Between two looks for a board that is gone."""
MAX_UNSENT_BYTES = 1 << 16
"""Of what a port does not take; then it counts as gone."""

ListPorts = Callable[[], Awaitable[list[serialx.SerialPortInfo]]]


class Place(Struct, frozen=True):
    """Where to look for a board: at two paths, or on USB."""

    control_path: str | None = None
    data_path: str | None = None
    serial_number: str | None = None
    """On USB; None takes the only board that there is."""


class FoundBoard(Struct, frozen=True):
    """A board's two ports."""

    name: str
    control_path: str
    data_path: str
    serial_number: str | None = None


class Listener(Protocol):
    """Who works with a board; all of these return soon."""

    def plugged(self, board: FoundBoard) -> None:
        """Both ports are open."""

    def unplugged(self, why: str) -> None:
        """One of them is gone; the other has been closed."""

    def control_received(self, data: bytes) -> None:
        """Bytes of the control channel have come."""

    def data_received(self, data: bytes) -> None:
        """Bytes of the chips have come."""


def place(where: str) -> Place:
    """Read where a board is: `auto`, a serial number, or `CONTROL,DATA` as paths.

    Raises:
        SettingError: It is none of these.
    """
    if where == AUTO:
        return Place()
    if "," not in where:
        if where and "/" not in where:
            return Place(serial_number=where)
    elif all(paths := where.split(",")) and len(paths) == 2 and len(set(paths)) == 2:
        return Place(control_path=paths[0], data_path=paths[1])
    raise SettingError(
        f"metal: {where!r} is neither {AUTO}, nor a serial number, nor the paths of "
        "control and data port with a comma between"
    )


def boards_among(ports: Iterable[serialx.SerialPortInfo]) -> tuple[FoundBoard, ...]:
    """Pair the ports of each board, in the order of their serial numbers.

    Boards of which two have one number are none: their ports could be paired wrongly.
    """
    halves: dict[tuple[str, str], dict[int, list[str]]] = {}
    for port in ports:
        if port.vid is None or port.pid is None or port.interface_num is None:
            continue
        if name := FIRMWARES.get((port.vid, port.pid)):
            key = (name, port.serial_number or "")
            paths = halves.setdefault(key, {})
            paths.setdefault(port.interface_num, []).append(port.device)
    found = []
    for (name, serial), by_interface in sorted(halves.items()):
        control = by_interface.get(CONTROL_INTERFACE, [])
        data = by_interface.get(DATA_INTERFACE, [])
        if len(control) == len(data) == 1:
            found.append(FoundBoard(name, control[0], data[0], serial or None))
    return tuple(found)


async def find_boards() -> tuple[FoundBoard, ...]:
    """Look for boards on USB."""
    return boards_among(await serialx.async_list_serial_ports())


def choose(wanted: Place, ports: Iterable[serialx.SerialPortInfo] = ()) -> FoundBoard:
    """Return the board at a place.

    Args:
        wanted: Where.
        ports: What is there; not looked at where paths are given.

    Raises:
        NotThere: It is not, or it is not clear which.
    """
    if wanted.control_path and wanted.data_path:
        control, data = wanted.control_path, wanted.data_path
        return FoundBoard("board at given paths", control, data)
    there = list(ports)
    found = boards_among(there)
    number = wanted.serial_number
    right = [one for one in found if number in (None, one.serial_number)]
    if len(right) == 1:
        return right[0]
    numbers = ", ".join(one.serial_number or "(none)" for one in found)
    if right:
        raise NotThere(f"metal: which of the boards {numbers}? Give a serial number")
    what = f"no board with serial number {number}" if number else "no board on USB"
    if found:
        raise NotThere(f"metal: {what}; there are {numbers}")
    known = {OTHERS.get((port.vid or 0, port.pid or 0)) for port in there} - {None}
    hint = "".join(f"; there is {one}" for one in sorted(map(str, known)))
    raise NotThere(f"metal: {what}{hint}")


class BoardPorts:
    """Both ports of one board. `open` finds it; `run` keeps it, whatever is unplugged.

    Args:
        wanted: Where it is; once found on USB, only that serial number will do.
        listener: Gets what comes.
        is_exclusive: Keep other programs that ask for a lock from opening the ports.
        retry_s: Between two looks.
        list_ports: What is on USB.
    """

    def __init__(
        self,
        wanted: Place,
        listener: Listener,
        *,
        is_exclusive: bool = True,
        retry_s: float = RETRY_S,
        list_ports: ListPorts = serialx.async_list_serial_ports,
    ) -> None:
        self.board: FoundBoard | None = None
        """The one that is open, or was."""
        self.trouble = ""
        """Why it is not open, while `run` looks for it."""
        self._place = wanted
        self._listener = listener
        self._is_exclusive = is_exclusive
        self._retry_s = retry_s
        self._list_ports = list_ports
        self._control: _Port | None = None
        self._data: _Port | None = None

    @property
    def is_open(self) -> bool:
        """Whether both ports are."""
        return self._control is not None and self._data is not None

    async def open(self) -> None:
        """Find the board and open its ports.

        Raises:
            NotThere: It is not there, or a port cannot be opened; says why.
        """
        ports = [] if self._place.control_path else await self._list_ports()
        board = choose(self._place, ports)
        control = await self._port(board.control_path, self._listener.control_received)
        try:
            data = await self._port(board.data_path, self._listener.data_received)
        except NotThere:
            await control.close()
            raise
        for port in (control, data):
            if port.is_gone:
                await self._close(control, data)
                raise NotThere(f"metal: {port.path} is gone again: {port.why_gone}")
        self.board, self._control, self._data = board, control, data
        self.trouble = ""
        if board.serial_number:
            self._place = Place(serial_number=board.serial_number)
        self._listener.plugged(board)

    async def run(self, stopped: asyncio.Event) -> None:
        """Open the board as often as it is there, until `stopped`; then close it."""
        try:
            while not stopped.is_set():
                if not self.is_open:
                    try:
                        await self.open()
                    except NotThere as error:
                        self.trouble = str(error)
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopped.wait(), self._retry_s)
        finally:
            await self.close()

    async def close(self) -> None:
        """Close both ports when all is sent; the listener is not told."""
        control, data = self._control, self._data
        self._control = self._data = None
        await self._close(control, data)

    def write_control(self, packet: bytes) -> None:
        """Send one packet by one write call; without a board it is lost."""
        if self._control is not None:
            self._control.write(packet)

    def write_data(self, data: bytes) -> None:
        """Send bytes to the chips; without a board they are lost."""
        if self._data is not None:
            self._data.write(data)

    async def _port(self, path: str, received: Callable[[bytes], None]) -> "_Port":
        def told(data: bytes) -> None:
            if self.is_open:
                received(data)

        port = _Port(path, told, self._lost)
        try:
            await serialx.create_serial_connection(
                asyncio.get_running_loop(),
                lambda: port,
                path,
                BAUD,
                exclusive=self._is_exclusive,
            )
        except (OSError, serialx.SerialException) as error:
            raise NotThere(f"metal: {path}: {_reason(error)}") from error
        return port

    def _lost(self, port: "_Port") -> None:
        control, data = self._control, self._data
        if control is None or data is None or port not in (control, data):
            return  # it was closed here
        self._control = self._data = None
        for other in (control, data):
            other.abort()
        self._listener.unplugged(f"{port.path}: {port.why_gone}")

    @staticmethod
    async def _close(*ports: "_Port | None") -> None:
        for port in ports:
            if port is not None:
                await port.close()


class _Port(asyncio.Protocol):
    """One port; it is never paused."""

    def __init__(
        self,
        path: str,
        received: Callable[[bytes], None],
        lost: Callable[["_Port"], None],
    ) -> None:
        self.path = path
        self.is_gone = False
        self.why_gone = ""
        self._received = received
        self._lost = lost
        self._transport: serialx.BaseSerialTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, serialx.BaseSerialTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone("closed" if exc is None else _reason(exc))

    def write(self, data: bytes) -> None:
        assert self._transport is not None
        try:
            self._transport.write(data)
        except (OSError, serialx.SerialException) as error:
            self._gone(_reason(error))
            return
        if (unsent := self._transport.get_write_buffer_size()) > MAX_UNSENT_BYTES:
            self._gone(f"takes nothing: {unsent} bytes wait")

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
            await self._transport.wait_closed()

    def _gone(self, why: str) -> None:
        if not self.is_gone:
            self.is_gone, self.why_gone = True, why
            self._lost(self)


def _reason(error: Exception) -> str:
    """In words that help."""
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.ENOENT:
        return "there is no such port"
    if number == errno.EACCES:
        return "not allowed to open it; on Linux the group dialout (or uucp) may"
    if number == errno.EBUSY:
        return "another program has it"
    if number in (errno.EIO, errno.ENXIO, errno.ENODEV):
        return "unplugged"
    return str(error) or type(error).__name__
