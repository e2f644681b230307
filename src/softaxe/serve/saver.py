"""Brings what devices want to keep to disk, many devices in one transaction."""

import asyncio
from dataclasses import dataclass

from softaxe.device.device import Device
from softaxe.device.events import SaveFlash, SaveSettings
from softaxe.device.setting_rules import Stored
from softaxe.device.settings import sift_stored
from softaxe.errors import StorageError
from softaxe.serve.storage import State


@dataclass(slots=True)
class Unsaved:
    """A device's request to save, and what became of it."""

    device_id: str
    device: Device
    request: SaveSettings | SaveFlash
    error: StorageError | None = None


class Saver:
    """Saves in the order of the requests.

    What cannot be saved is taken back from its device, and with it what the device
    asked for since: that builds on what is not there. While one transaction is on its
    way to disk the next one gathers, so many devices need few of them.

    Args:
        storage: Where it goes.
    """

    def __init__(self, storage: State) -> None:
        self._storage = storage
        self._unsaved: list[Unsaved] = []
        self._on_its_way: list[Unsaved] = []
        self._lock = asyncio.Lock()

    @property
    def is_idle(self) -> bool:
        """True when nothing waits to be taken to disk."""
        return not self._unsaved

    def add(
        self, device_id: str, device: Device, request: SaveSettings | SaveFlash
    ) -> None:
        """Take up a request; it is on disk after the next `commit`."""
        self._unsaved.append(Unsaved(device_id, device, request))

    def settings_of(self, device_id: str) -> dict[str, Stored]:
        """Return a device's settings as stored once all that waits is on disk.

        What is in force besides them is factory settings, or a run's own.
        """
        stored = self._storage.load_settings(device_id)
        for one in self._on_its_way + self._unsaved:
            if one.device_id == device_id and isinstance(one.request, SaveSettings):
                stored.update(one.request.rows)
        kept, _ = sift_stored({k: v for k, v in stored.items() if v is not None})
        return kept

    async def commit(self, device_id: str | None = None) -> None:
        """Wait until everything that was added so far is on disk.

        Args:
            device_id: Whose failure matters; None for any.

        Raises:
            StorageError: It could not be saved; the device has taken it back.
        """
        asked = [one for one in self._unsaved if device_id in {None, one.device_id}]
        # Who waits may be cancelled; what waits is saved all the same.
        await asyncio.shield(asyncio.ensure_future(self._commit_all()))
        for unsaved in asked:
            if unsaved.error is not None:
                raise unsaved.error

    async def _commit_all(self) -> None:
        async with self._lock:
            batch, self._unsaved = self._unsaved, []
            if not batch:
                return
            self._on_its_way = batch
            error = await asyncio.to_thread(self._save, batch)
            self._on_its_way = []
            if error is not None:
                self._take_back(batch, error)

    def _take_back(self, batch: list[Unsaved], error: StorageError) -> None:
        lost = {one.device_id for one in batch}
        since = [one for one in self._unsaved if one.device_id in lost]
        self._unsaved = [one for one in self._unsaved if one.device_id not in lost]
        for unsaved in reversed(batch + since):
            unsaved.error = error
            if isinstance(unsaved.request, SaveSettings):
                unsaved.device.settings_not_saved(unsaved.request)
            else:
                unsaved.device.flash_not_saved(unsaved.request)

    def _save(self, batch: list[Unsaved]) -> StorageError | None:
        settings = [
            (one.device_id, one.request.rows)
            for one in batch
            if isinstance(one.request, SaveSettings)
        ]
        flash = {
            one.device_id: one.request.rows
            for one in batch
            if isinstance(one.request, SaveFlash)
        }
        try:
            self._storage.save(settings, flash)
        except StorageError as error:
            return error
        return None
