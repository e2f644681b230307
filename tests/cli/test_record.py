import tomllib
from pathlib import Path

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
    groups = tomllib.loads(path.read_text())["group"]
    with running(groups=groups) as copy:
        info = copy.info()
    assert (info["boardVersion"], info["frequency"]) == ("402", 485)
