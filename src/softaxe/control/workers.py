"""A fleet spread over processes: each is a fleet of its own with a part of the devices.

The parent has no devices. It starts the parts, serves the one control API by asking
theirs, and ends them. It has the one clock, and tells the parts where to be. Every part
has a built-in pool of its own; the state of all is in one database.
"""

import asyncio
import json
import multiprocessing
import signal
import sys
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import urlencode

from msgspec.structs import replace as replaced
from prometheus_client.parser import text_string_to_metric_families

from softaxe.control.app import (
    JSON,
    ControlApp,
    Query,
    Refused,
    base_url,
    clock_to_json,
    json_answer,
    members_of,
    no_device,
)
from softaxe.control.bodies import MOST_ROWS, Advance, ClockChange
from softaxe.control.document import document
from softaxe.control.metrics import CONTENT_TYPE
from softaxe.control.scenario_run import ask
from softaxe.description import read
from softaxe.device.logbook import LogLine
from softaxe.errors import FleetStopped, SettingError, SoftaxeError
from softaxe.fleet.addresses import AddressPlan
from softaxe.fleet.clock import SLICE_S, Clock, Pace
from softaxe.fleet.fleet import Fleet, ShowProgress, settle_memory
from softaxe.fleet.groups import Group, read_group, seeded
from softaxe.fleet.options import FleetOptions
from softaxe.fleet.search_thread import Budget
from softaxe.scenario import Request as Question
from softaxe.serve.answers import Answer
from softaxe.serve.journal import MOST_ENTRIES
from softaxe.serve.request import Request
from softaxe.serve.storage import Storage, lock_directory

MOST_WORKERS = 256
END_S = 60.0
"""Real seconds until a part that does not end is killed."""
ANSWER_S = 3600.0
"""Real seconds for an answer; letting much time pass takes long."""
LEAD_S = 1.0
"""Device time that the slowest part may be behind before all others wait for it; as far
as the devices of one large part are from each other."""
ROUNDED_TO = 9
"""Decimal places of sums; a CPU's real work is some 1e-5 GH/s."""
LOOK_S = 0.1
"""Real seconds between two looks at how far the parts have started."""
TICK_S = 0.005
"""Real seconds between two words of the parent about the time."""


def parts(options: FleetOptions, count: int) -> list[FleetOptions]:
    """Divide a fleet into like parts; every device keeps its seed and address.

    Raises:
        SettingError: There are too few devices or addresses.
    """
    devices = sum(group.count for group in options.groups)
    if not 1 <= count <= min(devices, MOST_WORKERS):
        most = min(devices, MOST_WORKERS)
        raise SettingError(f"--workers: {count} is outside 1..{most}")
    plan = AddressPlan(options.first_host, options.port, options.port_base)
    places = list(islice(plan.places(()), devices))
    groups = seeded(options.groups, first=options.seed)
    found = []
    for number in range(count):
        first = devices * number // count
        after = devices * (number + 1) // count
        host, port = places[first]
        found.append(
            replace(
                options,
                groups=tuple(_cut(groups, first, after)),
                host=host,
                port_base=None if options.port_base is None else port,
                control="127.0.0.1:0",
                pool_port=options.pool_port and options.pool_port + 2 * number,
                is_part=True,
            )
        )
    return found


def _cut(groups: list[Group], first: int, after: int) -> Iterator[Group]:
    """Yield what groups have between two places of the whole row of devices."""
    begins = 0
    for group in groups:
        low = max(first, begins) - begins
        high = min(after, begins + group.count) - begins
        begins += group.count
        if low < high:
            seed = (group.seed or 0) + low
            yield replaced(group, count=high - low, seed=seed, first=group.first + low)


def _run_part(
    options: FleetOptions,
    show_log: Callable[[str, LogLine], None] | None,
    parent: Connection,
    pace: Pace,
    budget: Budget,
) -> None:
    """Be one part, in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it too
    from softaxe.control.api import Control  # noqa: PLC0415

    async def main() -> None:
        fleet = Fleet(options, show_log=show_log, clock=Clock(pace=pace), budget=budget)
        fleet.ticker.set_clock(speed=options.speed, is_paused=options.is_paused)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, fleet.stop)
        loop.add_reader(parent.fileno(), fleet.stop)  # the parent has died
        try:
            parent.send(await fleet.open_control(ControlApp(Control(fleet))))
            await fleet.start()
            settle_memory()
            await fleet.run()
        finally:
            loop.remove_reader(parent.fileno())
            await fleet.close()

    try:
        import uvloop  # noqa: PLC0415

        uvloop.run(main())
    except FleetStopped:  # before it had started
        pass
    except (SoftaxeError, OSError) as error:
        with suppress(OSError):
            parent.send(error)


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Let a process that is started here not hear Ctrl-C, from its first moment on.

    Whoever starts it hears it afterwards.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    # Whoever starts this one, at the first process, unblocks signals.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@dataclass(slots=True)
class _Part:
    url: str
    process: Any
    pipe: Connection


class Workers:
    """Starts, asks and ends the parts; has the control API's operations.

    `start`, then `run` until `stop` is called, then `close`.

    Args:
        options: Of the whole fleet.
        count: How many processes.
        show_log: Called in the processes with the id and every log line; must bear
            pickling.
        show_progress: As for `Fleet`.
    """

    def __init__(
        self,
        options: FleetOptions,
        count: int,
        *,
        show_log: Callable[[str, LogLine], None] | None = None,
        show_progress: ShowProgress = lambda what, done, of: None,
    ) -> None:
        self.options = options
        self._plans = parts(options, count)
        self._show_log = show_log
        self._show_progress = show_progress
        self._parts: list[_Part] = []
        self._stopped = asyncio.Event()
        self._locks = ExitStack()
        self._homes: dict[str, _Part] = {}
        self._entries: deque[dict[str, Any]] = deque(maxlen=MOST_ENTRIES)
        self._seen: list[int] = []
        self._last = self._dropped = 0
        self._listening = asyncio.Lock()
        self._adding = asyncio.Lock()
        self._clock = Clock(speed=options.speed, is_paused=options.is_paused)
        context = multiprocessing.get_context("spawn")
        self._paces = context.RawArray("d", 1 + count)
        self._pace = Pace(self._paces)
        self._real = context.RawArray("d", count)
        self._bending = asyncio.Lock()

    async def start(self) -> None:
        """Start every part and wait until all their devices are up.

        Raises:
            SoftaxeError, OSError: A part could not be started.
            FleetStopped: It was told to end meanwhile.
        """
        self._locks.enter_context(lock_directory(self.options.state))
        context = multiprocessing.get_context("spawn")
        for number, plan in enumerate(self._plans):
            ours, theirs = context.Pipe()
            pace = Pace(self._paces, number)
            budget = Budget(self.options.cpu_percent, self._real, number)
            arguments = plan, self._show_log, theirs, pace, budget
            process = context.Process(target=_run_part, args=arguments)
            with _deaf_to_ctrl_c():
                process.start()
            theirs.close()
            self._parts.append(_Part("", process, ours))
        for part in self._parts:
            part.url = await self._hear(part)
        while not self._stopped.is_set():
            try:
                states = await self._each("GET", "/control/ready")
            except (Refused, OSError):
                states = []  # a part ends, and is about to say why
            for part in self._parts:
                self._check(part)
            waiting = [state for state in states if "ready" in state]
            if states and not waiting:
                self._show_progress("starting", self._total, self._total)
                return
            if waiting:
                self._show_progress("starting", self._count_up(waiting), self._total)
            await asyncio.sleep(LOOK_S)
        raise FleetStopped("the fleet ends before it has started")

    async def _hear(self, part: _Part) -> str:
        """Wait for a part's first word, the address of its control API."""
        try:
            word = await asyncio.to_thread(part.pipe.recv)
        except EOFError as error:
            raise SoftaxeError("a process of the fleet has died") from error
        if isinstance(word, Exception):
            raise word
        return str(word)

    @property
    def _total(self) -> int:
        return sum(group.count for group in self.options.groups)

    def _count_up(self, waiting: list[dict[str, Any]]) -> int:
        """Count the devices that are up, from what the parts say that still start."""
        left: int = sum(one["devices"] - one["ready"] for one in waiting)
        return self._total - left

    def _check(self, part: _Part) -> None:
        is_alive = part.process.is_alive()  # its last word comes before its end
        if part.pipe.poll():
            try:
                word = part.pipe.recv()
            except EOFError as error:
                raise SoftaxeError("a process of the fleet has died") from error
            raise word
        if not is_alive:
            raise SoftaxeError("a process of the fleet has died")

    async def run(self) -> None:
        """Keep the time, until `stop` or the end of a part."""
        self._clock.move(self._clock.now)  # it starts now that all are there
        watching = asyncio.ensure_future(self._watch())
        try:
            while not self._stopped.is_set() and not watching.done():
                self._tick()
                await asyncio.sleep(TICK_S)
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    async def _watch(self) -> None:
        """Wait for the end of a part."""
        while True:
            for part in self._parts:
                self._check(part)
            await asyncio.sleep(1.0)

    def stop(self) -> None:
        """Let `run` return."""
        self._stopped.set()

    async def close(self) -> None:
        """End every part; what was to be saved is saved."""
        for part in self._parts:
            part.process.terminate()
        for number, part in enumerate(self._parts):
            plans = self._plans[:number]
            ended = sum(group.count for plan in plans for group in plan.groups)
            self._show_progress("ending", ended, self._total)
            await asyncio.to_thread(part.process.join, END_S)
            if part.process.is_alive():
                sys.stderr.write("softaxe: a process does not end and is killed\n")
                part.process.kill()
            part.pipe.close()
        self._locks.close()
        if self._parts:
            self._show_progress("ending", self._total, self._total)

    # Time

    def _tick(self) -> None:
        """Tell the parts how far to go: never far from the slowest."""
        is_whole_slice = not self._clock.is_held
        while is_whole_slice and self._clock.now < self._pace.slowest + LEAD_S:
            before = self._clock.now
            self._pace.until = self._clock.advance()
            is_whole_slice = self._clock.now - before >= SLICE_S

    @asynccontextmanager
    async def _standing_still(self) -> AsyncIterator[None]:
        """Hold the time for what all parts do to it; go on where they are afterwards.

        Raises:
            Refused: The fleet ends.
        """
        async with self._bending:
            self._clock.is_held = True
            try:
                await self._meet()
                self._pace.until = 0.0  # nobody goes anywhere by itself
                yield
            finally:
                self._clock.move(self._pace.fastest)
                self._pace.until = self._clock.now
                self._clock.is_held = False

    async def _meet(self) -> None:
        """Wait until every part is where the clock is."""
        while self._pace.slowest < self._clock.now - 1e-6:
            if self._stopped.is_set():
                raise Refused(503, "the fleet ends")
            await asyncio.sleep(TICK_S)

    # Asking

    async def _ask(
        self, part: _Part, method: str, path: str, body: object = None
    ) -> tuple[int, bytes]:
        text = None if body is None else json.dumps(body)
        question = Question(method=method, path=path, text=text)
        try:
            async with asyncio.timeout(ANSWER_S):
                return await ask(part.url, question)
        except EOFError as error:
            raise Refused(503, "a process of the fleet has ended") from error

    async def _each(
        self, method: str, path: str, body: object = None
    ) -> list[dict[str, Any]]:
        """Ask every part; return what they answer.

        Raises:
            Refused: A part has refused.
        """
        answers = await asyncio.gather(
            *(self._ask(part, method, path, body) for part in self._all_parts())
        )
        found = []
        for status, text in answers:
            members = json.loads(text)
            if status >= 400 and "error" in members:
                raise Refused(status, members["error"])
            found.append(members)
        return found

    def _all_parts(self) -> list[_Part]:
        """Return every part.

        Raises:
            Refused: Not all have begun.
        """
        if len(self._parts) < len(self._plans) or not all(p.url for p in self._parts):
            raise Refused(503, "the fleet is starting")
        return self._parts

    async def _rows(self, **wanted: str) -> list[dict[str, Any]]:
        answers = await self._each("GET", f"/control/devices?{urlencode(wanted)}")
        for part, answer in zip(self._parts, answers, strict=True):
            self._homes.update((row["id"], part) for row in answer["devices"])
        return [row for answer in answers for row in answer["devices"]]

    async def _forward(self, request: Request, device_id: str) -> Answer:
        """Let the part that has a device answer."""
        if device_id not in self._homes:
            await self._rows()
        part = self._homes.get(device_id)
        if part is None:
            raise no_device(device_id)
        status, body = await self._ask(part, request.method, request.path)
        return Answer(body, status=status, content_type=JSON)

    # The operations

    async def health(self, _request: Request) -> object:
        """GET /control/health."""
        return {"status": "ok"}

    async def ready(self, _request: Request) -> object:
        """GET /control/ready."""
        try:
            self._all_parts()
        except Refused:
            state = {"status": "starting", "ready": 0, "devices": self._total}
            return json_answer(state, status=503)
        states = await self._each("GET", "/control/ready")
        waiting = [state for state in states if "ready" in state]
        if not waiting:
            return {"status": "ok"}
        state = {"ready": self._count_up(waiting), "devices": self._total}
        return json_answer({"status": "starting", **state}, status=503)

    async def fleet(self, _request: Request) -> object:
        """GET /control/fleet."""
        found = await self._each("GET", "/control/fleet")
        total = dict(found[0])
        for name in ("devices", "mining", "sharesAccepted", "sharesRejected"):
            total[name] = sum(one[name] for one in found)
        for name in ("hashRate", "expectedHashrate", "power"):
            total[name] = round(sum(one[name] for one in found), ROUNDED_TO)
        for name in ("hottest", "bestDiff"):
            total[name] = max(one[name] for one in found)
        ghs = total["hashRate"]
        total["efficiency"] = round(total["power"] / ghs * 1000, 2) if ghs > 1 else None
        groups = Counter[str]()
        for one in found:
            groups.update(one["groups"])
        pools = [one["pool"] for one in found if one["pool"]]
        if pools:
            total["pool"] = {
                name: sum(pool[name] for pool in pools)
                for name in ("connections", "sharesAccepted", "sharesRejected")
            } | {"url": ", ".join(pool["url"] for pool in pools)}
        clock = clock_to_json(self._clock)
        return total | clock | {"groups": dict(groups), "workers": len(self._parts)}

    async def history(self, _request: Request) -> object:
        """GET /control/history."""
        found = await self._each("GET", "/control/history")
        length = min(len(one["now"]) for one in found)
        rows = [
            {name: values[-length:] if length else [] for name, values in one.items()}
            for one in found
        ]
        joined: dict[str, list[float]] = {"now": rows[0]["now"]}
        for name, join in (
            ("hashRate", sum),
            ("power", sum),
            ("hottest", max),
            ("mining", sum),
        ):
            columns = zip(*(row[name] for row in rows), strict=True)
            joined[name] = [round(join(values), ROUNDED_TO) for values in columns]
        return joined

    async def devices(self, request: Request) -> object:
        """GET /control/devices."""
        query = Query(request)
        wanted = {
            name: value
            for name in ("group", "state")
            if (value := query.text(name)) is not None
        }
        rows = await self._rows(**wanted)
        first = query.whole("offset", 0, MOST_ROWS, 0)
        end = first + query.whole("limit", 0, MOST_ROWS, MOST_ROWS)
        return {"total": len(rows), "devices": rows[first:end]}

    async def add_devices(self, request: Request) -> object:
        """POST /control/devices."""
        table = await members_of(request)
        group = read_group(table)
        async with self._adding:
            counts = Counter(dict.fromkeys(range(len(self._parts)), 0))
            used: dict[int, str] = {}
            for row in await self._rows():
                counts[self._parts.index(self._homes[row["id"]])] += 1
                used[int(row["id"].rpartition("-")[2])] = row["group"]
            # A part knows only its own devices, so the seeds are dealt out here.
            (planned,) = seeded([group], first=self.options.seed, used=used)
            table["seed"] = planned.seed
            part = self._parts[min(counts, key=lambda n: counts[n])]
            status, body = await self._ask(part, "POST", "/control/devices", table)
        return Answer(body, status=status, content_type=JSON)

    async def device(self, request: Request) -> object:
        """GET /control/devices/ID."""
        return await self._forward(request, request.path_params["id"])

    async def remove_device(self, request: Request) -> object:
        """DELETE /control/devices/ID."""
        answer = await self._forward(request, request.path_params["id"])
        self._homes.pop(request.path_params["id"], None)
        return answer

    async def restart_device(self, request: Request) -> object:
        """POST /control/devices/ID/restart."""
        return await self._forward(request, request.path_params["id"])

    async def faults(self, _request: Request) -> object:
        """GET /control/faults."""
        first, *others = await self._each("GET", "/control/faults")
        for rule in first["faults"]:
            for other in others:
                same = [r for r in other["faults"] if r["id"] == rule["id"]]
                rule["matches"] += sum(r["matches"] for r in same)
        return first

    async def add_fault(self, request: Request) -> object:
        """POST /control/faults."""
        rule = await members_of(request)
        async with self._adding:
            first, *others = self._all_parts()
            status, body = await self._ask(first, "POST", "/control/faults", rule)
            if status < 400:
                # One id for all: by it they agree whom a share of the devices means.
                rule["id"] = json.loads(body)["id"]
                for part in others:
                    await self._ask(part, "POST", "/control/faults", rule)
        return Answer(body, status=status, content_type=JSON)

    async def clear_faults(self, _request: Request) -> object:
        """DELETE /control/faults."""
        return (await self._each("DELETE", "/control/faults"))[0]

    async def remove_fault(self, request: Request) -> object:
        """DELETE /control/faults/ID."""
        return (await self._each("DELETE", request.path))[0]

    async def clock(self, _request: Request) -> object:
        """GET /control/clock."""
        return clock_to_json(self._clock)

    async def set_clock(self, request: Request) -> object:
        """PATCH /control/clock."""
        change: ClockChange = read(ClockChange, await members_of(request))
        self._all_parts()
        self._tick()
        if change.speed is not None:
            self._clock.speed = change.speed
        if change.paused is not None:
            self._clock.is_paused = change.paused
        shown = {"speed": self._clock.speed, "paused": self._clock.is_paused}
        await self._each("PATCH", "/control/clock", shown)
        return clock_to_json(self._clock)

    async def advance(self, request: Request) -> object:
        """POST /control/clock/advance."""
        asked: Advance = read(Advance, await members_of(request))
        seconds = {"seconds": asked.seconds}
        async with self._standing_still():
            await self._each("POST", "/control/clock/advance", seconds)
        return clock_to_json(self._clock)

    async def journal(self, request: Request) -> object:
        """GET /control/journal."""
        query = Query(request)
        await self._listen()
        wanted = {
            name: value
            for name in ("device", "method")
            if (value := query.text(name)) is not None
        }
        if "method" in wanted:
            wanted["method"] = wanted["method"].upper()
        after = query.whole("after", 0, 1 << 53, 0)
        limit = query.whole("limit", 1, MOST_ENTRIES, 1000)
        path, status = query.text("path") or "", query.whole("status", 0, 999, None)
        unmatched = query.flag("unmatched")
        chosen = [
            entry
            for entry in self._entries
            if entry["seq"] > after
            and all(entry[name] == value for name, value in wanted.items())
            and entry["path"].startswith(path)
            and status in {None, entry["status"]}
            and unmatched in {None, entry["unmatched"]}
        ]
        return {
            "entries": chosen[-limit:],
            "last": self._last,
            "dropped": self._dropped,
        }

    async def _listen(self) -> None:
        """Take what is new in the parts' journals into one, by time."""
        async with self._listening:
            self._seen = self._seen or [0] * len(self._parts)
            new: list[dict[str, Any]] = []
            for number, part in enumerate(self._all_parts()):
                path = f"/control/journal?after={self._seen[number]}&limit=10000"
                _, text = await self._ask(part, "GET", path)
                answer = json.loads(text)
                entries = answer["entries"]
                missed = answer["last"] - self._seen[number] - len(entries)
                self._last += missed
                self._dropped += missed
                self._seen[number] = answer["last"]
                new += entries
            for entry in sorted(new, key=lambda one: one["time"]):
                self._last += 1
                self._dropped += len(self._entries) == self._entries.maxlen
                self._entries.append(entry | {"seq": self._last})

    async def clear_journal(self, _request: Request) -> object:
        """DELETE /control/journal."""
        answers = await self._each("DELETE", "/control/journal")
        await self._forget_entries()
        return answers[0]

    async def _forget_entries(self) -> None:
        await self._listen()
        self._entries.clear()
        self._dropped = 0

    async def snapshots(self, _request: Request) -> object:
        """GET /control/snapshots."""
        first, *others = await self._each("GET", "/control/snapshots")
        for snapshot in first["snapshots"]:
            for other in others:
                for one in other["snapshots"]:
                    if one["name"] == snapshot["name"]:
                        snapshot["devices"] += one["devices"]
                        snapshot["bytes"] += one["bytes"]
        return first

    async def take_snapshot(self, request: Request) -> object:
        """POST /control/snapshots."""
        name = await members_of(request)
        async with self._standing_still():
            found = await self._each("POST", "/control/snapshots", name)
        sums = {n: sum(one[n] for one in found) for n in ("devices", "bytes")}
        return found[0] | sums

    async def restore(self, request: Request) -> object:
        """POST /control/snapshots/NAME/restore."""
        async with self._standing_still():
            await self._each("POST", request.path)
        self._homes.clear()
        return clock_to_json(self._clock)

    async def drop_snapshot(self, request: Request) -> object:
        """DELETE /control/snapshots/NAME."""
        return (await self._each("DELETE", request.path))[0]

    async def reset(self, _request: Request) -> object:
        """POST /control/reset."""
        async with self._standing_still():
            self._clock.speed = self.options.speed
            self._clock.is_paused = self.options.is_paused
            await self._each("POST", "/control/reset")
            await self._forget_entries()
        self._homes.clear()
        await self._rows()
        await asyncio.to_thread(self._forget_others, list(self._homes))
        return {}

    def _forget_others(self, device_ids: list[str]) -> None:
        storage = Storage(self.options.state, is_shared=True)
        try:
            storage.forget_others(device_ids)
        finally:
            storage.close()

    async def shutdown(self, _request: Request) -> object:
        """POST /control/shutdown."""
        asyncio.get_running_loop().call_later(0.1, self.stop)
        return {}

    async def openapi(self, request: Request) -> object:
        """GET /control/openapi.json."""
        return document(base_url(request))

    async def metrics(self, _request: Request) -> object:
        """GET /metrics."""
        texts = await asyncio.gather(
            *(self._ask(part, "GET", "/metrics") for part in self._all_parts())
        )
        # In a thread, as the text of a thousand devices takes a tenth of a second.
        text = await asyncio.to_thread(joined_metrics, [b.decode() for _, b in texts])
        return Answer(text.encode(), content_type=CONTENT_TYPE)


def joined_metrics(texts: list[str]) -> str:
    """Return the metrics of several parts as one; what all have is added up.

    But for the clock, which is one and the same.
    """
    heads: dict[str, list[str]] = {}
    values: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for text in texts:
        for family in text_string_to_metric_families(text):
            total = "_total" if family.type == "counter" else ""
            name = f"{family.name}{total}"
            heads[name] = [
                f"# HELP {name} {family.documentation}",
                f"# TYPE {name} {family.type}",
            ]
            for sample in family.samples:
                labels = tuple(sorted(sample.labels.items()))
                known = values.setdefault(sample.name, {})
                is_clock = sample.name.startswith("softaxe_clock")
                before = 0.0 if is_clock else known.get(labels, 0.0)
                known[labels] = before + sample.value
    lines = []
    for name, head in heads.items():
        lines += head
        for labels, value in values.get(name, {}).items():
            shown = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
            lines.append(f"{name}{f'{{{shown}}}' if shown else ''} {value}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    """Return a label's value as Prometheus writes it."""
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
