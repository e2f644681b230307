"""The best nonces a device ever found, as it keeps them over restarts.

Every valid nonce is offered, also those that are no share. A row is stored as text,
with less in it than in memory: what is read back after a restart has one decimal of
its difficulty. Source: ESP-Miner scoreboard.c.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from softaxe.units import Level, Log

PLACES = 20
KEYS = tuple(f"scoreboard_{place:02}" for place in range(1, PLACES + 1))
"""NVS keys, the best place's first."""
TEXT_CHARACTERS = 31
"""Of a job id and of an extranonce2; the rest is cut off."""
_STORED = re.compile(
    r"(?P<difficulty>[0-9]+(?:\.[0-9]+)?);(?P<job_id>[^;]{1,31});"
    r"(?P<extranonce2>[^;]{1,31});(?P<ntime>[0-9]+);(?P<nonce>[0-9]+);"
    r"(?P<version_bits>[0-9]+)"
)


class Entry(NamedTuple):
    """One of the best nonces."""

    difficulty: float
    job_id: str
    extranonce2: str
    """Hexadecimal."""
    ntime: int
    nonce: int
    version_bits: int
    """What differs from the job's version."""

    @property
    def stored(self) -> str:
        """As it is stored: one decimal, decimal integers."""
        difficulty, *others = self
        return ";".join((f"{difficulty:.1f}", *map(str, others)))

    @classmethod
    def read(cls, stored: str) -> "Entry | None":
        """Read a stored row; None for one that has an empty part, or is broken."""
        match = _STORED.match(stored)
        if match is None:
            return None
        return cls(
            float(match["difficulty"]),
            match["job_id"],
            match["extranonce2"],
            int(match["ntime"]),
            int(match["nonce"]),
            int(match["version_bits"]),
        )


class Scoreboard:
    """Up to 20 entries, the best first."""

    __slots__ = ("entries",)

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def boot(self, stored: Mapping[str, object], log: Log) -> None:
        """Begin with what is stored, up to the first place that is empty.

        Args:
            stored: Texts by NVS key; other keys are left alone.
            log: Told of rows that cannot be read.
        """
        self.entries.clear()
        for key in KEYS:
            text = stored.get(key)
            if not isinstance(text, str) or not text:
                break
            entry = Entry.read(text)
            if entry is None:
                complaint = f"Failed to parse scoreboard entry from NVS: {text}"
                log(Level.WARNING, "scoreboard", complaint)
            else:
                self.entries.append(entry)

    def offer(self, entry: Entry, log: Log) -> dict[str, str]:
        """Take an entry if it is good enough.

        Returns:
            The rows to store, by NVS key; none when it is not.
        """
        entries = self.entries
        if len(entries) == PLACES:
            if entry.difficulty <= entries[-1].difficulty:
                return {}
            entries.pop()
        place = len(entries)
        while place and entry.difficulty > entries[place - 1].difficulty:
            place -= 1
        entry = entry._replace(
            job_id=entry.job_id[:TEXT_CHARACTERS],
            extranonce2=entry.extranonce2[:TEXT_CHARACTERS],
        )
        entries.insert(place, entry)
        text = (
            f"New #{place + 1}: Difficulty: {entry.difficulty:.1f}, "
            f"Job ID: {entry.job_id}, extranonce2: {entry.extranonce2}, "
            f"ntime: {entry.ntime}, nonce: {entry.nonce:08X}, "
            f"version_bits: {entry.version_bits:08X}"
        )
        log(Level.INFO, "scoreboard", text)
        moved = (one.stored for one in entries[place:])
        return dict(zip(KEYS[place:], moved, strict=False))
