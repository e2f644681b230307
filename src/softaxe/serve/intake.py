"""Shares the event loop among peers that send more lines than it can take at once.

Little is handed on as it comes. What is beyond a turn's measure waits, its connection
is not read meanwhile, and those that wait take turns, a slice each: neither an answer
nor an honest peer waits for more than a slice of everybody. Work is counted, not timed.
"""

import asyncio
from collections import deque
from collections.abc import Callable

SLICE_LINES = 8
"""Of one connection in a row. A line takes 0.02 to 0.2 ms."""
SLICE_BYTES = 1 << 14
TURN_LINES = 32
"""Of all connections between two looks at the sockets."""
TURN_BYTES = 1 << 16
PAUSE_BYTES = 1 << 12
"""A connection of which so much waits is not read."""


class Intake:
    """Hands on what many connections send, a turn of the event loop at a time."""

    def __init__(self) -> None:
        self._lines_left = TURN_LINES
        self._bytes_left = TURN_BYTES
        self._waiting: deque[Inflow] = deque()
        self._is_planned = False

    @property
    def is_busy(self) -> bool:
        """True while something waits, or the turn has had its measure."""
        return bool(self._waiting) or self._is_used_up

    @property
    def _is_used_up(self) -> bool:
        return self._lines_left <= 0 or self._bytes_left <= 0

    def spend(self, lines: int, size: int) -> None:
        """Count what was handed on in this turn."""
        self._lines_left -= lines
        self._bytes_left -= size
        self._plan()

    def wait(self, inflow: "Inflow") -> None:
        """Let a connection take turns until nothing of it waits."""
        self._waiting.append(inflow)
        self._plan()

    def _plan(self) -> None:
        if not self._is_planned:
            self._is_planned = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._is_planned = False
        self._lines_left, self._bytes_left = TURN_LINES, TURN_BYTES
        try:
            while self._waiting and not self._is_used_up:
                inflow = self._waiting.popleft()
                if inflow.is_waiting:
                    inflow.hand_on()
                if inflow.is_waiting:
                    self._waiting.append(inflow)
        finally:
            if self._waiting:
                self._plan()


class Inflow:
    """What one connection sends.

    Args:
        intake: Where it takes its turns.
        transport: Of the connection.
        take: Called with the bytes, in slices.
    """

    def __init__(
        self,
        intake: Intake,
        transport: asyncio.Transport,
        take: Callable[[bytes], None],
    ) -> None:
        self._intake = intake
        self._transport = transport
        self._take = take
        self._data = b""
        self._at = 0
        """Place in `_data` from which on it waits."""
        self._end: Callable[[], None] | None = None
        self._is_closed = False
        self._is_paused = False

    @property
    def is_waiting(self) -> bool:
        """True while there is something to hand on."""
        return self._at < len(self._data)

    def put(self, data: bytes) -> None:
        """Bytes have come."""
        if self._is_closed or not data:
            return
        if self.is_waiting:
            self._data = self._data[self._at :] + data
            self._at = 0
        else:
            self._data, self._at = data, 0
            if not self._intake.is_busy:
                self.hand_on()
            if self.is_waiting:
                self._intake.wait(self)
        if len(self._data) - self._at >= PAUSE_BYTES:
            self._pause(is_paused=True)

    def end(self, tell: Callable[[], None]) -> None:
        """Nothing more will come; `tell` that after what still waits."""
        if not self.is_waiting:
            tell()
        elif not self._is_closed:
            self._end = tell

    def close(self) -> None:
        """Hand nothing on any more."""
        self._is_closed = True
        self._data, self._at, self._end = b"", 0, None

    def hand_on(self) -> None:
        """Hand one slice on; for the intake."""
        start = self._at
        self._at, lines = _slice(self._data, start)
        self._intake.spend(lines, self._at - start)
        piece = self._data[start : self._at]
        if not self.is_waiting:
            self._data, self._at = b"", 0
        self._take(piece)
        if self.is_waiting:
            return
        self._pause(is_paused=False)
        if self._end is not None:
            tell, self._end = self._end, None
            tell()

    def _pause(self, *, is_paused: bool) -> None:
        if is_paused is self._is_paused or self._transport.is_closing():
            return
        self._is_paused = is_paused
        if is_paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()


def _slice(data: bytes, start: int) -> tuple[int, int]:
    """Return the end of the next slice, and how many lines end in it."""
    end = min(len(data), start + SLICE_BYTES)
    lines = data.count(b"\n", start, end)
    if lines > SLICE_LINES:
        lines, end = SLICE_LINES, start
        for _ in range(SLICE_LINES):
            end = data.index(b"\n", end) + 1
    return end, lines
