import asyncio
import errno
import gc
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.running import running as run_device

from softaxe.device.identity import Identity
from softaxe.errors import FleetStopped
from softaxe.fleet import clock
from softaxe.fleet.clock import SLICE_S, STOOD_S
from softaxe.fleet.fleet import Fleet
from softaxe.fleet.groups import Group
from softaxe.fleet.options import FleetOptions
from softaxe.serve.addresses import found_at
from softaxe.serve.listener import Listener, Presence
from softaxe.serve.member import Member
from softaxe.serve.storage import Storage
from softaxe.testing.run import RunningFleet, running
from softaxe.units import Level


def test_a_fleets_state_is_in_one_database(tmp_path: Path) -> None:
    with running(count=3, state=tmp_path, speed=0) as fleet:
        for number, device in enumerate(fleet, 1):
            device.patch(statsFrequency=number)
        keys = fleet.call(lambda fleet: [one.key for one in fleet.members.values()])

    storage = Storage(tmp_path)
    found = [storage.load_settings(key)["statsFrequency"] for key in keys]
    storage.close()
    assert found == [1, 2, 3]
    assert {path.name for path in tmp_path.iterdir()} <= {
        "state.db",
        "state.db-wal",
        "images",
    }


def test_a_device_stays_itself_and_no_other_run_is_like_it(tmp_path: Path) -> None:
    def seed_and_macs(folder: str, seed: int | None) -> tuple[int, list[str]]:
        options = FleetOptions(
            state=tmp_path / folder, groups=(Group(count=3),), port=0, seed=seed
        )
        with RunningFleet(options, is_ephemeral=False) as fleet:
            macs = [device.info()["macAddr"] for device in fleet]
            return fleet.call(lambda fleet: fleet.seed), macs

    own, first = seed_and_macs("a", None)
    other, second = seed_and_macs("b", None)

    assert seed_and_macs("a", None) == (own, first)
    assert not {own, *first} & {other, *second}
    assert seed_and_macs("c", own) == (own, first), "as the seed that was told"


def test_devices_of_an_older_directory_stay_what_they_were(tmp_path: Path) -> None:
    Storage(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "state.db")) as database:
        database.execute("DROP TABLE fleet")
        database.execute("PRAGMA user_version = 1")
    options = FleetOptions(
        state=tmp_path, groups=(Group(count=3),), port=0, seed=None, is_paused=True
    )

    with RunningFleet(options, is_ephemeral=False) as fleet:
        macs = [device.info()["macAddr"] for device in fleet]

    assert macs == [Identity.from_seed(seed, "").mac_text for seed in range(3)]


def test_progress_is_told_from_the_start_to_the_end(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []

    async def live() -> None:
        options = FleetOptions(state=tmp_path, groups=(Group(count=20),), port_base=0)
        fleet = Fleet(options, show_progress=lambda *words: told.append(words))
        await fleet.start()
        await fleet.close()

    asyncio.run(live())
    up = [("starting", 0, 20), ("starting", 16, 20), ("starting", 20, 20)]
    assert told == [*up, ("ending", 0, 20), ("ending", 20, 20)]


def test_time_begins_when_all_devices_are_there_however_long_they_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, told, opened = [0.0], list[float](), Member.open

    async def slow_open(member: Member) -> None:
        await opened(member)
        real[0] += 2 * STOOD_S
        fleet.clock.advance()  # somebody looks at it

    async def live() -> None:
        await fleet.start()
        assert fleet.clock.advance() == 0.0
        real[0] += SLICE_S / 2
        assert fleet.clock.advance() == SLICE_S / 2
        await fleet.reset()
        assert fleet.clock.advance() == 0.0
        await fleet.close()

    monkeypatch.setattr(clock, "time", SimpleNamespace(monotonic=lambda: real[0]))
    monkeypatch.setattr(Member, "open", slow_open)
    options = FleetOptions(state=tmp_path, groups=(Group(count=2),), port_base=0)
    fleet = Fleet(options, show_stop=told.append)
    asyncio.run(live())
    assert told == []


def test_devices_share_the_memory_for_what_they_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("softaxe.fleet.fleet.LOG_MEMORY_BYTES", 3000)

    async def live() -> list[int]:
        group = Group(count=3, firmware=("2.14.2",))
        fleet = Fleet(FleetOptions(state=tmp_path, groups=(group,), port_base=0))
        await fleet.start()
        await fleet.close()
        rings = [member.device.log.ring for member in fleet.members.values()]
        for member in fleet.members.values():
            member.device.log(Level.INFO, "a", "x" * 900)
        return [len(b"".join(ring.pieces())) for ring in rings if ring is not None]

    sizes = asyncio.run(live())
    assert len(sizes) == 3
    assert all(900 < size <= 1000 for size in sizes)


@pytest.mark.parametrize("is_stopped", [False, True])
def test_a_start_that_is_called_off_at_any_moment_leaves_no_port(
    tmp_path: Path, is_stopped: bool
) -> None:
    async def live(turns: int) -> int:
        """Call a start off after some turns; return how many ports are left."""
        options = FleetOptions(state=tmp_path, groups=(Group(count=2),), port=0)
        fleet = Fleet(options)
        starting = asyncio.ensure_future(fleet.start())
        for _ in range(turns):
            await asyncio.sleep(0)
        if is_stopped:
            fleet.stop()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await fleet.close()
        return sum(listener.presence is not Presence.CLOSED for listener in there)

    there: list[Listener] = []
    become = Listener.become

    async def noted(self: Listener, presence: Presence) -> None:
        there.append(self)
        await become(self, presence)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Listener, "become", noted)
        for turns in range(60):
            with closing(asyncio.new_event_loop()) as loop:
                assert loop.run_until_complete(live(turns)) == 0
    gc.collect()  # a server that nobody has closed complains
    assert there


def test_a_fleet_that_is_to_end_starts_no_more_devices(tmp_path: Path) -> None:
    async def live() -> int:
        options = FleetOptions(state=tmp_path, groups=(Group(count=40),), port_base=0)
        fleet = Fleet(options, show_progress=lambda *words: told.append(words))
        asyncio.get_running_loop().call_soon(fleet.stop)
        with pytest.raises(FleetStopped):
            await fleet.start()
        await fleet.close()
        return len(fleet.members)

    told: list[tuple[str, int, int]] = []
    assert asyncio.run(live()) == 0
    assert ("starting", 0, 40) in told
    assert ("starting", 40, 40) not in told


def test_a_device_that_cannot_be_added_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_listener: Listener, _presence: Presence) -> None:
        raise OSError(errno.EADDRNOTAVAIL, "no such address")

    async def live() -> None:
        fleet = Fleet(FleetOptions(state=tmp_path, groups=(Group(),), port=0))
        await fleet.start()
        try:
            with monkeypatch.context() as away:
                away.setattr(Listener, "become", refuse)
                with pytest.raises(OSError, match="no such address"):
                    await fleet.add(Group())
                await asyncio.sleep(0.01)  # what it began has ended
            assert len(fleet.members) == 1
            assert [m for m in ghosts() if m.id not in fleet.members] == []
        finally:
            await fleet.close()

    def ghosts() -> list[Member]:
        coroutines = [task.get_coro() for task in asyncio.all_tasks()]
        frames = [getattr(coroutine, "cr_frame", None) for coroutine in coroutines]
        selves = [frame.f_locals.get("self") for frame in frames if frame]
        return [one for one in selves if isinstance(one, Member)]

    asyncio.run(live())


def test_after_a_reset_the_same_devices_are_met(tmp_path: Path) -> None:
    async def live() -> list[list[str]]:
        rules = ({"effect": "fan_dead", "share": 0.5},)
        fleet = Fleet(
            FleetOptions(
                state=tmp_path, groups=(Group(count=12),), port=0, faults=rules
            )
        )
        await fleet.start()
        found = []
        for _ in range(2):
            members = fleet.members.values()
            found.append([m.id for m in members if m.device.faults.dead_fans])
            await fleet.reset()
        await fleet.close()
        return found

    before, after = asyncio.run(live())

    assert 0 < len(before) < 12
    assert after == before


def test_what_listens_on_all_addresses_is_found_at_one_that_others_reach(
    tmp_path: Path,
) -> None:
    everywhere = {"host": "0.0.0.0", "pool_host": "0.0.0.0"}
    with run_device(tmp_path, **everywhere, allow_network=("0.0.0.0/0",)) as bitaxe:
        bitaxe.advance(20)
        info = bitaxe.info()
        own = found_at("0.0.0.0")
        assert bitaxe.url == f"http://{own}:{bitaxe.member.port}"
        assert (info["ipv4"], info["stratumURL"]) == (own, own)
        assert info["sharesAccepted"] > 0
        assert bitaxe.member.pool_text.startswith(f"built-in {own}:")


def test_what_is_advertised_stands_in_urls(tmp_path: Path) -> None:
    options = FleetOptions(tmp_path, host="0.0.0.0", port=0, advertise="fleet.example")

    async def main() -> tuple[str, tuple[str, ...]]:
        fleet = Fleet(options)
        try:
            await fleet.start()
            (member,) = fleet.members.values()
            assert member.device.identity.ipv4 == found_at("0.0.0.0")
            return member.url.rpartition(":")[0], member.whom.names
        finally:
            await fleet.close()

    url, names = asyncio.run(main())
    assert url == "http://fleet.example"
    assert "fleet.example" in names


def test_devices_that_keep_to_a_rate_share_the_time_to_search(tmp_path: Path) -> None:
    groups = (Group(count=2, share_rate=20.0, name="a"), Group(seed=9))
    options = FleetOptions(state=tmp_path, groups=groups, port=0, cpu_percent=1)
    with RunningFleet(options) as fleet:

        def most_hs(fleet: Fleet) -> list[float]:
            rates = [one.device.share_rate for one in fleet.members.values()]
            return [rate.most_hs for rate in rates if rate is not None]

        first, second = fleet.call(most_hs)

    assert first == second
    assert 100 < first < 1e7


def test_the_log_of_who_is_looked_at_is_kept_in_a_large_fleet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("softaxe.fleet.fleet.LOG_MEMORY_BYTES", 1)
    monkeypatch.setattr("softaxe.fleet.fleet.WATCHED_LOGS", 1)
    with running(count=2, speed=0, warm_up_s=0) as fleet:

        def look(f: Fleet) -> list[int]:
            f.watch_log(one := f.members["601-1"])
            one.device.log(Level.INFO, "t", "kept")
            f.watch_log(f.members["601-2"])
            return [len(m.device.log.after(0, 9)[0]) for m in f.members.values()]

        before = fleet.call(lambda f: len(f.members["601-1"].device.log.after(0, 9)[0]))
        assert before == 0
        assert fleet.call(look) == [0, 0]
        fleet.clock.advance(30)
        assert fleet.call(
            lambda f: [len(m.device.log.after(0, 9)[0]) for m in f.members.values()]
        ) == [0, 9]
