import sys

import pytest
from typer.testing import CliRunner

from softaxe import __version__
from softaxe.cli.app import main
from softaxe.cli.commands import app


def test_the_version_is_answered_without_the_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["softaxe", "--version"])
    monkeypatch.setitem(sys.modules, "softaxe.cli.commands", None)

    main()

    assert capsys.readouterr().out == f"softaxe {__version__}\n"


def test_the_version_is_answered_beside_other_options_too() -> None:
    result = CliRunner().invoke(app, ["--version", "run"])

    assert (result.exit_code, result.output) == (0, f"softaxe {__version__}\n")
