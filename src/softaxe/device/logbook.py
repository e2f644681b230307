"""The device's log: the lines a Bitaxe prints on its console and `/api/ws`."""

import re
from collections import deque
from collections.abc import Collection, Iterator, Mapping

from msgspec import Struct

from softaxe.log_limit import LogLimit
from softaxe.units import Level

KEPT_LINES = 512
"""Lines kept until somebody takes them; the oldest go first."""

LAST_LINES = 500
"""Lines kept for who comes later, where the release itself keeps none."""
RING_BYTES = 512 << 10
"""Of what was printed, kept from release 2.14 on. Source: ESP-Miner log_buffer.h."""
PIECE_BYTES = 4096
"""Most that is read of the ring at once."""
LOOK_S = 0.5
"""How often the log socket's task looks at the ring. Source: websocket_log.c."""
RESTARTED = b"\n--- SYSTEM RESTART ---\n"
_LINE_END = b"\n"
VALUE_CHARACTERS = 8
"""What a value of a line takes, about, until it is written out."""

OLD_TAGS = {
    "adc": "ADC",
    "asic_task": "ASIC_task",
    "system": "SystemModule",
    "vcore": "vcore.c",
    **{f"bm{chip}": f"bm{chip}Module" for chip in ("1397", "1366", "1368", "1370")},
}
"""What v2.8 calls them; those of the others are known of the BM1370 only."""

_COLOUR = re.compile("\x1b\\[[0-9;]*m")
LEVELS = tuple(Level)  # a tuple finds the most frequent ones by identity
_COLOURS = {Level.ERROR: "31", Level.WARNING: "33", Level.INFO: "32"}


class LogLine(Struct, frozen=True):
    """One line of the log; its text is put together for who reads it."""

    boot_ms: int
    """Milliseconds since the device booted."""
    level: Level
    tag: str
    template: str
    """The text, or what `values` fill in."""
    values: Mapping[str, object] = {}

    @property
    def text(self) -> str:
        """What it says."""
        return self.template.format(**self.values) if self.values else self.template

    @property
    def coloured(self) -> str:
        """The line as ESP-IDF prints it, colours and line end included."""
        colour = _COLOURS[self.level]
        return f"\x1b[0;{colour}m{self.plain}\x1b[0m\n"

    @property
    def plain(self) -> str:
        """The line without colours and line end."""
        return f"{self.level} ({self.boot_ms}) {self.tag}: {self.text}"


class Ring:
    """The last of what was printed, as bytes that a restart leaves alone.

    Positions count all bytes ever written. Source: ESP-Miner log_buffer.c.
    """

    __slots__ = ("_bytes", "_look", "_seen", "written")

    def __init__(self) -> None:
        self.written = 0
        """Position of the end."""
        self._bytes = bytearray()
        self._look = 0.0
        self._seen = 0

    def write(self, data: bytes, now: float, most_bytes: int) -> None:
        """Add to the end; what is too much goes at the other."""
        look = now // LOOK_S
        if look != self._look:
            self._look, self._seen = look, self.written
        self._bytes += data
        self.written += len(data)
        if len(self._bytes) > most_bytes:
            del self._bytes[:-most_bytes]

    def seen(self, now: float) -> int:
        """Position of the end when the log socket's task looked last."""
        return self._seen if now // LOOK_S == self._look else self.written

    @property
    def whole(self) -> bytes:
        """All of it, from the oldest whole line on."""
        return bytes(self._bytes[self._oldest :])

    @property
    def _oldest(self) -> int:
        """Where the oldest whole line begins."""
        has_lost = self.written > len(self._bytes)
        return self._bytes.find(_LINE_END) + 1 if has_lost else 0

    def after(self, position: int) -> bytes:
        """Return what came after a position; all of it where no line ended there."""
        at = position - (self.written - len(self._bytes))
        is_known = 0 < at <= len(self._bytes) and self._bytes[at - 1] == _LINE_END[0]
        return bytes(self._bytes[at:]) if is_known else self.whole

    def read(self, position: int) -> tuple[bytes, int]:
        """Return what is at a position, a line at most, and the position after it.

        Where that is lost already, the oldest whole line is next.
        """
        start = self.written - len(self._bytes)
        at = min(position, self.written) - start
        if at < 0:
            at = self._oldest
        most = at + PIECE_BYTES
        end = self._bytes.find(_LINE_END, at, most) + 1 or most
        piece = bytes(self._bytes[at:end])
        return piece, start + at + len(piece)

    def pieces(self) -> Iterator[bytes]:
        """Yield all of it from the oldest whole line on, as `read` does."""
        piece, position = self.read(0)
        while piece:
            yield piece
            piece, position = self.read(position)


class Logbook:
    """Collects log lines with the time of the step they belong to.

    The device sets `now` before anything happens in a step; whoever shows the lines
    calls `take` now and then. What would flood it is counted, see `LogLimit`.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.booted_at = 0.0
        self.ring: Ring | None = None
        """None in releases that keep nothing."""
        self.levels: Collection[Level] = LEVELS
        """Of the lines that somebody will `take`; those of others are only for the
        ring."""
        self.ring_bytes = RING_BYTES
        """So much is kept; less where many devices share a memory."""
        self._lines: deque[LogLine] | None = None
        """For `take`; None while there are none, as an empty one takes 0.7 kB."""
        self._last: deque[LogLine] | None = deque(maxlen=LAST_LINES)
        """For the page of releases that have no ring; None to keep none."""
        self._count = 0
        """Of the lines that there was somewhere to keep, since the first."""
        self._limit = LogLimit()
        self._tags: Mapping[str, str] = {}

    def boot(self, now: float, *, has_ring: bool, has_old_tags: bool = False) -> None:
        """Count time from now on; what was kept stays over a restart.

        Args:
            now: Device time.
            has_ring: Whether this release keeps what is printed.
            has_old_tags: Whether its tags are those of v2.8.
        """
        self._tags = OLD_TAGS if has_old_tags else {}
        self.now = self.booted_at = now
        if not has_ring:
            self.ring = None
        elif self.ring is None:
            self.ring = Ring()
        else:
            self.ring.write(RESTARTED, now, self.ring_bytes)

    def keep(self, lines: int) -> None:
        """Keep so many of the last lines in releases that keep none themselves."""
        kept = deque[LogLine](maxlen=0) if self._last is None else self._last
        if lines != kept.maxlen:
            self._last = deque(kept, maxlen=lines) if lines else None

    def last(self, lines: int) -> str:
        """Return so many of the last lines, the oldest first, without colours."""
        return "".join([f"{line}\n" for line in self.after(0, lines)[0]])

    def after(self, position: int, lines: int) -> tuple[list[str], int]:
        """Return so many of the last lines, those after a position, and the end's.

        Of a position that is not known all that is kept counts. The oldest line is
        first; none has colours.
        """
        if self.ring is None:
            kept, new = list(self._last or ()), self._count - position
            if not 0 <= new <= len(kept):
                new = len(kept)
            kept = kept[len(kept) - min(new, lines) :]
            return [line.plain for line in kept], self._count
        text = self.ring.after(position).decode("utf-8", "replace")
        return _COLOUR.sub("", text).splitlines()[-lines:], self.ring.written

    def write(self, level: Level, tag: str, text: str, /, **values: object) -> None:
        """Write one line; satisfies `softaxe.units.LazyLog`.

        Who writes often is given this method, which Python calls in half the time of
        the object.
        """
        is_taken, ring = level in self.levels, self.ring
        if not is_taken and ring is None and self._last is None:
            return
        if self._tags:
            tag = self._tags.get(tag, tag)
        if ring is not None and values:  # it keeps bytes
            text, values = text.format(**values), {}
        boot_ms = round((self.now - self.booted_at) * 1000)
        line = LogLine(boot_ms, level, tag, text, values)
        characters = len(text) + VALUE_CHARACTERS * len(values)
        if self._limit.lets_pass(characters, self.now):
            self._add(line, is_taken=is_taken)
            return
        for words in self._limit.lines(level, tag, line.text, self.now):
            self._add(LogLine(boot_ms, *words), is_taken=is_taken)

    __call__ = write

    def _add(self, line: LogLine, *, is_taken: bool) -> None:
        if is_taken:
            if self._lines is None:
                self._lines = deque(maxlen=KEPT_LINES)
            self._lines.append(line)
        if self.ring is None:
            self._count += 1
            if self._last is not None:
                self._last.append(line)
        else:
            printed = line.coloured.encode("utf-8", "replace")
            self.ring.write(printed, self.now, self.ring_bytes)

    def take(self) -> list[LogLine]:
        """Return the lines written since the last call, oldest first."""
        lines, self._lines = self._lines or (), None
        return list(lines)
