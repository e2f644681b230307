"""A slow miner's end of its pool connection: late, in halves, and read by the piece.

Bytes go through here with `now`, in device time; whoever owns the socket comes by when
`next_wake` comes, or a little later.
"""

from collections import deque
from math import inf

from softaxe.faults import Slowness
from softaxe.units import NEVER

MOST_HELD_BYTES = 1 << 16
"""More than this is more than a device has memory for; what comes then goes at once."""
PIECE_S = 0.05
"""It reads in pieces of so long."""


class SlowLink:
    """Holds what a slow miner sends, and what it has not read yet.

    Args:
        slowness: How slow it is.
    """

    def __init__(self, slowness: Slowness) -> None:
        self.slowness = slowness
        self._out: deque[tuple[float, bytes]] = deque()
        """What is to be sent, and when."""
        self._last_due = 0.0
        self._unread = bytearray()
        self._read_at = 0.0
        """Up to when what was read is reckoned."""

    @property
    def next_wake(self) -> float:
        """When there is something to send or to read."""
        due = self._out[0][0] if self._out else NEVER
        if self._unread:
            due = min(due, self._read_at + max(PIECE_S, 1 / self.slowness.bytes_per_s))
        return due

    @property
    def is_idle(self) -> bool:
        """True while nothing is held."""
        return not self._out and not self._unread

    @property
    def is_behind(self) -> bool:
        """True while there is something that it has not read."""
        return bool(self._unread)

    def send(self, data: bytes, now: float) -> float:
        """Have something to send; return when all of it will have left."""
        late_s, stall_s = self.slowness.late_s, self.slowness.stall_s
        if sum(len(piece) for _, piece in self._out) > MOST_HELD_BYTES:
            late_s = stall_s = 0.0
        due = max(now + late_s, self._last_due)
        half = len(data) // 2 if stall_s else len(data)
        self._out.append((due, data[:half]))
        if half < len(data):
            due += stall_s
            self._out.append((due, data[half:]))
        self._last_due = due
        return due

    def to_send(self, now: float) -> bytes:
        """Return and forget what leaves by now."""
        pieces = []
        while self._out and self._out[0][0] <= now:
            pieces.append(self._out.popleft()[1])
        return b"".join(pieces)

    def receive(self, data: bytes, now: float) -> None:
        """Bytes of the pool have come, and wait until they are read."""
        if not self._unread:
            self._read_at = now
        self._unread += data

    def to_read(self, now: float) -> bytes:
        """Return and forget what was read by now."""
        rate = self.slowness.bytes_per_s
        if rate == inf or len(self._unread) > MOST_HELD_BYTES:
            count, self._read_at = len(self._unread), now
        else:
            count = min(len(self._unread), int((now - self._read_at) * rate + 1e-6))
            self._read_at += count / rate
        data = bytes(self._unread[:count])
        del self._unread[:count]
        return data
