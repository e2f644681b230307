"""Any number of devices on one clock, one disk and one built-in pool: who there is.

A plain `softaxe run` is a fleet of one. When what happens is the `Ticker`'s; what goes
wrong, what is kept to come back to, and real work have places of their own too.
"""

import asyncio
import errno
import gc
import sys
from collections.abc import (
    AsyncGenerator,
    Callable,
    Collection,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from dataclasses import replace
from types import MappingProxyType

from softaxe.device.boot import ON_NETWORK_S
from softaxe.device.device import POWER_ON, Device
from softaxe.device.events import (
    BlockFound,
    CloseReason,
    Link,
    SaveFlash,
    SaveSettings,
)
from softaxe.device.logbook import LAST_LINES, LEVELS, RING_BYTES, LogLine
from softaxe.device.setting_rules import Stored
from softaxe.errors import FleetStopped, SettingError
from softaxe.faults import FaultRules
from softaxe.fleet.addresses import AddressPlan, allow_open_files
from softaxe.fleet.built_in_pool import BuiltInPool
from softaxe.fleet.clock import Clock
from softaxe.fleet.faults_at_work import FaultsAtWork
from softaxe.fleet.groups import (
    Group,
    check_twins,
    member_options,
    numbered,
    wants_own_tls,
    wants_own_v2,
)
from softaxe.fleet.options import FleetOptions
from softaxe.fleet.pool_server import PoolServer
from softaxe.fleet.real_work import RealWork
from softaxe.fleet.rows import History
from softaxe.fleet.search_thread import Budget, searched_per_s
from softaxe.fleet.seeds import member_seed, neighbouring_seed
from softaxe.fleet.snapshots import Snapshot, Snapshots
from softaxe.fleet.ticker import Ticker
from softaxe.serve.http_faults import FaultyApp
from softaxe.serve.intake import Intake
from softaxe.serve.journal import Journal, JournaledApp
from softaxe.serve.mdns import Announcer
from softaxe.serve.member import Member, MemberOptions
from softaxe.serve.request import App
from softaxe.serve.saver import Saver
from softaxe.serve.share_load import ShareLoad
from softaxe.serve.storage import State, Storage
from softaxe.units import Level, Log

ShowProgress = Callable[[str, int, int], None]
CLOSED_AT_ONCE = 256
"""Devices whose ports are closed together, as each may wait for its clients."""
GARBAGE_OBJECTS = 50_000
"""So many new objects are there before garbage is looked for; some 10 MB."""

LOG_MEMORY_BYTES = 32 << 20
"""Of what all devices of a process keep of their logs."""
LINE_BYTES = 512
"""Of a line that waits to be written out, about."""
WATCHED_LOGS = 16
"""Devices whose log is kept, as somebody looks at it, however many there are."""
LEAST_LINES = 100
"""With room for fewer, releases before 2.14 keep none: it would cost time as well."""


def settle_memory() -> None:
    """Let the garbage collector leave alone what is there to stay.

    For a process that does nothing but run a fleet, once its devices are up. Devices
    leave hardly any garbage, and looking for it among thousands of them takes a third
    of their time. What clients leave goes without it: a connection's objects let go of
    each other at its end.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS, 10, 10)


class Fleet:
    """Devices, and what they share: time, storage, the built-in pool and real work.

    `start`, then `run` until `stop` is called, then `close`.

    Args:
        options: What to run.
        show_log: Called with the id and log lines of every device.
        log_levels: Of the lines that it is called with.
        show_progress: Called with what is under way, "starting" or "ending", and with
            how many devices of how many it is done.
        show_pool_log: Called with what the built-in pool says.
        show_stop: Called with how long the process has stood still, once it goes on.
        clock: Another than the fleet's own.
        budget: For real work, when other processes have a part in it.
        storage: What remembers; by default the directory of the options.
    """

    def __init__(
        self,
        options: FleetOptions,
        *,
        show_log: Callable[[str, LogLine], None] | None = None,
        log_levels: Collection[Level] = LEVELS,
        show_progress: ShowProgress = lambda what, done, of: None,
        show_pool_log: Log | None = None,
        show_stop: Callable[[float], None] = lambda stood_s: None,
        clock: Clock | None = None,
        budget: Budget | None = None,
        storage: State | None = None,
    ) -> None:
        self.members: dict[str, Member] = {}
        self._known: set[str] = set()
        """What every device there has been may have stored something under."""
        self.storage: State = storage or Storage(
            options.state, is_shared=options.is_part
        )
        self.seed = self.storage.keep_seed(options.seed)
        self.control_url = options.control_url
        """Of the first device, and of chance."""
        self.options = options = replace(options, seed=self.seed)
        self.saver = Saver(self.storage)
        self.clock = clock or Clock(
            speed=options.speed, is_paused=options.is_paused, tell_lost=show_stop
        )
        self.intake = Intake()
        self.announcer = Announcer(self.spawn)
        woken = asyncio.Event()
        self.pool = BuiltInPool(
            options,
            self.clock,
            self.intake,
            show_pool_log,
            seed=self.seed,
            wake=woken.set,
        )
        self.journal = Journal()
        self.share_load = ShareLoad()
        self.history = History()
        self._watched: dict[str, None] = {}
        """Ids of devices whose log somebody looks at, the latest last."""
        self.faults = FaultsAtWork(
            self.members,
            self.clock,
            self.pool,
            seed=self.seed,
            changed=woken,
            happenings=self.history.happenings,
        )
        self.ticker = Ticker(
            self.clock, self.members, self.pool, self.faults, self.history, woken=woken
        )
        self.snapshots = Snapshots(self.storage, self.saver)
        self._budget = budget or Budget(options.cpu_percent)
        self.real_work = RealWork(
            self.clock,
            self._budget,
            niceness=options.cpu_niceness,
            wake=self.ticker.wake,
        )
        self.is_ready = False
        """True once every device is up."""
        self._show_log = show_log
        self._log_levels = log_levels
        self._show_progress = show_progress
        host = options.first_host
        self._addresses = AddressPlan(host, options.port, options.port_base)
        self._changing = asyncio.Lock()
        """Held by whoever changes who there is."""
        self._is_short_told = False
        """It was said that open files are too few."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._fault: BaseException | None = None

    async def start(
        self, *, groups: Sequence[Group] = (), rules: FaultRules | None = None
    ) -> None:
        """Create the devices and open their ports; then their time begins.

        Args:
            groups: What has become of those of the options, when they are not the ones.
            rules: What has become of the options' faults.

        Raises:
            OSError: A port is taken.
            StorageError: The state cannot be read.
            SettingError: An option is not allowed.
            FleetStopped: It was told to end meanwhile; no device is there.
        """
        with self.clock.held():
            if self.options.has_pool:
                await self._start_pool(has_plain=self.options.pool.place is None)
            await self.add(*(groups or self.options.groups))
            if rules is None:
                await self.faults.start_over(self.options.faults)
            else:
                await self.faults.replace(rules)
        self.is_ready = True

    async def add(
        self, *groups: Group, others: Mapping[int, str] | None = None
    ) -> list[Member]:
        """Switch on the devices of some groups.

        Args:
            groups: Without numbers, which a part of a fleet is given.
            others: Seeds of devices in other parts, with their groups.

        Raises:
            SettingError: A value is not allowed, or a device is there already.
            OSError: A port is taken; none of the devices is there then.
            FleetStopped: The fleet ends; none of the devices is there.
        """
        async with self._changing:
            return await self._add(groups, others=others or {}, is_later=self.is_ready)

    async def _add(
        self,
        groups: Sequence[Group],
        *,
        others: Mapping[int, str] = MappingProxyType({}),
        is_later: bool = False,
    ) -> list[Member]:
        if any(group.pool is None for group in groups):
            await self._start_pool(
                has_tls=any(map(wants_own_tls, groups)),
                has_v2=any(map(wants_own_v2, groups)),
            )
        plan: list[MemberOptions] = []
        taken = {(m.options.host, m.options.port) for m in self.members.values()}
        seed_of = member_seed
        if self.storage.has_neighbouring_seeds:
            seed_of = neighbouring_seed
        there = [member.options for member in self.members.values()]
        if not self.options.is_part:
            groups = numbered(groups, [one.number for one in there])
        used = {**others, **{one.seed: one.group for one in there}}
        check_twins(groups, self.seed, seed_of=seed_of, used=used)
        for group in groups:
            plan += member_options(
                group,
                pool_rows=self.pool.rows(),
                tls_rows=self.pool.rows("tls"),
                v2_rows=self.pool.rows("v2"),
                seed=self.seed,
                seed_of=seed_of,
            )
        places = self._addresses.places(taken)
        shortage = allow_open_files(len(plan) + len(self.members))
        if shortage is not None and not self._is_short_told:
            self._is_short_told = True
            sys.stderr.write(f"softaxe: {shortage}\n")
        began = self.clock.now
        added: list[Member] = []
        try:
            for number, options in enumerate(plan):
                # Spread over a second, as nobody's thousand devices beat in time.
                power_on_s = began - ON_NETWORK_S - number / len(plan)
                if self.options.body is not None:
                    power_on_s = began  # a real one takes its time
                member = await self._switch_on(
                    options, places, power_on_s=power_on_s, is_later=is_later
                )
                self.members[member.id] = member
                self._limit_log(member, of=len(there) + len(plan))
                self._known.add(member.key)
                added.append(member)
                self.faults.apply_to(member)
                self.ticker.schedule(member)
                self.real_work.note(member)
                if number % 16 == 0:
                    self._show_progress("starting", number, len(plan))
                    await asyncio.sleep(0)
                    if self.ticker.is_stopping:
                        raise FleetStopped("the fleet ends before it has started")
        except BaseException:
            await self._end(added, self._remove)
            raise
        self._share_log_memory()
        self._share_search_time()
        self._show_progress("starting", len(plan), len(plan))
        return added

    def _share_log_memory(self) -> None:
        """Let every device keep as much of its log as there is memory for."""
        for member in self.members.values():
            self._limit_log(member, of=len(self.members))

    def watch_log(self, member: Member) -> None:
        """Let a device keep its log for who looks at it, and one less of the others."""
        self._watched.pop(member.id, None)
        self._watched[member.id] = None
        while len(self._watched) > WATCHED_LOGS:
            oldest = next(iter(self._watched))
            del self._watched[oldest]
            if oldest in self.members:
                self._limit_log(self.members[oldest], of=len(self.members))
        self._limit_log(member, of=len(self.members))

    def _limit_log(self, member: Member, *, of: int) -> None:
        """Let a device keep as much of its log as there is memory for in so many."""
        share, log = LOG_MEMORY_BYTES // of, member.device.log
        log.ring_bytes = min(RING_BYTES, share)
        is_watched = member.id in self._watched
        lines = LAST_LINES if is_watched else min(LAST_LINES, share // LINE_BYTES)
        log.keep(lines if lines >= LEAST_LINES else 0)

    def _share_search_time(self) -> None:
        """Let devices that keep to a rate of shares search so fast that all can.

        In device time, at the speed of the fleet's start.
        """
        found = [member.device.share_rate for member in self.members.values()]
        rates = [rate for rate in found if rate is not None]
        if not rates:
            return
        most_hs = searched_per_s() * self._budget.of_loop / self.options.speed
        for rate in rates:
            rate.most_hs = most_hs / len(rates)

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
                replace(
                    options,
                    host=host,
                    port=port,
                    advertised=self.options.advertise,
                    networks_let_in=self.options.networks,
                    body=self.options.body,
                ),
                self,
                power_on_s=power_on_s,
                show_log=self._show_log,
                log_levels=self._log_levels,
            )
            try:
                await member.open()
            except BaseException as error:  # also called off: nobody else knows of it
                await member.close()
                # Another process of the fleet may have got the place.
                is_taken = (
                    isinstance(error, OSError) and error.errno == errno.EADDRINUSE
                )
                if not (is_later and is_taken):
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
        self.ticker.forget(member)
        self.real_work.note(member, is_here=False)
        await member.close()

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
        self.spawn(self.real_work.search())
        await self.ticker.run()
        if self._fault is not None:
            raise self._fault

    def stop(self) -> None:
        """Let `run` return."""
        self.ticker.stop()

    async def close(self) -> None:
        """Close everything; what was to be saved is saved."""
        self.ticker.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.announcer.close()
        await self._end(list(self.members.values()), Member.close)
        await self.pool.close()
        for member in self.members.values():
            member.dispatch()
        await self.saver.commit()
        self.storage.close()

    # Coming back

    @asynccontextmanager
    async def _standing_still(self) -> AsyncGenerator[None, None]:
        """Let neither time pass nor anybody come or go."""
        async with self.ticker.bending, self._changing:
            with self.clock.held():
                yield

    async def take_snapshot(self, name: str) -> Snapshot:
        """Take the state of devices, pool, faults and clock; `snapshots` may keep it.

        Raises:
            SettingError: There are too many.
        """
        async with self._standing_still():
            return await self.snapshots.take(
                name,
                self.clock.now,
                self.members.values(),
                pool=None if self.pool_server is None else self.pool_server.pool,
                rules=self.faults.rules,
            )

    async def restore(self, name: str) -> None:
        """Put everything back as it was; connections to pools are made anew.

        Raises:
            KeyError: There is no such snapshot.
        """
        snapshot = self.snapshots[name]
        async with self._standing_still():
            for member in list(self.members.values()):
                kept = snapshot.devices.get(member.id)
                # There may be another of the same name.
                if kept is None or member.options != kept.options:
                    await self._remove(member)
            self.clock.move(snapshot.now)
            self.pool.replace(snapshot.pool_then())
            for device_id, kept in snapshot.devices.items():
                device = snapshot.device(device_id)
                if device_id not in self.members:
                    member = Member(
                        kept.options,
                        self,
                        show_log=self._show_log,
                        log_levels=self._log_levels,
                    )
                    self.members[device_id] = member
                self._put_back(self.members[device_id], device, kept.stored)
                await asyncio.sleep(0)
            self._share_log_memory()
            self._share_search_time()
            await self.faults.replace(snapshot.rules_then())
            self.history.restart(snapshot.now)
            await self.ticker.wait_for_ports()
        await self.saver.commit()

    def _put_back(
        self, member: Member, device: Device, stored: Mapping[str, Stored]
    ) -> None:
        """Let a member go on with a device of a snapshot; disk follows."""
        since = self.saver.settings_of(member.key).keys() - stored.keys()
        settings = SaveSettings({**dict.fromkeys(since), **stored})
        rows = device.flash.to_rows()
        self.saver.add(member.key, device, settings)
        self.saver.add(member.key, device, SaveFlash(rows, rows, device.www))
        member.replace(device)
        for link in Link:  # nobody is at the other end any more
            device.pool_closed(CloseReason.CLOSED, device.now, link=link)
        member.dispatch()
        self.ticker.schedule(member)
        self.real_work.note(member)

    async def reset(self) -> None:
        """Start over as the fleet was described; nothing that was stored stays.

        Raises:
            FleetStopped: The fleet ends.
        """
        async with self._standing_still():
            await self._end(list(self.members.values()), self._remove)
            await self.saver.commit()
            await asyncio.to_thread(self.storage.forget, self._known)
            self._known.clear()
            options = self.options
            self.ticker.set_clock(speed=options.speed, is_paused=options.is_paused)
            self.clock.move(0.0)
            self.journal.clear()
            self.share_load.clear()
            await self.faults.start_over()
            self.snapshots.clear()
            self.history.restart(0.0)
            self.pool.start_over()
            await self._add(options.groups)
            await self.faults.start_over(options.faults)
            if not options.is_part:  # otherwise the parent knows who there is
                there = [member.key for member in self.members.values()]
                await asyncio.to_thread(self.storage.forget_others, there)

    # What the members use

    @property
    def pool_server(self) -> PoolServer | None:
        """The built-in pool's, when there is one."""
        return self.pool.server

    @property
    def dials(self) -> set[tuple[str, Link]]:
        """Connections to this machine that are being opened."""
        return self.ticker.dials

    @property
    def is_late(self) -> bool:
        """True while there are more steps to do than there is time for."""
        return self.ticker.is_late

    def wake(self, member: Member) -> None:
        """Something happened: the device may have to be stepped earlier."""
        self.ticker.wake(member)

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

    def wrap(self, member: Member, app: App) -> App:
        """Return what is served instead of a device's own app."""
        faulty = FaultyApp(
            app,
            lambda request: self.faults.http_fault(member, request),
            lambda rule_id: self.faults.give_back(member, rule_id),
        )
        return JournaledApp(
            faulty,
            self.journal,
            member.id,
            lambda: self.clock.now,
            lambda: member.device.firmware,
        )

    def link_changed(self, member: Member) -> None:
        """A pool connection of the device stands."""
        self.real_work.note(member, is_here=self.members.get(member.id) is member)
        self.faults.connected(member)

    def happened(self, member: Member, event: SaveSettings | BlockFound) -> None:
        """The device has new settings, or has found a block."""
        now, happenings = self.clock.now, self.history.happenings
        if isinstance(event, BlockFound):
            happenings.note(now, "block", "", member.id)
        elif event.values_before:
            happenings.note_settings(now, member.device, member.id, event)

    def booted(self, member: Member) -> None:
        """The device has started a firmware, perhaps another than before."""
        if member.device.reset_reason != POWER_ON:
            reason = member.device.reset_reason
            self.history.happenings.note(self.clock.now, "restart", reason, member.id)
        if self.members.get(member.id) is member:
            self.faults.look_again(member)

    async def _start_pool(
        self, *, has_plain: bool = True, has_tls: bool = False, has_v2: bool = False
    ) -> None:
        await self.pool.start(
            take_up=self.faults.take_up,
            has_plain=has_plain,
            has_tls=has_tls,
            has_v2=has_v2,
        )
