"""The emulated chain on a pseudo-terminal: any BM13xx host program can open it."""

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from msgspec.structs import replace

from softaxe.asic.chip import REAL, SCALED, Chain, Search, WorkMode
from softaxe.catalog import Board
from softaxe.catalog.lottery import draw
from softaxe.fleet.clock import Clock
from softaxe.fleet.search_thread import yield_to_others
from softaxe.metal.terminal import Terminal

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
    """By which nonces may be easier than the host asks."""
    is_scaled: bool = field(default=False, kw_only=True)
    """One hash of 2**32 is searched, so that rates are a chip's; nonces are easier by
    these 32 bits, too."""

    @property
    def mode(self) -> WorkMode:
        """What a hash of the chips stands for."""
        usual = SCALED if self.is_scaled else REAL
        return replace(usual, resolution=2.0**-self.ease_bits)


class SerialChain:
    """A board's chips behind a pseudo-terminal, powered and out of reset.

    When the other side closes the terminal, the chips are reset.

    Args:
        options: What to offer.
    """

    def __init__(self, options: SerialOptions) -> None:
        board = options.board
        self.is_in_use = False
        """True from the opening of the terminal until the chips are reset after it."""
        self._chain = Chain(
            board.chip,
            silicons=draw(board, options.seed).silicons,
            rng=random.Random(options.seed),
        )
        self._chain.set_mode(options.mode, 0.0)
        self._chain.set_operating_point(
            core_voltage_v=board.default_core_voltage_mv / 1000,
            temperatures_c=[CHIP_C] * board.asic_count,
            now=0.0,
        )
        self._clock = Clock()
        self._wake = asyncio.Event()
        self._terminal = Terminal()
        self.path = self._terminal.path
        """What the host program opens."""

    @property
    def bad_frames(self) -> int:
        """Frames of the host dropped for a wrong checksum."""
        return self._chain.bad_frames

    async def run(self, stopped: asyncio.Event) -> None:
        """Serve whoever opens the terminal, until `stopped`."""
        searching = asyncio.ensure_future(
            search_for(self._chain, self._clock.advance, self._wake.set, stopped)
        )
        try:
            while not stopped.is_set():
                if self._terminal.is_open:
                    self.is_in_use = True
                    self._chain.set_reset(False, self._clock.advance())
                    await self._serve(stopped)
                    self._chain.set_reset(True, self._clock.advance())
                    self.is_in_use = False
                await sleep(stopped, POLL_S)
        finally:
            stopped.set()
            await searching

    def close(self) -> None:
        """Take the terminal away."""
        self._terminal.close()

    async def _serve(self, stopped: asyncio.Event) -> None:
        """Carry bytes until the other side closes the terminal."""
        loop, terminal = asyncio.get_running_loop(), self._terminal
        loop.add_reader(terminal.fd, self._wake.set)
        try:
            while not stopped.is_set():
                self._wake.clear()
                data = terminal.read()
                if data is None:
                    return
                now = self._clock.advance()
                self._chain.receive(data, now)
                self._chain.step(now)
                terminal.write(self._chain.data_to_host())
                if data:
                    await asyncio.sleep(0)  # a host may write without a pause
                else:
                    await sleep(self._wake, self._nap_s(), stopped)
        finally:
            loop.remove_reader(terminal.fd)

    def _nap_s(self) -> float:
        delay = self._clock.real_delay(self._chain.next_wake)
        return min(delay, LONGEST_SLEEP_S)


class Searched(Protocol):
    """Who has real work to search."""

    def take_search(self, max_nonces: int) -> Search | None:
        """Return nonces nobody searched yet, when real work waits."""

    def finish_search(self, search: Search, found: list[int], now: float) -> None:
        """Report what a search found."""


async def search_for(
    chips: Searched,
    clock: Callable[[], float],
    on_found: Callable[[], object],
    stopped: asyncio.Event,
) -> None:
    """Search their work in a thread of least priority, until `stopped`.

    Whatever ends it sets `stopped`: chips that no longer search are of no use.

    Args:
        chips: Whose.
        clock: The present.
        on_found: Called after nonces were told.
        stopped: Asked, and set.
    """
    loop = asyncio.get_running_loop()
    executor = ThreadPoolExecutor(
        1, thread_name_prefix="search", initializer=yield_to_others
    )
    try:
        while not stopped.is_set():
            search = chips.take_search(SEARCH_NONCES)
            if search is None:
                await sleep(stopped, POLL_S)
                continue
            found = await loop.run_in_executor(executor, search.run)
            chips.finish_search(search, found, clock())
            if found:
                on_found()
    finally:
        stopped.set()
        executor.shutdown(cancel_futures=True)


async def sleep(event: asyncio.Event, seconds: float, *others: asyncio.Event) -> None:
    """Sleep until `event` or one of the others is set, `seconds` at most."""
    waits = [asyncio.ensure_future(each.wait()) for each in (event, *others)]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
