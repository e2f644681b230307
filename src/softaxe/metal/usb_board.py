"""An emulated board on two pseudo-terminals, as it would be on USB, in real time.

The firmware's control port is one, the bytes of its chips are the other. A pulled plug
takes both away, and one put back brings new ones; a folder with two links outlives it,
as /dev/serial/by-id does.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from softaxe.errors import SettingError
from softaxe.metal.raw import Dialect
from softaxe.metal.raw_board import RawBoard
from softaxe.metal.serial_chain import (
    LONGEST_SLEEP_S,
    POLL_S,
    SerialOptions,
    search_for,
    sleep,
)
from softaxe.metal.terminal import Terminal

CONTROL, DATA = "control", "data"
"""The ports' names, and those of their links."""


@dataclass(frozen=True, slots=True)
class UsbOptions(SerialOptions):
    """What `softaxe chip --usb` was asked for; the CLI documents each."""

    dialect: Dialect = Dialect.V1
    link: Path | None = None


class UsbBoard:
    """A board that is plugged in.

    Args:
        options: What to offer.

    Raises:
        SettingError: Something that is no link stands where a link should be.
    """

    def __init__(self, options: UsbOptions) -> None:
        self.raw = RawBoard(
            options.board,
            seed=options.seed,
            dialect=options.dialect,
            mode=options.mode,
            now=time.monotonic(),
        )
        """The board, for faults, and for looks at what it does."""
        self._link = options.link
        self.on_change: Callable[[], object] = lambda: None
        """Called when the ports have gone or come."""
        self._wake = asyncio.Event()
        self._terminals: dict[str, Terminal] = {}
        self._watched: set[str] = set()
        """Ports that somebody has open."""
        self._match_ports()

    @property
    def paths(self) -> dict[str, str]:
        """What a host opens, by port; nothing while the plug is out."""
        return {name: one.path for name, one in self._terminals.items()}

    @property
    def is_open(self) -> bool:
        """True while somebody has both ports open."""
        return len(self._watched) == len((CONTROL, DATA))

    # Called in the loop that runs it

    def turn_plug(self) -> None:
        """Pull the plug, or put it back."""
        now = time.monotonic()
        if self.raw.has_cable:
            self.raw.unplug(now)
        else:
            self.raw.plug(now)
        self._wake.set()

    def press_reset(self) -> None:
        """Press the board's reset button."""
        self.raw.press_reset(time.monotonic())
        self._wake.set()

    async def run(self, stopped: asyncio.Event) -> None:
        """Serve whoever opens the ports, until `stopped`."""
        searching = asyncio.ensure_future(
            search_for(self.raw, time.monotonic, self._wake.set, stopped)
        )
        try:
            while not stopped.is_set():
                self._wake.clear()
                self.raw.step(time.monotonic())
                self._match_ports()
                self._watch()
                self._send()
                await sleep(self._wake, self._nap_s(), stopped)
        finally:
            stopped.set()
            await searching

    def close(self) -> None:
        """Take the ports and their links away."""
        self._take_away()

    # Inside

    def _nap_s(self) -> float:
        longest_s = LONGEST_SLEEP_S if self.is_open else POLL_S
        return max(0.0, min(self.raw.next_wake - time.monotonic(), longest_s))

    def _match_ports(self) -> None:
        if self.raw.is_plugged == bool(self._terminals):
            return
        if self._terminals:
            self._take_away()
        else:
            for name in (CONTROL, DATA):
                self._terminals[name] = Terminal()
                self._set_link(name)
        self.on_change()

    def _take_away(self) -> None:
        for name, terminal in self._terminals.items():
            self._unwatch(name)
            if self._link is not None:
                (self._link / name).unlink(missing_ok=True)
            terminal.close()
        self._terminals.clear()

    def _set_link(self, name: str) -> None:
        if self._link is None:
            return
        self._link.mkdir(parents=True, exist_ok=True)
        link = self._link / name
        if link.exists() and not link.is_symlink():
            raise SettingError(f"link: {link} is there and no link")
        link.unlink(missing_ok=True)
        link.symlink_to(self._terminals[name].path)

    def _watch(self) -> None:
        """Look who has opened a port."""
        for name, terminal in self._terminals.items():
            if name not in self._watched and terminal.is_open:
                self._watched.add(name)
                loop = asyncio.get_running_loop()
                loop.add_reader(terminal.fd, self._receive, name)

    def _unwatch(self, name: str) -> None:
        if name in self._watched:
            self._watched.discard(name)
            asyncio.get_running_loop().remove_reader(self._terminals[name].fd)

    def _receive(self, name: str) -> None:
        terminal = self._terminals[name]
        data = terminal.read()
        if data is None:
            self._unwatch(name)
        elif name == CONTROL:
            self.raw.control_received(data, time.monotonic())
        else:
            self.raw.baud = terminal.baud
            self.raw.data_received(data, time.monotonic())
        self._wake.set()

    def _send(self) -> None:
        """Send what there is; what nobody has open loses it."""
        told = {CONTROL: self.raw.control_to_host(), DATA: [self.raw.data_to_host()]}
        for name in self._watched:
            for packet in told[name]:
                self._terminals[name].write(packet)
