"""A board that is only read."""

import asyncio
import os
from pathlib import Path

import pytest
from tests.metal.offered import offered

from softaxe.catalog import board
from softaxe.errors import NotThere
from softaxe.metal.raw import Dialect
from softaxe.metal.raw_board import RawBoard, WireFaults
from softaxe.metal.registers import TPS546_ADDRESS, Tps546Registers
from softaxe.metal.usb_board import UsbOptions

pytest.importorskip("serialx")
pytestmark = pytest.mark.skipif(
    not hasattr(os, "openpty"), reason="no pseudo-terminals on this system"
)
from softaxe.metal.ports import place  # noqa: E402 - needs serialx
from softaxe.metal.probe import look_around  # noqa: E402


def held(raw: RawBoard) -> dict[int, dict[int, int]]:
    """What all registers of the two parts that matter hold."""
    regulator, fan = raw.parts[TPS546_ADDRESS], raw.parts[0x4C]
    assert isinstance(regulator, Tps546Registers)
    return {
        TPS546_ADDRESS: dict(vars(regulator)["_held"]),
        0x4C: dict(vars(fan)["held"]),
    }


def test_it_reads_all_that_is_known_and_changes_nothing(tmp_path: Path) -> None:
    where = place(f"{tmp_path}/control,{tmp_path}/data")
    with offered(UsbOptions(board("601"), dialect=Dialect.V0, link=tmp_path)) as usb:
        raw = usb.usb.raw
        before = held(raw)

        found = asyncio.run(look_around(where))

        assert held(raw) == before
    assert found["answers"] == "v0"
    assert found["reset line"] == "low: the chips are held"
    assert found["TPS546 at 24"].startswith("TPS546D24A: input 5.2")
    assert found["EMC2101 at 4c"].startswith("EMC2101: 0 rpm")
    assert found["INA260 at 40"] == "nothing answers"


def test_an_answer_that_is_lost_is_asked_for_again(tmp_path: Path) -> None:
    where = place(f"{tmp_path}/control,{tmp_path}/data")
    with offered(UsbOptions(board("601"), link=tmp_path)) as usb:
        usb.usb.raw.set_faults(wire=WireFaults(lost_answers=0.2))
        found = asyncio.run(look_around(where))

    assert "no answer" not in " ".join(found.values())
    assert found["EMC2101 at 4c"].startswith("EMC2101: 0 rpm")
    assert found["INA260 at 40"] == "nothing answers"


def test_a_board_that_does_not_answer_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("softaxe.metal.probe.ANSWER_S", 0.5)
    where = place(f"{tmp_path}/control,{tmp_path}/data")
    with offered(UsbOptions(board("601"), link=tmp_path)) as usb:
        usb.usb.raw.is_panicked = True
        with pytest.raises(NotThere, match="press its reset button"):
            asyncio.run(look_around(where))
