import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from softaxe import Device
from softaxe.device.events import SaveSettings
from softaxe.errors import StorageError
from softaxe.serve.saver import Saver
from softaxe.serve.storage import Storage


def changed(device: Device, seconds: int) -> SaveSettings:
    device.patch([("statsFrequency", seconds)], device.now)
    (request,) = [e for e in device.events() if isinstance(e, SaveSettings)]
    return request


def test_many_devices_go_to_disk_in_one_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, saves = Storage(tmp_path), []
    save = storage.save

    def counted(*arguments: Any) -> None:
        saves.append(arguments)
        save(*arguments)

    monkeypatch.setattr(storage, "save", counted)
    saver, devices = Saver(storage), [Device(seed=n) for n in range(20)]

    async def main() -> None:
        for number, device in enumerate(devices):
            saver.add(f"601-{number}", device, changed(device, number + 1))
        await saver.commit()

    asyncio.run(main())

    assert len(saves) == 1
    assert storage.load_settings("601-7") == {"statsFrequency": 8}
    assert saver.is_idle
    storage.close()


def test_what_cannot_be_saved_is_taken_back_from_its_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise StorageError("disk full")

    storage, device = Storage(tmp_path), Device()
    before = device.settings.statistics_interval_s
    monkeypatch.setattr(storage, "save", full)
    saver = Saver(storage)

    async def main() -> None:
        saver.add("601-0", device, changed(device, 33))
        with pytest.raises(StorageError, match="disk full"):
            await saver.commit("601-0")

    asyncio.run(main())

    assert device.settings.statistics_interval_s == before
    storage.close()


def test_what_waits_is_saved_though_nobody_waits_for_it_any_more(
    tmp_path: Path,
) -> None:
    storage, device = Storage(tmp_path), Device()
    saver, is_free = Saver(storage), threading.Event()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        busy = loop.run_in_executor(None, is_free.wait)
        saver.add("601-0", device, changed(device, 33))
        waiting = asyncio.ensure_future(saver.commit())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        is_free.set()
        await busy
        await saver.commit()

    asyncio.run(main())

    assert storage.load_settings("601-0") == {"statsFrequency": 33}
    storage.close()


def test_what_came_while_a_save_was_failing_fails_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, device, other = Storage(tmp_path), Device(), Device(seed=1)
    saver, has_begun, may_fail = Saver(storage), threading.Event(), threading.Event()
    before = device.settings
    save = storage.save

    def full_once(*arguments: Any) -> None:
        monkeypatch.setattr(storage, "save", save)
        has_begun.set()
        assert may_fail.wait(20)
        raise StorageError("disk full")

    monkeypatch.setattr(storage, "save", full_once)

    async def main() -> None:
        saver.add("601-0", device, changed(device, 33))
        first = asyncio.ensure_future(saver.commit("601-0"))
        assert await asyncio.to_thread(has_begun.wait, 20)
        saver.add("601-0", device, changed(device, 33))
        saver.add("601-1", other, changed(other, 44))
        second = asyncio.ensure_future(saver.commit("601-0"))
        third = asyncio.ensure_future(saver.commit("601-1"))
        await asyncio.sleep(0)
        may_fail.set()
        told = await asyncio.gather(first, second, third, return_exceptions=True)
        assert [str(error) for error in told] == ["disk full", "disk full", "None"]

    asyncio.run(main())

    assert device.settings == before
    assert storage.load_settings("601-0") == {}
    assert storage.load_settings("601-1") == {"statsFrequency": 44}
    storage.close()


def test_what_waits_counts_as_stored(tmp_path: Path) -> None:
    storage, device = Storage(tmp_path), Device()
    storage.save_settings("601-0", {"rotation": 90, "temptarget": 55, "strange": 1})
    saver = Saver(storage)

    async def main() -> tuple[object, ...]:
        saver.add("601-0", device, changed(device, 33))
        saver.add("601-0", device, SaveSettings({"rotation": None}))
        saver.add("601-1", device, changed(device, 44))
        waiting = saver.settings_of("601-0")
        under_way = asyncio.ensure_future(saver.commit())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert saver.is_idle
        meanwhile = saver.settings_of("601-0")
        await under_way
        return waiting, meanwhile, saver.settings_of("601-0")

    waiting, meanwhile, stored = asyncio.run(main())

    assert (
        waiting
        == meanwhile
        == stored
        == {
            "temptarget": 55,
            "statsFrequency": 33,
            "strange": 1,
        }
    )
    storage.close()
