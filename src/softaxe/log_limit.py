"""Keeps a log bounded, whoever makes it grow.

What a device or a pool logs in its usual life passes untouched. Of a flood, lines that
are equal and lines beyond a measure for every ten seconds are counted instead.
"""

from collections import Counter

from softaxe.units import Level

WINDOW_S = 10.0
MOST_LINES = 500
"""Of each level in a window; a Bitaxe in its usual life writes under 100."""
MOST_CHARACTERS = 1 << 16
"""Of each level in a window."""
MOST_EQUAL = 100
"""In a window; a fault that is told every 100 ms is told as it comes."""
FREE_LINES = 100
FREE_CHARACTERS = 1 << 14
"""Of all levels in a window; nothing of so little is looked at."""
SHOWN_CHARACTERS = 200
TAG = "softaxe"

Line = tuple[Level, str, str]
"""Level, tag and text."""


class LogLimit:
    """Tells what of a log to write.

    Args:
        most_lines: Of each level in a window.
        most_characters: Likewise.
    """

    __slots__ = ("_characters", "_count", "_limits", "_meter", "_window")

    def __init__(
        self,
        *,
        most_lines: int = MOST_LINES,
        most_characters: int = MOST_CHARACTERS,
    ) -> None:
        self._limits = most_lines, most_characters
        self._window = 0.0
        self._count = 0
        self._characters = 0
        self._meter: _Meter | None = None

    def lets_pass(self, characters: int, now: float) -> bool:
        """Count a line that needs no look at it; False, and not counted, if it does.

        Args:
            characters: About how long it is.
            now: Time of the log, in seconds.
        """
        if now // WINDOW_S != self._window or self._count >= FREE_LINES:
            return False
        if self._characters + characters > FREE_CHARACTERS:
            return False
        self._count += 1
        self._characters += characters
        return True

    def lines(self, level: Level, tag: str, text: str, now: float) -> list[Line]:
        """Return what to write when this line comes.

        Args:
            level: Of the line.
            tag: Of the line.
            text: Of the line.
            now: Time of the log, in seconds.

        Returns:
            The line, if it passes, after what is to be said of those that did not.
        """
        found: list[Line] = []
        if (window := now // WINDOW_S) != self._window:
            found = [] if self._meter is None else self._meter.notes()
            self._window = window
            self._count = self._characters = 0
            self._meter = None
        self._count += 1
        self._characters += len(text)
        line = level, tag, text
        if self._count <= FREE_LINES and self._characters <= FREE_CHARACTERS:
            found.append(line)
            return found
        if self._meter is None:
            self._meter = _Meter()
        if self._meter.passes(line, *self._limits):
            found.append(line)
        return found


class _Meter:
    """Counts the lines of one window."""

    def __init__(self) -> None:
        self._lines = Counter[Level]()
        self._characters = Counter[Level]()
        self._left_out = Counter[Level]()
        self._seen = Counter[Line]()

    def passes(self, line: Line, most_lines: int, most_characters: int) -> bool:
        level, _, text = line
        if self._seen[line] >= MOST_EQUAL:
            self._seen[line] += 1
            return False
        is_full = self._lines[level] >= most_lines
        if is_full or self._characters[level] >= most_characters:
            self._left_out[level] += 1
            return False
        self._lines[level] += 1
        self._characters[level] += len(text)
        self._seen[line] += 1
        return True

    def notes(self) -> list[Line]:
        """Return what is to be said of the lines that did not pass."""
        equal = [
            (level, tag, f"{count - MOST_EQUAL} more times: {text[:SHOWN_CHARACTERS]}")
            for (level, tag, text), count in self._seen.items()
            if count > MOST_EQUAL
        ]
        others = [
            (level, TAG, f"{count} more lines in {WINDOW_S:g} s")
            for level, count in self._left_out.items()
        ]
        return equal + others
