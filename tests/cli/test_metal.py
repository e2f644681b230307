"""`softaxe run --metal` and `softaxe metal probe` from a shell."""

import json
import os
from pathlib import Path

import pytest
from tests.metal.offered import offered
from typer.testing import CliRunner

from softaxe.catalog import board
from softaxe.cli.commands import app
from softaxe.metal.usb_board import UsbOptions

pytest.importorskip("serialx")
pytestmark = pytest.mark.skipif(
    not hasattr(os, "openpty"), reason="no pseudo-terminals on this system"
)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--speed", "60"], "--speed: a board that is there has no use for it"),
        (["--count", "2"], "--count: a board that is there has no use for it"),
        (["--work", "scaled"], "--work: a board that is there has no use for it"),
        (["--control", "none"], "--control: a board that is there has no use for it"),
        (["--scenario", "x"], "--scenario: a board that is there has no use for it"),
        (["--board", "205"], "cannot be switched off over USB"),
    ],
)
def test_what_only_a_model_can_do_is_refused(
    tmp_path: Path, arguments: list[str], why: str
) -> None:
    state = ["--state", str(tmp_path)]

    result = CliRunner().invoke(app, ["run", "--metal", "a,b", *state, *arguments])

    assert result.exit_code == 2
    assert why in result.stderr


def test_force_goes_with_metal() -> None:
    result = CliRunner().invoke(app, ["run", "--force"])

    assert (result.exit_code, result.stdout) == (2, "")
    assert "--force: goes with --metal" in result.stderr


@pytest.mark.parametrize("where", ["a,", "/dev/ttyACM0", "a,a"])
def test_a_place_that_is_none_is_named(where: str) -> None:
    result = CliRunner().invoke(app, ["metal", "probe", where])

    assert result.exit_code == 2
    assert where in result.stderr


def test_a_board_is_probed(tmp_path: Path) -> None:
    where = f"{tmp_path}/control,{tmp_path}/data"
    with offered(UsbOptions(board("402"), link=tmp_path)):
        result = CliRunner().invoke(app, ["metal", "probe", "--json", where])

    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["control"] == f"{tmp_path}/control"
    assert found["TPS546 at 24"].startswith("TPS546D24A")
