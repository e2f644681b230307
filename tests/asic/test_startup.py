from collections.abc import Callable
from typing import Any

import pytest

from softaxe.asic import frames
from softaxe.asic.driver import DriverReady
from softaxe.asic.startup import STARTUP
from softaxe.catalog import Chip, catalog_data, read_chips

CHIPS = read_chips(catalog_data())
PLL_WRITES = ("55aa51090008", "55aa51090070")


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("BM1397", 1),
        ("BM1366", 1),
        ("BM1366", 6),
        ("BM1368", 1),
        ("BM1368", 6),
        ("BM1370", 1),
        ("BM1370", 2),
    ],
)
def test_every_chip_is_sent_the_frames_of_the_reference(
    name: str,
    count: int,
    vectors: dict[str, Any],
    make_chip: Callable[[str], Chip],
    make_wired_chain: Callable[..., Any],
) -> None:
    expected = next(
        [frame for _, frame in vector["sequence"]]
        for vector in vectors["asic"]["command_frames"]
        if (vector["chip"], vector["chips"]) == (name, count)
    )
    baud_frame, _ = vectors["asic"]["max_baud_frames"][name]

    wired = make_wired_chain(make_chip(name), asic_count=count)
    wired.start(525.0)

    sent = [frame.hex() for frame in wired.frames()]
    # The reference's sequences leave out the ramp and the baud rate.
    ramp = [frame for frame in sent if frame.startswith(PLL_WRITES)]
    assert [f for f in sent if f not in ramp] == [*expected, baud_frame]
    assert len(ramp) == (4 * 76 if name == "BM1397" else 76)
    assert wired.happened(DriverReady) == [DriverReady(count)]
    assert wired.chain.bad_frames == 0
    assert wired.chain.frequency_mhz == 525


def test_the_ramp_comes_before_the_hash_counting_number(
    make_wired_chain: Callable[..., Any],
) -> None:
    wired = make_wired_chain()
    wired.start(525.0)

    registers = [frame[5] for frame in wired.frames() if frame[2] & 0x0F == 1]

    assert registers[-3:] == [
        frames.Register.PLL0,
        frames.Register.HASH_COUNTING,
        frames.Register.FAST_UART,
    ]


def test_every_chip_with_a_startup_has_a_wire() -> None:
    assert set(STARTUP) <= set(frames.WIRES)


def test_a_bm1373_chain_is_sent_the_frames_of_the_reference(
    vectors: dict[str, Any], make_wired_chain: Callable[..., Any]
) -> None:
    expected = next(
        [frame for _, frame in vector["sequence"]]
        for vector in vectors["asic"]["command_frames"]
        if vector["chip"] == "BM1373"
    )

    wired = make_wired_chain(CHIPS["BM1373"], asic_count=2)
    wired.start(327.0)

    sent = [frame.hex() for frame in wired.frames()]
    assert [f for f in sent if not f.startswith(PLL_WRITES)] == expected
    assert wired.happened(DriverReady) == [DriverReady(2)]
    assert wired.chain.bad_frames == 0
    assert "I common: Chip 1 detected: CORE_NUM: 0x00 ADDR: 0x00" in wired.lines
