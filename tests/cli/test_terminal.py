import asyncio

import pytest
import typer

from softaxe.cli.terminal import LogLevel, ShowLog, fail
from softaxe.device.logbook import LogLine
from softaxe.units import Level

CLIPBOARD = "\x1b]52;c;cm0gLXJm\x07"


def test_a_device_s_words_do_nothing_to_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def main() -> None:
        show = ShowLog(LogLevel.INFO)
        show("601-0", LogLine(5, Level.WARNING, "x", f"rejected: {CLIPBOARD}\r\n"))
        show._flush()

    asyncio.run(main())

    shown = r"\x1b]52;c;cm0gLXJm\x07"
    assert capsys.readouterr().out == f"W (5) x: rejected: {shown}\\r\\n\n"


def test_the_end_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        fail(f"GET {CLIPBOARD}\nmore")

    assert capsys.readouterr().err == (
        r"softaxe: GET \x1b]52;c;cm0gLXJm\x07\nmore" + "\n"
    )


@pytest.mark.parametrize(("no_color", "begin"), [("", "\x1b[0;33mW"), ("1", "W")])
def test_the_log_is_plain_where_somebody_wants_no_colours(
    no_color: str,
    begin: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", no_color)

    async def main() -> None:
        ShowLog(LogLevel.INFO)("601-0", LogLine(5, Level.WARNING, "x", "hot"))

    asyncio.run(main())

    assert capsys.readouterr().out.startswith(begin)
