"""What several commands share: how they print, fail and end."""

import asyncio
import io
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TextIO, TypeVar

import msgspec
import typer
from msgspec.structs import replace

from softaxe.device.profile import DOCUMENTED, FIRMWARE
from softaxe.errors import DeviceError, SoftaxeError
from softaxe.units import Level, printable

if TYPE_CHECKING:
    from softaxe.device.logbook import LogLine

T = TypeVar("T")
WRONG, UNREACHABLE = 2, 3
"""Statuses of a command that could not do what it shall; see `fail`."""
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


class LogFormat(StrEnum):
    """How lines are printed."""

    TEXT = "text"
    JSON = "json"


BOX = " \t\r│╭╮╰╯─"
"""Blanks, and what Typer draws around an error."""
OURS = "softaxe"
"""Tag of lines that no device and no pool has written, and what they begin with."""


class JsonLines(io.TextIOBase):
    """A stream that makes a JSON object of every line.

    Args:
        under: Where they are written.
        level: Of lines that do not tell theirs.
    """

    encoding = "utf-8"

    def __init__(self, under: TextIO, level: Level) -> None:
        self.under = under
        self._level = level
        self._begun = ""

    def write(self, text: str) -> int:
        """Take text; whole lines go on."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            if said := line.strip(BOX):
                level = self._level
                if said.startswith(f"{OURS}: "):
                    level, said = Level.WARNING, said.removeprefix(f"{OURS}: ")
                self.put(level, OURS, said)
        return len(text)

    def put(
        self,
        level: Level,
        tag: str,
        text: str,
        *,
        device: str | None = None,
        **more: Any,
    ) -> None:
        """Write an object; what is not ASCII is escaped, so terminals do nothing."""
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "device": device,
            "level": level.name.lower(),
            "tag": tag,
            "text": text,
            **more,
        }
        self.under.write(f"{json.dumps(line)}\n")

    def flush(self) -> None:
        """Let what was written be seen."""
        self.under.flush()


def print_as(log_format: LogFormat) -> None:
    """Print all that this process prints from now on in a format."""
    if log_format is LogFormat.JSON:
        sys.stdout = JsonLines(sys.stdout, Level.INFO)
        sys.stderr = JsonLines(sys.stderr, Level.ERROR)


def _print_as(log_format: LogFormat) -> LogFormat:
    print_as(log_format)
    return log_format


LogFormatOption = Annotated[
    LogFormat,
    typer.Option(
        help="json: every line that is printed is an object with time, device, level, "
        "tag and text.",
        callback=_print_as,
        is_eager=True,  # for what is wrong with other options, too
    ),
]


def print_pool_log(level: Level, tag: str, text: str) -> None:
    """Print a line of a pool's log."""
    if isinstance(sys.stdout, JsonLines):
        sys.stdout.put(level, tag, text)
    else:
        sys.stdout.write(f"{level} {tag}: {printable(text)}\n")
    sys.stdout.flush()


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

    @property
    def levels(self) -> frozenset[Level]:
        """Of the lines that are shown."""
        return _SHOWN[self.log_level]

    def __call__(self, device_id: str, line: "LogLine") -> None:
        """Print `line` if its level is shown."""
        if line.level not in self.levels:
            return
        self._speakers.add(device_id)
        out = sys.stdout
        if not self._is_waiting:
            under = out.under if isinstance(out, JsonLines) else out
            if isinstance(under, io.TextIOWrapper):
                under.reconfigure(line_buffering=False)
            asyncio.get_running_loop().call_later(PRINT_S, self._flush)
            self._is_waiting = True
        level, tag, text = line.level, line.tag, line.text
        if isinstance(out, JsonLines):
            out.put(level, tag, text, device=device_id, boot_ms=line.boot_ms)
            return
        # Much of it is what pools and clients have said.
        tag, words = printable(tag), printable(text)
        line = replace(line, tag=tag, template=words, values={})
        is_coloured = out.isatty() and not os.environ.get("NO_COLOR")
        text = line.coloured if is_coloured else line.plain + "\n"
        is_named = self.is_many or len(self._speakers) > 1
        out.write(f"{device_id} {text}" if is_named else text)

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
        fail(error)


JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]


def print_json(value: object) -> None:
    """Print what a program reads instead of a table."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2)
    typer.echo(text.decode())


def warn(text: str) -> None:
    """Tell something in one line."""
    typer.echo(f"{OURS}: {printable(text)}", err=True)


def fail(why: str | Exception) -> NoReturn:
    """Leave with a line that says why.

    The status is 2 for what was asked for (an option, a file, a port), and 3 for a
    device that does not answer as one; 1 is for what was looked at and found wanting.
    """
    text = why.strerror if isinstance(why, OSError) and not why.filename else None
    text = text or str(why)
    if isinstance(sys.stderr, JsonLines):
        sys.stderr.put(Level.ERROR, OURS, text)
    else:
        warn(text)
    raise typer.Exit(UNREACHABLE if isinstance(why, DeviceError) else WRONG)
