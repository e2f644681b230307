"""Programs that a scenario starts: their output, their end, and how they are ended."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Self

KEPT_BYTES = 16_384
"""Of a program's output, its end."""
READ_BYTES = 65_536
PATIENCE_S = 5.0
"""Real seconds that a program has to end when it is asked to."""
LAST_WORDS_S = 0.5
"""Real seconds for output that is under way when a program has ended."""
_HAS_GROUPS = sys.platform != "win32"


class Program:
    """A program that runs; `start` makes one.

    Args:
        process: Its process, the first of a group where there are groups.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._kept = bytearray()
        self._cut = 0
        self._reading = asyncio.ensure_future(self._read())

    @classmethod
    async def start(cls, command: Sequence[str], more: Mapping[str, str]) -> Self:
        """Start a program.

        Args:
            command: With its arguments.
            more: What its environment has besides ours.

        Raises:
            OSError: It cannot be started.
        """
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **more},
            start_new_session=_HAS_GROUPS,
        )
        return cls(process)

    @property
    def status(self) -> int | None:
        """With what it has ended, as a shell tells it; None while it runs."""
        status = self._process.returncode
        return 128 - status if status is not None and status < 0 else status

    @property
    def output(self) -> str:
        """The end of what it has printed."""
        cut = f"({self._cut} bytes before)\n" if self._cut else ""
        return cut + self._kept.decode("utf-8", "replace")

    async def close(self) -> None:
        """End it, and whatever it has started; its output is whole afterwards."""
        if self.status is None:
            self._signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await self._process.wait()
            except TimeoutError:
                pass  # it is killed
        self._signal(signal.SIGKILL if _HAS_GROUPS else signal.SIGTERM)
        await self._process.wait()
        await asyncio.wait({self._reading}, timeout=LAST_WORDS_S)
        self._reading.cancel()

    def _signal(self, number: signal.Signals) -> None:
        """Tell the whole group; those of it that have gone need no telling."""
        try:
            if sys.platform != "win32":
                os.killpg(self._process.pid, number)
            elif self._process.returncode is None:
                self._process.terminate()
        except ProcessLookupError:
            return

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while data := await self._process.stdout.read(READ_BYTES):
            self._kept += data
            if (over := len(self._kept) - KEPT_BYTES) > 0:
                del self._kept[:over]
                self._cut += over
