"""What devices and pools log, as it is printed, in each process of a fleet.

Those of a divided fleet have only this of the command line: Typer takes long to load.
"""

import asyncio
import io
import json
import os
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TextIO

from msgspec.structs import replace

from softaxe.units import Level, printable

if TYPE_CHECKING:
    from softaxe.device.logbook import LogLine

PRINT_S = 0.1
"""Real seconds that a device's log line may wait to be printed."""


class LogLevel(StrEnum):
    """From which level the device's log is printed."""

    NONE = "none"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class LogFormat(StrEnum):
    """How lines are printed."""

    TEXT = "text"
    JSON = "json"


BOX = " \t\r│╭╮╰╯─"
"""Blanks, and what Typer draws around an error."""
OURS = "softaxe"
"""Tag of lines that no device and no pool has written, and what they begin with."""


class JsonLines(io.TextIOBase):
    """A stream that makes a JSON object of every line.

    Args:
        under: Where they are written.
        level: Of lines that do not tell theirs.
    """

    encoding = "utf-8"

    def __init__(self, under: TextIO, level: Level) -> None:
        self.under = under
        self._level = level
        self._begun = ""

    def write(self, text: str) -> int:
        """Take text; whole lines go on."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            if said := line.strip(BOX):
                level = self._level
                if said.startswith(f"{OURS}: "):
                    level, said = Level.WARNING, said.removeprefix(f"{OURS}: ")
                self.put(level, OURS, said)
        return len(text)

    def put(
        self,
        level: Level,
        tag: str,
        text: str,
        *,
        device: str | None = None,
        **more: Any,
    ) -> None:
        """Write an object; what is not ASCII is escaped, so terminals do nothing."""
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "device": device,
            "level": level.name.lower(),
            "tag": tag,
            "text": text,
            **more,
        }
        self.under.write(f"{json.dumps(line)}\n")

    def flush(self) -> None:
        """Let what was written be seen."""
        self.under.flush()


def print_as(log_format: LogFormat) -> None:
    """Print all that this process prints from now on in a format."""
    if log_format is LogFormat.JSON:
        sys.stdout = JsonLines(sys.stdout, Level.INFO)
        sys.stderr = JsonLines(sys.stderr, Level.ERROR)


def print_pool_log(level: Level, tag: str, text: str) -> None:
    """Print a line of a pool's log."""
    if isinstance(sys.stdout, JsonLines):
        sys.stdout.put(level, tag, text)
    else:
        sys.stdout.write(f"{level} {tag}: {printable(text)}\n")
    sys.stdout.flush()


_SHOWN = {
    LogLevel.NONE: frozenset[Level](),
    LogLevel.ERROR: frozenset({Level.ERROR}),
    LogLevel.WARNING: frozenset({Level.ERROR, Level.WARNING}),
    LogLevel.INFO: frozenset(Level),
}


@dataclass(slots=True)
class ShowLog:
    """Prints log lines from a level on; goes along to other processes.

    Lines are flushed in batches: that takes longer than the device that wrote one.
    """

    log_level: LogLevel
    is_many: bool = False
    """There are several devices, so lines begin with the device's id."""
    _speakers: set[str] = field(default_factory=set)
    _is_waiting: bool = False

    @property
    def levels(self) -> frozenset[Level]:
        """Of the lines that are shown."""
        return _SHOWN[self.log_level]

    def __call__(self, device_id: str, line: "LogLine") -> None:
        """Print `line` if its level is shown."""
        if line.level not in self.levels:
            return
        self._speakers.add(device_id)
        out = sys.stdout
        if not self._is_waiting:
            under = out.under if isinstance(out, JsonLines) else out
            if isinstance(under, io.TextIOWrapper):
                under.reconfigure(line_buffering=False)
            asyncio.get_running_loop().call_later(PRINT_S, self._flush)
            self._is_waiting = True
        level, tag, text = line.level, line.tag, line.text
        if isinstance(out, JsonLines):
            out.put(level, tag, text, device=device_id, boot_ms=line.boot_ms)
            return
        # Much of it is what pools and clients have said.
        tag, words = printable(tag), printable(text)
        line = replace(line, tag=tag, template=words, values={})
        is_coloured = out.isatty() and not os.environ.get("NO_COLOR")
        text = line.coloured if is_coloured else line.plain + "\n"
        is_named = self.is_many or len(self._speakers) > 1
        out.write(f"{device_id} {text}" if is_named else text)

    def _flush(self) -> None:
        sys.stdout.flush()
        self._is_waiting = False
