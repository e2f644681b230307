from pathlib import Path

import pytest
from typer.testing import CliRunner

from softaxe.cli import run
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


@pytest.mark.parametrize(
    ("arguments", "is_warned"),
    [
        (["--control", "0.0.0.0:0"], True),
        (["--control", "0.0.0.0:0", "--control-token", "geheim"], False),
        (["--control", "127.0.0.1:0"], False),
        (["--control", "none"], False),
    ],
)
def test_a_control_port_for_others_without_a_token_is_warned_of(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, *, is_warned: bool
) -> None:
    monkeypatch.setattr(run, "run_loop", lambda work: work.close())

    result = CliRunner().invoke(app, ["run", "--ephemeral", *arguments])

    assert result.exit_code == 0
    assert ("--control-token" in result.stderr) is is_warned
