"""What several commands share: how they print, fail and end."""

import asyncio
import io
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import typer
from msgspec.structs import replace

from softaxe.device.profile import DOCUMENTED, FIRMWARE
from softaxe.errors import SoftaxeError
from softaxe.units import Level, printable

if TYPE_CHECKING:
    from softaxe.device.logbook import LogLine

T = TypeVar("T")
PRINT_S = 0.1
"""Real seconds that a device's log line may wait to be printed."""
MANY_DEVICES = 50
"""From so many on, starting and ending take long enough to show."""
_ENDING = {
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)  # Windows has no SIGHUP
}
CLEAR_TO_END = "\x1b[K"
"""Of the terminal's line. Source: ECMA-48, erase in line."""


class ProfileName(StrEnum):
    """Which dialect of the API the device speaks."""

    DOCUMENTED = "documented"
    FIRMWARE = "firmware"


PROFILES = {ProfileName.DOCUMENTED: DOCUMENTED, ProfileName.FIRMWARE: FIRMWARE}


class LogLevel(StrEnum):
    """From which level the device's log is printed."""

    NONE = "none"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


_SHOWN = {
    LogLevel.NONE: frozenset[Level](),
    LogLevel.ERROR: frozenset({Level.ERROR}),
    LogLevel.WARNING: frozenset({Level.ERROR, Level.WARNING}),
    LogLevel.INFO: frozenset(Level),
}


@dataclass(slots=True)
class ShowLog:
    """Prints log lines from a level on; goes along to other processes.

    Lines are flushed in batches: that takes longer than the device that wrote one.
    """

    log_level: LogLevel
    is_many: bool = False
    """There are several devices, so lines begin with the device's id."""
    _speakers: set[str] = field(default_factory=set)
    _is_waiting: bool = False

    def __call__(self, device_id: str, line: "LogLine") -> None:
        """Print `line` if its level is shown."""
        if line.level not in _SHOWN[self.log_level]:
            return
        self._speakers.add(device_id)
        # Much of it is what pools and clients have said.
        tag, words = printable(line.tag), printable(line.text)
        line = replace(line, tag=tag, template=words, values={})
        is_coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        text = line.coloured if is_coloured else line.plain + "\n"
        is_named = self.is_many or len(self._speakers) > 1
        if not self._is_waiting:
            if isinstance(sys.stdout, io.TextIOWrapper):
                sys.stdout.reconfigure(line_buffering=False)
            asyncio.get_running_loop().call_later(PRINT_S, self._flush)
            self._is_waiting = True
        sys.stdout.write(f"{device_id} {text}" if is_named else text)

    def _flush(self) -> None:
        sys.stdout.flush()
        self._is_waiting = False


def show_progress(what: str, done: int, of: int) -> None:
    """Show on a terminal how far the start or end of a large fleet is."""
    if of < MANY_DEVICES or not sys.stderr.isatty():
        return
    end = "\n" if done == of else ""
    sys.stderr.write(f"\r{what}: {done} of {of} devices{CLEAR_TO_END}{end}")
    sys.stderr.flush()


@contextmanager
def folder_that_ends() -> Iterator[str]:
    """A folder that is gone with the command, however that ends but by `kill -9`."""
    # SIGINT is an exception already.
    numbers = _ENDING - {signal.SIGINT}
    before = {number: signal.signal(number, _leave) for number in numbers}
    try:
        with tempfile.TemporaryDirectory(prefix="softaxe-") as folder:
            yield folder
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def stop_on_signals(stop: Callable[[], object]) -> None:
    """Call `stop` in the running loop when the process shall end."""
    loop = asyncio.get_running_loop()
    for number in _ENDING:
        try:
            loop.add_signal_handler(number, stop)
        except NotImplementedError:  # Windows: Ctrl-C raises KeyboardInterrupt
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))


def run_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` in an event loop; what it cannot do is told in one line."""
    from softaxe.fleet.event_loop import new_event_loop  # noqa: PLC0415

    try:
        with asyncio.Runner(loop_factory=new_event_loop) as loop:
            return loop.run(work)
    except (SoftaxeError, OSError) as error:
        fail(str(error))


def warn(text: str) -> None:
    """Tell something in one line."""
    typer.echo(f"softaxe: {printable(text)}", err=True)


def fail(text: str) -> NoReturn:
    """Leave with status 1 and a line that says why."""
    warn(text)
    raise typer.Exit(1)
