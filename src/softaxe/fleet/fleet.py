"""Any number of devices on one clock, one disk and one built-in pool.

A plain `softaxe run` is a fleet of one. One ticker steps whatever is due; it never
works longer than a few milliseconds without looking at the sockets.
"""

import asyncio
import errno
import gc
import math
import time
from collections import Counter, deque
from collections.abc import (
    Callable,
    Collection,
    Coroutine,
    Iterator,
    Sequence,
)
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from heapq import heapify, heappop, heappush
from typing import Any

from starlette.types import Scope

from softaxe.asic.chip import Search
from softaxe.device.boot import ON_NETWORK_S
from softaxe.device.device import Device
from softaxe.device.events import CloseReason, Link, SaveFlash, SaveSettings
from softaxe.device.logbook import LogLine
from softaxe.errors import FleetStopped, SettingError
from softaxe.faults import EFFECTS, FaultRules, HttpFault
from softaxe.fleet.addresses import AddressPlan, allow_open_files
from softaxe.fleet.clock import (
    ADVANCES_S,
    SLICE_S,
    SPEEDS,
    Clock,
    read_number,
)
from softaxe.fleet.groups import (
    Group,
    member_options,
    seeded,
)
from softaxe.fleet.options import FleetOptions, control_address
from softaxe.fleet.pool_server import FIRST_PORT_TRIES, PoolServer
from softaxe.fleet.rows import History
from softaxe.fleet.search_thread import (
    Budget,
    run_timed,
    yield_to_others,
)
from softaxe.fleet.snapshots import MOST_SNAPSHOTS, Snapshot, frozen
from softaxe.fleet.turns import Turns, in_turns
from softaxe.serve.http_faults import FaultyApp
from softaxe.serve.journal import Journal, JournaledApp
from softaxe.serve.listener import AsgiApp, Listener
from softaxe.serve.member import Member, MemberOptions
from softaxe.serve.saver import Saver
from softaxe.serve.storage import SettingValue, Storage
from softaxe.stratum.pool import (
    NO_POOL_FAULTS,
    Pool,
    PoolConnection,
    PoolFaults,
)
from softaxe.units import Log

ShowProgress = Callable[[str, int, int], None]
CONTROL = "127.0.0.1:8100"
"""The control API's usual place; the next free one is taken when it is not."""
POOL_HOST = "127.0.0.1"
LONGEST_SLEEP_S = 1.0
SHORTEST_SLICE_S = 0.1
"""Of device time, when time is bent: so late may bytes between devices and pool be, as
on the way to many a pool; the devices' own work is more exact."""
LAG_PER_DEVICE_S = 0.002
LONGEST_LAG_S = 1.0
TICK_S = 0.005
"""Shortest sleep of the ticker."""
ROUND_S = 0.04
"""Real seconds that a round through the devices may take, with what comes of it. A
fleet that cannot keep up moves in smaller slices: it lives more slowly, and answers."""
LEAST_SLICE_S = 0.005
REST = 0.5
"""Of a round's time: so long a fleet that is late leaves the CPU to its clients."""
TELL_S = 0.001
"""Real seconds that the built-in pool may tell miners of a job without a look at the
sockets; what they do with it takes some times as long."""
STRANGERS = "strangers"
"""The group of miners at the built-in pool that are no devices of the fleet."""
PORTS_S = 5.0
"""Real seconds for ports to open and close; more than a hung connection takes."""
QUIET_S = 1.0
"""Real seconds to wait for bytes that are under way while time is bent..."""
LEAST_LOOKS = 100
"""...and so many looks at the sockets: on a busy machine a second may have none."""
REAL_SEARCH_S = 0.02
"""Aim for the length of one call of the kernel in `real` work."""
FIRST_SEARCH_NONCES = 1 << 10
"""A call begins so short and grows to that length, with a native kernel to some 2**18
nonces. The Python kernel would need seconds for those, with the interpreter's lock."""
LAST_SEARCH_NONCES = 1 << 20
LONGEST_REST_S = 1.0
"""Between two looks at how much of the CPU is this process's."""
IDLE_SEARCH_S = 0.1
CLOSED_AT_ONCE = 256
"""Devices whose ports are closed together, as each may wait for its clients."""
GARBAGE_OBJECTS = 50_000
"""So many new objects are there before garbage is looked for; some 10 MB."""


def settle_memory() -> None:
    """Let the garbage collector leave alone what is there to stay.

    For a process that does nothing but run a fleet, once its devices are up. Devices
    leave hardly any garbage, and looking for it among thousands of them takes a third
    of their time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS, 20, 20)


async def open_control(text: str, app: AsgiApp) -> Listener | None:
    """Serve an app at `host:port`; at the usual place, the next free port will do.

    Raises:
        OSError: The port asked for is taken.
        SettingError: No address was meant.
    """
    address = control_address(text)
    if address is None:
        return None
    host, port = address
    tries = FIRST_PORT_TRIES if text == CONTROL else 1
    for attempt in range(tries):
        listener = Listener(app, host, port + attempt if port else 0)
        try:
            await listener.open()
        except OSError:
            if attempt + 1 == tries:
                raise
        else:
            return listener
    return None


class Fleet:
    """Drives devices: time, storage, the built-in pool and real work.

    `start`, then `run` until `stop` is called, then `close`.

    Args:
        options: What to run.
        show_log: Called with the id and every log line of every device.
        show_progress: Called with what is under way, "starting" or "ending", and with
            how many devices of how many it is done.
        show_pool_log: Called with what the built-in pool says.
        clock: Another than the fleet's own.
        budget: For real work, when other processes have a part in it.
    """

    def __init__(
        self,
        options: FleetOptions,
        *,
        show_log: Callable[[str, LogLine], None] | None = None,
        show_progress: ShowProgress = lambda what, done, of: None,
        show_pool_log: Log | None = None,
        clock: Clock | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.options = options
        self.members: dict[str, Member] = {}
        self._known: set[str] = set()
        """Every device there has been, as it may have stored something."""
        self.storage = Storage(options.state, is_shared=options.is_part)
        self.saver = Saver(self.storage)
        self.clock = clock or Clock(speed=options.speed, is_paused=options.is_paused)
        self.pool_server: PoolServer | None = None
        self.journal = Journal()
        self.rules = FaultRules(options.seed)
        """What goes wrong; await `apply_faults` after a change."""
        self._faults_due = math.inf
        self.history = History()
        self.snapshots: dict[str, Snapshot] = {}
        self.is_ready = False
        """True once every device is up."""
        self._show_log = show_log
        self._show_progress = show_progress
        self._show_pool_log = show_pool_log
        host = options.first_host
        self._addresses = AddressPlan(host, options.port, options.port_base)
        self._control: Listener | None = None
        self._heap: list[tuple[float, int, Member]] = []
        self._order = 0
        self._late_at = math.inf
        """Real time from which on the round under way takes too long."""
        self._wake = asyncio.Event()
        self._is_stopping = False
        self.dials: set[tuple[str, Link]] = set()
        self._is_bending = asyncio.Lock()
        self._changing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._real: deque[Member] = deque()
        self._budget = budget or Budget(options.cpu_percent)
        self._fault: BaseException | None = None

    # Life

    async def start(self) -> None:
        """Create the devices and open their ports.

        Raises:
            OSError: A port is taken.
            StorageError: The state cannot be read.
            SettingError: An option is not allowed.
            FleetStopped: It was told to end meanwhile; no device is there.
        """
        if self.options.has_pool:
            await self._start_pool()
        await self.add(*self.options.groups)
        await self._begin_faults()
        self.is_ready = True

    async def open_control(self, app: AsgiApp) -> str:
        """Serve the control API, from before the devices are there.

        Returns:
            Its URL; empty when there is to be none.

        Raises:
            OSError: The port asked for is taken.
            SettingError: No address was meant.
        """
        self._control = await open_control(self.options.control, app)
        return "" if self._control is None else self._control.url

    async def add(self, *groups: Group) -> list[Member]:
        """Switch on the devices of some groups.

        Raises:
            SettingError: A value is not allowed, or a seed is in use.
            OSError: A port is taken; none of the devices is there then.
            FleetStopped: The fleet ends; none of the devices is there.
        """
        async with self._changing:
            return await self._add(groups, is_later=self.is_ready)

    async def _add(
        self, groups: Sequence[Group], *, is_later: bool = False
    ) -> list[Member]:
        if any(group.pool is None for group in groups) and self.pool_server is None:
            await self._start_pool()
        plan: list[MemberOptions] = []
        taken = {(m.options.host, m.options.port) for m in self.members.values()}
        used = {m.options.seed: m.group for m in self.members.values()}
        for group in seeded(groups, first=self.options.seed, used=used):
            plan += member_options(group, pool_rows=self._pool_rows())
        places = self._addresses.places(taken)
        allow_open_files(len(plan) + len(self.members))
        began = self.clock.now
        added: list[Member] = []
        try:
            for number, options in enumerate(plan):
                # Spread over a second, as nobody's thousand devices beat in time.
                power_on_s = began - ON_NETWORK_S - number / len(plan)
                member = await self._switch_on(
                    options, places, power_on_s=power_on_s, is_later=is_later
                )
                self.members[member.id] = member
                self._known.add(member.id)
                added.append(member)
                self._apply_to(member)
                self._schedule(member)
                self._note_real(member)
                if number % 16 == 0:
                    self._show_progress("starting", number, len(plan))
                    await asyncio.sleep(0)
                    if self._is_stopping:
                        raise FleetStopped("the fleet ends before it has started")
        except BaseException:
            await self._end(added, self._remove)
            raise
        self._show_progress("starting", len(plan), len(plan))
        return added

    async def _switch_on(
        self,
        options: MemberOptions,
        places: Iterator[tuple[str, int]],
        *,
        power_on_s: float,
        is_later: bool,
    ) -> Member:
        """Make a device and open its port at the next place."""
        for host, port in places:
            member = Member(
                replace(options, host=host, port=port),
                self,
                power_on_s=power_on_s,
                show_log=self._show_log,
            )
            try:
                await member.open()
            except OSError as error:
                await member.close()
                # Another process of the fleet may have got the place.
                if not is_later or error.errno != errno.EADDRINUSE:
                    raise
            else:
                return member
        raise SettingError("there is no address left")

    async def remove(self, member_id: str) -> None:
        """Switch a device off for good; what it has stored stays.

        Raises:
            KeyError: There is none with this id.
        """
        async with self._changing:
            await self._remove(self.members[member_id])

    async def _remove(self, member: Member) -> None:
        self.members.pop(member.id, None)
        member.wake_order = -1
        await member.close()
        self._note_real(member)

    async def _end(
        self,
        members: Sequence[Member],
        end: Callable[[Member], Coroutine[object, object, None]],
    ) -> None:
        """End some devices, many at a time."""
        for number in range(0, len(members), CLOSED_AT_ONCE):
            self._show_progress("ending", number, len(members))
            await asyncio.gather(*map(end, members[number : number + CLOSED_AT_ONCE]))
        self._show_progress("ending", len(members), len(members))

    async def run(self) -> None:
        """Keep the devices going until `stop`."""
        self.spawn(self._search_real_work())
        while not self._is_stopping:
            async with self._is_bending:
                await self._round()
            await self._sleep(self.clock.real_delay(self._next_wake()))
        if self._fault is not None:
            raise self._fault

    async def _sleep(self, delay_s: float) -> None:
        """Sleep until the next step is due, or somebody wakes the ticker."""
        if delay_s <= 0:  # time is behind: only look at the sockets
            await asyncio.sleep(0)
            return
        self._wake.clear()
        try:
            async with asyncio.timeout(max(TICK_S, min(delay_s, LONGEST_SLEEP_S))):
                await self._wake.wait()
        except TimeoutError:
            pass

    def stop(self) -> None:
        """Let `run` return."""
        self._is_stopping = True
        self._wake.set()

    async def close(self) -> None:
        """Close everything; what was to be saved is saved."""
        self._is_stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._end(list(self.members.values()), Member.close)
        if self.pool_server is not None:
            await self.pool_server.close()
        if self._control is not None:
            await self._control.close()
        for member in self.members.values():
            member.dispatch()
        await self.saver.commit()
        self.storage.close()

    # Time

    async def advance(self, duration_s: float) -> None:
        """Let device time pass at once.

        When it returns, everything has happened that the time brings: in slices, and
        after each one bytes between the devices and the built-in pool have arrived.

        Raises:
            SettingError: So much time is not allowed.
            FleetStopped: The fleet ends, and not everything has happened.
        """
        duration_s = read_number("seconds", duration_s, ADVANCES_S)
        async with self._is_bending:
            now = self.clock.now
            end = now + duration_s
            self.clock.is_held = True
            try:
                while now < end:
                    if self._is_stopping:
                        raise FleetStopped(f"the fleet ends, {end - now:g} s early")
                    due = max(now + SHORTEST_SLICE_S, self._next_wake())
                    now = min(end, now + SLICE_S, due)
                    self.clock.move(now)
                    await self._step_due(now)
                    await self._settle()
                await self._catch_up(end)
                await self._wait_for_ports()
            finally:
                self.clock.is_held = False
        self._wake.set()

    async def _catch_up(self, now: float) -> None:
        """Let the devices of a large fleet not wait for their turns any more."""
        turns = Turns()
        while late := [m for m in self.members.values() if m.device.next_wake <= now]:
            if self._is_stopping:
                raise FleetStopped("the fleet ends, and not all has happened")
            for member in late:
                if self._is_here(member):  # it may have been removed since
                    member.step(now)
                    self._schedule(member)
                await turns.give()
            await self._settle()

    async def _wait_for_ports(self) -> None:
        """Wait until a device that is up is to be reached, but not for ever."""
        deadline = time.monotonic() + PORTS_S
        late = [m for m in self.members.values() if m.is_port_late]
        while late and time.monotonic() < deadline and not self._is_stopping:
            await asyncio.sleep(TICK_S)
            late = [member for member in late if member.is_port_late]

    def _is_here(self, member: Member) -> bool:
        return self.members.get(member.id) is member

    async def _round(self) -> None:
        """Move the time, and let happen what is due; then only may it go on.

        Until the next round it goes a slice beyond what is planned, for clients that
        want the present.
        """
        clock, began = self.clock, time.monotonic()
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

    @property
    def is_late(self) -> bool:
        """True while a round takes longer than it should."""
        return time.monotonic() > self._late_at

    async def _step_due(self, now: float) -> None:
        """Let everything happen that is due, with looks at the sockets in between."""
        if self._faults_due <= now:
            await self.apply_faults()
        await self._step_pool(now)
        turns = Turns()
        while self._heap and self._heap[0][0] <= now:
            _, order, member = heappop(self._heap)
            if order != member.wake_order:
                continue  # it has been planned anew or removed since
            member.step(now)
            self._schedule(member)
            await turns.give()
        if self.history.due <= now:
            await self.history.note(now, self.members.values())

    async def _step_pool(self, now: float) -> None:
        """Let the built-in pool say what is due, to a few miners at a time."""
        server = self.pool_server
        if server is None:
            return
        turns = Turns(TELL_S)
        while server.pool.next_wake <= now:
            server.step(server.pool.next_wake)
            await turns.give()
        server.step(now)

    async def _settle(self) -> None:
        """Wait until no byte is under way inside this process."""
        deadline = time.monotonic() + QUIET_S
        looks = 0
        while looks < LEAST_LOOKS or time.monotonic() < deadline:
            await asyncio.sleep(0)
            looks += 1
            server = self.pool_server
            if not self.dials and (server is None or not server.wire.bytes_under_way):
                return

    def _next_wake(self) -> float:
        wake = self._heap[0][0] if self._heap else math.inf
        wake = min(wake, self._faults_due)
        if self.pool_server is not None:
            wake = min(wake, self.pool_server.pool.next_wake)
        return wake

    def set_clock(
        self, *, speed: float | None = None, is_paused: bool | None = None
    ) -> None:
        """Change the clock; what is None stays.

        Raises:
            SettingError: There is no such speed.
        """
        if speed is not None:
            speed = read_number("speed", speed, SPEEDS)
        self.clock.advance()
        if speed is not None:
            self.clock.speed = speed
        if is_paused is not None:
            self.clock.is_paused = is_paused
        self._wake.set()

    # Faults

    async def _begin_faults(self) -> None:
        """Take up the rules that the fleet is described with."""
        for rule in self.options.faults:
            self.rules.add(rule, self.clock.now)
        if self.rules.rules:
            await self.apply_faults()

    async def apply_faults(self) -> None:
        """Let every device and connection have the faults that are due now."""
        self._faults_due = self.rules.next_change(self.clock.now)
        async for member in in_turns(self.members.values()):
            if member.id in self.members and self._apply_to(member):
                member.dispatch()
                self.wake(member)
        if self.pool_server is not None:
            for connection in self.pool_server.strangers():
                self._apply_to_stranger(connection)
        self._wake.set()

    def _apply_to(self, member: Member) -> bool:
        """Give one device its faults; True when they have changed."""
        now, rules = self.clock.now, self.rules
        faults = rules.device_faults(member.id, member.group, now)
        links = rules.link_faults(member.id, member.group, now)
        is_changed = faults != member.device.faults or links != member.link_faults
        if faults != member.device.faults:
            member.device.set_faults(faults, now)
        member.set_link_faults(links)
        self._apply_to_pool(member)
        return is_changed

    def _apply_to_pool(self, member: Member, *, is_new: bool = False) -> None:
        """Let the built-in pool treat a device as ordered."""
        server = self.pool_server
        connection = server.connection(member.pool_name) if server else None
        if server is None or connection is None:
            return
        scale = member.device.work_mode.scale
        now = self.clock.now
        wanted = self.rules.pool_faults(member.id, member.group, now, scale=scale)
        self._treat(connection, wanted, is_new=is_new)

    def _treat(
        self, connection: PoolConnection, wanted: PoolFaults, *, is_new: bool
    ) -> None:
        """Let the built-in pool give a miner these faults."""
        assert self.pool_server is not None
        if is_new:  # it has connected anew, as it may have been asked to
            connection.faults = replace(NO_POOL_FAULTS, reconnects=wanted.reconnects)
        if wanted != connection.faults:
            connection.set_faults(wanted, self.clock.now)
        self.pool_server.flush(connection.name)

    def _take_stranger(self, connection: PoolConnection) -> None:
        """A miner that is none of ours has begun to speak to the built-in pool."""
        if self.rules.rules:
            self._apply_to_stranger(connection, is_new=True)

    def _apply_to_stranger(
        self, connection: PoolConnection, *, is_new: bool = False
    ) -> None:
        """Let the built-in pool treat a miner that is none of ours as ordered.

        Its address and port stand for a device's id. All it knows of pools is this one.
        """
        name, now = connection.name, self.clock.now
        links = self.rules.link_faults(name, STRANGERS, now)
        connection.is_silent = links.is_silent
        if links.is_primary_down or links.is_fallback_down:
            connection.close("down on order")
        wanted = self.rules.pool_faults(name, STRANGERS, now)
        self._treat(connection, wanted, is_new=is_new)

    async def describe_faults(self) -> dict[str, Any]:
        """Return all rules, how many they meet, and all effects there are."""
        rules = list(self.rules.rules.values())
        met = Counter[str]()
        if rules:
            async for member in in_turns(self.members.values()):
                met.update(r.id for r in rules if r.meets(member.id, member.group))
        now = self.clock.now
        told = [
            {**rule.to_json(), "active": rule.is_active(now), "matches": met[rule.id]}
            for rule in rules
        ]
        return {"faults": told, "effects": [e.to_json() for e in EFFECTS.values()]}

    def _http_fault(self, member: Member, scope: Scope) -> HttpFault | None:
        if not self.rules.rules:
            return None
        return self.rules.http_fault(
            member.id,
            member.group,
            scope.get("method", "GET"),
            scope["raw_path"].decode("latin-1"),
            self.clock.now,
            connection_count=member.connection_count,
            is_stream=scope["type"] == "websocket",
        )

    # Coming back

    async def take_snapshot(self, name: str) -> Snapshot:
        """Keep the state of devices, pool, faults and clock under a name.

        Raises:
            SettingError: There are too many.
        """
        if len(self.snapshots) >= MOST_SNAPSHOTS and name not in self.snapshots:
            raise SettingError(f"name: there are {MOST_SNAPSHOTS} snapshots; drop one")
        async with self._is_bending, self._changing:
            now = self.clock.now
            devices = {}
            images: set[str] = set()
            async for member in in_turns(self.members.values()):
                member.step(now)
                images |= member.device.flash.images()
                self._keep_images(images)
                devices[member.id] = member.options, frozen(member.device)
            server = self.pool_server
            pool = None if server is None else frozen(server.pool)
            rules = frozen(self.rules)
            kept = frozenset(images)
            self.snapshots[name] = Snapshot(name, now, devices, pool, rules, kept)
            self._keep_images()
        return self.snapshots[name]

    def drop_snapshot(self, name: str) -> None:
        """Forget a snapshot.

        Raises:
            KeyError: There is no such snapshot.
        """
        del self.snapshots[name]
        self._keep_images()

    def _keep_images(self, more: Collection[str] = ()) -> None:
        """Let the images of all snapshots stay, and more."""
        named = (snapshot.images for snapshot in self.snapshots.values())
        self.storage.kept_images = frozenset(more).union(*named)

    async def restore(self, name: str) -> None:
        """Put everything back as it was; connections to pools are made anew.

        Raises:
            KeyError: There is no such snapshot.
        """
        snapshot = self.snapshots[name]
        async with self._is_bending, self._changing:
            for member in list(self.members.values()):
                options, _ = snapshot.devices.get(member.id, (None, b""))
                if member.options != options:  # another, perhaps of the same name
                    await self._remove(member)
            self.clock.move(snapshot.now)
            self.rules = snapshot.rules_then()
            pool = snapshot.pool_then()
            if self.pool_server is not None and pool is not None:
                pool.log = self._show_pool_log
                self.pool_server.replace(pool)
            for device_id, (options, _) in snapshot.devices.items():
                device = snapshot.device(device_id)
                if device_id not in self.members:
                    member = Member(options, self, show_log=self._show_log)
                    self.members[device_id] = member
                self._put_back(self.members[device_id], device)
                self._apply_to(self.members[device_id])
                await asyncio.sleep(0)
            self._faults_due = self.rules.next_change(snapshot.now)
            self.history.restart(snapshot.now)
            await self._wait_for_ports()
        await self.saver.commit()
        self._wake.set()

    def _put_back(self, member: Member, device: Device) -> None:
        """Let a member go on with a device of a snapshot; disk follows."""
        settings = SaveSettings(device.settings.to_nvs(), device.settings)
        rows = device.flash.to_rows()
        self.saver.add(member.id, device, settings)
        self.saver.add(member.id, device, SaveFlash(rows, rows, device.www))
        member.replace(device)
        for link in Link:  # nobody is at the other end any more
            device.pool_closed(CloseReason.CLOSED, device.now, link=link)
        member.dispatch()
        self._schedule(member)
        self._note_real(member)

    async def reset(self) -> None:
        """Start over as the fleet was described; nothing that was stored stays.

        Raises:
            FleetStopped: The fleet ends.
        """
        async with self._is_bending, self._changing:
            await self._end(list(self.members.values()), self._remove)
            await self.saver.commit()
            await asyncio.to_thread(self.storage.forget, self._known)
            self._known.clear()
            options = self.options
            self.set_clock(speed=options.speed, is_paused=options.is_paused)
            self.clock.move(0.0)
            self.journal.clear()
            self.rules = FaultRules(options.seed)
            self.snapshots.clear()
            self._keep_images()
            self.history.restart(0.0)
            if self.pool_server is not None:
                self.pool_server.replace(self._new_pool())
            await self._add(options.groups)
            await self._begin_faults()
            if not options.is_part:  # otherwise the parent knows who there is
                there = list(self.members)
                await asyncio.to_thread(self.storage.forget_others, there)

    # What the members use

    def wake(self, member: Member) -> None:
        """Plan a device's next step anew; it may be earlier than it was."""
        if max(member.device.next_wake, self._earliest(member)) < member.wake_at:
            before = self._next_wake()
            self._schedule(member)
            if member.wake_at < before:
                self._wake.set()

    def _earliest(self, member: Member) -> float:
        """When a device may be stepped again that has just been.

        The devices of a large fleet come by once a second, each at a moment of its own:
        many steps of one device in a row take less than as many steps of many devices.
        Nobody notices: the steps happen in their order and at their moments, and who
        asks gets the present.
        """
        count = max(1, len(self.members))
        lag = min(LONGEST_LAG_S, count * LAG_PER_DEVICE_S)
        turn = math.floor(self.clock.now / lag - member.phase) + 1
        return (turn + member.phase) * lag

    def _schedule(self, member: Member) -> None:
        if not self._is_here(member):
            return
        member.wake_at = max(member.device.next_wake, self._earliest(member))
        self._order += 1
        member.wake_order = self._order
        heappush(self._heap, (member.wake_at, self._order, member))
        if len(self._heap) > 4 * len(self.members) + 64:
            self._heap = [e for e in self._heap if e[1] == e[2].wake_order]
            heapify(self._heap)

    def spawn(self, work: Coroutine[object, object, None]) -> None:
        """Run in the background; a fault ends the fleet."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._take_end)

    def _take_end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fault = error
            self.stop()

    def wrap(self, member: Member, app: AsgiApp) -> AsgiApp:
        """Return what is served instead of a device's own app."""
        faulty = FaultyApp(app, lambda scope: self._http_fault(member, scope))
        return JournaledApp(faulty, self.journal, member.id, lambda: self.clock.now)

    def link_changed(self, member: Member) -> None:
        """A pool connection of the device stands."""
        self._note_real(member)
        if self.rules.rules:
            self._apply_to_pool(member, is_new=True)

    # The built-in pool

    async def _start_pool(self) -> None:
        self.pool_server = PoolServer(
            self._new_pool(), self.clock, take_stranger=self._take_stranger
        )
        wanted, tries = self.options.pool_port, FIRST_PORT_TRIES
        _, port = await self.pool_server.listen(POOL_HOST, wanted, tries=tries)
        second = port + 1 if wanted else 0
        await self.pool_server.listen(POOL_HOST, second, tries=tries)

    def _new_pool(self) -> Pool:
        seed, start_time = self.options.seed, self.options.start_time
        log = self._show_pool_log
        return Pool.for_scaled_work(seed=seed, start_time=start_time, log=log)

    def _pool_rows(self) -> dict[str, SettingValue]:
        """Where a device finds the built-in pool."""
        if self.pool_server is None:
            return {}
        (_, port), (_, second) = self.pool_server.addresses
        return {
            "stratumurl": POOL_HOST,
            "stratumport": port,
            "fbstratumurl": POOL_HOST,
            "fbstratumport": second,
        }

    # Real work

    def _note_real(self, member: Member) -> None:
        is_real = self._is_here(member) and member.is_real
        if is_real and member not in self._real:
            self._real.append(member)
        elif not is_real and member in self._real:
            self._real.remove(member)
        self._budget.note(len(self._real))

    async def _search_real_work(self) -> None:
        """Search, in threads, what chips have to search whose work is real."""
        threads = self._budget.threads
        executor = ThreadPoolExecutor(
            threads, thread_name_prefix="search", initializer=yield_to_others
        )
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(threads):
                    group.create_task(self._search(executor))
        finally:
            executor.shutdown(wait=False, cancel_futures=True)

    def _next_search(self, nonces: int) -> tuple[Member, Device, Search] | None:
        """Take the next device's turn; None when no chip has anything to do."""
        for _ in range(len(self._real)):
            member = self._real[0]
            self._real.rotate(-1)
            search = member.device.take_search(nonces)
            if search is not None:
                return member, member.device, search
        return None

    async def _search(self, executor: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        nonces = FIRST_SEARCH_NONCES
        while not self._is_stopping:
            found_one = self._next_search(nonces)
            if found_one is None:
                await asyncio.sleep(IDLE_SEARCH_S)
                continue
            member, device, search = found_one
            began = time.perf_counter()
            found, cpu_s = await loop.run_in_executor(executor, run_timed, search)
            took = time.perf_counter() - began
            if member.device is device:
                device.finish_search(search, found, self.clock.advance())
                member.dispatch()
                if found:
                    self.wake(member)
            nonces = max(
                FIRST_SEARCH_NONCES,
                min(
                    LAST_SEARCH_NONCES,
                    nonces * 2 if took < REAL_SEARCH_S / 2 else nonces,
                    int(search.span.count * REAL_SEARCH_S / max(took, 1e-6)) or 1,
                ),
            )
            await self._rest(cpu_s, took)

    async def _rest(self, cpu_s: float, took_s: float) -> None:
        """Let a thread rest until its search was within the budget, which changes."""
        left_s = cpu_s * self._budget.threads - took_s * self._budget.cores
        await asyncio.sleep(0)
        while left_s > 0 and (cores := self._budget.cores):
            rest_s = min(LONGEST_REST_S, left_s / cores)
            await asyncio.sleep(rest_s)
            left_s -= rest_s * cores
