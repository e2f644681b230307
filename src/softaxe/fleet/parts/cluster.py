"""Parts of a fleet on the machines of a Ray cluster, as an actor each.

Ray chooses the machines, notices when an actor or its machine has died, and makes an
actor anew, perhaps elsewhere. What it is then to be is told it from here: its devices
start with what they have stored, as after a power cut, and the fleet goes on meanwhile.
What they store is kept by an actor beside this process, in the one state directory.

Ray moves what is said as pickles: whoever can speak to its cluster owns all of it.
"""

import asyncio
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, NamedTuple

from softaxe import __version__
from softaxe.device.logbook import LogLine
from softaxe.errors import NotNow, SettingError, SoftaxeError, StorageError
from softaxe.fleet.addresses import PORTS, AddressPlan
from softaxe.fleet.clock import SLICE_S, Clock
from softaxe.fleet.fleet import ShowProgress
from softaxe.fleet.options import ONE_HOST, FleetOptions
from softaxe.fleet.parts.division import MOST_WORKERS, divided, in_words
from softaxe.fleet.parts.hosted import Done, HostedPart, Keeper, Memory, News, NotBegun
from softaxe.fleet.parts.part import ANSWER_S, Life, PartState
from softaxe.fleet.parts.processes import BEAT_S, END_S, STILL_S
from softaxe.fleet.parts.whole import Whole
from softaxe.serve.storage import Storage, lock_directory
from softaxe.units import Level

try:
    import ray
    from ray import is_initialized
    from ray.exceptions import ActorUnavailableError, RayActorError, RayTaskError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ModuleNotFoundError as error:
    raise SettingError("--ray: needs Ray: pip install 'softaxe[ray]'") from error

LOCAL = "local"
"""Instead of a cluster's address: one of this machine alone, for this run..."""
AUTO = "auto"
"""...and the one that this machine is part of."""
CONNECT_S = 5.0
"""Real seconds in which a cluster answers at its address."""
PACE_S = 0.25
"""Real seconds between two words about the time, while it goes slowly; a word costs
this process and the part half a millisecond of CPU each."""
PLACE_S = 20.0
"""Real seconds until it is told that Ray has found no place for a part."""
MOST_DEATHS = 3
"""Of a part, one after the other, before its devices were up; then the fleet ends."""
HOST, ADVERTISE = "SOFTAXE_RUN_HOST", "SOFTAXE_RUN_ADVERTISE"
"""Variables of a machine's Ray: what --host and --advertise are for devices there."""
ShowLog = Callable[[str, LogLine], None]


def in_cluster(
    options: FleetOptions,
    address: str,
    count: int | None,
    *,
    show_log: ShowLog = lambda device_id, line: None,
    levels: frozenset[Level] = frozenset(),
    tell: Callable[[str], None] = lambda text: None,
    show_progress: ShowProgress = lambda what, done, of: None,
    show_stop: Callable[[float], None] = lambda stood_s: None,
) -> Whole:
    """Return a fleet that is divided among the machines of a Ray cluster.

    Args:
        options: Of the whole fleet.
        address: Of the cluster, `HOST:PORT` or `auto` for the one of this machine, or
            `local` to make one. A process that has a connection already uses that.
        count: How many parts; None for as many as the cluster has CPUs, at most one
            for every device.
        show_log: Called with the id and every log line of these levels.
        levels: None of them when empty.
        tell: Called with what happened to a part, in a line.
        show_progress: As for `Fleet`.
        show_stop: As for `Fleet`.

    Raises:
        SettingError: There is no such cluster, or too few CPUs, devices or addresses.
        StorageError: The state directory cannot be used.
    """
    is_ours = _connect(address)
    is_local = is_ours and address == LOCAL
    if is_local:
        options = replace(options, host=options.first_host)
    try:
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        cpus = int(resources.get("CPU", 0))
        devices = sum(group.count for group in options.groups)
        if count is None:
            count = min(cpus, devices, MOST_WORKERS)
        if count > cpus:
            raise SettingError(
                f"--workers: {count} is more than the cluster's {cpus} CPUs"
            )
        storage = Storage(options.state)
        options = replace(options, seed=storage.keep_seed(options.seed))
        storage.close()
        # Where their addresses begin is known once Ray has chosen their machines.
        plans = divided(replace(options, host=ONE_HOST, port_base=0), count)
    except BaseException:
        if is_ours:
            ray.shutdown()
        raise
    clock = Clock(speed=options.speed, is_paused=options.is_paused, tell_lost=show_stop)
    cluster = _Cluster(options, clock, show_log, levels, tell, is_local=is_local)
    parts = [RayPart(number, plan, cluster) for number, plan in enumerate(plans)]
    return Whole(
        options,
        parts,
        clock,
        show_progress=show_progress,
        ground=lambda: cluster.used(is_ours=is_ours),
    )


def _connect(address: str) -> bool:
    """Connect this process to a cluster; return whether it was not before."""
    if is_initialized():
        return False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody else is told
    os.environ.setdefault("RAY_COLOR_PREFIX", "0")  # not every output is a terminal
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        ray.init(address=LOCAL, include_dashboard=False, **quiet)
        return True
    hint = ""
    try:
        if address != AUTO:  # Ray would look for it for minutes
            host, _, port = address.rpartition(":")
            is_port = port.isdecimal() and int(port) <= PORTS[1]
            if not host or "/" in host or not is_port:
                raise ValueError("is neither HOST:PORT nor auto nor local")
            socket.create_connection((host, int(port)), CONNECT_S).close()
            hint = (
                "; who listens there must be Ray, with RAY_AUTH_MODE and token as here"
            )
        ray.init(address=address, **quiet)
    except (OSError, ValueError, RuntimeError) as error:
        said = str(error).strip().partition("\n")[0]
        raise SettingError(f"--ray: {address}: {said}{hint}") from error
    return True


@dataclass
class _Cluster:
    """What the parts of one fleet share.

    `places` has, for each part, which addresses it holds: of which machine and host,
    from which place on, and how many.
    """

    options: FleetOptions
    clock: Clock
    show_log: ShowLog
    levels: frozenset[Level]
    tell: Callable[[str], None]
    is_local: bool = False
    """It is this machine alone, whose devices are where they are without Ray."""
    keeper: Any = None
    places: dict[int, tuple[tuple[str, str], int, int]] = field(default_factory=dict)
    searching: dict[int, float] = field(default_factory=dict)
    """How many devices of each part do real work."""

    @contextmanager
    def used(self, *, is_ours: bool) -> Iterator[None]:
        """Have what remembers beside this process, and let go of the cluster after."""
        here = NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        try:
            with lock_directory(self.options.state):
                self.keeper = (
                    ray.remote(Keeper)
                    .options(
                        num_cpus=0,
                        max_restarts=-1,
                        max_task_retries=-1,  # all that it does may be done twice
                        scheduling_strategy=here,
                    )
                    .remote(self.options.state)
                )
                yield
                ray.kill(self.keeper)
        finally:
            if is_ours:
                ray.shutdown()

    def place(self, part: int, at: "_Place", count: int) -> AddressPlan:
        """Return a plan of addresses for a part's devices, which no other part has.

        A machine that says where they begin, and no name for all, has an address for
        each of them; another has ports of its own one.

        Raises:
            SettingError: Its machine has too few.
        """
        self.places.pop(part, None)
        host = at.host or self.options.host or at.machine
        here, first = (at.machine, host), 0
        for _, begins, held in sorted(p for p in self.places.values() if p[0] == here):
            if first + count <= begins:
                break
            first = max(first, begins + held)
        self.places[part] = here, first, count
        port, base = self.options.port, self.options.port_base
        if base is None and (host == at.machine or at.advertise is not None):
            base = port
        places = AddressPlan(host, port, base).places(())
        host, port = list(islice(places, first + count))[first]
        return AddressPlan(host, port, None if base is None else port)


class _Place(NamedTuple):
    """Where an actor is."""

    machine: str
    """Its address in the cluster."""
    process: int
    version: str
    """Of softaxe there."""
    host: str | None
    advertise: str | None


class _Actor(HostedPart):
    """A part as Ray makes it on one of the machines."""

    async def where(self) -> _Place:
        """Return where it is."""
        get = os.environ.get
        return _Place(_machine(), os.getpid(), __version__, get(HOST), get(ADVERTISE))


def _new_actor() -> Any:
    """Let Ray make an actor where there is least to do, and anew when it dies."""
    options: dict[str, Any] = {"max_restarts": -1, "scheduling_strategy": "SPREAD"}
    return ray.remote(_Actor).options(num_cpus=1, **options).remote()


def _machine() -> str:
    """Return the address that this machine has in the cluster."""
    found: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
    return found


@dataclass(frozen=True)
class _AskKeeper:
    """Reaches a keeper in its actor, from any thread."""

    keeper: Any

    def __call__(self, name: str, *arguments: Any) -> Any:
        try:
            return getattr(self.keeper, name).remote(*arguments).future().result()
        except RayTaskError as error:
            raise _cause(error) from None
        except RayActorError as error:
            raise StorageError("what remembers for the fleet has ended") from error


class RayPart:
    """A part in an actor.

    Args:
        number: Which, from 0.
        options: Of the part.
        cluster: What it shares with the others.
    """

    def __init__(self, number: int, options: FleetOptions, cluster: _Cluster) -> None:
        self._number = number
        self._options = options
        self._cluster = cluster
        self._actor: Any = None
        self._running: asyncio.Future[Any] | None = None
        self._pacing: asyncio.Task[None] | None = None
        self._memory: Memory | None = None
        self._can_be_asked = self._is_up = self._is_told_to_end = False
        self._until = self._now = 0.0
        self._is_behind = asyncio.Event()
        self._is_still = False
        self._lives = 0
        self._at = ""

    def tell_control(self, url: str) -> None:
        """Let its devices tell where the control API is; before `start`."""
        self._options = replace(self._options, control_url=url)

    # Life

    async def start(self) -> None:
        """Return when all its devices are up.

        Raises:
            SoftaxeError, OSError: They cannot be.
        """
        self._actor = _new_actor()
        await self._begin()

    async def _begin(self) -> None:
        """Let the actor be this part; try again when it dies meanwhile."""
        deaths = 0
        while True:
            try:
                await self._begin_at(await self._find_place())
            except RayActorError as error:
                deaths += 1
                if deaths == MOST_DEATHS:
                    raise SoftaxeError(
                        f"{self._name()} has died {deaths} times before it was up"
                    ) from error
            else:
                return

    async def _find_place(self) -> _Place:
        """Wait until Ray has made the actor somewhere, which may need a new machine."""
        asked_at, is_told = time.monotonic(), False
        while True:
            answer = asyncio.ensure_future(_answer(self._actor.where.remote()))
            while not answer.done():
                await asyncio.wait([answer], timeout=BEAT_S)
                if not is_told and time.monotonic() - asked_at > PLACE_S:
                    is_told = True
                    self._cluster.tell(
                        f"{self._name()} waits for a machine of the cluster with a "
                        "free CPU"
                    )
            try:
                found: _Place = answer.result()
            except ActorUnavailableError:
                await asyncio.sleep(BEAT_S)
            else:
                return found

    async def _begin_at(self, place: _Place) -> None:
        if place.version != __version__:
            raise SettingError(
                f"--ray: {place.machine} has softaxe {place.version}, this is "
                f"{__version__}"
            )
        options, clock = self._options, self._cluster.clock
        if self._cluster.is_local:  # its environment is ours, which is in the options
            place = place._replace(host=None, advertise=options.advertise)
        memory = self._memory
        groups = options.groups if memory is None else memory.groups
        count = sum(group.count for group in groups)
        plan = self._cluster.place(self._number, place, count)
        is_here = place.machine == _machine()
        options = replace(
            options,
            host=plan.host,
            port=plan.port,
            port_base=plan.port_base,
            advertise=place.advertise or (options.advertise if is_here else None),
            speed=clock.speed,
            is_paused=clock.is_paused,
        )
        self._at = f"{place.machine}, process {place.process}"
        self._now = self._until = clock.now
        up = self._actor.start.remote(
            options,
            _AskKeeper(self._cluster.keeper),
            levels=self._cluster.levels,
            now=clock.now,
            memory=memory,
        )
        self._can_be_asked = True
        await _answer(up)
        self._lives += 1
        self._is_still = False
        self._running = _answer_to(self._actor.run.remote())
        self._pacing = asyncio.ensure_future(self._keep_pace())
        self._is_up = True

    async def run(self) -> None:
        """Return when it has ended as it was told to; begin it anew when it has died.

        Raises:
            SoftaxeError, OSError: Why it has ended by itself, or does not begin.
        """
        while True:
            running, pacing = self._running, self._pacing
            assert running is not None
            assert pacing is not None
            try:
                await asyncio.wait(
                    {running, pacing}, return_when=asyncio.FIRST_COMPLETED
                )
                if pacing.done():  # it goes on as long as the actor
                    pacing.result()
                await asyncio.shield(running)
            except (RayActorError, RayTaskError) as error:
                _raise_but_death(error)
                if self._is_told_to_end:
                    return
                await self._come_back()
            else:
                if self._is_told_to_end:
                    return
                raise SoftaxeError(f"{self._name()} has ended")

    async def _come_back(self) -> None:
        self._can_be_asked = self._is_up = False
        died_at, name = self._at, self._name()
        self._cluster.tell(f"{name} has died on {died_at}; it is started again")
        began = time.monotonic()
        await self._begin()
        took_s = time.monotonic() - began
        self._cluster.tell(
            f"{name} is back on {self._at}, after {took_s:.0f} s; its devices have "
            "what they had stored"
        )

    def stop(self) -> None:
        """Let it end soon."""
        if not self._is_told_to_end:
            self._is_told_to_end = True
            if self._is_up:
                self._actor.stop.remote()

    async def end(self) -> None:
        """Wait until it has ended; kill it when that takes too long."""
        self.stop()
        if self._pacing is not None:
            self._pacing.cancel()
            await asyncio.gather(self._pacing, return_exceptions=True)
        if self._actor is None:
            return
        if self._is_up:
            closing = _answer_to(self._actor.close.remote())
            done, _ = await asyncio.wait([closing], timeout=END_S)
            if not done:
                sys.stderr.write(
                    f"softaxe: {self._name()} does not end; it is killed\n"
                )
            elif error := closing.exception():
                sys.stderr.write(f"softaxe: {self._name()}: {_in_words(error)}\n")
        ray.kill(self._actor)

    # Time

    @property
    def now(self) -> float:
        """Device time that it has come to; while it is away nobody waits for it."""
        return self._now if self._is_up else self._cluster.clock.now

    def pace(self, until: float) -> None:
        """Let its devices live until this device time."""
        if until != self._until:
            self._until = until
            self._is_behind.set()

    async def _keep_pace(self) -> None:
        """Tell the actor how far to go, and hear how far it is, as long as it lives."""
        with suppress(RayActorError):  # which `run` sees to
            while True:
                self._is_behind.clear()
                told = self._until
                await self._say_pace()
                if self._until - told < SLICE_S:
                    await asyncio.sleep(PACE_S)
                with suppress(TimeoutError):
                    async with asyncio.timeout(BEAT_S):
                        await self._is_behind.wait()

    async def _say_pace(self) -> None:
        """Say how far to go, and take what is heard, which should be at once."""
        searching = self._cluster.searching
        others = sum(searching.values()) - searching.get(self._number, 0.0)
        ref = self._actor.pace.remote(self._until, searching=others)
        answer = _answer_to(ref)
        while not answer.done():
            await asyncio.wait([answer], timeout=STILL_S)
            self._is_still = not answer.done()
        news: News = answer.result()
        self._now = news.now
        searching[self._number] = news.searching
        for device_id, line in news.lines:
            self._cluster.show_log(device_id, line)

    # Asking

    def check(self) -> None:
        """Return when it can be asked.

        Raises:
            NotNow: It has not begun, has died and is not back, or stands still.
        """
        if not self._can_be_asked:
            if self._lives:
                raise NotNow(f"{self._name()} has died, and is started again")
            raise NotNow("the fleet is starting")
        if self._is_still:
            raise NotNow(f"{self._name()} stands still")

    async def ask(
        self, name: str, /, *, within_s: float = ANSWER_S, **arguments: Any
    ) -> Any:
        """Let it do one of `Operations`; see `Part`."""
        self.check()
        ref = self._actor.ask.remote(name, arguments)
        answer = _answer_to(ref)
        try:
            await self._watch(answer, within_s)
        except BaseException:
            await self._call_off(ref, answer)
            raise
        try:
            done: Done = answer.result()
        except (RayActorError, RayTaskError) as error:
            _raise_but_death(error)
            raise NotNow(f"{self._name()} has died") from error
        self._now = done.now
        if done.memory is not None:
            self._memory = done.memory
        return done.found

    async def _watch(self, answer: asyncio.Future[Any], within_s: float) -> None:
        """Wait for an answer as long as there are signs of life."""
        asked_at = time.monotonic()
        while not answer.done():
            await asyncio.wait([answer], timeout=BEAT_S)
            if answer.done():
                return
            if self._is_still:
                raise NotNow(f"{self._name()} has not answered for {STILL_S:g} s")
            if time.monotonic() - asked_at > within_s:
                raise NotNow(f"{self._name()} has no answer after {within_s:g} s")

    async def _call_off(self, ref: Any, answer: asyncio.Future[Any]) -> None:
        """Let a question be left undone, and wait until it is."""
        if not answer.done():
            ray.cancel(ref, recursive=False)  # what is being saved, is
        if not self._is_still:
            await asyncio.wait([answer], timeout=STILL_S)
        if answer.done():
            with suppress(RayActorError, RayTaskError):
                await self._say_pace()  # it is not where it was

    @property
    def state(self) -> PartState:
        """Where it is, and how it is."""
        devices, restarts = in_words(self._options.groups), max(0, self._lives - 1)
        state: Life
        if self._is_up:
            state = "standing still" if self._is_still else "up"
        else:
            state = "starting again" if self._lives else "starting"
        return PartState(devices, self._at, state, restarts)

    def _name(self) -> str:
        """Say which part it is, by its devices."""
        devices = in_words(self._options.groups)
        return f"worker {self._number + 1} of the fleet, with {devices},"


async def _answer(ref: Any) -> Any:
    try:
        return await ref
    except RayTaskError as error:
        raise _cause(error) from None


def _answer_to(ref: Any) -> asyncio.Future[Any]:
    """Return what comes of a call, which need not be waited for."""
    answer = asyncio.wrap_future(ref.future())
    answer.add_done_callback(_forget)
    return answer


def _forget(answer: asyncio.Future[Any]) -> None:
    """Take what nobody wants to know any more."""
    if not answer.cancelled():
        answer.exception()


def _raise_but_death(error: RayActorError | RayTaskError) -> None:
    """Raise what was raised elsewhere, unless an actor has died.

    It may be there again, with nothing to do, before Ray tells that it has died.
    """
    if isinstance(error, RayTaskError) and not isinstance(error.cause, NotBegun):
        raise _cause(error) from None


def _cause(error: RayTaskError) -> Exception:
    """Return what was raised elsewhere; what should not be is told here, too."""
    cause = error.cause
    if isinstance(cause, SoftaxeError | OSError):
        return cause
    sys.stderr.write(f"{error}\n")
    return SoftaxeError(f"{type(cause).__name__}: {cause}")


def _in_words(error: BaseException) -> str:
    return str(_cause(error) if isinstance(error, RayTaskError) else "it has died")
