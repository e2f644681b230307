"""What has happened in a fleet, for the marks on its charts: bounded, newest last."""

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from typing import Literal

from msgspec import Struct

from softaxe.device.device import Device
from softaxe.device.events import SaveSettings
from softaxe.device.setting_rules import SETTINGS

MOST_HAPPENINGS = 500
TOGETHER_S = 10.0
"""What happens to several devices within so long is one mark."""
Kind = Literal["restart", "fault", "setting", "block"]
_SETTINGS = {row.name: row for row in SETTINGS}


class Happening(Struct, frozen=True):
    """One mark."""

    now: float
    """Device time, in seconds."""
    kind: Kind
    label: str
    device: str = ""
    """Id of the first one that it happened to; empty when a rule began or ended."""
    devices: int = 0
    """To how many it happened."""


class Happenings:
    """The last ones of a fleet."""

    def __init__(self) -> None:
        self._kept = deque[Happening](maxlen=MOST_HAPPENINGS)
        self._active: Mapping[str, str] = {}

    def note(self, now: float, kind: Kind, label: str, device: str = "") -> None:
        """Add one, or count it to one that is alike."""
        first, devices, now = device, 1 if device else 0, round(now, 1)
        for place in range(len(self._kept) - 1, -1, -1):
            last = self._kept[place]
            if now - last.now > TOGETHER_S:
                break
            if device and (last.kind, last.label) == (kind, label):
                first, devices, now = last.device, last.devices + 1, last.now
                self._kept[place] = Happening(now, kind, label, first, devices)
                return
        self._kept.append(Happening(now, kind, label, first, devices))

    def note_settings(
        self, now: float, device: Device, id_: str, saved: SaveSettings
    ) -> None:
        """Add what a device's owner has changed."""
        for label in _changed(device, saved):
            self.note(now, "setting", label, id_)

    def note_faults(self, now: float, active: Mapping[str, str]) -> None:
        """Add which rules have begun or ended: their effects by id."""
        before, self._active = self._active, dict(active)
        for rule in active.keys() - before.keys():
            self.note(now, "fault", f"{active[rule]} begins")
        for rule in before.keys() - active.keys():
            self.note(now, "fault", f"{before[rule]} ends")

    def restart(self, now: float) -> None:
        """Forget what is later than `now`: time has been set back to it."""
        kept = [one for one in self._kept if one.now <= now]
        self._kept.clear()
        self._kept.extend(kept if now > 0 else [])

    def to_json(self) -> Collection[Happening]:
        """Return all, oldest first."""
        return list(self._kept)


def _changed(device: Device, saved: SaveSettings) -> Iterator[str]:
    """Tell what clients may set; others, such as the best difficulty, are counts."""
    for name, before in saved.values_before.items():
        row, now = _SETTINGS[name], getattr(device.settings, name)
        if row.rest_name is None or now == before:
            continue
        change = "" if row.is_secret else f": {before} \N{RIGHTWARDS ARROW} {now}"
        yield row.rest_name + change
