"""What one rule more costs, and that it is the same whenever it comes."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from softaxe.device.device import Device
from softaxe.errors import SettingError
from softaxe.faults import MetRules, Rule
from softaxe.flash.image import AppImage
from softaxe.fleet.fleet import Fleet
from softaxe.fleet.groups import Group
from softaxe.fleet.options import FleetOptions

DEVICES = 5
MOST = 200
"""Rules here; to have a thousand takes seconds, and shows the same."""


def live(
    state: Path,
    work: Callable[[Fleet], Coroutine[None, None, None]],
    group: Group | None = None,
    **options: Any,
) -> None:
    async def main() -> None:
        groups = (group or Group(count=DEVICES),)
        fleet = Fleet(
            FleetOptions(
                state=state, groups=groups, port=0, is_paused=True, seed=1, **options
            )
        )
        try:
            await fleet.start()
            await work(fleet)
        finally:
            await fleet.close()

    asyncio.run(main())


@pytest.mark.unwatched
def test_a_rule_costs_what_it_changes_however_many_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at, folded, changed = 0, 0, 0
    meets, gather, set_faults = Rule.meets, MetRules._all, Device.set_faults

    def counted_meets(rule: Rule, *whom: Any) -> bool:
        nonlocal looked_at
        looked_at += 1
        return meets(rule, *whom)

    def counted_gather(met: MetRules, now: float) -> dict[str, Any]:
        nonlocal folded
        folded += met._until <= now
        return gather(met, now)

    def counted_set(device: Device, *of: Any) -> None:
        nonlocal changed
        changed += 1
        set_faults(device, *of)

    monkeypatch.setattr("softaxe.faults.MOST_RULES", MOST)
    monkeypatch.setattr(Rule, "meets", counted_meets)
    monkeypatch.setattr(MetRules, "_all", counted_gather)
    monkeypatch.setattr(Device, "set_faults", counted_set)

    async def work(fleet: Fleet) -> None:
        nonlocal looked_at, folded, changed
        for number in range(MOST):
            looked_at = folded = changed = 0
            device = f"601-{number % DEVICES + 1}"
            await fleet.faults.add({"effect": "ambient", "c": 1, "device": device})
            assert looked_at <= 2 * DEVICES  # twice when it is the device's first
            assert folded <= 1
            assert changed <= 1
        with pytest.raises(SettingError, match=f"there are {MOST} rules"):
            await fleet.faults.add({"effect": "fan_dead"})
        looked_at = 0
        told = await fleet.faults.describe()
        assert {rule["matches"] for rule in told["faults"]} == {1}
        assert looked_at == 0

    live(tmp_path, work)


ORDERS: list[dict[str, object]] = [
    {"id": "a", "effect": "ambient", "c": 30},
    {"id": "b", "effect": "fan_dead", "fan": 1},
    {"id": "c", "effect": "ambient", "c": 40, "device": "601-2"},
    {"id": "d", "effect": "pool_down", "which": "primary"},
    {"id": "e", "effect": "ambient", "c": 50, "start_s": 5, "duration_s": 10},
    {"id": "f", "effect": "fan_dead", "fan": 2, "share": 0.5},
    {"id": "g", "effect": "sensor_stuck", "c": 1, "duration_s": 7},
    {"id": "h", "effect": "pool_reconnect"},
]
CHANGES: list[tuple[str, dict[str, object]]] = [
    ("a", {"device": "601-1"}),
    ("c", {"device": ["601-1", "601-2"], "c": 45}),
    ("b", {"paused": True}),
    ("f", {"share": None}),
    ("b", {"paused": False}),
    ("g", {"every_s": 8, "c": 2}),
]


def test_rules_that_come_one_by_one_are_as_rules_that_were_there(
    tmp_path: Path,
) -> None:
    async def work(fleet: Fleet) -> None:
        async def compare() -> None:
            for member in fleet.members.values():
                now = fleet.clock.now
                all_anew = fleet.faults.rules.that_meet(member.whom)
                assert member.device.faults == all_anew.device_faults(now)
                assert member.link_faults == all_anew.link_faults(now)
                assert fleet.faults.at_work_on(member) == all_anew.active(now)

        for order in ORDERS:
            await fleet.faults.add(order)
            await compare()
        for name, changes in CHANGES:
            await fleet.faults.change(name, changes)
            await compare()
        for _ in range(4):
            await fleet.ticker.advance(4.0)
            await compare()
        for name in "cahbfdeg":
            await fleet.faults.remove(name)
            await compare()
        with pytest.raises(KeyError):
            await fleet.faults.remove("a")
        assert len(fleet.faults) == 0

    live(tmp_path, work)


def test_a_reset_brings_the_first_rules_back(tmp_path: Path) -> None:
    async def work(fleet: Fleet) -> None:
        await fleet.faults.clear()
        await fleet.faults.add({"effect": "fan_dead"})
        await fleet.reset()

        assert [rule.effect for rule in fleet.faults.rules.rules.values()] == [
            "wifi_loss"
        ]
        assert all(m.device.faults.has_no_wifi for m in fleet.members.values())

    live(tmp_path, work, faults=({"effect": "wifi_loss"},))


def test_rules_follow_the_firmware_that_devices_run(tmp_path: Path) -> None:
    async def work(fleet: Fleet) -> None:
        rule = {"effect": "ambient", "c": 50, "firmware": "2.15*"}
        added = await fleet.faults.add(rule)
        old, new = fleet.members.values()
        assert old.device.faults.ambient_c is None
        assert new.device.faults.ambient_c == 50
        assert (await fleet.faults.met_by(added))["devices"] == [new.id]

        for member, version in ((old, "v2.15.3"), (new, "v2.9.0")):
            image = AppImage(version, "esp-miner", "v5.5.1", "", "", 4096, "ab" * 32)
            member.device.write_firmware(image, fleet.clock.now)
            member.order("restart")
            await fleet.ticker.advance(1.0)

        assert old.firmware == "2.15.3"
        assert old.device.faults.ambient_c == 50
        assert new.device.faults.ambient_c is None
        told = await fleet.faults.describe()
        assert [one["matches"] for one in told["faults"]] == [1]

    live(tmp_path, work, Group(count=2, firmware=("2.12.2", "2.15.0")))


def test_rules_meet_devices_whose_end_stands_before_the_pools(tmp_path: Path) -> None:
    async def work(fleet: Fleet) -> None:
        await fleet.ticker.advance(60.0)

        assert fleet.pool_server is not None
        totals = fleet.pool_server.pool.totals
        assert set(totals.rejected) == {"No"}
        assert totals.accepted == 0

    by_tls = Group(firmware=("2.14.2",), settings={"stratumTLS": 2})
    order = {"effect": "pool_reject", "reason": "No"}
    live(tmp_path, work, by_tls, faults=(order,))


def test_miners_that_are_no_devices_count_among_whom_a_rule_meets(
    tmp_path: Path,
) -> None:
    async def work(fleet: Fleet) -> None:
        assert fleet.pool_server is not None
        reader, writer = await asyncio.open_connection(*fleet.pool_server.addresses[0])
        writer.write(b'{"id":1,"method":"mining.ping"}\n')
        await reader.readline()

        added = await fleet.faults.add({"effect": "pool_reject", "group": "strangers"})
        met = await fleet.faults.met_by(added)
        assert (met["matches"], met["strangers"], len(met["devices"])) == (1, 1, 1)
        (told,) = (await fleet.faults.describe())["faults"]
        assert {name: told[name] for name in met} == met
        writer.close()

    live(tmp_path, work)
