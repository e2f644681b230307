"""What a fleet remembers of each of its devices, for charts: a point a minute."""

import math
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from softaxe.device.device import Device
from softaxe.fleet.turns import in_turns
from softaxe.serve.member import Member

EVERY_S = 60.0
MOST_POINTS = 120
"""Two hours of points; of a device they take 2.9 kB."""
BELIEVED = 2.0
"""A reading up to so many times what the chips can do is one of chance."""


def hashing_hs(device: Device) -> float:
    """What a device adds to its fleet: its reading, if that can be true.

    A device shows what it has last measured when its chips are off, and an immense rate
    when a counter has run over; fidelity is for the device, not for sums of many.
    """
    told_hs, can_hs = device.hashrate.current_hs, device.chips_hs
    return told_hs if told_hs <= BELIEVED * can_hs else can_hs


QUANTITIES: Mapping[str, Callable[[Device], float | None]] = {
    "hashRate": lambda device: hashing_hs(device) / 1e9,
    "power": lambda device: device.readings.power_w,
    "temp": lambda device: device.readings.temp_c,
    "vrTemp": lambda device: device.readings.vr_temp_c,
    "fanspeed": lambda device: device.readings.fan_percent,
    "uptimeSeconds": lambda device: device.uptime_s,
}
"""What is remembered, as a row of `fleet/rows` calls it."""
DIGITS = 6
"""Significant ones, of a number of 4 bytes."""


class DeviceHistories:
    """Remembers some quantities of each device over the last two hours."""

    def __init__(self) -> None:
        self.due = 0.0
        """Device time of the next point."""
        self._now = deque[float](maxlen=MOST_POINTS)
        self._values: dict[str, array[float]] = {}
        """Of a device all values of its first point, then of the next ones, which end
        with the last one of `_now`. What is not known is no number."""

    async def note(self, now: float, members: Iterable[Member]) -> None:
        """Add a point; the next one is due a minute later."""
        self.due = now + EVERY_S
        self._now.append(round(now, 1))
        before, self._values = self._values, {}
        async for member in in_turns(members):
            values = before.get(member.id, array("f"))
            for of in QUANTITIES.values():
                value = of(member.device)
                values.append(math.nan if value is None else value)
            del values[: -MOST_POINTS * len(QUANTITIES)]
            self._values[member.id] = values

    def restart(self, now: float) -> None:
        """Forget everything: time has been set back to `now`."""
        self._now.clear()
        self._values.clear()
        self.due = now

    def to_json(self, device_id: str) -> Mapping[str, Sequence[float | None]]:
        """Return one list per quantity of a device, oldest first."""
        values = self._values.get(device_id, array("f"))
        width = len(QUANTITIES)
        count = len(values) // width
        columns = {
            name: [_shown(value) for value in values[place::width]]
            for place, name in enumerate(QUANTITIES)
        }
        return {"now": [*self._now][len(self._now) - count :], **columns}


def _shown(value: float) -> float | None:
    return None if math.isnan(value) else float(f"{value:.{DIGITS}g}")
