import os
import sys
from types import SimpleNamespace

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


def test_ctrl_c_while_it_loads_leaves_no_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def app(prog_name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "softaxe.cli.commands", SimpleNamespace(app=app))

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 130


def test_a_standard_file_that_was_closed_is_there_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commands = SimpleNamespace(app=lambda prog_name: None)
    monkeypatch.setitem(sys.modules, "softaxe.cli.commands", commands)
    monkeypatch.setattr(sys, "stderr", None)

    main()

    with sys.stderr as opened:
        opened.write("lost")
    assert opened.name == os.devnull
