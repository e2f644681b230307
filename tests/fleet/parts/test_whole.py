"""A fleet of some parts, of which some answer and some do not."""

import ast
import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

import softaxe
from softaxe.errors import FleetStopped, NotNow, NotThere, SettingError, StateInUse
from softaxe.fleet.clock import Clock
from softaxe.fleet.groups import Group
from softaxe.fleet.options import FleetOptions
from softaxe.fleet.parts.division import divided
from softaxe.fleet.parts.part import PartState
from softaxe.fleet.parts.whole import LEAD_S, Whole
from softaxe.serve.storage import Storage, lock_directory


class FakePart:
    """A part that does at once what it is asked, or what it is told to do instead."""

    def __init__(self, options: FleetOptions) -> None:
        self.options = options
        self.now = self.until = 0.0
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.fault: Exception | None = None
        self.cannot = "anything"
        """What it then cannot do."""
        self.is_there = True
        self.devices = {f"601-{options.groups[0].first_of_fleet}": "devices"}
        self.snapshots: list[dict[str, Any]] = []
        self._end = asyncio.Event()
        self.hangs = False
        self.halt_s = 0.001
        """So long it goes on when it is called off."""
        self.is_called_off = False
        self.state = PartState("601-1", "here", "up")

    async def start(self) -> None:
        if self.fault is not None:
            raise self.fault

    async def run(self) -> None:
        await self._end.wait()

    def check(self) -> None:
        if not self.is_there:
            raise NotNow("process 2 stands still")

    async def ask(
        self, name: str, /, *, within_s: float = 1.0, **arguments: Any
    ) -> Any:
        self.check()
        self.asked.append((name, arguments))
        is_meant = self.cannot in {name, "anything"} and name != "ready"
        if self.fault is not None and is_meant:
            raise self.fault
        if name == "advance":
            try:
                while self.hangs:
                    self.now += 1.0
                    await asyncio.sleep(0.001)
            except asyncio.CancelledError:
                await asyncio.sleep(self.halt_s)
                self.now += 1.0
                self.is_called_off = True
                raise
            self.now += arguments["seconds"] or 0.0
        return {
            "ids": self.devices,
            "kept": [
                {
                    "number": int(id_.rpartition("-")[2]),
                    "seed": 1,
                    "group": group,
                    "key": id_,
                }
                for id_, group in self.devices.items()
            ],
            "ready": {"ready": 1, "devices": 1, "is_ready": True},
            "add_fault": {
                "id": "fault-1",
                "matches": 3,
                "strangers": 0,
                "devices": ["601-1"],
            },
            "snapshots": {"snapshots": self.snapshots},
        }.get(name, {})

    def tell_control(self, url: str) -> None:
        raise AssertionError("nobody opens it here")

    def pace(self, until: float) -> None:
        self.until = until
        self.now = max(self.now, until)

    def stop(self) -> None:
        self._end.set()

    async def end(self) -> None:
        self.is_there = False


def live(
    state: Path,
    work: Callable[[Whole, FakePart, FakePart], Coroutine[None, None, None]],
    **clock: Any,
) -> None:
    async def main() -> None:
        options = FleetOptions(state=state, groups=(Group(count=2),), seed=7)
        first, second = parts = [FakePart(one) for one in divided(options, 2)]
        whole = Whole(options, parts, Clock(**clock))
        try:
            await work(whole, first, second)
        finally:
            await whole.close()

    asyncio.run(main())


def test_nothing_is_asked_of_anybody_while_one_stands_still(tmp_path: Path) -> None:
    async def work(whole: Whole, first: FakePart, second: FakePart) -> None:
        second.is_there = False
        for asking in (
            whole.ask("totals"),
            whole.order_fault("add_fault", {"effect": "fan_dead"}),
            whole.set_clock(speed=2.0, is_paused=None),
            whole.journal(),
            whole.take_snapshot("x"),
            whole.advance(seconds=1.0),
        ):
            with pytest.raises(NotNow, match="process 2 stands still"):
                await asking
        assert first.asked == []
        assert whole.clock.speed == 1.0

    live(tmp_path, work)


def test_time_does_not_go_before_all_are_there(tmp_path: Path) -> None:
    async def work(whole: Whole, first: FakePart, second: FakePart) -> None:
        await whole.start()
        await asyncio.sleep(0.01)
        assert whole.look().now == first.until == 0.0
        running = asyncio.ensure_future(whole.run())
        async with asyncio.timeout(10):
            while whole.look().now == 0.0:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.01)
        whole.stop()
        await running

    live(tmp_path, work)


def test_all_have_answered_before_it_is_told_what_went_wrong(tmp_path: Path) -> None:
    async def work(whole: Whole, first: FakePart, second: FakePart) -> None:
        first.fault = SettingError("no")
        with pytest.raises(SettingError):
            await whole.ask("reset")
        assert [name for name, _ in second.asked] == ["reset"]

    live(tmp_path, work)


@pytest.mark.parametrize("fault", [NotNow("too slow"), SettingError("too many")])
def test_a_snapshot_is_kept_by_all_or_none(tmp_path: Path, fault: Exception) -> None:
    async def work(whole: Whole, first: FakePart, second: FakePart) -> None:
        def said(part: FakePart) -> list[str]:
            return [name for name, _ in part.asked if name != "ready"]

        await whole.take_snapshot("x")
        assert said(first) == said(second) == ["take_snapshot", "keep_snapshot"]

        first.asked.clear()
        second.fault, second.cannot = fault, "take_snapshot"
        with pytest.raises(type(fault)):
            await whole.take_snapshot("x")
        assert said(first) == ["take_snapshot", "discard_snapshot"], (
            "the older one stays"
        )

        first.asked.clear()
        second.cannot = "keep_snapshot"
        with pytest.raises(type(fault)):
            await whole.take_snapshot("x")
        assert said(first)[2:] == ["drop_snapshot"], "it is not of two moments"

    live(tmp_path, work)


def test_nothing_is_restored_that_only_some_have(tmp_path: Path) -> None:
    async def work(whole: Whole, first: FakePart, second: FakePart) -> None:
        first.snapshots.append({"name": "x"})
        with pytest.raises(NotThere, match="snapshot: there is no 'x'"):
            await whole.restore("x")
        assert "restore" not in [name for name, _ in first.asked]

        second.snapshots.append({"name": "x"})
        await whole.restore("x")
        assert [part.asked[-1][0] for part in (first, second)] == ["restore"] * 2

    live(tmp_path, work)


def test_a_device_is_asked_where_it_lives(tmp_path: Path) -> None:
    async def work(whole: Whole, first: FakePart, second: FakePart) -> None:
        await whole.ask_home("601-2", "order_device")
        assert second.asked[-1] == ("order_device", {"device_id": "601-2"})
        with pytest.raises(NotThere, match="there is no '601-9'"):
            await whole.ask_home("601-9", "order_device")

    live(tmp_path, work)


def test_numbers_are_dealt_out_and_the_emptiest_part_gets_them(tmp_path: Path) -> None:
    async def work(whole: Whole, first: FakePart, second: FakePart) -> None:
        first.devices["601-9"] = "devices"
        await whole.add_devices({"count": 2})
        name, arguments = second.asked[-1]
        assert (name, arguments["number"]) == ("add_devices", 10)
        assert arguments["others"] == {1: "devices"}

    live(tmp_path, work)


def test_a_fault_has_one_name_in_all_parts(tmp_path: Path) -> None:
    async def work(whole: Whole, first: FakePart, second: FakePart) -> None:
        added = await whole.order_fault("add_fault", {"effect": "fan_dead"})
        assert (added["id"], added["matches"]) == ("fault-1", 6)
        rule = {"effect": "fan_dead", "id": "fault-1"}
        assert second.asked[-1] == ("add_fault", {"rule": rule})

    live(tmp_path, work)


def test_nobody_is_far_ahead_of_the_slowest(tmp_path: Path) -> None:
    async def work(whole: Whole, first: FakePart, second: FakePart) -> None:
        await whole.start()
        second.pace = lambda until: None  # type: ignore[method-assign]
        running = asyncio.ensure_future(whole.run())
        async with asyncio.timeout(10):
            while first.now < LEAD_S:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert first.now <= LEAD_S + 0.25
        whole.stop()
        await running

    live(tmp_path, work, speed=100.0)


def test_a_device_is_found_though_another_part_does_not_answer(tmp_path: Path) -> None:
    async def work(whole: Whole, first: FakePart, second: FakePart) -> None:
        second.is_there = False
        await whole.ask_home("601-1", "device")
        assert first.asked[-1] == ("device", {"device_id": "601-1"})
        with pytest.raises(NotNow, match="process 2 stands still"):
            await whole.ask_home("601-2", "device")
        second.is_there = True
        with pytest.raises(NotThere, match="there is no '601-9'"):
            await whole.ask_home("601-9", "device")

    live(tmp_path, work)


def test_an_advance_that_fails_in_one_part_ends_in_the_others(tmp_path: Path) -> None:
    async def work(whole: Whole, first: FakePart, second: FakePart) -> None:
        first.hangs = True
        second.fault = NotNow("it has ended")
        with pytest.raises(NotNow, match="it has ended"):
            await whole.advance(seconds=1000.0)
        assert first.is_called_off

    live(tmp_path, work, is_paused=True)


def test_time_goes_on_where_the_fastest_is_when_an_advance_is_called_off(
    tmp_path: Path,
) -> None:
    async def work(whole: Whole, first: FakePart, second: FakePart) -> None:
        first.hangs = second.hangs = True
        first.halt_s = 0.02
        advancing = asyncio.ensure_future(whole.advance(seconds=1e6))
        while first.now < 20.0:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.001)
        advancing.cancel()
        await asyncio.gather(advancing, return_exceptions=True)
        assert first.is_called_off
        assert second.is_called_off
        assert whole.clock.now == first.now == second.now
        assert whole.look().now == first.now, "it is paused"
        assert first.until == first.now

    live(tmp_path, work, is_paused=True)


def test_why_a_part_cannot_start_is_told(tmp_path: Path) -> None:
    async def work(whole: Whole, first: FakePart, second: FakePart) -> None:
        second.fault = OSError("taken")
        with pytest.raises(OSError, match="taken"):
            await whole.start()

    live(tmp_path, work)


def test_a_start_may_be_broken_off(tmp_path: Path) -> None:
    async def work(whole: Whole, first: FakePart, second: FakePart) -> None:
        first.start = asyncio.Event().wait  # type: ignore[method-assign,assignment]
        asyncio.get_running_loop().call_later(0.05, whole.stop)
        with pytest.raises(FleetStopped):
            await whole.start()

    live(tmp_path, work)


def test_a_directory_belongs_to_one_fleet(tmp_path: Path) -> None:
    with lock_directory(tmp_path):
        one = Storage(tmp_path, is_shared=True)
        two = Storage(tmp_path, is_shared=True)
        one.save_settings("601-1", {"a": 1})
        two.save_settings("601-2", {"a": 2})
        assert two.load_settings("601-1") == {"a": 1}
        with pytest.raises(StateInUse), lock_directory(tmp_path):
            pass
        one.close()
        two.close()
    Storage(tmp_path).close()


PICKLES = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle"}
UNPICKLING = {"Pipe", "Queue", "SimpleQueue", "JoinableQueue", "Manager", "recv"}
"""Of multiprocessing: what comes out of them was unpickled."""


@pytest.mark.unwatched
def test_nothing_is_unpickled_but_by_the_process_that_pickled_it() -> None:
    """Whoever reads a pickle from elsewhere runs what is written there."""
    source = Path(str(softaxe.__file__)).parent
    pickling, forking = set(), set()
    for path in source.rglob("*.py"):
        name, text = str(path.relative_to(source)), path.read_text(encoding="utf-8")
        if not any(module in text for module in (*PICKLES, "multiprocessing")):
            continue
        nodes = list(ast.walk(ast.parse(text)))
        imported = {
            module.split(".")[0]
            for node in nodes
            if isinstance(node, ast.Import | ast.ImportFrom)
            for module in (
                [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else [alias.name for alias in node.names]
            )
        }
        if imported & PICKLES:
            pickling.add(name)
        if "multiprocessing" in imported:
            forking.add(name)
            used = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
            assert not used & UNPICKLING

    assert pickling == {"fleet/snapshots.py"}
    assert forking == {"fleet/parts/processes.py", "cli/app.py"}


def test_what_is_done_last_is_done_while_all_can_be_asked(tmp_path: Path) -> None:
    async def work(whole: Whole, first: FakePart, second: FakePart) -> None:
        async def last() -> None:
            assert await whole.ask("load") == [{}, {}]

        asyncio.get_running_loop().call_soon(whole.stop)
        await whole.run(last)

        assert [name for name, _ in first.asked + second.asked] == ["load"] * 2
        await asyncio.gather(first.run(), second.run())  # told to end, now

    live(tmp_path, work)
