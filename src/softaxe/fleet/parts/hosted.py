"""A part of a fleet on another machine: called from elsewhere, its disk elsewhere, too.

How calls travel is for others; here are the two ends that they reach. `HostedPart` is
where the devices are, `Keeper` where the state directory is.
"""

import asyncio
import os
import tempfile
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace as replaced

from softaxe.device.logbook import LogLine
from softaxe.errors import FleetStopped, NotNow
from softaxe.fleet.clock import LOOK_S, Clock, Pace
from softaxe.fleet.fleet import Fleet, settle_memory
from softaxe.fleet.groups import Group, member_options, read_group
from softaxe.fleet.options import FleetOptions
from softaxe.fleet.parts.division import without
from softaxe.fleet.parts.operations import Operations
from softaxe.fleet.search_thread import Budget
from softaxe.fleet.seeds import member_seed, neighbouring_seed
from softaxe.fleet.snapshots import frozen, thawed
from softaxe.serve.storage import (
    PART_SUFFIX,
    FlashValue,
    ImageSink,
    SettingValue,
    Storage,
)
from softaxe.units import Level

MOST_LINES = 10_000
"""Log lines that wait for somebody to take them."""
ARRIVE_S = 1.0
"""Real seconds that a call waits for the part to come where it is told to."""
Ask = Callable[..., Any]
"""Asks a `Keeper`: its method's name and arguments; waits for what that returns."""
Rows = tuple[dict[str, object], dict[str, object]]
_CHANGES = frozenset(
    {
        "add_devices",
        "remove_device",
        "add_fault",
        "change_fault",
        "remove_fault",
        "clear_faults",
        "restore",
        "reset",
    }
)
"""Operations after which a part that came back would be another one."""


class NotBegun(NotNow):
    """It was made just now, perhaps instead of one that has died, and not begun."""


class Memory(Struct, frozen=True):
    """What a part would need to become again what it is, beside what is stored."""

    groups: tuple[Group, ...]
    """Of the devices there are, with their numbers."""
    rules: bytes
    """What was ordered to go wrong."""


class Done(Struct, frozen=True):
    """What came of an operation."""

    found: Any
    """What it returned."""
    now: float
    """Device time then."""
    memory: Memory | None
    """When it has changed."""


class News(Struct, frozen=True):
    """What a part tells whenever it is told how far time may go."""

    now: float
    """Device time that it has come to."""
    lines: tuple[tuple[str, LogLine], ...]
    """What its devices have logged since, with their ids."""
    searching: float
    """How many of its devices do real work."""


class HostedPart:
    """A fleet of this process whose clock and disk are elsewhere.

    `start`, then `run`, `pace` and `ask`, all at once, then `close`.
    """

    def __init__(self) -> None:
        self._levels = frozenset[Level]()
        self._lines = deque[tuple[str, LogLine]](maxlen=MOST_LINES)
        self._searching = [0.0, 0.0]
        """How many devices here do real work, and how many elsewhere."""
        self._groups: tuple[Group, ...] = ()
        """Of the devices there are, with their numbers."""
        self._groups_then: dict[str, tuple[Group, ...]] = {}
        """As they were, by the name of a snapshot."""
        self._pace = Pace([0.0, 0.0])
        self._fleet: Fleet | None = None
        self._operations: Operations | None = None

    async def start(
        self,
        options: FleetOptions,
        ask_keeper: Ask,
        *,
        levels: frozenset[Level],
        now: float,
        memory: Memory | None = None,
    ) -> None:
        """Return when all devices are up.

        Args:
            options: Of the part.
            ask_keeper: Reaches what remembers.
            levels: Of the log lines that somebody wants.
            now: Device time.
            memory: What it had become, when it is to come back.

        Raises:
            SoftaxeError, OSError: They cannot be.
        """
        self._levels = levels
        self._pace.until = self._pace.now = now
        self._groups = options.groups if memory is None else memory.groups
        fleet = Fleet(
            options,
            show_log=self._keep_line if levels else None,
            log_levels=levels,
            clock=Clock(start=now, pace=self._pace),
            budget=Budget(options.cpu_percent, self._searching),
            storage=KeptElsewhere(ask_keeper, options.seed, self._groups),
        )
        fleet.ticker.set_clock(speed=options.speed, is_paused=options.is_paused)
        self._operations = Operations(fleet)
        self._fleet = fleet
        with suppress(FleetStopped):
            await fleet.start(
                groups=self._groups,
                rules=None if memory is None else thawed(memory.rules),
            )
        settle_memory()

    async def run(self) -> None:
        """Return when it has ended, as it was told to."""
        await self._there().run()

    async def pace(self, until: float, *, searching: float) -> News:
        """Let the devices live until this device time; return when they have, or soon.

        Args:
            until: How far they may go.
            searching: How many devices of other parts do real work.

        Raises:
            NotBegun: There are no devices.
        """
        self._there()
        self._pace.until = until
        self._searching[1] = searching
        late = time.monotonic() + ARRIVE_S
        while self._pace.now < until and time.monotonic() < late:  # noqa: ASYNC110 - a
            # clock tells nobody that it has come there, and need not
            await asyncio.sleep(LOOK_S)
        lines = tuple(self._lines)
        self._lines.clear()
        return News(self._pace.now, lines, self._searching[0])

    async def ask(self, name: str, arguments: Mapping[str, Any]) -> Done:
        """Do one of `Operations`.

        Raises:
            NotBegun: There are no devices.
            SoftaxeError, OSError: What the operation raises.
        """
        fleet = self._there()
        leaving = fleet.members.get(arguments.get("device_id", ""))
        found = await getattr(self._operations, name)(**arguments)
        if name == "add_devices":
            group = read_group(arguments["group"])
            self._groups += (replaced(group, first_of_fleet=arguments["number"]),)
        elif name == "remove_device" and leaving is not None:
            self._groups = without(self._groups, leaving.options.number)
        elif name == "reset":
            self._groups = fleet.options.groups
            self._groups_then.clear()
        elif name == "keep_snapshot":  # nobody comes or goes since it was taken
            self._groups_then[arguments["name"]] = self._groups
        elif name == "restore":
            self._groups = self._groups_then[arguments["name"]]
        memory = None
        if name in _CHANGES:
            memory = Memory(self._groups, frozen(fleet.faults.rules))
        return Done(found, self._pace.now, memory)

    async def stop(self) -> None:
        """Let it end soon; `run` returns then."""
        if self._fleet is not None:
            self._fleet.stop()

    async def close(self) -> None:
        """Close everything; what was to be saved is saved."""
        if self._fleet is not None:
            await self._fleet.close()

    def _keep_line(self, device_id: str, line: LogLine) -> None:
        if line.level in self._levels:
            self._lines.append((device_id, line))

    def _there(self) -> Fleet:
        if self._fleet is None:
            raise NotBegun("a part of the fleet has not begun")
        return self._fleet


class Keeper:
    """Remembers for the parts of a fleet, in its one state directory.

    Args:
        directory: Whose parent holds `lock_directory`.
    """

    def __init__(self, directory: Path) -> None:
        self._storage = Storage(directory, is_shared=True)

    def do(self, name: str, *arguments: Any) -> Any:
        """Do what `Storage` does by this name.

        Raises:
            StorageError: What that raises.
        """
        return getattr(self._storage, name)(*arguments)

    def begin(self, wanted: int | None) -> tuple[int, bool]:
        """Return the fleet's seed, and whether those of its devices are in a row."""
        storage = self._storage
        return storage.keep_seed(wanted), storage.has_neighbouring_seeds

    def load(self, device_ids: Iterable[str]) -> dict[str, Rows]:
        """Return settings and flash of many devices at once."""
        storage = self._storage
        return {
            one: (storage.load_settings(one), storage.load_flash(one))
            for one in device_ids
        }

    def keep_image(self, data: bytes) -> None:
        """Keep an image by its SHA-256.

        Raises:
            StorageError: It could not be brought to disk.
        """
        sink = self._storage.new_image()
        sink.write(data)
        sink.commit()


class KeptElsewhere:
    """What a part remembers by a `Keeper`; as `Storage`, which says what each is.

    Args:
        ask: Reaches the keeper.
        seed: Of the fleet; None for the keeper's own.
        groups: Of the devices whose rows are fetched in one go.
    """

    def __init__(self, ask: Ask, seed: int | None, groups: Iterable[Group]) -> None:
        self.kept_images: frozenset[str] = frozenset()
        """Of no use here: a keeper drops no image while its fleet lives."""
        self._ask = ask
        self._seed, self.has_neighbouring_seeds = ask("begin", seed)
        seed_of = neighbouring_seed if self.has_neighbouring_seeds else member_seed
        keys = [
            one.key
            for group in groups
            for one in member_options(
                group, pool_rows={}, seed=self._seed, seed_of=seed_of
            )
        ]
        found: dict[str, Rows] = ask("load", keys)
        self._settings = {key: rows for key, (rows, _) in found.items()}
        self._flash = {key: rows for key, (_, rows) in found.items()}

    def close(self) -> None:
        """The keeper outlives its parts."""

    def keep_seed(self, wanted: int | None) -> int:
        """As of `Storage`."""
        return self._seed if wanted is None else wanted

    def save(
        self,
        settings: Iterable[tuple[str, Mapping[str, SettingValue | None]]] = (),
        flash: Mapping[str, Mapping[str, FlashValue]] | None = None,
    ) -> None:
        """As of `Storage`."""
        rows = [(device_id, dict(rows)) for device_id, rows in settings]
        self._ask("do", "save", rows, flash)
        for device_id, _ in rows:
            self._settings.pop(device_id, None)
        for device_id in flash or ():
            self._flash.pop(device_id, None)

    def save_flash(self, device_id: str, rows: Mapping[str, FlashValue]) -> None:
        """As of `Storage`."""
        self.save(flash={device_id: rows})

    def forget(self, device_ids: Iterable[str]) -> None:
        """As of `Storage`."""
        self._settings.clear()
        self._flash.clear()
        self._ask("do", "forget", list(device_ids))

    def forget_others(self, device_ids: Collection[str]) -> None:
        """As of `Storage`."""
        self._settings.clear()
        self._flash.clear()
        self._ask("do", "forget_others", list(device_ids))

    def load_settings(self, device_id: str) -> dict[str, object]:
        """As of `Storage`."""
        found = self._settings.pop(device_id, None)
        if found is None:
            found = self._ask("do", "load_settings", device_id)
        return found

    def load_flash(self, device_id: str) -> dict[str, object]:
        """As of `Storage`."""
        found = self._flash.pop(device_id, None)
        if found is None:
            found = self._ask("do", "load_flash", device_id)
        return found

    def new_image(self) -> ImageSink:
        """As of `Storage`; it is received here, and travels when it is complete."""
        number, name = tempfile.mkstemp(suffix=PART_SUFFIX)
        return ImageSink(os.fdopen(number, "w+b", buffering=0), Path(name), self)

    def read_image(self, sha256_hex: str) -> bytes:
        """As of `Storage`."""
        data: bytes = self._ask("do", "read_image", sha256_hex)
        return data

    def take_image(self, part: Path, sha256_hex: str) -> None:
        """As of `Storage`."""
        self._ask("keep_image", part.read_bytes())
        part.unlink()
