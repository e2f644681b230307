"""The state of a whole fleet, kept in memory to come back to.

Devices and the pool are plain objects without I/O, so their pickles are their state.
What everybody shares and nobody changes is left out and found again by its name. A
pickle is read by the process that wrote it and never leaves its memory: whoever reads
one from elsewhere runs what is written there.
"""

import io
import pickle
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from softaxe.asic.chip import REAL, SCALED
from softaxe.device.device import Device
from softaxe.device.profile import DOCUMENTED, FIRMWARE, STRICT
from softaxe.device.setting_rules import Stored
from softaxe.errors import SettingError
from softaxe.faults import FaultRules
from softaxe.fleet.turns import in_turns
from softaxe.serve.member import Member, MemberOptions
from softaxe.serve.saver import Saver
from softaxe.serve.static_files import OUR_PAGE
from softaxe.serve.storage import State
from softaxe.stratum.pool import Pool

MOST_SNAPSHOTS = 10

_SHARED: Mapping[str, object] = {
    "real": REAL,
    "scaled": SCALED,
    "documented": DOCUMENTED,
    "strict": STRICT,
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


class KeptDevice(Struct, frozen=True):
    """A device at one moment."""

    options: MemberOptions
    """What made it."""
    stored: Mapping[str, Stored]
    """Its settings on disk by NVS key; the run's own are not among them."""
    pickled: bytes


class Snapshot(Struct, frozen=True):
    """A fleet at one moment."""

    name: str
    now: float
    devices: Mapping[str, KeptDevice]
    """By id."""
    pool: bytes | None
    rules: bytes
    """What was ordered to go wrong."""
    images: frozenset[str]
    """SHA-256 of the images in the devices' flash."""

    def to_json(self) -> dict[str, Any]:
        """Return what the control API tells."""
        size = sum(len(kept.pickled) for kept in self.devices.values())
        return {
            "name": self.name,
            "now": round(self.now, 3),
            "devices": len(self.devices),
            "bytes": size + len(self.pool or b""),
        }

    def device(self, device_id: str) -> Device:
        """Return the device as it was."""
        device: Device = thawed(self.devices[device_id].pickled)
        return device

    def rules_then(self) -> FaultRules:
        """Return the fault rules as they were."""
        rules: FaultRules = thawed(self.rules)
        return rules

    def pool_then(self) -> Pool | None:
        """Return the pool as it was, its connections gone."""
        if self.pool is None:
            return None
        pool: Pool = thawed(self.pool)
        for connection in pool.connections:
            connection.closed(self.now)
        return pool


class Snapshots:
    """The snapshots of a fleet, by name; keeps the images that they need on disk.

    Args:
        storage: Where the images are.
        saver: Knows what is stored for each device.
    """

    def __init__(self, storage: State, saver: Saver) -> None:
        self._storage = storage
        self._saver = saver
        self._taken: dict[str, Snapshot] = {}
        self._new: Snapshot | None = None
        """One that is to be, when all other parts of the fleet have theirs, too."""

    def __iter__(self) -> Iterator[Snapshot]:
        """Iterate from the oldest."""
        return iter(self._taken.values())

    def __getitem__(self, name: str) -> Snapshot:
        """Return one; KeyError when there is none of the name."""
        return self._taken[name]

    async def take(
        self,
        name: str,
        now: float,
        members: Iterable[Member],
        *,
        pool: Pool | None,
        rules: FaultRules,
    ) -> Snapshot:
        """Take the state of devices, pool and faults; `keep` or `discard` it then.

        Raises:
            SettingError: There are too many.
        """
        if len(self._taken) >= MOST_SNAPSHOTS and name not in self._taken:
            raise SettingError(f"name: there are {MOST_SNAPSHOTS} snapshots; drop one")
        devices = {}
        images: set[str] = set()
        async for member in in_turns(members):
            member.step(now)
            images |= member.device.flash.images()
            self._keep_images(images)
            devices[member.id] = KeptDevice(
                member.options,
                self._saver.settings_of(member.key),
                frozen(member.device),
            )
        self._new = Snapshot(
            name=name,
            now=now,
            devices=devices,
            pool=None if pool is None else frozen(pool),
            rules=frozen(rules),
            images=frozenset(images),
        )
        self._keep_images()
        return self._new

    def keep(self, name: str) -> None:
        """Let the one that was taken have its name, in the place of an older one.

        Raises:
            KeyError: None of the name was taken.
        """
        if self._new is None or self._new.name != name:
            raise KeyError(name)
        self._taken.pop(name, None)
        self._taken[name] = self._new
        self.discard()

    def discard(self) -> None:
        """Forget one that was taken and not kept."""
        self._new = None
        self._keep_images()

    def drop(self, name: str) -> None:
        """Forget one.

        Raises:
            KeyError: There is none of the name.
        """
        del self._taken[name]
        self._keep_images()

    def clear(self) -> None:
        """Forget all."""
        self._taken.clear()
        self.discard()

    def _keep_images(self, more: Collection[str] = ()) -> None:
        """Let the images of all snapshots stay, and more."""
        new = () if self._new is None else self._new.images
        named = (snapshot.images for snapshot in self)
        self._storage.kept_images = frozenset(more).union(new, *named)


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


def thawed(data: bytes) -> Any:
    """Return what was frozen."""
    return _Unpickler(io.BytesIO(data)).load()
