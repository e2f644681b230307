"""The emulated board on two pseudo-terminals, from outside over pyserial."""

import os
from pathlib import Path
from typing import Any

import pytest
from tests.metal.offered import PATIENCE_S, offered, until

from softaxe.asic import frames
from softaxe.bitcoin.header import Work
from softaxe.catalog import board
from softaxe.errors import SettingError
from softaxe.metal.usb_board import UsbBoard, UsbOptions

serial = pytest.importorskip("serial")
pytestmark = pytest.mark.skipif(
    not hasattr(os, "openpty"), reason="no pseudo-terminals on this system"
)

EASE_BITS = 5
GET_RESET = bytes.fromhex("060007000600")
POWER_ON = (
    "07000100060000",
    "09000200052024021B",
    "0A0003000520242901F0",
    "0A00040005202424 0004",
    "0A000500052024214D02",
    "090006000520240180",
    "07000700060001",
)
WORK = Work(0x20000000, bytes(32), bytes(range(32)), 1_700_000_000, 0x1705AE3A)


def ask(port: Any, request: bytes, count: int) -> bytes:
    port.write(request)
    told: bytes = port.read(count)
    return told


def test_a_host_powers_the_chips_and_mines(tmp_path: Path) -> None:
    options = UsbOptions(
        board("601"), ease_bits=EASE_BITS, is_scaled=True, link=tmp_path / "by-id"
    )
    with (
        offered(options) as running,
        serial.Serial(str(tmp_path / "by-id/control"), timeout=PATIENCE_S) as control,
        serial.Serial(str(tmp_path / "by-id/data"), 115200, timeout=PATIENCE_S) as data,
    ):
        assert ask(control, GET_RESET, 5).hex() == "0500070000"
        for request in POWER_ON:
            assert ask(control, bytes.fromhex(request), 5)
        data.write(frames.read_all(frames.Register.CHIP_ID))
        assert data.read(9).hex() == "aa5513700000000006"
        data.write(frames.write_all(frames.Register.VERSION_MASK, 0x9000FFFF))
        data.write(frames.write_all(frames.Register.TICKET_MASK, 0xFF))

        data.write(frames.job(24, WORK))

        (frame,) = frames.ReplyReader(11).feed(data.read(11))
        assert isinstance(frames.read_reply(frame), frames.NonceReply)
        assert running.usb.is_open
    assert not (tmp_path / "by-id/control").is_symlink()


def test_links_outlive_a_pulled_plug_and_a_reset(tmp_path: Path) -> None:
    control = tmp_path / "control"
    with offered(UsbOptions(board("601"), link=tmp_path)) as running:
        with serial.Serial(str(control), timeout=PATIENCE_S) as port:
            assert ask(port, GET_RESET, 5)
            running.order(running.usb.turn_plug)
            until(lambda: not running.usb.paths)
            assert not control.is_symlink()
            with pytest.raises(serial.SerialException):
                port.read(1)

        for act in (running.usb.turn_plug, running.usb.press_reset):
            running.order(act)
            if act == running.usb.press_reset:
                until(lambda: not running.usb.paths)
            until(control.is_symlink)
            with serial.Serial(str(control), timeout=PATIENCE_S) as port:
                assert ask(port, GET_RESET, 5).hex() == "0500070000"


def test_a_file_in_the_place_of_a_link_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "control").write_text("mine", encoding="utf-8")

    with pytest.raises(SettingError, match=r"link: .*control is there and no link"):
        UsbBoard(UsbOptions(board("601"), link=tmp_path))

    assert (tmp_path / "control").read_text(encoding="utf-8") == "mine"
