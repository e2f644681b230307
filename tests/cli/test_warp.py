import signal
import sys

import pytest
from typer.testing import CliRunner

import softaxe
from softaxe.cli.commands import app

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="not to be had there")


def warp(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["warp", *words])
    return result.exit_code, result.output


def test_what_cannot_be_is_told_by_its_option() -> None:
    status, said = warp("--control", "localhost", "--", "true")
    assert status == 2
    assert "--control: 'localhost' is not http://HOST:PORT" in said
    status, said = warp("--control", "http://127.0.0.1:9", "--", "true")
    assert status == 3
    assert "nobody answers at 127.0.0.1:9" in said


def test_a_fleet_is_driven_meanwhile_and_the_status_is_the_programs() -> None:
    program = "from time import *; t = time(); sleep(700); exit(int(time() - t) // 100)"
    with softaxe.running(control=True) as fleet:
        url, before = fleet.control_url, fleet.clock.now
        status, said = warp(
            "--control", url, "--drive", "--", sys.executable, "-c", program
        )

        assert (status, said) == (7, "")
        assert fleet.clock.now - before == pytest.approx(700, abs=60)
        assert not fleet.call(lambda one: one.clock.is_paused)
        status, said = warp("--control", url, "--", "true")
        assert status == 0
        assert "true: is in real time" in said
        assert warp("--control", url, "--", "there-is-none")[0] == 127
        status, _ = warp("--control", url, "--", "sh", "-c", "kill -TERM $$")
        assert status == 128 + signal.SIGTERM
