"""`softaxe warp`: a program in a fleet's time."""

import signal
import subprocess
import sys
import tempfile
import time
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
from softaxe.warp.native import LOOK_S, Page, is_idle, page_in
from softaxe.warp.shim.sitecustomize import Fleet, Gone, Refused

UNSEEN_S = 5.0
"""Real seconds after which it is said that nothing has entered the fleet's time."""
DRIVE_S = 0.01
"""Real seconds between two looks at who waits, while the program moves the time."""
ENDING_S = 5.0
"""Real seconds that a program has to end, once its fleet is gone."""
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
            metavar="COMMAND", help="The program and its arguments, after `--`."
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
    """Run a program in a fleet's time: its hours take minutes."""
    if sys.platform == "win32":
        fail("warp: Windows is not supported; WSL is")
    try:
        fleet = Fleet(*warp.address_of(control), control_token)
        with closing(fleet), _state_of(fleet, drive=drive) as clock:
            status = _run(command, fleet, control, control_token, clock)
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


def _run(
    command: list[str], fleet: Fleet, control: str, token: str, clock: dict[str, Any]
) -> int:
    """Run a program to its end; return its status, as shells have it."""
    is_driving = clock["paused"]
    with tempfile.TemporaryDirectory(prefix="softaxe-warp-") as folder:
        seen = Path(folder) / "seen"
        page = page_in(Path(folder), clock["now"], is_driven=is_driving)
        environ = warp.environment(
            control,
            now_s=clock["now"],
            is_driving=is_driving,
            token=token,
            seen=seen,
            page=page,
        )

        def tell_unseen() -> None:
            if not (seen.exists() or (page and page.is_entered)):
                warn(f"{command[0]}: is in real time, {_why_unseen(page)}")

        try:
            running: list[subprocess.Popen[bytes]] = []
            with _forwarding(running):
                process = subprocess.Popen(command, env=environ)
                running.append(process)
                telling = Timer(UNSEEN_S, tell_unseen)
                telling.daemon = True
                telling.start()
                if page is not None:
                    _tell_time(process, fleet, page, is_driving=is_driving)
                status = process.wait()
        except FileNotFoundError as error:
            warn(f"{command[0]}: {error.strerror}")
            return NOT_FOUND
        except OSError as error:
            warn(f"{command[0]}: {error.strerror}")
            return NOT_RUN
        if telling.is_alive():
            telling.cancel()
            tell_unseen()
    return status if status >= 0 else 128 - status


def _tell_time(
    process: "subprocess.Popen[bytes]", fleet: Fleet, page: Page, *, is_driving: bool
) -> None:
    """Tell programs that are not Python the fleet's time; let it go while all wait."""
    wished: float | None = None
    try:
        while process.poll() is None:
            time.sleep(DRIVE_S if is_driving else LOOK_S)
            asked_s = time.monotonic()
            clock = fleet.clock()
            if is_driving:
                before, wished = wished, page.take_wish()
                if wished is not None and wished == before and is_idle(process.pid):
                    clock = fleet.advance(max(wished, clock["now"]))
            page.tell(clock["now"], asked_s)
    except Gone:
        process.terminate()
        try:
            process.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            process.kill()
        raise


def _why_unseen(page: Page | None) -> str:
    if page is None:
        return (
            "as no Python has entered the fleet's; other programs enter it on Linux, "
            "where softaxe was built with a C compiler"
        )
    return (
        "as it does not call the system's libc: no static program does, and none of Go"
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
