"""When what happens in a fleet: rounds through what is due, and time at once.

A round never works longer than a few milliseconds without a look at the sockets.
"""

import asyncio
import math
import time
from collections.abc import Mapping
from heapq import heapify, heappop, heappush

from softaxe.description import read_number
from softaxe.device.events import Link
from softaxe.errors import FleetStopped
from softaxe.fleet.built_in_pool import BuiltInPool
from softaxe.fleet.clock import ADVANCES_S, SLICE_S, SPEEDS, Clock
from softaxe.fleet.faults_at_work import FaultsAtWork
from softaxe.fleet.rows import History
from softaxe.fleet.turns import Turns
from softaxe.serve.member import Member, ports_settled

LONGEST_SLEEP_S = 1.0
SHORTEST_SLICE_S = 0.1
"""Of device time, when time is bent: so late may bytes between devices and pool be, as
on the way to many a pool; the devices' own work is more exact."""
LAG_PER_DEVICE_S = 0.002
LONGEST_LAG_S = 1.0
ROUTINE_S = 5.0
"""So long a device of a large fleet goes without a turn while nothing of it concerns
anybody else: what a turn costs is to get at a device's memory, more than its steps."""
TICK_S = 0.005
"""Shortest sleep of the ticker..."""
LAG_PER_TICK = 50
"""...unless devices have longer between two turns: so many rounds then, as a round
through few of them costs more than they do."""
ROUND_S = 0.04
"""Real seconds that a round through the devices may take, with what comes of it. A
fleet that cannot keep up moves in smaller slices: it lives more slowly, and answers."""
LEAST_SLICE_S = 0.005
REST = 0.5
"""Of a round's time: so long a fleet that is late leaves the CPU to its clients."""
QUIET_S = 1.0
"""Real seconds to wait for bytes that are under way while time is bent..."""
LEAST_LOOKS = 100
"""...and so many looks at the sockets: on a busy machine a second may have none."""


class Ticker:
    """Steps the devices of a fleet when they are due, until `stop`.

    Args:
        clock: The fleet's time.
        members: The devices, by id; the fleet changes them.
        pool: Theirs.
        faults: Theirs.
        history: Of their totals.
        woken: Set by whoever knows of something that is due earlier than it was.
    """

    def __init__(
        self,
        clock: Clock,
        members: Mapping[str, Member],
        pool: BuiltInPool,
        faults: FaultsAtWork,
        history: History,
        *,
        woken: asyncio.Event,
    ) -> None:
        self.bending = asyncio.Lock()
        """Held by whoever moves the time, or needs it to stand still."""
        self.dials: set[tuple[str, Link]] = set()
        """Connections to this machine that are being opened."""
        self.is_stopping = False
        self._clock = clock
        self._members = members
        self._pool = pool
        self._faults = faults
        self._history = history
        self._woken = woken
        self._heap: list[tuple[float, int, Member]] = []
        self._order = 0
        self._late_at = math.inf
        """Real time from which on the round under way takes too long."""

    async def run(self) -> None:
        """Keep the devices going until `stop`."""
        while not self.is_stopping:
            async with self.bending:
                await self._round()
            await self._sleep(self._clock.real_delay(self._next_wake()))

    def stop(self) -> None:
        """Let `run` return."""
        self.is_stopping = True
        self._woken.set()

    @property
    def is_late(self) -> bool:
        """True while a round takes longer than it should."""
        return time.monotonic() > self._late_at

    def set_clock(
        self, *, speed: float | None = None, is_paused: bool | None = None
    ) -> None:
        """Change the clock; what is None stays.

        Raises:
            SettingError: There is no such speed.
        """
        if speed is not None:
            speed = read_number("speed", speed, SPEEDS)
        self._clock.advance()
        if speed is not None:
            self._clock.speed = speed
        if is_paused is not None:
            self._clock.is_paused = is_paused
        self._woken.set()

    async def advance(self, duration_s: float) -> None:
        """Let device time pass at once.

        When it returns, everything has happened that the time brings: in slices, and
        after each one bytes between the devices and the built-in pool have arrived.
        Cancelled, it ends between two slices, and the time stays where it is.

        Raises:
            SettingError: So much time is not allowed.
            FleetStopped: The fleet ends, and not everything has happened.
        """
        duration_s = read_number("seconds", duration_s, ADVANCES_S)
        async with self.bending:
            await self._pass_until(self._clock.now + duration_s)

    async def advance_to(self, until: float) -> None:
        """Let device time pass at once until a moment; nothing when it is past.

        Raises:
            SettingError: So much time is not allowed.
            FleetStopped: The fleet ends, and not everything has happened.
        """
        async with self.bending:
            now = self._clock.now
            until = read_number("until", until, (0.0, now + ADVANCES_S[1]))
            if until >= now:
                await self._pass_until(until)

    async def _pass_until(self, end: float) -> None:
        clock, now = self._clock, self._clock.now
        try:
            with clock.held():
                while now < end:
                    if self.is_stopping:
                        raise FleetStopped(f"the fleet ends, {end - now:g} s early")
                    due = max(now + SHORTEST_SLICE_S, self._next_wake())
                    now = min(end, now + SLICE_S, due)
                    clock.move(now)
                    await self._step_due(now)
                    await self._settle()
                await self._catch_up(end)
                await self.wait_for_ports()
        finally:
            self._woken.set()

    async def _catch_up(self, now: float) -> None:
        """Let the devices of a large fleet not wait for their turns any more."""
        turns = Turns()
        while late := [m for m in self._members.values() if m.device.next_wake <= now]:
            if self.is_stopping:
                raise FleetStopped("the fleet ends, and not all has happened")
            for member in late:
                if self._is_here(member):  # it may have been removed since
                    member.step(now)
                    self.schedule(member)
                await turns.give()
            await self._settle()

    async def wait_for_ports(self) -> None:
        """Wait until a device that is up is to be reached, but not for ever."""
        await ports_settled(self._members, lambda: self.is_stopping)

    def wake(self, member: Member) -> None:
        """Plan a device's next step anew; it may be earlier than it was."""
        if self._due(member) < member.wake_at:
            before = self._next_wake()
            self.schedule(member)
            if member.wake_at < before:
                self._woken.set()

    def schedule(self, member: Member) -> None:
        """Plan a device's next step."""
        if not self._is_here(member):
            return
        member.wake_at = self._due(member)
        self._order += 1
        member.wake_order = self._order
        heappush(self._heap, (member.wake_at, self._order, member))
        if len(self._heap) > 4 * len(self._members) + 64:
            self._heap = [e for e in self._heap if e[1] == e[2].wake_order]
            heapify(self._heap)

    def forget(self, member: Member) -> None:
        """Step a device no more."""
        member.wake_order = -1

    def _due(self, member: Member) -> float:
        """When a device is to be stepped next."""
        device = member.device
        lag = self._lag_s
        due = max(device.next_wake, self._earliest(member, lag))
        if lag < LONGEST_LAG_S or member.is_read:
            return due
        return max(due, min(device.next_word, device.now + ROUTINE_S))

    @property
    def _lag_s(self) -> float:
        return min(LONGEST_LAG_S, max(1, len(self._members)) * LAG_PER_DEVICE_S)

    def _earliest(self, member: Member, lag: float) -> float:
        """When a device may be stepped again that has just been.

        The devices of a large fleet come by once a second, each at a moment of its own:
        many steps of one device in a row take less than as many steps of many devices.
        Nobody notices: the steps happen in their order and at their moments, and who
        asks gets the present.
        """
        turn = math.floor(self._clock.now / lag - member.phase) + 1
        return (turn + member.phase) * lag

    def _is_here(self, member: Member) -> bool:
        return self._members.get(member.id) is member

    async def _sleep(self, delay_s: float) -> None:
        """Sleep until the next step is due, or somebody wakes the ticker."""
        if delay_s <= 0:  # time is behind: only look at the sockets
            await asyncio.sleep(0)
            return
        self._woken.clear()
        tick_s = max(TICK_S, self._lag_s / LAG_PER_TICK)
        sleep_s = max(tick_s, min(delay_s, LONGEST_SLEEP_S))
        alarm = asyncio.get_running_loop().call_later(sleep_s, self._woken.set)
        await self._woken.wait()
        alarm.cancel()

    async def _round(self) -> None:
        """Move the time, and let happen what is due; then only may it go on.

        Until the next round it goes a slice beyond what is planned, for clients that
        want the present.
        """
        clock, began = self._clock, time.monotonic()
        self._late_at = began + ROUND_S
        clock.horizon = math.inf
        now = clock.horizon = clock.advance()
        await self._step_due(now)
        await asyncio.sleep(0)  # what was sent arrives
        took = time.monotonic() - began
        if clock.slice_s < SLICE_S:
            await asyncio.sleep(REST * took)
        if took > ROUND_S:
            clock.slice_s = max(LEAST_SLICE_S, clock.slice_s / 2)
        elif took < ROUND_S / 2:
            clock.slice_s = min(SLICE_S, clock.slice_s * 2)
        clock.horizon = max(now, self._next_wake()) + clock.slice_s
        self._late_at = math.inf

    async def _step_due(self, now: float) -> None:
        """Let everything happen that is due, with looks at the sockets in between."""
        if self._faults.due <= now:
            await self._faults.apply()
        await self._pool.step(now)
        turns = Turns()
        while self._heap and self._heap[0][0] <= now:
            _, order, member = heappop(self._heap)
            if order != member.wake_order:
                continue  # it has been planned anew or removed since
            member.step(now)
            self.schedule(member)
            await turns.give()
        if self._history.due <= now:
            await self._history.note(now, self._members.values())

    async def _settle(self) -> None:
        """Wait until no byte is under way inside this process."""
        deadline = time.monotonic() + QUIET_S
        looks = 0
        while looks < LEAST_LOOKS or time.monotonic() < deadline:
            await asyncio.sleep(0)
            looks += 1
            if not self.dials and self._pool.is_quiet:
                return

    def _next_wake(self) -> float:
        wake = self._heap[0][0] if self._heap else math.inf
        return min(wake, self._faults.due, self._pool.next_wake)
