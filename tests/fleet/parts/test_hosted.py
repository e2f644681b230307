"""A part of a fleet whose clock and disk are elsewhere, with nothing in between."""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx
import pytest

from softaxe.device.logbook import LogLine
from softaxe.errors import StorageError
from softaxe.fleet.groups import Group, numbered
from softaxe.fleet.options import FleetOptions
from softaxe.fleet.parts.hosted import (
    HostedPart,
    Keeper,
    KeptElsewhere,
    Memory,
    News,
    NotBegun,
)
from softaxe.serve.storage import State, Storage
from softaxe.units import Level


def asking(keeper: Keeper) -> Callable[..., Any]:
    return lambda name, *arguments: getattr(keeper, name)(*arguments)


def live(
    keeper: Keeper,
    work: Callable[[HostedPart], Coroutine[None, None, None]],
    *,
    now: float = 0.0,
    memory: Memory | None = None,
) -> None:
    """Let a part of three devices live while `work` does."""

    async def main() -> None:
        part = HostedPart()
        with pytest.raises(NotBegun):
            await part.ask("ids", {})
        with pytest.raises(NotBegun):
            await part.pace(now + 1.0, searching=0.0)
        options = FleetOptions(
            Path(),
            groups=tuple(numbered([Group(count=3)])),
            port=0,
            pool_port=0,
            seed=7,
            is_part=True,
        )
        await part.start(
            options,
            asking(keeper),
            levels=frozenset({Level.INFO}),
            now=now,
            memory=memory,
        )
        running = asyncio.ensure_future(part.run())
        try:
            await work(part)
            await part.stop()
            await asyncio.wait_for(running, 30)
        finally:
            await part.close()

    asyncio.run(main())


async def url_of(part: HostedPart, device_id: str) -> str:
    told = await part.ask("device", {"device_id": device_id})
    url: str = told.found["row"]["url"]
    return url


def test_a_part_goes_as_far_as_it_is_told_and_tells_its_log(tmp_path: Path) -> None:
    async def work(part: HostedPart) -> None:
        lines: list[tuple[str, LogLine]] = []
        for until in (101.0, 105.0):
            news = News(100.0, (), 0.0)
            while news.now < until:
                news = await part.pace(until, searching=0.0)
                lines += news.lines
            assert news.now == until
        assert {device_id for device_id, _ in lines} == {"601-1", "601-2", "601-3"}
        assert {line.level for _, line in lines} == {Level.INFO}
        done = await part.ask("advance", {"seconds": 10.0, "until": None})
        assert (done.now, done.memory) == (115.0, None)

    live(Keeper(tmp_path), work, now=100.0)


def test_what_devices_store_outlives_their_part(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)

    async def change(part: HostedPart) -> None:
        async with httpx.AsyncClient() as client:
            body = {"hostname": "kept"}
            url = await url_of(part, "601-2")
            assert (await client.patch(f"{url}/api/system", json=body)).is_success

    async def look(part: HostedPart) -> None:
        told = await part.ask("device", {"device_id": "601-2"})
        assert told.found["row"]["hostname"] == "kept"

    live(keeper, change)
    live(keeper, look)


def test_a_part_comes_back_as_it_was(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    memories: list[Memory] = []

    async def change(part: HostedPart) -> None:
        async def order(order: str, /, **arguments: Any) -> None:
            done = await part.ask(order, arguments)
            if done.memory is not None:
                memories.append(done.memory)

        await order("remove_device", device_id="601-2")
        await order("take_snapshot", name="two")
        await order("keep_snapshot", name="two")
        await order("add_fault", rule={"effect": "ambient", "c": 40, "id": "hot"})
        await order("add_devices", group={"name": "late"}, number=2)
        await order("remove_device", device_id="601-3")
        await order("restore", name="two")

    def expect(devices: dict[str, str], faults: list[str]) -> Any:
        async def look(part: HostedPart) -> None:
            assert (await part.ask("ids", {})).found == devices
            told = (await part.ask("faults", {})).found["faults"]
            assert [rule["id"] for rule in told if rule["active"]] == faults
            assert [rule["matches"] for rule in told] == len(faults) * [len(devices)]
            await part.ask("reset", {})
            every = dict.fromkeys(("601-1", "601-2", "601-3"), "devices")
            assert (await part.ask("ids", {})).found == every

        return look

    live(keeper, change)
    _, _, _, before, after = memories
    then = {"601-1": "devices", "601-2": "late"}
    live(keeper, expect(then, ["hot"]), now=60.0, memory=before)
    then = {"601-1": "devices", "601-3": "devices"}
    live(keeper, expect(then, []), now=60.0, memory=after)


@pytest.mark.parametrize("is_elsewhere", [False, True])
def test_a_part_keeps_elsewhere_what_others_keep_here(
    tmp_path: Path, *, is_elsewhere: bool
) -> None:
    keeper = Keeper(tmp_path / "a")
    state: State = Storage(tmp_path / "b")
    if is_elsewhere:
        state = KeptElsewhere(asking(keeper), None, [Group()])

    assert state.keep_seed(5) == 5
    state.save([("x", {"a": 1, "b": "two"})], {"x": {"slot": "ota"}})
    state.save([("x", {"a": None})])
    state.save_flash("y", {"slot": "factory"})
    assert state.load_settings("x") == {"b": "two"}
    assert state.load_flash("x") == {"slot": "ota"}
    state.forget(["x"])
    assert (state.load_settings("x"), state.load_flash("x")) == ({}, {})
    state.forget_others(["z"])
    assert state.load_flash("y") == {}

    sink = state.new_image()
    sink.write(b"an ima")
    sink.write(b"ge")
    assert sink.read() == b"an image"
    name = sink.commit()
    assert name == hashlib.sha256(b"an image").hexdigest()
    assert state.read_image(name) == b"an image"
    with pytest.raises(StorageError):
        state.read_image("0" * 64)
    assert not state.has_neighbouring_seeds
    state.close()
