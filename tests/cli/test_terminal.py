import json

import pytest
import typer
from typer.testing import CliRunner

from softaxe.cli.commands import app
from softaxe.cli.terminal import fail

CLIPBOARD = "\x1b]52;c;cm0gLXJm\x07"


def test_the_end_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        fail(f"GET {CLIPBOARD}\nmore")

    assert capsys.readouterr().err == (
        r"softaxe: GET \x1b]52;c;cm0gLXJm\x07\nmore" + "\n"
    )


def test_what_is_wrong_with_an_option_is_told_in_objects() -> None:
    said = {"SOFTAXE_RUN_LOG_FORMAT": "json", "SOFTAXE_RUN_COUNT": "x"}
    result = CliRunner().invoke(app, ["run"], env=said)

    lines = [json.loads(line) for line in result.output.splitlines()]
    assert result.exit_code == 2
    assert {(one["level"], one["tag"]) for one in lines} == {("error", "softaxe")}
    told = [one["text"] for one in lines]
    assert told[2] == "Error"
    assert told[3].startswith("Invalid value for '--count': ")
