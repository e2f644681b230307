"""The device's log: the lines a Bitaxe prints on its console and `/api/ws`."""

from collections import deque
from typing import NamedTuple

from softaxe.log_limit import LogLimit
from softaxe.units import Level

KEPT_LINES = 512
"""Lines kept until somebody takes them; the oldest go first."""

_COLOURS = {Level.ERROR: "31", Level.WARNING: "33", Level.INFO: "32"}


class LogLine(NamedTuple):
    """One line of the log."""

    boot_ms: int
    """Milliseconds since the device booted."""
    level: Level
    tag: str
    text: str

    @property
    def coloured(self) -> str:
        """The line as ESP-IDF prints it, colours and line end included."""
        colour = _COLOURS[self.level]
        return f"\x1b[0;{colour}m{self.plain}\x1b[0m\n"

    @property
    def plain(self) -> str:
        """The line without colours and line end."""
        return f"{self.level} ({self.boot_ms}) {self.tag}: {self.text}"


class Logbook:
    """Collects log lines with the time of the step they belong to.

    The device sets `now` before anything happens in a step; whoever shows the lines
    calls `take` now and then. What would flood it is counted, see `LogLimit`.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.booted_at = 0.0
        self._lines: deque[LogLine] = deque(maxlen=KEPT_LINES)
        self._limit = LogLimit()

    def __call__(self, level: Level, tag: str, text: str) -> None:
        """Write one line; satisfies `softaxe.units.Log`."""
        boot_ms = round((self.now - self.booted_at) * 1000)
        for line in self._limit.lines(level, tag, text, self.now):
            self._lines.append(LogLine(boot_ms, *line))

    def take(self) -> list[LogLine]:
        """Return the lines written since the last call, oldest first."""
        if not self._lines:
            return []
        lines = list(self._lines)
        self._lines.clear()
        return lines
