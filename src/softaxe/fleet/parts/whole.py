"""A fleet as whoever controls it sees it: one or more parts, on one clock.

One part in this process is the plain case: it has the clock and the journal itself. A
fleet in several parts has the one clock here, which tells them how far to go, and here
their journals become one. Every part has a built-in pool of its own; the state of all
is in one database.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import replace

from softaxe.errors import FleetStopped, NotNow, NotThere, SoftaxeError
from softaxe.fleet.clock import SLICE_S, Clock
from softaxe.fleet.fleet import Fleet, ShowProgress
from softaxe.fleet.options import FleetOptions
from softaxe.fleet.parts import merge
from softaxe.fleet.parts.here import Here
from softaxe.fleet.parts.part import WORK_S, Part
from softaxe.serve.journal import ENTRY_BYTES, Entry, Journal
from softaxe.serve.storage import Storage, lock_directory

LEAD_S = 1.0
"""Device time that the slowest part may be behind before all others wait for it; as far
as the devices of one large part are from each other."""
LOOK_S = 0.1
"""Real seconds between two looks at how far the parts have started."""
MEET_LOOK_S = 0.5
"""...and at whether they live, while they come to one moment."""
TICK_S = 0.005
"""Real seconds between two words about the time."""
Table = dict[str, Any]


class Whole:
    """Starts, asks and ends the parts of a fleet.

    `start`, then `run` until `stop` is called, then `close`.

    Args:
        options: Of the whole fleet.
        parts: In the order of their devices.
        clock: Of all of them.
        journal: Of the only part; None when the parts' are to become one.
        show_progress: As for `Fleet`, when the parts do not show theirs.
        ground: What the parts stand on while they live, whoever they are: by default
            their directory, which nobody else has meanwhile.
    """

    def __init__(
        self,
        options: FleetOptions,
        parts: Sequence[Part],
        clock: Clock,
        *,
        journal: Journal | None = None,
        show_progress: ShowProgress = lambda what, done, of: None,
        ground: Callable[[], AbstractContextManager[None]] | None = None,
    ) -> None:
        self.options = options
        self.parts = parts
        self.clock = clock
        self._is_divided = journal is None
        self._journal = Journal() if journal is None else journal
        self._seen = [(0, 0)] * len(parts)
        """Restarts of each part, and the last of its entries since."""
        self._ground = ground or partial(lock_directory, options.state)
        self._show_progress = show_progress
        self._is_up = self._is_running = False
        self._stopped = asyncio.Event()
        self._held = ExitStack()
        self._homes: dict[str, Part] = {}
        self._listening = asyncio.Lock()
        self._ordering = asyncio.Lock()
        self._bending = asyncio.Lock()

    @property
    def device_count(self) -> int:
        """Devices that the fleet is described with."""
        return sum(group.count for group in self.options.groups)

    def tell_control(self, url: str) -> None:
        """Let all devices tell where the control API is; before `start`."""
        for part in self.parts:
            part.tell_control(url)

    # Life

    async def start(self) -> None:
        """Return when all devices of all parts are up.

        Raises:
            SoftaxeError, OSError: A part could not be started.
            FleetStopped: It was told to end meanwhile.
        """
        if self._is_divided:
            self._held.enter_context(self._ground())
            self.clock.is_held = True  # until all are there
        stopped = asyncio.ensure_future(self._stopped.wait())
        starts = [asyncio.ensure_future(part.start()) for part in self.parts]
        try:
            while waiting := {one for one in starts if not one.done()}:
                up, _ = await self.count_up()
                self._show_progress("starting", up, self.device_count)
                await asyncio.wait(
                    {*waiting, stopped},
                    timeout=LOOK_S,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if self._stopped.is_set():  # of which parts may have died already
                    raise FleetStopped("the fleet ends before it has started")
                for one in starts:
                    if one.done():
                        one.result()
        finally:
            for task in (stopped, *starts):
                task.cancel()
            await asyncio.gather(stopped, *starts, return_exceptions=True)
        self._is_up = True
        self._show_progress("starting", self.device_count, self.device_count)

    async def count_up(self) -> tuple[int, bool]:
        """Count the devices that are up, and tell whether that is all.

        Raises:
            NotNow: They could, and one cannot any more.
        """
        found, are_ready = 0, 0
        for part in self.parts:
            try:
                state = await part.ask("ready")
            except NotNow:
                if self._is_up:
                    raise
            else:
                found += state["devices" if state["is_ready"] else "ready"]
                are_ready += state["is_ready"]
        return found, are_ready == len(self.parts)

    async def run(self, last: Callable[[], Awaitable[None]] | None = None) -> None:
        """Keep the time, until `stop` or the end of a part.

        Args:
            last: Done after `stop`, while the parts still live and can be asked.
        """
        self._is_running = True
        stopped = asyncio.ensure_future(self._stopped.wait())
        ends = [asyncio.ensure_future(part.run()) for part in self.parts]
        if self._is_divided:
            self.clock.move(self.clock.now)
            self.clock.is_held = False
            ends.append(asyncio.ensure_future(self._keep_time()))
        try:
            await asyncio.wait({stopped, *ends}, return_when=asyncio.FIRST_COMPLETED)
            if last is not None and self._stopped.is_set():
                await last()
            self._is_running = False
            self.stop()
            if not self._is_divided:
                await ends[0]
            for end in ends:
                if end.done():
                    end.result()
        finally:
            for task in (stopped, *ends):
                task.cancel()
            await asyncio.gather(stopped, *ends, return_exceptions=True)
            self._is_running = False

    def stop(self) -> None:
        """Let `run` return."""
        self._stopped.set()
        if not self._is_running:
            for part in self.parts:
                part.stop()

    async def close(self) -> None:
        """End every part; what was to be saved is saved."""
        self.stop()
        ends = [part.end() for part in self.parts]
        for number, end in enumerate(asyncio.as_completed(ends)):
            done = number * self.device_count // len(self.parts)
            self._show_progress("ending", done, self.device_count)
            await end
        self._held.close()
        self._show_progress("ending", self.device_count, self.device_count)

    # Asking

    def check(self) -> None:
        """Return when every part can be asked.

        Raises:
            NotNow: One cannot; nothing was asked of the others.
        """
        for part in self.parts:
            part.check()

    async def ask(self, name: str, /, **arguments: Any) -> list[Any]:
        """Let every part do one of `Operations`; return what they answer, in order.

        Raises:
            NotNow: A part does not answer.
            SoftaxeError, OSError: What the first raises that does.
        """
        self.check()
        answers = [part.ask(name, **arguments) for part in self.parts]
        found = await asyncio.gather(*answers, return_exceptions=True)
        for one in found:
            if isinstance(one, BaseException):
                raise one
        return found

    async def ask_home(self, device_id: str, name: str, /, **arguments: Any) -> Table:
        """Let the part that has a device do one of `Operations` with it.

        Raises:
            NotThere: There is no such device.
            NotNow: Its part does not answer.
        """
        part = self.parts[0] if len(self.parts) == 1 else self._homes.get(device_id)
        if part is None:
            part = await self._home_of(device_id)
        found: Table = await part.ask(name, device_id=device_id, **arguments)
        return found

    async def _home_of(self, device_id: str) -> Part:
        """Find the part that has a device; one that does not answer may be it."""
        asked = [part.ask("ids") for part in self.parts]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        failure: BaseException = NotThere(f"device: there is no {device_id!r}")
        for part, found in zip(self.parts, answers, strict=True):
            if isinstance(found, BaseException):
                failure = found
            else:
                self._homes |= dict.fromkeys(found, part)
        if device_id not in self._homes:
            raise failure
        return self._homes[device_id]

    async def _find_homes(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = await self.ask("ids")
        self._homes = {
            device_id: part
            for part, groups in zip(self.parts, found, strict=True)
            for device_id in groups
        }
        return found

    # What needs more than asking all

    async def devices(self, *, first: int, limit: int, **wanted: Any) -> Table:
        """Return rows of the devices of all parts, of those parts alone that have them.

        Args:
            first: Place of the first row.
            limit: How many there are to be, at most.
            **wanted: What the devices are like, as `Operations.devices` has it.

        Raises:
            NotNow: A part does not answer.
        """
        if len(self.parts) == 1:
            only: Table
            (only,) = await self.ask("devices", first=first, limit=limit, **wanted)
            return only
        found = await self.ask("devices", first=0, limit=0, **wanted)
        counts = [one["total"] for one in found]
        pieces = await asyncio.gather(
            *(
                part.ask("devices", first=begin, limit=count, **wanted)
                for part, (begin, count) in zip(
                    self.parts, merge.windows(counts, first, limit), strict=True
                )
                if count
            )
        )
        rows = [row for piece in pieces for row in piece["devices"]]
        return {"total": sum(counts), "devices": rows}

    async def add_devices(self, table: Table) -> Table:
        """Switch on the devices of a group in the part that has fewest.

        Raises:
            SettingError: Something is not allowed.
        """
        async with self._ordering:
            # A part knows only its own devices, so numbers are dealt out here.
            found: list[list[Table]] = await self.ask("kept")
            number = max((one["number"] for kept in found for one in kept), default=0)
            counts = [len(kept) for kept in found]
            place = counts.index(min(counts))
            added: Table = await self.parts[place].ask(
                "add_devices",
                within_s=WORK_S,
                group=table,
                number=number + 1,
                others={
                    one["seed"]: one["group"]
                    for other, kept in enumerate(found)
                    for one in kept
                    if other != place
                },
            )
        return added

    async def order_fault(self, name: str, rule: Table, **which: Any) -> Table:
        """Do something with one rule in every part, once the first has taken it.

        Args:
            name: `add_fault`, `change_fault` or `plan_fault` of `Operations`.
            rule: What is ordered.
            **which: What else that takes.

        Raises:
            SettingError: Something is not allowed; nothing has changed.
            NotThere: There is no such rule.
        """
        async with self._ordering:
            self.check()
            first, *others = self.parts
            found: list[Table] = [await first.ask(name, rule=rule, **which)]
            # One id for all: by it they agree whom a share of the devices means.
            rule = rule | {"id": found[0]["id"]}
            for part in others:
                found.append(await part.ask(name, rule=rule, **which))
        return merge.fault(found)

    async def journal(self) -> Journal:
        """Return what clients have asked, up to now."""
        if not self._is_divided:
            return self._journal
        async with self._listening:
            self.check()
            for number, part in enumerate(self.parts):
                if part.state.restarts != self._seen[number][0]:  # it has a new one
                    self._seen[number] = part.state.restarts, 0
            found = await asyncio.gather(
                *(
                    part.ask("journal", after=after)
                    for part, (_, after) in zip(self.parts, self._seen, strict=True)
                )
            )
            journal, new = self._journal, list[Entry]()
            for number, answer in enumerate(found):
                entries = msgspec.convert(answer["entries"], list[Entry])
                restarts, seen = self._seen[number]
                missed = answer["last"] - seen - len(entries)
                journal.last += missed
                journal.dropped += missed
                self._seen[number] = restarts, answer["last"]
                new += entries
            for entry in sorted(new, key=lambda one: one.time_s):
                journal.add(replace(entry, seq=journal.last + 1), _size(entry))
        return self._journal

    async def clear_journal(self) -> None:
        """Forget what clients have asked."""
        await self.ask("clear_journal")
        (await self.journal()).clear()

    async def reset(self) -> None:
        """Start over as the fleet was described; nothing that was stored stays."""
        async with self.standing_still():
            self.clock.speed = self.options.speed
            self.clock.is_paused = self.options.is_paused
            await self._work("reset")
            (await self.journal()).clear()
        if self._is_divided:
            self._homes.clear()
            found: list[list[Table]] = await self.ask("kept")
            keys = [one["key"] for kept in found for one in kept]
            await asyncio.to_thread(self._forget_others, keys)

    def _forget_others(self, keys: list[str]) -> None:
        storage = Storage(self.options.state, is_shared=True)
        try:
            storage.forget_others(keys)
        finally:
            storage.close()

    async def take_snapshot(self, name: str) -> list[Table]:
        """Keep the state of the fleet under a name.

        An older one of the name stays until every part has taken the new one.

        Raises:
            SettingError: There are too many.
        """
        async with self.standing_still():
            try:
                taken = await self._work("take_snapshot", name=name)
            except SoftaxeError:
                await self._ask_whoever_answers("discard_snapshot")
                raise
            try:
                await self.ask("keep_snapshot", name=name)
            except SoftaxeError:  # better none than one of two moments
                await self._ask_whoever_answers("drop_snapshot", name=name)
                raise
        return taken

    async def restore(self, name: str) -> None:
        """Put the fleet and its clock back as they were.

        Raises:
            NotThere: There is no such snapshot.
        """
        async with self.standing_still():
            for found in await self.ask("snapshots"):
                if name not in {one["name"] for one in found["snapshots"]}:
                    raise NotThere(f"snapshot: there is no {name!r}")
            await self._work("restore", name=name)
        self._homes.clear()

    async def _work(self, name: str, /, **arguments: Any) -> list[Any]:
        return await self.ask(name, within_s=WORK_S, **arguments)

    async def _ask_whoever_answers(self, name: str, /, **arguments: Any) -> None:
        asked = [part.ask(name, **arguments) for part in self.parts]
        await asyncio.gather(*asked, return_exceptions=True)

    # Time

    def look(self) -> Clock:
        """Return the clock, gone on to the present."""
        if self._is_divided:
            self._tick()
        else:
            self.clock.advance()
        return self.clock

    async def set_clock(self, *, speed: float | None, is_paused: bool | None) -> None:
        """Change the clock; what is None stays."""
        self.check()
        clock = self.look()
        if speed is not None:
            clock.speed = speed
        if is_paused is not None:
            clock.is_paused = is_paused
        await self.ask("set_clock", speed=clock.speed, is_paused=clock.is_paused)

    async def advance(
        self, *, seconds: float | None = None, until: float | None = None
    ) -> None:
        """Let device time pass at once, so much or until a moment; see `Ticker`.

        Cancelled, it ends soon, and the time stays where the fastest part is.

        Raises:
            SettingError: So much time is not allowed.
            FleetStopped: The fleet ends, and not everything has happened.
        """
        async with self.standing_still():
            self.check()
            tasks = [
                asyncio.ensure_future(
                    part.ask("advance", within_s=WORK_S, seconds=seconds, until=until)
                )
                for part in self.parts
            ]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            finally:
                # If one has failed, the others need not go on alone. Each is told only
                # once: it then waits until its part has come to a halt.
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            for task in done:
                task.result()

    @property
    def slowest(self) -> float:
        """Device time that all parts have come to."""
        return min(part.now for part in self.parts)

    async def _keep_time(self) -> None:
        while True:
            self._tick()
            await asyncio.sleep(TICK_S)

    def _tick(self) -> None:
        """Tell the parts how far to go: never far from the slowest."""
        clock, is_whole_slice = self.clock, not self.clock.is_held
        while is_whole_slice and clock.now < self.slowest + LEAD_S:
            before = clock.now
            self._pace(clock.advance())
            is_whole_slice = clock.now - before >= SLICE_S

    def _pace(self, until: float) -> None:
        for part in self.parts:
            part.pace(until)

    @asynccontextmanager
    async def standing_still(self) -> AsyncIterator[None]:
        """Hold the time for what all parts do to it; go on where they are afterwards.

        Raises:
            NotNow: The fleet ends, or a part stands still.
        """
        if not self._is_divided:  # it sees to that itself
            yield
            return
        async with self._bending:
            self.clock.is_held = True
            try:
                await self._meet()
                await self.ask("ready")  # or nobody does what not all can do
                self._pace(0.0)  # nobody goes anywhere by itself
                yield
            finally:
                self.clock.move(max(part.now for part in self.parts))
                self._pace(self.clock.now)
                self.clock.is_held = False

    async def _meet(self) -> None:
        """Wait until every part is where the clock is."""
        looked_at = time.monotonic()
        while self.slowest < self.clock.now - 1e-6:
            if self._stopped.is_set():
                raise FleetStopped("the fleet ends")
            await asyncio.sleep(TICK_S)
            if time.monotonic() - looked_at > MEET_LOOK_S:
                await self.ask("ready")  # which tells if one stands still
                looked_at = time.monotonic()


def _size(entry: Entry) -> int:
    """About what an entry takes, in bytes."""
    headers = [text for pair in entry.headers for text in pair]
    texts = (
        *(entry.path, entry.query, entry.body, entry.answer),
        *entry.warnings,
        *headers,
    )
    return ENTRY_BYTES + sum(map(len, texts))


def here(fleet: Fleet) -> Whole:
    """Return a fleet of this process as a whole of one part."""
    return Whole(fleet.options, [Here(fleet)], fleet.clock, journal=fleet.journal)
