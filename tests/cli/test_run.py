from pathlib import Path

import pytest
from typer.testing import CliRunner

from softaxe.cli.commands import app


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--ephemeral", "--state", "here"], "--ephemeral: forgets its state"),
        (["fleet.toml", "--count", "3"], "--count: write it into fleet.toml"),
        (["fleet.toml", "--first-boot"], "--first-boot: write it into fleet.toml"),
        (["--replay", "it.json", "--seed", "1"], "--seed: a recording has no use"),
        (["--pool", "pool.x:notaport"], "--pool: pool.x:notaport: the port is none"),
        (["--pool", "tcp://[::1]:99999"], "--pool: tcp://[::1]:99999: the port"),
        (["--control", "here"], "--control: 'here' is neither"),
        (["--networks", "nowhere.toml"], "nowhere.toml"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(
    arguments: list[str],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["run", *arguments])

    assert result.exit_code == 1
    assert result.stderr.startswith("softaxe: ")
    assert result.stderr.count("\n") == 1
    assert complaint in result.stderr
