"""Our own driver, over pyserial, against the chain behind a pseudo-terminal."""

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from softaxe.asic import frames
from softaxe.asic.chip import REAL
from softaxe.asic.driver import Driver, DriverEvent, DriverReady, NonceFound
from softaxe.bitcoin.header import Work, difficulty_of, sha256d
from softaxe.catalog import board
from softaxe.metal.serial_chain import SerialChain, SerialOptions

serial = pytest.importorskip("serial")
pytestmark = pytest.mark.skipif(
    not hasattr(os, "openpty"), reason="no pseudo-terminals on this system"
)

EASE_BITS = 20
PATIENCE_S = 120
WORK = Work(0x20000000, bytes(32), bytes(range(32)), 1_700_000_000, 0x1705AE3A)


@contextmanager
def offered(version: str) -> Iterator[SerialChain]:
    """A chain that serves its terminal in a thread."""
    options = SerialOptions(board(version), ease_bits=EASE_BITS)
    ready = threading.Event()
    made: list[tuple[SerialChain, asyncio.Event, asyncio.AbstractEventLoop]] = []

    async def serve() -> None:
        chain, stopped = SerialChain(options), asyncio.Event()
        made.append((chain, stopped, asyncio.get_running_loop()))
        ready.set()
        try:
            await chain.run(stopped)
        finally:
            chain.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(60)
    chain, stopped, loop = made[0]
    try:
        yield chain
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join(120)
        assert not thread.is_alive()


class Host:
    """A driver on a serial port, on the real clock."""

    def __init__(self, port: Any, version: str) -> None:
        row = board(version)
        self.events: list[DriverEvent] = []
        self.lines: list[str] = []
        self._port = port
        self.driver = Driver(
            row.chip,
            asic_count=row.asic_count,
            log=lambda level, tag, text, /, **values: self.lines.append(
                f"{level} {tag}: {text.format(**values)}"
            ),
            is_line_fixed=True,
        )

    def run_until(self, kind: type[DriverEvent]) -> DriverEvent:
        end = time.monotonic() + PATIENCE_S
        while (now := time.monotonic()) < end:
            if data := self._port.read(4096):  # before what is too late is counted
                self.driver.receive(data, now)
            self.driver.step(now)
            self._port.write(self.driver.data_to_chip())
            for event in self.driver.events():
                self.events.append(event)
                if isinstance(event, kind):
                    return event
        raise AssertionError(f"no {kind.__name__}: {self.lines[-5:]}")


@pytest.mark.parametrize("version", ["102", "303", "601", "801"])
def test_a_host_program_finds_the_chips_and_mines(version: str) -> None:
    with (
        offered(version) as chain,
        serial.Serial(chain.path, 115200, timeout=0.02) as port,
    ):
        host = Host(port, version)
        host.driver.start(56.25, time.monotonic())
        ready = host.run_until(DriverReady)
        assert ready == DriverReady(board(version).asic_count)

        slot = host.driver.send_work(WORK)
        found = host.run_until(NonceFound)

        assert isinstance(found, NonceFound)
        assert found.job_id == slot
        header = WORK.header(nonce=found.nonce, version=found.version(WORK))
        # A chip looks at bits: 255.996 is as good to it as 256.
        assert difficulty_of(sha256d(header)) >= 255.99 / 2**EASE_BITS
        assert chain.bad_frames == 0


def test_scaled_work_comes_as_fast_as_a_chip_does_it() -> None:
    mode = SerialOptions(board("601"), ease_bits=4, is_scaled=True).mode

    assert (mode.scale, mode.resolution, mode.is_real) == (2**32, 1 / 16, False)
    assert SerialOptions(board("601"), ease_bits=20).mode == REAL


def test_closing_the_terminal_resets_the_chips() -> None:
    with offered("601") as chain:
        for _ in range(2):
            with serial.Serial(chain.path, 115200, timeout=30) as port:
                port.write(frames.read_all(frames.Register.MISC_CONTROL))
                (reply,) = frames.ReplyReader(9).feed(port.read(9))
                fresh = frames.RegisterReply(0xC100, 0, 0x18)
                assert frames.read_reply(reply) == fresh
                port.write(frames.write_all(frames.Register.MISC_CONTROL, 5))
                port.write(frames.read_all(frames.Register.MISC_CONTROL))
                (reply,) = frames.ReplyReader(9).feed(port.read(9))
                assert frames.read_reply(reply) == frames.RegisterReply(5, 0, 0x18)
            deadline = time.monotonic() + 60
            while chain.is_in_use:
                assert time.monotonic() < deadline
                time.sleep(0.01)


def test_rubbish_on_the_line_is_counted_and_survived() -> None:
    with (
        offered("601") as chain,
        serial.Serial(chain.path, 115200, timeout=30) as port,
    ):
        good = frames.read_all(frames.Register.CHIP_ID)
        port.write(b"\x00garbage" + good[:-1] + b"\xff" + good)
        assert len(port.read(9)) == 9
        assert chain.bad_frames == 1


def test_a_host_that_writes_without_a_pause_does_not_keep_it_from_ending() -> None:
    is_over = threading.Event()

    def write(path: str) -> None:
        with serial.Serial(path, 115200, timeout=0, write_timeout=0.05) as port:
            while not is_over.is_set():
                with suppress(serial.SerialException):
                    port.write(frames.write_all(frames.Register.MISC_CONTROL, 5) * 500)

    with offered("601") as chain:
        writing = threading.Thread(target=write, args=(chain.path,))
        writing.start()
        time.sleep(0.2)
    is_over.set()
    writing.join(60)

    assert not writing.is_alive()
