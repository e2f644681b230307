import json
import re
import signal
import tomllib
from pathlib import Path
from typing import Any

import pytest
from tests.commands import command, end_of, read_until
from tests.running import wait_for
from typer.testing import CliRunner

from softaxe.cli.commands import app
from softaxe.testing.run import running


def test_a_command_writes_a_copy_that_a_fleet_can_have(tmp_path: Path) -> None:
    path = tmp_path / "copy.toml"
    with running(board="402", settings={"frequency": 485}) as bitaxe:
        arguments = ["clone", bitaxe.url, "--no-run", "-o", str(path)]
        done = CliRunner().invoke(app, arguments)

    assert done.exit_code == 0, done.output
    assert "402 supra" in done.output.lower()
    assert "still warms up" in done.output
    groups = tomllib.loads(path.read_text())["group"]
    with running(groups=groups) as copy:
        info = copy.info()
    assert (info["boardVersion"], info["frequency"]) == ("402", 485)


@pytest.mark.unwatched
def test_a_command_makes_a_copy_that_lives() -> None:
    with (
        running(settings={"frequency": 490}) as bitaxe,
        command("clone", bitaxe.url, "--port", "0") as process,
    ):
        told = read_until(process, lambda text: "Ctrl-C" in text)
        (url,) = re.findall(r"address +(\S+)", told)
        info = wait_for(f"{url}/api/system/info")
        process.send_signal(signal.SIGINT)
        _, errors = end_of(process)
        process.wait(60)

    assert (process.returncode, errors) == (0, "")
    assert (info["boardVersion"], info["frequency"]) == ("601", 490)


def test_the_command_is_content_with_softaxe(bitaxe: Any) -> None:
    result = CliRunner().invoke(app, ["check", bitaxe.url])

    assert result.exit_code == 0, result.output
    assert result.output.endswith(", 0 differ\n")


def test_a_program_reads_what_differs(bitaxe: Any) -> None:
    few = CliRunner().invoke(app, ["check", bitaxe.url, "--json"])
    all_of_it = CliRunner().invoke(app, ["check", bitaxe.url, "--json", "--all"])

    assert json.loads(few.stdout) == []
    found = json.loads(all_of_it.stdout)
    assert {"what": "info: power", "expected": "number", "got": "number"} in found


def test_nobody_there_is_said_in_a_line() -> None:
    result = CliRunner().invoke(app, ["check", "http://127.0.0.1:1"])

    assert result.exit_code == 3
    assert "GET http://127.0.0.1:1/api/system/info" in result.output
    assert "Traceback" not in result.output
