"""What has changed of the devices' rows since a client looked last.

One row of each device is kept for all clients, and of each of its members the look in
which it was found to be another: whoever names a look is told what is newer.
"""

import os
from collections.abc import Iterable
from typing import Any

Row = dict[str, Any]
MOST_REMOVED = 1000
"""Devices that are remembered as removed. Who has not looked for longer than these came
and went is told of all devices there are."""


class Changes:
    """Remembers rows, and tells what is new in them."""

    def __init__(self) -> None:
        # Another process knows nothing of these looks.
        self._process = os.urandom(4).hex()
        self._look = 0
        self._rows: dict[str, Row] = {}
        self._changed: dict[str, dict[str, int]] = {}
        """Look in which a member became what it is, of each row."""
        self._removed: dict[str, int] = {}
        self._oldest = 0
        """Look before which devices may have gone that nobody remembers."""

    def take(self, rows: Iterable[Row], since: str) -> dict[str, Any]:
        """Take what all rows are now; tell what is new since a look.

        Args:
            rows: Of all devices, each with its id, perhaps not with all its members.
            since: The `revision` of an earlier answer. Of any other text the whole rows
                are told, and `since` is None then.
        """
        self._look += 1
        told = []
        known = self._number_of(since)
        gone = self._rows.keys() - {row["id"] for row in rows}
        for device_id in gone:
            self._remove(device_id)
        for row in rows:
            new = self._take_row(row, -1 if known is None else known)
            if new:
                told.append({"id": row["id"], **new})
        removed = [] if known is None else self._removed
        return {
            "revision": f"{self._process}-{self._look}",
            "since": None if known is None else since,
            "devices": told,
            "removed": [one for one in removed if self._removed[one] > (known or 0)],
        }

    def _number_of(self, revision: str) -> int | None:
        """Return the look of a revision, if all is known that came after it."""
        process, _, number = revision.partition("-")
        is_ours = process == self._process and number.isdecimal()
        if not is_ours or not self._oldest <= int(number) < self._look:
            return None
        return int(number)

    def _take_row(self, row: Row, known: int) -> Row:
        """Return what is new in a row."""
        kept = self._rows.setdefault(row["id"], {})
        changed = self._changed.setdefault(row["id"], {})
        for name, value in row.items():
            if name not in kept or kept[name] != value:
                kept[name] = value
                changed[name] = self._look
        self._removed.pop(row["id"], None)
        return {name: row[name] for name in row if changed[name] > known}

    def _remove(self, device_id: str) -> None:
        del self._rows[device_id], self._changed[device_id]
        self._removed[device_id] = self._look
        if len(self._removed) > MOST_REMOVED:
            oldest = next(iter(self._removed))
            self._oldest = max(self._oldest, self._removed.pop(oldest))
