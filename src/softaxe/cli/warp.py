"""`softaxe warp`: a program in a fleet's time."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Timer
from types import FrameType
from typing import Annotated, Any

import typer

from softaxe import warp
from softaxe.cli.terminal import fail, warn
from softaxe.errors import DeviceUnreachable, SettingError
from softaxe.warp.shim.sitecustomize import Fleet, Gone, Refused

UNSEEN_S = 5.0
"""Real seconds after which it is said that nothing has entered the fleet's time."""
NOT_FOUND, NOT_RUN = 127, 126
"""As shells have it."""
FORWARDED = [
    getattr(signal, name)
    for name in ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGINT")
    if hasattr(signal, name)
]


def run_warp(
    command: Annotated[
        list[str],
        typer.Argument(
            metavar="COMMAND...", help="The program and its arguments, after `--`."
        ),
    ],
    control: Annotated[
        str, typer.Option(metavar="URL", help="Control port of the fleet.")
    ] = "http://127.0.0.1:8100",
    control_token: Annotated[
        str,
        typer.Option(
            envvar="SOFTAXE_CONTROL_TOKEN",
            metavar="TEXT",
            help="Token of the control port, if it has one.",
        ),
    ] = "",
    drive: Annotated[
        bool,
        typer.Option(
            "--drive",
            help="Pause the fleet and let its time pass only while the program waits, "
            "as fast as it goes; a fleet that is paused already is driven, too.",
        ),
    ] = False,
) -> None:
    """Run a Python program in a fleet's time: its hours take minutes."""
    if sys.platform == "win32":
        fail("warp: Windows is not supported; WSL is")
    try:
        fleet = Fleet(*warp.address_of(control), control_token)
        with closing(fleet), _state_of(fleet, drive=drive) as clock:
            status = _run(command, control, control_token, clock)
    except SettingError as error:
        fail(f"--{error}")
    except Refused as error:
        fail(f"--control {control}: {error}")
    except Gone as error:
        fail(DeviceUnreachable(f"--control {control}: {error}"))
    raise typer.Exit(status)


@contextmanager
def _state_of(fleet: Fleet, *, drive: bool) -> Iterator[dict[str, Any]]:
    """Tell a fleet's clock; one that is to be driven is paused meanwhile."""
    clock = fleet.clock()
    if not drive or clock["paused"]:
        yield clock
        return
    path = "/control/clock"
    clock = fleet.ask("PATCH", path, {"paused": True})
    try:
        yield clock
    finally:
        fleet.ask("PATCH", path, {"paused": False})


def _run(command: list[str], control: str, token: str, clock: dict[str, Any]) -> int:
    """Run a program to its end; return its status, as shells have it."""
    with tempfile.TemporaryDirectory(prefix="softaxe-warp-") as folder:
        seen = Path(folder) / "seen"
        environ = warp.environment(
            control,
            now_s=clock["now"],
            is_driving=clock["paused"],
            token=token,
            seen=seen,
        )
        try:
            running: list[subprocess.Popen[bytes]] = []
            with _forwarding(running):
                process = subprocess.Popen(command, env=environ)
                running.append(process)
                telling = Timer(UNSEEN_S, _tell_unseen, (command, seen))
                telling.daemon = True
                telling.start()
                status = process.wait()
        except FileNotFoundError as error:
            warn(f"{command[0]}: {error.strerror}")
            return NOT_FOUND
        except OSError as error:
            warn(f"{command[0]}: {error.strerror}")
            return NOT_RUN
        if telling.is_alive():
            telling.cancel()
            _tell_unseen(command, seen)
    return status if status >= 0 else 128 - status


def _tell_unseen(command: list[str], seen: Path) -> None:
    if not seen.exists():
        warn(
            f"{command[0]}: is in real time, as no Python has entered the fleet's; "
            "Python must be let use PYTHONPATH (no -I, -E or -S)"
        )


@contextmanager
def _forwarding(running: "list[subprocess.Popen[bytes]]") -> Iterator[None]:
    """Pass signals on to a program, once there is one.

    A terminal's Ctrl-C reaches both by itself.
    """

    def forward(number: int, _frame: FrameType | None) -> None:
        is_by_key = number == signal.SIGINT and sys.stdin.isatty()
        for process in () if is_by_key else running:
            process.send_signal(number)

    before = {number: signal.signal(number, forward) for number in FORWARDED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
