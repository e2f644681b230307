"""A device on a real socket, and helpers to talk to it."""

import asyncio
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from softaxe.fleet.fleet import Fleet
from softaxe.fleet.groups import Group
from softaxe.fleet.options import FleetOptions
from softaxe.serve.member import Member


class Running:
    """A fleet in a thread of its own, with a client of its first device."""

    def __init__(self, options: FleetOptions) -> None:
        self._options = options
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._main, daemon=True)
        self._thread.start()
        assert self._ready.wait(20)
        if self._error is not None:
            raise self._error
        self.url = self.member.url
        # A device that restarts forgets its connections, and resets who goes on.
        once = httpx.Limits(max_keepalive_connections=0)
        self.client = httpx.Client(base_url=self.url, timeout=10, limits=once)

    @property
    def member(self) -> Member:
        """The first device."""
        return next(iter(self.fleet.members.values()))

    def _main(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        try:
            self.fleet = Fleet(self._options)
            self._loop = asyncio.get_running_loop()
            try:
                await self.fleet.start()
            except BaseException:
                await self.fleet.close()
                raise
        except BaseException as error:  # noqa: BLE001 - handed to the test
            self._error = error
            self._ready.set()
            return
        self._ready.set()
        try:
            await self.fleet.run()
        finally:
            await self.fleet.close()

    def info(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.client.get("/api/system/info").json()
        return answer

    def patch(self, **members: object) -> httpx.Response:
        return self.client.patch("/api/system", json=members)

    def advance(self, duration_s: float) -> None:
        """Let device time pass at once."""
        work = self.fleet.ticker.advance(duration_s)
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def raw(self, request: bytes, *, patience_s: float = 30) -> bytes:
        """Send bytes; return the answer, or what comes of it in this time."""
        with socket.create_connection(("127.0.0.1", self.member.port), 30) as sock:
            with suppress(ConnectionError):  # it may have heard enough
                sock.sendall(request)
            sock.settimeout(patience_s)
            answer = b""
            with suppress(TimeoutError, ConnectionError):
                while not _is_whole(answer) and (data := sock.recv(65536)):
                    answer += data
        return answer

    def close(self) -> None:
        self.client.close()
        self._loop.call_soon_threadsafe(self.fleet.stop)
        self._thread.join(20)
        assert not self._thread.is_alive()


def free_ports(count: int = 1) -> int:
    """Return the first of some neighbouring ports that nobody has.

    None of them is of the range from which systems take the ports that nobody chose:
    one of those may be another's before whoever wants it here has it.
    """
    while True:
        first = random.SystemRandom().randrange(20_000, 32_000)
        with ExitStack() as stack, suppress(OSError):
            for port in range(first, first + count):
                sock = stack.enter_context(socket.socket())
                sock.bind(("127.0.0.1", port))
            return first


def wait_for(url: str, seconds: float = 60.0) -> dict[str, Any]:
    """What is answered there, once somebody answers."""
    deadline = time.monotonic() + seconds
    with httpx.Client(timeout=5) as client:  # a new one costs more than to ask
        while True:
            try:
                answer: dict[str, Any] = client.get(url).json()
            except httpx.TransportError:
                assert time.monotonic() < deadline, f"{url} does not answer"
                time.sleep(0.02)
            else:
                return answer


def until(is_true: Callable[[], bool], *, seconds: float = 60) -> None:
    """Wait until it is; a device that is away answers nothing."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(httpx.HTTPError):
            if is_true():
                return
        time.sleep(0.05)
    raise AssertionError("it did not come true")


def _is_whole(answer: bytes) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    if b"chunked" in head:
        return body.endswith(b"0\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    return length is not None and len(body) >= int(length[1])


@contextmanager
def running(directory: Path, **options: Any) -> Iterator[Running]:
    """Run a device on a free port with this state directory."""
    own = set(Group.__struct_fields__) - {"seed"}
    if "board" in options:
        options["boards"] = (options.pop("board"),)
    group = Group(**{name: options.pop(name) for name in list(options) if name in own})
    started = FleetOptions(state=directory, groups=(group,), port=0, seed=1)
    chosen = replace(started, **options)
    device = Running(chosen)
    try:
        yield device
    finally:
        device.close()
