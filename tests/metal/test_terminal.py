import os

import pytest

from softaxe.metal.terminal import Terminal

serial = pytest.importorskip("serial")
pytestmark = pytest.mark.skipif(
    not hasattr(os, "openpty"), reason="no pseudo-terminals on this system"
)


def test_bytes_go_both_ways_while_somebody_has_it_open() -> None:
    terminal = Terminal()
    assert not terminal.is_open
    assert terminal.read() is None

    with serial.Serial(terminal.path, 115200, timeout=5) as port:
        assert terminal.is_open
        assert terminal.read() == b""
        port.write(b"\x00\r\n\xff")
        assert terminal.read() == b"\x00\r\n\xff"
        terminal.write(b"\x03\r\xfe")
        assert port.read(3) == b"\x03\r\xfe"

    assert not terminal.is_open
    assert terminal.read() is None
    terminal.close()


@pytest.mark.parametrize("baud", [115_200, 1_000_000])
def test_it_knows_the_baud_rate_of_the_other_side(baud: int) -> None:
    terminal = Terminal()
    assert terminal.baud == 115_200

    with serial.Serial(terminal.path, baud):
        assert terminal.baud == baud
    terminal.close()


def test_what_nobody_reads_is_lost() -> None:
    terminal = Terminal()
    with serial.Serial(terminal.path, 115200, timeout=0) as port:
        for _ in range(100):
            terminal.write(b"x" * 4096)
        assert 0 < len(port.read(1 << 20)) < 100 * 4096
    terminal.close()


def test_taken_away_it_ends_for_who_has_it_open() -> None:
    terminal = Terminal()
    with serial.Serial(terminal.path, 115200, timeout=5) as port:
        terminal.close()
        with pytest.raises(serial.SerialException):
            port.read(1)
