"""The guard: a process of its own that cuts a board's power when softaxe is gone.

`python -m softaxe.metal.guard PATH BOARD PARENT` holds the control port open, says `r`
on its standard output and nothing on the port, and listens to its standard input: a dot
a second means that softaxe is alive and looks after the board, and is answered by
another `r`; a `q` that the board is off, and nobody is needed any more; an `x` that
softaxe has lost the board, to which there may still be a way. After `SILENCE_S` without
a word it ends softaxe, if that still is its parent; then, after an `x`, and at the end
of the input, it switches the board off, until the board shows that it is off or is
gone. Nothing else ends it: neither signals, nor that nobody reads what it says.
"""

import os
import select
import signal
import sys
import termios
import time
import tty
from contextlib import suppress
from enum import Enum, auto

from softaxe.catalog import board as board_named
from softaxe.metal.control_line import ControlLine
from softaxe.metal.instruments import Instruments
from softaxe.metal.raw import LineError
from softaxe.metal.safety import OFF_V

SILENCE_S = 5.0
READY, ALIVE, OVER, LOST = b"r", b".", b"q", b"x"
READ_BYTES = 4096
AGAIN_S = 1.0


def main(path: str, board: str, parent: int) -> None:
    """Guard a board until it is known to be off.

    Args:
        path: Of the control port.
        board: Version.
        parent: Process id of softaxe.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    control = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    instruments = Instruments(board_named(board))  # files may be gone when it counts
    match _watch(sys.stdin.fileno(), sys.stdout.fileno()):
        case End.OVER:
            return
        case End.SILENT:
            if os.getppid() == parent:  # it must not meddle any more
                os.kill(parent, signal.SIGKILL)
            _say(f"softaxe was silent for {SILENCE_S:g} s: core voltage is being cut")
        case End.GONE:
            _say("softaxe is gone: core voltage is being cut")
        case End.LOST:
            with suppress(OSError):  # it is gone, as softaxe has said
                _switch_off(control, instruments)
            return
    _switch_off(control, instruments)


class End(Enum):
    """How softaxe has left its guard."""

    OVER = auto()
    SILENT = auto()
    """It is stopped, or stuck."""
    GONE = auto()
    LOST = auto()
    """It is there, but the board is not, as far as it knows."""


def _switch_off(control: int, instruments: Instruments) -> None:
    """Switch the board off, until it shows that it is.

    Raises:
        OSError: The board is gone.
    """
    with suppress(termios.error):  # told of one that is gone; so is the next write
        tty.setraw(control)
    is_told = False
    while (why := _cut(control, instruments)) is not None:
        if not is_told:
            _say(
                f"the core voltage may still be on, pull the power plug: {why}; "
                f"it is tried again until it is off, kill -9 {os.getpid()} ends that"
            )
        is_told = True
        time.sleep(AGAIN_S)
    _say("the core voltage is off")


def _watch(commands: int, answers: int) -> End:
    """Wait until softaxe is gone; tell how."""
    while True:
        with suppress(OSError):  # the end of the commands tells that it is gone
            os.write(answers, READY)
        ready, _, _ = select.select([commands], [], [], SILENCE_S)
        if not ready:
            return End.SILENT
        words = os.read(commands, READ_BYTES)
        if not words:
            return End.GONE
        if LOST in words:
            return End.LOST
        if OVER in words:
            return End.OVER


def _cut(control: int, instruments: Instruments) -> str | None:
    """Switch the board off; return what speaks against that, None when it is off.

    Raises:
        OSError: The board is gone.
    """
    line = ControlLine()
    outcomes: list[tuple[float, str] | LineError] = []
    line.plugged(time.monotonic())
    line.cut(instruments.off(), outcomes.append)
    while not outcomes:
        line.step(time.monotonic())
        for packet in line.packets():
            with suppress(BlockingIOError):  # lost, as any may be, and sent again
                os.write(control, packet)
        wait_s = max(0.0, min(AGAIN_S, line.next_wake - time.monotonic()))
        ready, _, _ = select.select([control], [], [], wait_s)
        if not ready:
            continue
        with suppress(BlockingIOError):  # softaxe, as it goes, may have read it
            data = os.read(control, READ_BYTES)
            if not data:
                raise OSError("the control port has closed")
            line.received(data, time.monotonic())
    (outcome,) = outcomes
    if isinstance(outcome, LineError):
        return str(outcome)
    core_v, failures = outcome
    return None if core_v < OFF_V else failures or f"it is {core_v:.3f} V"


def _say(text: str) -> None:
    """Tell it if somebody is there to read it; the terminal may be closed long ago."""
    if sys.stderr is not None:
        with suppress(OSError):
            sys.stderr.write(f"softaxe guard: {text}\n")
            sys.stderr.flush()


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    except OSError as gone:
        _say(f"the board is gone: {gone}")
        sys.exit(3)
