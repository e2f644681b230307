"""softaxe that is killed, stopped or ended, and what its board does then."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.metal.offered import PATIENCE_S, offered, until

from softaxe.catalog import board
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
