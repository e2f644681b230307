"""What several commands share: how they print, fail and end."""

import asyncio
import signal
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, Any, NoReturn, TypeVar

import msgspec
import typer

from softaxe.cli.log_lines import OURS, JsonLines, LogFormat, print_as
from softaxe.device.profile import DOCUMENTED, FIRMWARE
from softaxe.errors import DeviceError, SoftaxeError
from softaxe.units import Level, printable

T = TypeVar("T")
WRONG, UNREACHABLE = 2, 3
"""Statuses of a command that could not do what it shall; see `fail`."""
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
