import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime

import pytest
import typer

from softaxe.cli.log_lines import (
    LogFormat,
    LogLevel,
    ShowLog,
    print_as,
    print_pool_log,
)
from softaxe.cli.terminal import fail, warn
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


def test_a_miner_s_words_do_nothing_to_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_pool_log(Level.INFO, "pool", f"worker {CLIPBOARD}")

    assert capsys.readouterr().out == "I pool: worker \\x1b]52;c;cm0gLXJm\\x07\n"


class Printed:
    """What a process prints in JSON, an object for each line."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        out, err = capsys.readouterr()
        self.text = out + err
        self.out, self.err = (
            [json.loads(line) for line in text.splitlines()] for text in (out, err)
        )


@contextmanager
def in_json() -> Iterator[None]:
    with redirect_stdout(sys.stdout), redirect_stderr(sys.stderr):  # comes back
        print_as(LogFormat.JSON)
        yield


def test_devices_and_pools_log_objects(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        show = ShowLog(LogLevel.WARNING)
        show("601-1", LogLine(5, Level.WARNING, "x", f"said {CLIPBOARD}\n"))
        show("601-1", LogLine(6, Level.INFO, "x", "not wanted"))

    with in_json():
        asyncio.run(main())
        print_pool_log(Level.INFO, "pool", "°")

    printed = Printed(capsys)
    times = [datetime.fromisoformat(line.pop("time")) for line in printed.out]
    assert printed.out == [
        {
            "device": "601-1",
            "level": "warning",
            "tag": "x",
            "text": f"said {CLIPBOARD}\n",
            "boot_ms": 5,
        },
        {"device": None, "level": "info", "tag": "pool", "text": "°"},
    ]
    assert all(abs((datetime.now(UTC) - then).total_seconds()) < 60 for then in times)
    assert printed.text.replace("\n", "").isprintable()


def test_our_own_lines_are_objects_too(capsys: pytest.CaptureFixture[str]) -> None:
    with in_json():
        typer.echo("  address  http://127.0.0.1:8080\n\nCtrl-C stops it.")
        warn("hot")
        sys.stderr.write("Trace")
        sys.stderr.write("back\n")
        with pytest.raises(typer.Exit):
            fail(f"GET {CLIPBOARD}")

    printed = Printed(capsys)
    assert {line["tag"] for line in (*printed.out, *printed.err)} == {"softaxe"}
    assert [line["text"] for line in printed.out] == [
        "address  http://127.0.0.1:8080",
        "Ctrl-C stops it.",
    ]
    assert [(line["level"], line["text"]) for line in printed.err] == [
        ("warning", "hot"),
        ("error", "Traceback"),
        ("error", f"GET {CLIPBOARD}"),
    ]
