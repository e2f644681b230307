"""What `/api/ws/live` sends: all of the info answer once, then what has changed.

There is one baseline for all clients of a device, so what has changed is found out once
however many they are. Members are compared as they are printed. Source: ESP-Miner
websocket_api.c.
"""

from collections.abc import Callable, Iterable
from functools import cache

from softaxe import cjson
from softaxe.api.schema import info_fields
from softaxe.catalog.firmware import Firmware
from softaxe.device.device import Device
from softaxe.device.load import UPDATE_S

PERIOD_S = 0.5
"""Of updates, in device time."""


class Live:
    """The baseline of one device's clients; there is none while there are no clients.

    Args:
        device: Whose, at the moment when the first client comes.
    """

    def __init__(self, device: Device) -> None:
        self._baseline: list[str] | None = None
        self._life = _life(device)
        self._period = _period(device)

    @staticmethod
    def whole(device: Device) -> str:
        """Return what a new client gets, alone and at once."""
        return _message(_texts(device))

    @staticmethod
    def next_at(device: Device) -> float:
        """Device time of the next update."""
        return device.booted_at + (_period(device) + 1) * PERIOD_S

    def update(self, device: Device) -> str | None:
        """Return what has changed, if an update is due and anything has.

        The first update after there was no client only takes the baseline: what has
        changed since the client's first message is lost until it changes again. A
        member that is gone is not told of.
        """
        if self._life != _life(device):
            self._life, self._baseline = _life(device), None
        period = _period(device)
        if period == self._period or not device.radio.has_had_lease:
            return None
        self._period = period
        texts = _texts(device)
        if device.load is not None:
            device.load.count(UPDATE_S)
        before, self._baseline = self._baseline, texts
        if before is None or before == texts:
            return None
        changed = [
            "" if text == old else text for text, old in zip(texts, before, strict=True)
        ]
        return _message(changed) if any(changed) else None


def _life(device: Device) -> tuple[Firmware, float]:
    """Tell one boot from another."""
    return device.firmware, device.booted_at


def _period(device: Device) -> int:
    return int((device.now - device.booted_at) // PERIOD_S)


Cell = tuple[str, cjson.Printer, Callable[[Device], object], bool]
"""A member's name as printed, its printer and getter, and whether it may be missing."""


@cache
def _cells(firmware: Firmware) -> tuple[Cell, ...]:
    return tuple(
        (f'"{field.name}":', field.print, field.get, field.is_optional)
        for field in info_fields(firmware)
        if field.is_live
    )


def _texts(device: Device) -> list[str]:
    """Return every member as printed, name included; empty for one that is missing."""
    return [
        "" if (value := get(device)) is None and is_optional else name + printed(value)
        for name, printed, get, is_optional in _cells(device.firmware)
    ]


def _message(texts: Iterable[str]) -> str:
    return f'{{"event":"update","data":{{{",".join(filter(None, texts))}}}}}'
