"""Devices for other people's tests: real ports, ready at once, gone at the end.

    with softaxe.running(board="601") as bitaxe:
        assert my_dashboard.read(bitaxe.url).temperature < 70
        bitaxe.faults.add("fan_dead")
        bitaxe.clock.advance(600)
        assert my_dashboard.read(bitaxe.url).is_overheated

The devices live in a thread with an event loop of its own, so a test may block, or run
a loop itself (`async with`).
"""

import asyncio
import json
import logging
import os
import tempfile
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar, Unpack

from softaxe.catalog import USUAL_BOARD
from softaxe.description import read, read_number
from softaxe.effects import EFFECTS, Area
from softaxe.errors import NotThere, SettingError, read_as
from softaxe.expected import seconds_of
from softaxe.faults import FaultRules
from softaxe.flash.image import release_bytes
from softaxe.fleet import miners
from softaxe.fleet.clock import ADVANCES_S, SPEEDS, Clock
from softaxe.fleet.event_loop import new_event_loop
from softaxe.fleet.fleet import Fleet
from softaxe.fleet.groups import read_group
from softaxe.fleet.options import ONE_HOST, FleetOptions
from softaxe.fleet.parts import merge
from softaxe.fleet.parts.whole import Whole, here
from softaxe.fleet.pool_server import MAX_CONNECTIONS
from softaxe.json_values import JsonValue
from softaxe.testing.journal import RunningJournal
from softaxe.testing.options import (
    DeedName,
    EffectName,
    FaultOptions,
    GroupOptions,
    SharedOptions,
)
from softaxe.testing.report import WITHIN_S, ended, live, tell
from softaxe.units import Level

T = TypeVar("T")
WARM_UP_S = 15.0
"""Device time after which a device hashes and shows it..."""
SLOW_START_S = 5
"""...and so much more for those with many chips, or slow ones."""
START_S = 60.0
"""Real seconds after which a start has failed..."""
START_S_PER_DEVICE = 0.3
"""...and as many more for each device; a busy machine takes a tenth of it."""
RAY_START_S = 60.0
"""...and for Ray, which takes up to a third of it."""
STOP_S = 10.0
"""Real seconds for the end of a start that has failed."""
LOOK_S = 1.0
"""Device time between two looks at what is waited for."""
MOST_POOL_LINES = MOST_LOG_LINES = 1000
_LOG = logging.getLogger("softaxe")


def firmware_image(version: str) -> bytes:
    """Return an image for POST /api/system/OTA: the device restarts as that release.

    Args:
        version: A release, `2.15.0`. Another text stands in the image as it is; the
            device then speaks as the known release nearest to it.

    Raises:
        SettingError: The text does not fit into an image.
    """
    return release_bytes(version)


def running(
    *,
    count: int = 1,
    board: str | Sequence[str] = USUAL_BOARD,
    groups: Sequence[GroupOptions] | None = None,
    speed: float = 1.0,
    seed: int = 1,
    host: str | None = None,
    port: int = 0,
    control: bool = False,
    ray: str | None = None,
    workers: int | None = None,
    state: Path | None = None,
    warm_up_s: float = WARM_UP_S,
    pool_dialect: str = "softaxe",
    pool_job_version: int | None = None,
    pool_share_version: str | None = None,
    **group: Unpack[SharedOptions],
) -> "RunningFleet":
    """Run devices while a `with` or `async with` lasts.

    Args:
        count: How many.
        board: Version or family, or several that are dealt out in turn.
        groups: Unlike devices instead: tables as in a fleet file.
        speed: Device seconds per real second; 0 stands still but for `advance`.
        seed: Of the first device, and of all chance.
        host: Of the first device; 127.0.0.1 when left out, or with `ray` the address of
            each one's machine, which is one of 127.x for `local`.
        port: 0 gives every device a free one; otherwise all have this one, on
            addresses from `host` on.
        control: Serve the control API too, at `control_url`.
        ray: Spread the devices over the machines of a Ray cluster, `HOST:PORT` or
            `auto` for this machine's; `local` makes one. A process that is connected to
            a cluster uses that. There is no `pool` then, as each worker has its own.
        workers: Over how many of its CPUs; all when left out.
        state: Where settings last; by default they are forgotten at the end.
        warm_up_s: Device time that has passed when the devices are handed out.
        pool_dialect: Pool that the built-in one speaks like, such as `ckpool`.
        pool_job_version: Block version of its jobs.
        pool_share_version: How it puts the version bits of a share into the job's
            version: `xor`, `or` or `masked`.
        **group: More of a group's values: `pool`, `work`, `ambient`, `settings`, ...;
            `groups` say theirs themselves, and how many of which board there are.

    Raises:
        SettingError: A value is not allowed; raised here, not by `with`.
    """
    warm_up_s = read_number("warm_up_s", warm_up_s, ADVANCES_S)
    if groups is None:
        boards = [board] if isinstance(board, str) else list(board)
        chosen = [read_group({"count": count, "boards": boards, **group})]
    else:
        beside: dict[str, object] = {**group}
        if count != 1:
            beside["count"] = count
        if board != USUAL_BOARD:
            beside["board"] = board
        for name in beside:
            raise SettingError(f"{name}: is to stand in the groups, as there are some")
        chosen = [read_group(one) for one in groups]
    options = FleetOptions(
        state=state or Path(),
        groups=tuple(chosen),
        host=ONE_HOST if host is None and ray is None else host,
        port=port,
        pool_port=0,
        has_pool=True,
        control="127.0.0.1:0" if control else "none",
        seed=seed,
        speed=speed or 1.0,
        is_paused=speed == 0,
        pool_dialect=pool_dialect,
        pool_job_version=pool_job_version,
        pool_share_version=pool_share_version,
    )
    options.check()
    if workers is not None and ray is None:
        raise SettingError("workers: goes with ray")
    return RunningFleet(
        options,
        is_ephemeral=state is None,
        warm_up_s=warm_up_s,
        ray=ray,
        workers=workers,
    )


class MakeDevices(Protocol):
    """Makes devices as `running` does; the type of the fixture `bitaxe_factory`."""

    def __call__(
        self,
        *,
        count: int = ...,
        board: str | Sequence[str] = ...,
        groups: Sequence[GroupOptions] | None = ...,
        speed: float = ...,
        seed: int = ...,
        host: str | None = ...,
        port: int = ...,
        control: bool = ...,
        ray: str | None = ...,
        workers: int | None = ...,
        state: Path | None = ...,
        warm_up_s: float = ...,
        pool_dialect: str = ...,
        pool_job_version: int | None = ...,
        pool_share_version: str | None = ...,
        **group: Unpack[SharedOptions],
    ) -> "RunningFleet":
        """Start devices; they answer when this returns."""


class RunningFleet:
    """Devices that run while a `with` lasts; `fleet[0]` or `fleet["601-1"]` is one.

    `url`, `info`, `patch` and `restart` are those of the first device.
    """

    def __init__(
        self,
        options: FleetOptions,
        *,
        is_ephemeral: bool = True,
        warm_up_s: float = 0.0,
        ray: str | None = None,
        workers: int | None = None,
    ) -> None:
        self.control_url = ""
        self._options = options
        self._ray = ray
        self._workers = workers
        self._is_ephemeral = is_ephemeral
        self._warm_up_s = warm_up_s
        self._ready = threading.Event()
        self._is_ending = False
        self._error: BaseException | None = None
        self._whole: Whole | None = None
        self._fleet: Fleet | None = None
        """When it is in this process."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._pool_lines: deque[str] = deque(maxlen=MOST_POOL_LINES)
        self._clocks: dict[str, tuple[float, bool]] = {}
        """Speed and whether time stood still, by snapshots."""

    # Life

    def __enter__(self) -> Self:
        """Start; the devices answer when this returns."""
        self._ready.clear()
        self._error = None
        self._clocks.clear()
        self._thread = threading.Thread(target=self._main, name="softaxe", daemon=True)
        self._thread.start()
        devices = sum(group.count for group in self._options.groups)
        most_s = START_S + START_S_PER_DEVICE * devices
        if self._ray is not None:
            most_s += RAY_START_S
        try:
            if not self._ready.wait(most_s):
                raise TimeoutError(f"the devices were not up after {most_s:g} s")
            if self._error is not None:
                raise self._error
        except BaseException:
            self._stop(STOP_S)
            raise
        live[id(self)] = self.told
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop; ports, threads and files are gone when this returns."""
        if error is not None and "PYTEST_CURRENT_TEST" in os.environ:
            ended.append(self.told())  # for the plugin, as nothing is left then
        self._stop()
        if self._error is not None and error is None:
            raise self._error

    def _order_stop(self) -> None:
        self._is_ending = True
        if self._loop is not None and self._whole is not None:
            with suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._whole.stop)

    def _stop(self, most_s: float | None = None) -> None:
        """Stop the thread; a start that hangs is left alone after `most_s`."""
        live.pop(id(self), None)
        self._order_stop()
        if self._thread is not None:
            self._thread.join(most_s)
        self._loop = self._whole = self._fleet = self._thread = None
        self._is_ending = False

    async def __aenter__(self) -> Self:
        """Start, without blocking the caller's loop where that is asyncio's."""
        if not _is_in_asyncio():
            return self.__enter__()
        starting = asyncio.ensure_future(asyncio.to_thread(self.__enter__))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            self._order_stop()
            await asyncio.gather(starting, return_exceptions=True)
            await asyncio.to_thread(self._stop)
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop, without blocking the caller's loop where that is asyncio's."""
        if not _is_in_asyncio():
            self.__exit__(kind, error, traceback)
            return
        await asyncio.to_thread(self.__exit__, kind, error, traceback)

    def _main(self) -> None:
        try:
            with tempfile.TemporaryDirectory(prefix="softaxe-") as folder:
                options = self._options
                if self._is_ephemeral:
                    options = replace(options, state=Path(folder))
                with asyncio.Runner(loop_factory=new_event_loop) as runner:
                    runner.run(self._serve(options))
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            self._error = error
        finally:
            self._ready.set()

    async def _serve(self, options: FleetOptions) -> None:
        if self._ray is None:
            self._fleet = Fleet(options, show_pool_log=self._keep_pool_line)
            whole = here(self._fleet)
        else:
            from softaxe.fleet.parts.cluster import in_cluster  # noqa: PLC0415 - has Ray

            whole = in_cluster(options, self._ray, self._workers, tell=_LOG.warning)
        listener = None
        try:
            self._whole, self._loop = whole, asyncio.get_running_loop()
            if self._is_ending:  # ordered before there was a fleet to stop
                whole.stop()
            if options.control != "none":
                from softaxe.control.api import open_control  # noqa: PLC0415 - if asked

                listener = await open_control(whole)
            self.control_url = "" if listener is None else listener.url
            await whole.start()
            await self._warm_up(whole)
            self._ready.set()
            await whole.run()
        finally:
            await whole.close()
            if listener is not None:
                await listener.close()

    def _keep_pool_line(self, level: Level, tag: str, text: str) -> None:
        self._pool_lines.append(f"{tag}: {text}")

    # Coming back

    def snapshot(self, name: str = "start") -> None:
        """Keep the state of devices, pool, faults and clock, for `restore`.

        Args:
            name: Whatever has it now is replaced.

        Raises:
            SettingError: It is no name, or there are ten.
        """
        from softaxe.control.bodies import NewSnapshot  # noqa: PLC0415 - if asked

        taken: NewSnapshot = read(NewSnapshot, {"name": name})

        async def work(whole: Whole) -> tuple[float, bool]:
            await whole.take_snapshot(taken.name)
            clock = whole.look()
            return clock.speed, clock.is_paused

        self._clocks[name] = self.order(work)

    def restore(self, name: str = "start") -> None:
        """Put everything back as it was, but for the journal.

        Connections are gone: the devices are at their pools again after some 5 s of
        device time, and hash all the while. Those that were added meanwhile are gone,
        and one that was removed is back, without a `port` of its own at another `url`.

        Raises:
            NotThere: There is no such snapshot.
        """

        async def work(whole: Whole) -> None:
            if name in self._clocks:  # otherwise the control API has taken it
                speed, is_paused = self._clocks[name]
                await whole.set_clock(speed=speed, is_paused=is_paused)
            await whole.restore(name)

        self.order(work)

    async def _warm_up(self, whole: Whole) -> None:
        """Let pass what the devices need to be mining when they are handed out."""
        if self._warm_up_s:
            await whole.advance(seconds=self._warm_up_s)
        if self._warm_up_s != WARM_UP_S:
            return  # so it was wished
        for _ in range(SLOW_START_S):
            total = merge.totals(await whole.ask("totals"))
            if total["mining"] + total["problems"] == total["devices"]:
                return
            await whole.advance(seconds=1.0)

    def reset(self) -> None:
        """Start over, as the devices were handed out; nothing that was stored stays.

        Those without a `port` of their own have another `url` then. Journal and
        snapshots are empty.
        """

        async def work(whole: Whole) -> None:
            await whole.reset()
            await self._warm_up(whole)

        self.order(work)
        self._clocks.clear()

    def told(self) -> str:
        """What the report of a failed test tells: faults, requests and log."""
        try:
            return self.order(
                lambda whole: tell(whole, list(self._pool_lines)),
                within_s=WITHIN_S,
            )
        except Exception as error:  # noqa: BLE001 - the test's own failure matters more
            return f"the devices tell nothing: {error!r}"

    # Devices

    def __len__(self) -> int:
        return len(self._ids())

    def __iter__(self) -> "Iterator[RunningDevice]":
        """Iterate over the devices in their order."""
        return iter([RunningDevice(self, device_id) for device_id in self._ids()])

    def __getitem__(self, key: int | str) -> "RunningDevice":
        """Return a device by its place or its id."""
        devices = {device.id: device for device in self}
        return devices[key] if isinstance(key, str) else list(devices.values())[key]

    def _ids(self) -> list[str]:
        found: list[dict[str, str]] = self.order(lambda whole: whole.ask("ids"))
        return [device_id for ids in found for device_id in ids]

    def add(self, **group: Unpack[GroupOptions]) -> "list[RunningDevice]":
        """Switch on more devices, described as a group; return them."""
        added = self.order(lambda whole: whole.add_devices({**group}))
        return [RunningDevice(self, row["id"]) for row in added["devices"]]

    @property
    def url(self) -> str:
        """Of the first device."""
        return self[0].url

    def info(self) -> dict[str, Any]:
        """What the first device answers at /api/system/info."""
        return self[0].info()

    def patch(self, **settings: JsonValue) -> tuple[str, ...]:
        """Change settings of the first device; return what is warned of."""
        return self[0].patch(**settings)

    def restart(self) -> None:
        """Restart the first device; it goes away and comes back."""
        self[0].restart()

    @property
    def faults(self) -> "Faults":
        """What goes wrong, for all devices."""
        return Faults(self)

    @property
    def clock(self) -> "RunningClock":
        """Device time."""
        return RunningClock(self)

    @property
    def journal(self) -> RunningJournal:
        """Requests that clients made to any device, oldest first."""
        return self.journal_of(self._ids)

    def journal_of(
        self, devices: Callable[[], list[str]], only: str | None = None
    ) -> RunningJournal:
        """Return the requests to some devices."""
        entries = list(self.order(lambda whole: whole.journal()))
        return RunningJournal(
            [one for one in entries if only in {None, one.device}],
            devices,
            lambda: self.order(lambda whole: whole.clear_journal()),
        )

    @property
    def log(self) -> list[str]:
        """The last lines of the first device's log."""
        return self[0].log

    def wait_until(
        self, holds: Callable[[dict[str, Any]], object], *, within: str = "5m"
    ) -> dict[str, Any]:
        """Let device time pass until something holds of the first device."""
        __tracebackhide__ = True
        return self[0].wait_until(holds, within=within)

    @property
    def pool(self) -> "RunningPool":
        """The built-in pool."""
        return RunningPool(self, self._pool_lines)

    # For the handles

    def order(
        self, work: Callable[[Whole], Awaitable[T]], *, within_s: float | None = None
    ) -> T:
        """Wait for something with the whole fleet, wherever it is, in its thread.

        Args:
            work: What is to be done there.
            within_s: Real seconds; without an end when left out.

        Raises:
            TimeoutError: It was not done in that time.
            RuntimeError: The devices do not run.
        """
        if self._error is not None:
            raise self._error
        if self._whole is None:
            raise RuntimeError("the devices run only inside `with`")
        return self._wait(work, self._whole, within_s)

    def call(self, work: Callable[[Fleet], T]) -> T:
        """Do something with a fleet of this process, in its thread."""

        async def in_loop(fleet: Fleet) -> T:
            return work(fleet)

        return self.run(in_loop)

    def run(self, work: Callable[[Fleet], Awaitable[T]]) -> T:
        """Wait for something with a fleet of this process, in its thread.

        Raises:
            RuntimeError: The devices do not run, or are elsewhere.
        """
        if self._ray is not None:
            raise RuntimeError("the devices are in other processes, by Ray")
        return self.order(lambda _: work(self._running()))

    def _running(self) -> Fleet:
        assert self._fleet is not None
        return self._fleet

    def _wait(
        self,
        work: Callable[[Whole], Awaitable[T]],
        whole: Whole,
        within_s: float | None,
    ) -> T:
        assert self._loop is not None

        async def awaited() -> T:
            return await work(whole)

        waiting = asyncio.run_coroutine_threadsafe(awaited(), self._loop)
        try:
            return waiting.result(within_s)
        except BaseException:  # such as a test's time that is over
            waiting.cancel()
            raise


def _is_in_asyncio() -> bool:
    """False under another loop, such as trio's, which has no threads for us."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class RunningDevice:
    """One device."""

    def __init__(self, fleet: RunningFleet, device_id: str) -> None:
        self.id = device_id
        self._fleet = fleet

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} at {self.url}>"

    def _ask(self, name: str, **arguments: Any) -> dict[str, Any]:
        return self._fleet.order(
            lambda whole: whole.ask_home(self.id, name, **arguments)
        )

    @property
    def url(self) -> str:
        """Where it is to be found, as `http://host:port`."""
        url: str = self._ask("device")["row"]["url"]
        return url

    def info(self) -> dict[str, Any]:
        """What it answers at /api/system/info; not written into the journal."""
        found: dict[str, Any] = json.loads(self._ask("device")["info"])
        return found

    def patch(self, **settings: JsonValue) -> tuple[str, ...]:
        """Change settings, by the names of PATCH /api/system.

        Returns:
            What the API page asks for and they do not meet.

        Raises:
            SettingError: A value is not allowed; nothing has changed.
        """
        return tuple(self._ask("patch_device", settings=settings)["warnings"])

    def restart(self) -> None:
        """Restart it; it goes away and comes back."""
        self._ask("order_device", order="restart")

    def remove(self) -> None:
        """Switch it off for good."""
        self._ask("remove_device")

    @property
    def faults(self) -> "Faults":
        """What goes wrong with it."""
        return Faults(self._fleet, device=self.id)

    @property
    def clock(self) -> "RunningClock":
        """Device time, which all devices share."""
        return self._fleet.clock

    @property
    def journal(self) -> RunningJournal:
        """Requests that clients made to it, oldest first."""
        return self._fleet.journal_of(lambda: [self.id], self.id)

    @property
    def log(self) -> list[str]:
        """The last lines of its log, oldest first, without colours."""
        lines: list[str] = self._ask("device_log", after=0, limit=MOST_LOG_LINES)[
            "lines"
        ]
        return lines

    def wait_until(
        self, holds: Callable[[dict[str, Any]], object], *, within: str = "5m"
    ) -> dict[str, Any]:
        """Let device time pass until something holds, looking once a second.

        Args:
            holds: Called with what the device answers at /api/system/info.
            within: Device time, as `90s`, `5m` or `1h30m`.

        Returns:
            The answer of which it held.

        Raises:
            AssertionError: It did not hold in that time.
            SettingError: `within` is no duration.
        """
        __tracebackhide__ = True
        end = self.clock.now + read_as("within", seconds_of, within)
        while not holds(info := self.info()):
            if self.clock.now >= end:
                raise AssertionError(f"{self.id}: it did not hold within {within}")
            self.clock.advance(min(LOOK_S, max(0.001, end - self.clock.now)))
        return info


class Faults:
    """What goes wrong; docs/faults.md lists the effects."""

    def __init__(self, fleet: RunningFleet, *, device: str | None = None) -> None:
        self._fleet = fleet
        self._device = device

    def add(self, effect: EffectName, **members: Unpack[FaultOptions]) -> str:
        """Order a fault; return its id.

        Raises:
            SettingError: There is no such effect, a value is not allowed, or no device
                is like those that are named.
        """
        order: dict[str, object] = {"effect": effect, **members}
        if self._device is not None:
            order.setdefault("device", self._device)
        rule = FaultRules().add(order, 0.0)

        async def work(whole: Whole) -> str:
            if EFFECTS[rule.effect].area is not Area.POOL and not (
                await _is_for_somebody(order, whole)  # or a test would show nothing
            ):
                raise SettingError(f"device: there is none like {rule.in_words()}")
            added: str = (await whole.order_fault("add_fault", order))["id"]
            return added

        return self._fleet.order(work)

    def change(self, rule_id: str, **members: Unpack[FaultOptions]) -> None:
        """Change a fault in its place, as with `paused=True`; what is left out stays.

        Raises:
            SettingError: A value is not allowed; nothing has changed.
            NotThere: There is no such fault.
        """
        changes: dict[str, object] = {**members}
        self._fleet.order(
            lambda whole: whole.order_fault("change_fault", changes, rule_id=rule_id)
        )

    def remove(self, rule_id: str) -> None:
        """Take a fault back."""
        self._fleet.order(lambda whole: whole.ask("remove_fault", rule_id=rule_id))

    def clear(self) -> None:
        """Take all faults back, those of other devices too."""
        self._fleet.order(lambda whole: whole.ask("clear_faults"))


async def _is_for_somebody(rule: Mapping[str, Any], whole: Whole) -> bool:
    """True for a rule that means some of the devices, unless there are none yet."""
    found = await whole.ask("named", rule=rule)
    return any(one["named"] for one in found) or not any(
        one["devices"] for one in found
    )


class RunningClock:
    """Device time."""

    def __init__(self, fleet: RunningFleet) -> None:
        self._fleet = fleet

    @property
    def now(self) -> float:
        """Seconds since the devices were switched on."""
        return self._clock().now

    def _clock(self) -> Clock:
        async def look(whole: Whole) -> Clock:
            return whole.look()

        return self._fleet.order(look)

    def _set(self, *, speed: float | None = None, is_paused: bool | None) -> None:
        self._fleet.order(
            lambda whole: whole.set_clock(speed=speed, is_paused=is_paused)
        )

    @property
    def speed(self) -> float:
        """Device seconds per real second; 0.01 to 10000.

        Raises:
            SettingError: Another is set; `pause` lets time stand still.
        """
        return self._clock().speed

    @speed.setter
    def speed(self, speed: float) -> None:
        self._set(speed=read_number("speed", speed, SPEEDS), is_paused=None)

    def pause(self) -> None:
        """Let time stand still, but for `advance`."""
        self._set(is_paused=True)

    def resume(self) -> None:
        """Let time go on."""
        self._set(is_paused=False)

    def advance(self, seconds: float) -> None:
        """Let time pass at once; everything it brings has happened afterwards.

        Raises:
            SettingError: It is less than 0 or more than a year.
        """
        self._fleet.order(lambda whole: whole.advance(seconds=seconds))


class RunningPool:
    """The built-in pool, for miners of any kind."""

    def __init__(self, fleet: RunningFleet, lines: deque[str]) -> None:
        self._fleet = fleet
        self._lines = lines

    @property
    def url(self) -> str:
        """Where miners connect, as `stratum+tcp://host:port`."""
        host, port = self.address
        return f"stratum+tcp://{host}:{port}"

    @property
    def v2_url(self) -> str:
        """Where they connect by Stratum v2, as `stratum2+tcp://host:port/KEY`.

        Nobody listens there before it is asked for, unless a device wants it.
        """

        async def work(fleet: Fleet) -> str:
            await fleet.pool.start(take_up=fleet.faults.take_up, has_v2=True)
            urls = miners.pool_of(fleet).urls
            return next(url for url in urls if url.startswith("stratum2+tcp:"))

        return self._fleet.run(work)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return self._fleet.call(lambda fleet: miners.pool_of(fleet).addresses[0])

    def info(self) -> dict[str, Any]:
        """Connections and shares, of everybody and by worker."""

        def work(fleet: Fleet) -> dict[str, Any]:
            server = miners.pool_of(fleet)
            pool = server.pool
            return {
                "connections": server.connection_count,
                "sharesAccepted": pool.totals.accepted,
                "sharesRejected": dict(pool.totals.rejected),
                "blocksFound": pool.blocks_found,
                "height": pool.height,
                "workers": {
                    name: {
                        "sharesAccepted": one.accepted,
                        "sharesRejected": dict(one.rejected),
                        "bestDifficulty": one.best_difficulty,
                    }
                    for name, one in pool.workers.items()
                },
            }

        return self._fleet.call(work)

    @property
    def miners(self) -> list[dict[str, Any]]:
        """Who is connected, oldest first, as `GET /control/pool/miners` tells it."""
        told = self._fleet.run(
            lambda fleet: miners.miners_to_json(fleet, first=0, limit=MAX_CONNECTIONS)
        )
        found: list[dict[str, Any]] = told["miners"]
        return found

    def new_block(self) -> None:
        """Let somebody else find a block, so that all jobs are stale."""
        self._fleet.run(miners.new_block)

    def drop_connections(self) -> None:
        """Close every connection."""

        def work(fleet: Fleet) -> None:
            server = miners.pool_of(fleet)
            server.pool.drop_connections()
            server.flush_all()

        self._fleet.call(work)

    def disconnect(self, miner_id: str) -> None:
        """Close one miner's connection.

        Args:
            miner_id: Its address and port, as in `miners`, or a device's id.

        Raises:
            NotThere: There is no such miner.
        """
        self._with_miner(miner_id, miners.disconnect)

    def set_difficulty(self, miner_id: str, difficulty: float) -> None:
        """Ask one miner for another difficulty, which goes on by its rate of shares.

        Raises:
            NotThere: There is no such miner.
        """
        self._with_miner(miner_id, miners.set_difficulty, difficulty)

    def do(self, miner_id: str, deed: DeedName, **members: str | int) -> None:
        """Do something to one miner, once; docs/pools.md lists the deeds.

        Raises:
            NotThere: There is no such miner.
            SettingError: There is no such deed, or it cannot be done to this miner.
        """
        self._with_miner(miner_id, miners.do, {"deed": deed, **members})

    def _with_miner(
        self, miner_id: str, work: Callable[..., object], *arguments: object
    ) -> None:
        def in_loop(fleet: Fleet) -> None:
            miner = miners.find(fleet, miner_id)
            if miner is None:
                raise NotThere(f"miner: there is no {miner_id!r}")
            work(fleet, miner, *arguments)

        self._fleet.call(in_loop)

    @property
    def faults(self) -> Faults:
        """What the pool does wrong, to every miner.

        Of use are the effects whose names begin with `pool_`, and `block_found`. A
        miner that is no device has its `address:port` for an id and `strangers` for a
        group.
        """
        return Faults(self._fleet)

    @property
    def clock(self) -> RunningClock:
        """The pool's time."""
        return self._fleet.clock

    @property
    def journal(self) -> list[str]:
        """What the pool has said in its log, oldest first."""
        return list(self._lines)
