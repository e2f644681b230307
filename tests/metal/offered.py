"""An emulated board on pseudo-terminals, in a thread of its own."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from softaxe.metal.usb_board import UsbBoard, UsbOptions

PATIENCE_S = 60


class Running:
    """A board that serves its ports in a thread."""

    def __init__(self, usb: UsbBoard, loop: asyncio.AbstractEventLoop) -> None:
        self.usb = usb
        self._loop = loop

    def order(self, what: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(what)


@contextmanager
def offered(options: UsbOptions) -> Iterator[Running]:
    ready = threading.Event()
    made: list[tuple[Running, asyncio.Event, asyncio.AbstractEventLoop]] = []

    async def serve() -> None:
        usb, stopped, loop = (
            UsbBoard(options),
            asyncio.Event(),
            asyncio.get_event_loop(),
        )
        made.append((Running(usb, loop), stopped, loop))
        ready.set()
        try:
            await usb.run(stopped)
        finally:
            usb.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(PATIENCE_S)
    running, stopped, loop = made[0]
    try:
        yield running
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.005)
