import os
import re
import signal
from pathlib import Path

import pytest
from tests.commands import command, end_of, read_until
from typer.testing import CliRunner

from softaxe.asic import frames
from softaxe.cli.commands import app

pytestmark = pytest.mark.skipif(
    not hasattr(os, "openpty"), reason="no pseudo-terminals on this system"
)


def test_it_offers_the_chips_and_ends_cleanly() -> None:
    serial = pytest.importorskip("serial")

    with command("chip", "--board", "402") as process:
        told = read_until(process, lambda text: "Ctrl-C" in text)
        (path,) = re.findall(r"terminal (\S+)", told)
        with serial.Serial(path, 115200, timeout=30) as port:
            port.write(frames.read_all(frames.Register.CHIP_ID))
            (reply,) = frames.ReplyReader(9).feed(port.read(9))
        process.send_signal(signal.SIGINT)
        _, errors = end_of(process)
        process.wait(60)

    assert (process.returncode, errors) == (0, "")
    assert "chips    1 x BM1368, 115200 baud 8N1" in told
    assert re.search(r"kernel   \S+", told)
    assert frames.read_reply(reply) == frames.RegisterReply(0x13680000, 0, 0)


def test_it_offers_a_board_whose_plug_can_be_pulled(tmp_path: Path) -> None:
    serial = pytest.importorskip("serial")
    get_reset = bytes.fromhex("060007000600")
    arguments = ("--usb", "--dialect", "v0", "--link", str(tmp_path), "--seed", "3")

    with command("chip", *arguments) as process:
        told = read_until(process, lambda text: "Ctrl-C" in text)
        with serial.Serial(str(tmp_path / "control"), timeout=30) as port:
            port.write(get_reset)
            answer = port.read(4)
        process.send_signal(signal.SIGUSR1)
        told += read_until(process, lambda text: "unplugged" in text)
        process.send_signal(signal.SIGUSR1)
        told += read_until(process, lambda text: "data" in text)
        process.send_signal(signal.SIGINT)
        _, errors = end_of(process)
        process.wait(60)

    assert (process.returncode, errors) == (0, "")
    assert answer == bytes.fromhex("01000700")
    assert told.count(f"{tmp_path}/control") == 2
    assert "board    601, 1 x BM1370" in told
    assert "firmware bitaxe-raw, answers v0" in told
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("--board", "9000"), 2, "softaxe: board: '9000' is none of"),
        (("--ease-bits", "41"), 2, "40"),
        (("--link", "links"), 2, "softaxe: --link and --dialect: they belong to --usb"),
        (("--usb", "--dialect", "v2"), 2, "v2"),
    ],
)
def test_what_cannot_be_offered_is_told(
    arguments: tuple[str, ...], code: int, complaint: str
) -> None:
    result = CliRunner().invoke(app, ["chip", *arguments])

    assert type(result.exception) is SystemExit
    assert result.exit_code == code
    assert complaint in result.stderr
