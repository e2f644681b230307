import signal
import sys
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

import softaxe
from softaxe.cli.commands import app
from softaxe.testing.run import RunningFleet
from softaxe.warp.native import library

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


@pytest.fixture(scope="module")
def fleet() -> Iterator[RunningFleet]:
    with softaxe.running(control=True) as fleet:
        yield fleet


def test_a_fleet_is_driven_meanwhile_and_the_status_is_the_programs(
    fleet: RunningFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "from time import *; t = time(); sleep(700); exit(int(time() - t) // 100)"
    url, before = fleet.control_url, fleet.clock.now
    status, said = warp(
        "--control", url, "--drive", "--", sys.executable, "-c", program
    )

    assert (status, said) == (7, "")
    assert fleet.clock.now - before == pytest.approx(700, abs=60)
    assert not fleet.call(lambda one: one.clock.is_paused)
    assert warp("--control", url, "--", "there-is-none")[0] == 127
    status, _ = warp("--control", url, "--", "sh", "-c", "kill -TERM $$")
    assert status == 128 + signal.SIGTERM
    monkeypatch.setattr("softaxe.warp.native.library", lambda: None)
    status, said = warp("--control", url, "--", "true")
    assert status == 0
    assert "true: is in real time, as no Python" in said


@pytest.mark.skipif(library() is None, reason="needs Linux and a C compiler")
def test_a_script_and_the_python_in_it_are_in_one_time(fleet: RunningFleet) -> None:
    script = """
        a=$(date +%s); sleep 405; b=$(date +%s)
        "$0" -c 'import subprocess as s, time; time.sleep(60); s.run(["sleep", "50"])'
        c=$(date +%s); exit $(((b - a) / 10 + (c - b) / 100))
    """
    before = fleet.clock.now
    status, said = warp(
        "--control",
        fleet.control_url,
        "--drive",
        "--",
        "sh",
        "-c",
        script,
        sys.executable,
    )

    assert (status, said) == (40 + 1, "")
    assert fleet.clock.now - before == pytest.approx(515, abs=60)
