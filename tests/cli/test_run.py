import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from softaxe.cli import run
from softaxe.cli.commands import app
from softaxe.fleet.options import FleetOptions


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


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("SIGTERM", ()),
        ("SIGHUP", ()),
        ("SIGHUP", ("--count", "2", "--port-base", "0", "--workers", "2")),
    ],
)
def test_what_is_ephemeral_is_gone_when_the_terminal_closes(
    name: str, more: tuple[str, ...], tmp_path: Path
) -> None:
    if not hasattr(signal, name):
        pytest.skip("no such signal here")
    options = ("run", "--ephemeral", "--control", "none", "--pool", "127.0.0.1:9")
    with subprocess.Popen(
        [sys.executable, "-m", "softaxe", *options, *(more or ("--port", "0"))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={
            **os.environ,
            "TMPDIR": str(tmp_path),
            "SOFTAXE_PASSWORD": "my secret",
        },
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        while "Ctrl-C stops it" not in (line := process.stdout.readline()):
            assert line
        (folder,) = tmp_path.glob("softaxe-*")
        assert (folder / "state.db").exists()

        # All in front of a terminal hear it.
        os.killpg(process.pid, getattr(signal, name))
        _, errors = process.communicate(timeout=30)

    assert (process.returncode, errors) == (0, "")
    assert list(tmp_path.iterdir()) == []


def test_a_signal_before_there_is_anything_to_stop_leaves_nothing(
    tmp_path: Path,
) -> None:
    program = (
        "import os, signal, tempfile\n"
        "from softaxe.cli.terminal import folder_that_ends\n"
        "with folder_that_ends():\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )

    assert done.returncode == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


def test_the_password_comes_from_the_environment_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    async def serve(options: FleetOptions, *_: object) -> None:
        seen.append(options.groups[0].password)

    monkeypatch.setattr("softaxe.cli.run.serve", serve)
    state = ["--state", str(tmp_path)]

    CliRunner().invoke(app, ["run", *state], env={"SOFTAXE_PASSWORD": "my secret"})
    CliRunner().invoke(app, ["run", *state])

    assert seen == ["my secret", None]
