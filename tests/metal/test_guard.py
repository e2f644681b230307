"""softaxe that is killed, stopped or ended, and what its board does then."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.metal.offered import PATIENCE_S, offered, until

from softaxe.catalog import board
from softaxe.metal.instruments import Instruments
from softaxe.metal.raw import FailureKind, LineError
from softaxe.metal.usb_board import UsbOptions

pytest.importorskip("serialx")
pytestmark = pytest.mark.skipif(
    not hasattr(os, "openpty"), reason="no pseudo-terminals on this system"
)
GUARD = (sys.executable, "-m", "softaxe.metal.guard")
RUN = (sys.executable, "-m", "softaxe", "run", "--board", "601", "--port", "0")


@pytest.mark.parametrize(
    ("ending", "status", "told"),
    [
        (signal.SIGKILL, -signal.SIGKILL, "softaxe is gone: core voltage is being cut"),
        (signal.SIGSTOP, -signal.SIGKILL, "softaxe was silent for 5 s: core voltage"),
        (signal.SIGTERM, 0, "metal: the core voltage is off (0.000 V)"),
    ],
)
def test_the_core_voltage_is_cut_however_softaxe_ends(
    tmp_path: Path, ending: signal.Signals, status: int, told: str
) -> None:
    where = f"{tmp_path}/control,{tmp_path}/data"
    options = UsbOptions(board("601"), link=tmp_path, is_scaled=True)
    with (
        offered(options) as running,
        (tmp_path / "told.txt").open("wb+") as errors,
        subprocess.Popen(
            [*RUN, "--metal", where, "--state", tmp_path / "state"],
            stdout=subprocess.DEVNULL,
            stderr=errors,
        ) as softaxe,
    ):
        power = running.usb.raw.body.power
        until(lambda: power.core_voltage_v > 1)

        softaxe.send_signal(ending)

        until(lambda: power.core_voltage_v == 0)
        assert softaxe.wait(PATIENCE_S) == status
        until(lambda: running.usb.raw.is_reset_low)
        until(lambda: told.encode() in Path(errors.name).read_bytes())
        assert running.usb.raw.body.fan.airflow > 0


def test_a_guard_cuts_though_nobody_can_read_what_it_says(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)  # as when the terminal is closed
    options = UsbOptions(board("601"), link=tmp_path, is_scaled=True)
    with offered(options) as running:
        power = running.usb.raw.body.power
        assert power.core_voltage_v > 0
        guard = subprocess.Popen(
            [*GUARD, tmp_path / "control", "601", "1"],
            stdin=subprocess.DEVNULL,
            stdout=write,
            stderr=write,
        )
        os.close(write)

        guard.wait(PATIENCE_S)

        assert power.core_voltage_v == 0


def test_what_softaxe_says_last_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from softaxe.metal import guard  # noqa: PLC0415 - not where there are no terminals

    handled: list[int] = []
    monkeypatch.setattr(signal, "signal", lambda number, _: handled.append(number))
    monkeypatch.setattr(guard, "SILENCE_S", 0.05)
    nobody = os.getppid() + 1

    def guarded(words: bytes, *, is_there: bool = False) -> str:
        """What it tells when softaxe leaves it with these words."""
        read, write = os.pipe()
        with os.fdopen(read) as commands, os.fdopen(write, "wb", 0) as softaxe:
            monkeypatch.setattr(sys, "stdin", commands)
            softaxe.write(words)
            if not is_there:
                softaxe.close()
            guard.main(f"{tmp_path}/control", "601", nobody)
        out, errors = capfd.readouterr()
        assert out.encode().replace(guard.READY, b"") == b""
        return errors

    with offered(UsbOptions(board("601"), link=tmp_path, is_scaled=True)) as running:
        power = running.usb.raw.body.power
        assert guarded(guard.ALIVE + guard.OVER) == ""
        assert power.core_voltage_v > 0

        assert guarded(guard.LOST) == "softaxe guard: the core voltage is off\n"
        assert power.core_voltage_v == 0
        assert "softaxe is gone" in guarded(b"")
        assert "softaxe was silent" in guarded(guard.ALIVE, is_there=True)

    assert {signal.SIGINT, signal.SIGTERM} < set(handled)
    with pytest.raises(OSError, match="control"):
        guarded(b"")


def test_a_cut_that_does_not_show_is_told_once_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from softaxe.metal import guard  # noqa: PLC0415

    class Line:
        """Answers at once."""

        found = iter(
            [LineError(FailureKind.NO_ANSWER, "no answer"), (0.4, ""), (0.0, "")]
        )
        next_wake = 0.0

        def plugged(self, now: float) -> None:
            """There it is."""

        def cut(self, _: object, done: Callable[[object], None]) -> None:
            done(next(self.found))

    monkeypatch.setattr(guard, "ControlLine", Line)
    monkeypatch.setattr(guard, "AGAIN_S", 0.0)
    instruments = Instruments(board("601"))

    with open(os.devnull, "r+b", 0) as control:
        guard._switch_off(control.fileno(), instruments)

    told = capfd.readouterr().err.splitlines()
    assert len(told) == 2
    assert "the core voltage may still be on, pull the power plug: no answer" in told[0]
    assert told[1] == "softaxe guard: the core voltage is off"
