"""The emulated chain on a pseudo-terminal: any BM13xx host program can open it."""

import asyncio
import errno
import os
import random
import select
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from softaxe.asic.chip import Chain, WorkMode
from softaxe.catalog import Board
from softaxe.catalog.lottery import draw
from softaxe.fleet.clock import Clock
from softaxe.fleet.search_thread import yield_to_others

READ_BYTES = 4096
CHIP_C = 50.0
"""Temperature of the chips, which nothing heats or cools here."""
POLL_S = 0.05
"""Between two looks for somebody who opens the terminal, or for work to search."""
SEARCH_NONCES = 1 << 18
LONGEST_SLEEP_S = 1.0


@dataclass(frozen=True, slots=True)
class SerialOptions:
    """What `softaxe chip` was asked for; the CLI documents each."""

    board: Board
    seed: int = 0
    ease_bits: int = 0


class SerialChain:
    """A board's chips behind a pseudo-terminal, powered and out of reset.

    Every hash is real. When the other side closes the terminal, the chips are reset.

    Args:
        options: What to offer.
    """

    def __init__(self, options: SerialOptions) -> None:
        board = options.board
        self.is_in_use = False
        """True from the opening of the terminal until the chips are reset after it."""
        self._mode = WorkMode("real", 1, 2.0**-options.ease_bits)
        self._chain = Chain(
            board.chip,
            silicons=draw(board, options.seed).silicons,
            rng=random.Random(options.seed),
        )
        self._chain.set_mode(self._mode, 0.0)
        self._chain.set_operating_point(
            core_voltage_v=board.default_core_voltage_mv / 1000,
            temperatures_c=[CHIP_C] * board.asic_count,
            now=0.0,
        )
        self._clock = Clock()
        self._wake = asyncio.Event()
        self._executor = ThreadPoolExecutor(
            1, thread_name_prefix="search", initializer=yield_to_others
        )
        self._master, slave = os.openpty()
        self.path = os.ttyname(slave)
        """What the host program opens."""
        _set_raw(slave)
        os.close(slave)
        os.set_blocking(self._master, False)

    @property
    def bad_frames(self) -> int:
        """Frames of the host dropped for a wrong checksum."""
        return self._chain.bad_frames

    async def run(self, stopped: asyncio.Event) -> None:
        """Serve whoever opens the terminal, until `stopped`."""
        searching = asyncio.ensure_future(self._search_or_end(stopped))
        try:
            while not stopped.is_set():
                if self._is_open():
                    self.is_in_use = True
                    self._chain.set_reset(False, self._clock.advance())
                    await self._serve(stopped)
                    self._chain.set_reset(True, self._clock.advance())
                    self.is_in_use = False
                await _sleep(stopped, POLL_S)
        finally:
            stopped.set()
            await searching

    def close(self) -> None:
        """Take the terminal away."""
        self._executor.shutdown(cancel_futures=True)
        os.close(self._master)

    def _is_open(self) -> bool:
        poll = select.poll()
        poll.register(self._master, select.POLLIN)
        return not any(event & select.POLLHUP for _, event in poll.poll(0))

    async def _serve(self, stopped: asyncio.Event) -> None:
        """Carry bytes until the other side closes the terminal."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._master, self._wake.set)
        try:
            while not stopped.is_set():
                self._wake.clear()
                data = self._read()
                if data is None:
                    return
                now = self._clock.advance()
                self._chain.receive(data, now)
                self._chain.step(now)
                self._write(self._chain.data_to_host())
                if data:
                    await asyncio.sleep(0)  # a host may write without a pause
                else:
                    await _sleep(self._wake, self._nap_s(), stopped)
        finally:
            loop.remove_reader(self._master)

    def _nap_s(self) -> float:
        delay = self._clock.real_delay(self._chain.next_wake)
        return min(delay, LONGEST_SLEEP_S)

    def _read(self) -> bytes | None:
        """What is there; None when the other side has closed."""
        try:
            return os.read(self._master, READ_BYTES)
        except BlockingIOError:
            return b""
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return None

    def _write(self, data: bytes) -> None:
        try:
            if data:
                os.write(self._master, data)
        except BlockingIOError:
            pass  # nobody reads: a serial line loses what does not fit
        except OSError as error:
            if error.errno != errno.EIO:
                raise

    async def _search(self, stopped: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        while not stopped.is_set():
            search = self._chain.take_search(SEARCH_NONCES)
            if search is None:
                await _sleep(stopped, POLL_S)
                continue
            found = await loop.run_in_executor(self._executor, search.run)
            self._chain.finish_search(search, found, self._clock.advance())
            if found:
                self._wake.set()

    async def _search_or_end(self, stopped: asyncio.Event) -> None:
        try:
            await self._search(stopped)
        finally:  # chips that no longer search are of no use to anybody
            stopped.set()


def _set_raw(terminal: int) -> None:
    import tty  # noqa: PLC0415 - there is none on Windows

    tty.setraw(terminal)


async def _sleep(event: asyncio.Event, seconds: float, *others: asyncio.Event) -> None:
    """Sleep until `event` or one of the others is set, `seconds` at most."""
    waits = [asyncio.ensure_future(each.wait()) for each in (event, *others)]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
