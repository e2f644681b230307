import asyncio
import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.each import each

from softaxe.errors import NotThere, SettingError
from softaxe.fleet.fleet import Fleet
from softaxe.fleet.groups import Group
from softaxe.fleet.options import FleetOptions
from softaxe.fleet.parts.operations import Operations

ARGUMENTS: dict[str, dict[str, Any]] = {
    "devices": {"group": None, "state": None, "firmware": None, "first": 0, "limit": 9},
    "add_devices": {"group": {"seed": 7}},
    "device": {"device_id": "601-1"},
    "device_history": {"device_id": "601-1"},
    "device_log": {"device_id": "601-1", "after": 0, "limit": 9},
    "remove_device": {"device_id": "601-2"},
    "order_device": {"device_id": "601-1", "order": "restart"},
    "miners": {"first": 0, "limit": 9},
    "miner": {"miner_id": "127.0.0.1:1"},
    "set_miner": {"miner_id": "127.0.0.1:1", "difficulty": 2.0},
    "do_deed": {"miner_id": "127.0.0.1:1", "deed": {"deed": "flood"}},
    "disconnect_miner": {"miner_id": "127.0.0.1:1"},
    "add_fault": {"rule": {"effect": "fan_dead", "id": "fans"}},
    "change_fault": {"rule": {"paused": True}, "rule_id": "fans"},
    "plan_fault": {"rule": {"effect": "fan_dead"}},
    "named": {"rule": {"effect": "fan_dead"}},
    "patch_device": {"device_id": "601-1", "settings": {"frequency": 525}},
    "remove_fault": {"rule_id": "fans"},
    "set_clock": {"speed": None, "is_paused": True},
    "advance": {"seconds": 5, "until": None},
    "journal": {"after": 0},
    "take_snapshot": {"name": "before"},
    "keep_snapshot": {"name": "before"},
    "restore": {"name": "before"},
    "drop_snapshot": {"name": "before"},
}
"""Of the operations that take any."""
ORDER = (
    *("ready", "add_devices", "remove_device", "add_fault", "set_clock"),
    *("take_snapshot", "keep_snapshot", "advance", "restore"),
    *("change_fault", "remove_fault"),
)
"""These come first: others need what they do."""


def with_fleet(directory: Path, ask: Callable[[Fleet], Awaitable[None]]) -> None:
    async def main() -> None:
        groups = (Group(count=2),)
        fleet = Fleet(FleetOptions(state=directory, groups=groups, port=0, seed=1))
        await fleet.start()
        try:
            await ask(fleet)
        finally:
            await fleet.close()

    asyncio.run(main())


def test_another_process_could_be_told_every_answer(tmp_path: Path) -> None:
    async def ask(fleet: Fleet) -> None:
        operations = Operations(fleet)
        public = inspect.getmembers(operations, inspect.iscoroutinefunction)
        names = dict.fromkeys((*ORDER, *(name for name, _ in public)))
        for name in names:
            answer = await getattr(operations, name)(**ARGUMENTS.get(name, {}))
            told = msgspec.msgpack.decode(msgspec.msgpack.encode(answer))
            assert told == msgspec.to_builtins(answer, builtin_types=(bytes,)), name

    with_fleet(tmp_path, ask)


def test_the_load_is_that_of_one_moment(tmp_path: Path) -> None:
    async def ask(fleet: Fleet) -> None:
        load = await Operations(fleet).load()
        fleet.share_load.submitted += 1
        fleet.share_load.answered(0.1, "stale")

        assert load["submitted"] == sum(load["bins"]) == len(load["rejected"]) == 0

    with_fleet(tmp_path, ask)


@each(
    ("name", "complaint"),
    [
        ("device", "device: there is no '601-1'"),
        ("order_device", "device: there is no '601-1'"),
        ("remove_device", "device: there is no '601-2'"),
        ("remove_fault", "fault: there is no 'fans'"),
        ("restore", "snapshot: there is no 'before'"),
        ("drop_snapshot", "snapshot: there is no 'before'"),
        ("keep_snapshot", "snapshot: there is no 'before'"),
    ],
)
def test_what_is_not_there_is_named(tmp_path: Path, name: str, complaint: str) -> None:
    async def ask(fleet: Fleet) -> None:
        for device_id in list(fleet.members):
            await fleet.remove(device_id)
        with pytest.raises(NotThere, match=f"^{complaint}$"):
            await getattr(Operations(fleet), name)(**ARGUMENTS[name])

    with_fleet(tmp_path, ask)


def test_devices_are_chosen_and_cut(tmp_path: Path) -> None:
    async def ask(fleet: Fleet) -> None:
        operations = Operations(fleet)
        await operations.add_devices(group={"name": "others", "count": 3})
        everywhere: dict[str, Any] = {
            "state": None,
            "firmware": None,
            "first": 1,
            "limit": 1,
        }

        told = await operations.devices(group="others", **everywhere)

        assert told["total"] == 3
        groups = await operations.ids()
        others = [one for one, group in groups.items() if group == "others"]
        assert [row["id"] for row in told["devices"]] == others[1:2]
        with pytest.raises(SettingError, match=r"count: 0 is"):
            await operations.add_devices(group={"count": 0})

    with_fleet(tmp_path, ask)
