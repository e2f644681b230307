"""The state of a whole fleet, kept in memory to come back to.

Devices and the pool are plain objects without I/O, so their pickles are their state.
What everybody shares and nobody changes is left out and found again by its name.
"""

import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from softaxe.asic.chip import REAL, SCALED
from softaxe.device.device import Device
from softaxe.device.profile import DOCUMENTED, FIRMWARE
from softaxe.faults import FaultRules
from softaxe.serve.member import MemberOptions
from softaxe.serve.static_files import OUR_PAGE
from softaxe.stratum.pool import Pool

MOST_SNAPSHOTS = 10

_SHARED: Mapping[str, object] = {
    "real": REAL,
    "scaled": SCALED,
    "documented": DOCUMENTED,
    "firmware": FIRMWARE,
    "page": OUR_PAGE,
}
_NAMES = {id(value): name for name, value in _SHARED.items()}


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: object) -> str | None:
        return _NAMES.get(id(obj))


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, pid: Any) -> object:
        return _SHARED[pid]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A fleet at one moment."""

    name: str
    now: float
    devices: Mapping[str, tuple[MemberOptions, bytes]]
    """By id: what made the device, and its pickle."""
    pool: bytes | None
    rules: bytes
    """What was ordered to go wrong."""
    images: frozenset[str]
    """SHA-256 of the images in the devices' flash."""

    def to_json(self) -> dict[str, Any]:
        """Return what the control API tells."""
        size = sum(len(data) for _, data in self.devices.values())
        return {
            "name": self.name,
            "now": round(self.now, 3),
            "devices": len(self.devices),
            "bytes": size + len(self.pool or b""),
        }

    def device(self, device_id: str) -> Device:
        """Return the device as it was."""
        device: Device = _thawed(self.devices[device_id][1])
        return device

    def rules_then(self) -> FaultRules:
        """Return the fault rules as they were."""
        rules: FaultRules = _thawed(self.rules)
        return rules

    def pool_then(self) -> Pool | None:
        """Return the pool as it was, its connections gone."""
        if self.pool is None:
            return None
        pool: Pool = _thawed(self.pool)
        for connection in pool.connections:
            connection.closed(self.now)
        return pool


def frozen(thing: Device | Pool | FaultRules) -> bytes:
    """Return the state of a device, a pool or the fault rules."""
    log = None
    if isinstance(thing, Pool):  # who reads its log is no part of it
        log, thing.log = thing.log, None
    buffer = io.BytesIO()
    try:
        _Pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(thing)
    finally:
        if isinstance(thing, Pool):
            thing.log = log
    return buffer.getvalue()


def _thawed(data: bytes) -> Any:
    return _Unpickler(io.BytesIO(data)).load()
