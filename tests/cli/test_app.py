import sys

import pytest

from softaxe import __version__
from softaxe.cli.app import main


def test_the_version_is_answered_without_the_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["softaxe", "--version"])
    monkeypatch.setitem(sys.modules, "softaxe.cli.commands", None)

    main()

    assert capsys.readouterr().out == f"softaxe {__version__}\n"
