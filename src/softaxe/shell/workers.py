"""A fleet spread over processes: each is a fleet of its own with a part of the devices.

The parent has no devices. It starts the parts, serves the one control API by asking
theirs, and ends them. Every part has a built-in pool of its own; the state of all is in
one database.
"""

import asyncio
import json
import multiprocessing
import signal
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing.connection import Connection
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from softaxe.device.logbook import LogLine
from softaxe.errors import SettingError, SoftaxeError
from softaxe.scenario import Request as Question
from softaxe.shell.addresses import AddressPlan
from softaxe.shell.control import (
    MOST_ROWS,
    ControlApp,
    Query,
    Refused,
    document,
    members_of,
)
from softaxe.shell.fleet import Fleet, FleetOptions, settle_memory
from softaxe.shell.groups import Group
from softaxe.shell.journal import MOST_ENTRIES
from softaxe.shell.metrics import CONTENT_TYPE
from softaxe.shell.scenario_run import ask
from softaxe.shell.storage import lock_directory

MOST_WORKERS = 256
END_S = 60.0
"""Real seconds until a part that does not end is killed."""
ANSWER_S = 3600.0
"""Real seconds for an answer; letting much time pass takes long."""


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
    seeded = list(_seeded(options))
    found = []
    for number in range(count):
        first = devices * number // count
        after = devices * (number + 1) // count
        host, port = places[first]
        found.append(
            replace(
                options,
                groups=tuple(_cut(seeded, first, after)),
                host=host,
                port_base=None if options.port_base is None else port,
                control="127.0.0.1:0",
                cpu_percent=max(1, options.cpu_percent // count),
                pool_port=options.pool_port and options.pool_port + 2 * number,
                is_part=True,
            )
        )
    return found


def _seeded(options: FleetOptions) -> Iterator[Group]:
    """Give every group the seeds that it would get in one process."""
    following = options.seed
    for group in options.groups:
        first = following if group.seed is None else group.seed
        following = max(following, first + group.count)
        yield replace(group, seed=first)


def _cut(groups: list[Group], first: int, after: int) -> Iterator[Group]:
    """Yield what groups have between two places of the whole row of devices."""
    begins = 0
    for group in groups:
        low = max(first, begins) - begins
        high = min(after, begins + group.count) - begins
        begins += group.count
        if low < high:
            seed = (group.seed or 0) + low
            yield replace(group, count=high - low, seed=seed, first=group.first + low)


def _run_part(
    options: FleetOptions,
    show_log: Callable[[LogLine], None] | None,
    parent: Connection,
) -> None:
    """Be one part, in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it too
    from softaxe.shell.control import Control  # noqa: PLC0415

    async def main() -> None:
        fleet = Fleet(options, show_log=show_log)
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
    except (SoftaxeError, OSError) as error:
        with suppress(OSError):
            parent.send(error)


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
        show_log: Called in the processes with every log line; must bear pickling.
        show_progress: Called with how many devices of how many are up.
    """

    def __init__(
        self,
        options: FleetOptions,
        count: int,
        *,
        show_log: Callable[[LogLine], None] | None = None,
        show_progress: Callable[[int, int], None] = lambda done, of: None,
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
        self._last = self._dropped = self._fault_count = 0
        self._listening = asyncio.Lock()

    async def start(self) -> None:
        """Start every part and wait until all their devices are up.

        Raises:
            SoftaxeError, OSError: A part could not be started.
        """
        self._locks.enter_context(lock_directory(self.options.state))
        context = multiprocessing.get_context("spawn")
        for plan in self._plans:
            ours, theirs = context.Pipe()
            arguments = plan, self._show_log, theirs
            process = context.Process(target=_run_part, args=arguments)
            process.start()
            theirs.close()
            self._parts.append(_Part("", process, ours))
        for part in self._parts:
            part.url = await self._hear(part)
        while True:
            states = await self._each("GET", "/control/ready")
            waiting = [state for state in states if "ready" in state]
            total = sum(group.count for group in self.options.groups)
            if not waiting:
                self._show_progress(total, total)
                return
            left = sum(state["devices"] - state["ready"] for state in waiting)
            self._show_progress(max(0, total - left), total)
            for part in self._parts:
                self._check(part)
            await asyncio.sleep(0.1)

    async def _hear(self, part: _Part) -> str:
        """Wait for a part's first word, the address of its control API."""
        try:
            word = await asyncio.to_thread(part.pipe.recv)
        except EOFError as error:
            raise SoftaxeError("a process of the fleet has died") from error
        if isinstance(word, Exception):
            raise word
        return str(word)

    def _check(self, part: _Part) -> None:
        if part.pipe.poll():
            try:
                word = part.pipe.recv()
            except EOFError as error:
                raise SoftaxeError("a process of the fleet has died") from error
            raise word
        if not part.process.is_alive():
            raise SoftaxeError("a process of the fleet has died")

    async def run(self) -> None:
        """Wait for `stop`, or for the end of a part."""
        while not self._stopped.is_set():
            try:
                async with asyncio.timeout(1.0):
                    await self._stopped.wait()
            except TimeoutError:
                for part in self._parts:
                    self._check(part)

    def stop(self) -> None:
        """Let `run` return."""
        self._stopped.set()

    async def close(self) -> None:
        """End every part; what was to be saved is saved."""
        for part in self._parts:
            part.process.terminate()
        for part in self._parts:
            await asyncio.to_thread(part.process.join, END_S)
            if part.process.is_alive():
                sys.stderr.write("softaxe: a process does not end and is killed\n")
                part.process.kill()
            part.pipe.close()
        self._locks.close()

    # Asking

    async def _ask(
        self, part: _Part, method: str, path: str, body: object = None
    ) -> tuple[int, bytes]:
        text = None if body is None else json.dumps(body)
        question = Question(method, path, text, {}, None, None)
        async with asyncio.timeout(ANSWER_S):
            return await ask(part.url, question)

    async def _each(
        self, method: str, path: str, body: object = None
    ) -> list[dict[str, Any]]:
        """Ask every part; return what they answer.

        Raises:
            Refused: A part has refused.
        """
        answers = await asyncio.gather(
            *(self._ask(part, method, path, body) for part in self._parts)
        )
        found = []
        for status, text in answers:
            members = json.loads(text)
            if status >= 400 and status != 503:
                raise Refused(status, members["error"])
            found.append(members)
        return found

    async def _rows(self, query: str = "") -> list[dict[str, Any]]:
        answers = await self._each("GET", f"/control/devices{query}")
        for part, answer in zip(self._parts, answers, strict=True):
            self._homes.update((row["id"], part) for row in answer["devices"])
        return [row for answer in answers for row in answer["devices"]]

    async def _forward(self, request: Request, device_id: str) -> Response:
        """Let the part that has a device answer."""
        if device_id not in self._homes:
            await self._rows()
        part = self._homes.get(device_id)
        if part is None:
            raise Refused(404, f"device: there is no {device_id!r}")
        status, body = await self._ask(part, request.method, request.url.path)
        return Response(body, status, media_type="application/json")

    # The operations

    async def health(self, _request: Request) -> object:
        """GET /control/health."""
        return {"status": "ok"}

    async def ready(self, _request: Request) -> object:
        """GET /control/ready."""
        if len(self._parts) < len(self._plans) or not all(p.url for p in self._parts):
            total = sum(group.count for group in self.options.groups)
            state = {"status": "starting", "ready": 0, "devices": total}
            return JSONResponse(state, 503)
        states = await self._each("GET", "/control/ready")
        waiting = [state for state in states if "ready" in state]
        if not waiting:
            return {"status": "ok"}
        sums = {n: sum(state[n] for state in waiting) for n in ("ready", "devices")}
        return JSONResponse({"status": "starting", **sums}, 503)

    async def fleet(self, _request: Request) -> object:
        """GET /control/fleet."""
        found = await self._each("GET", "/control/fleet")
        total = dict(found[0])
        for name in ("devices", "mining", "sharesAccepted", "sharesRejected"):
            total[name] = sum(one[name] for one in found)
        for name in ("hashRate", "expectedHashrate", "power"):
            total[name] = round(sum(one[name] for one in found), 3)
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
        return total | {"groups": dict(groups), "workers": len(self._parts)}

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
            joined[name] = [round(join(values), 3) for values in columns]
        return joined

    async def devices(self, request: Request) -> object:
        """GET /control/devices."""
        query = Query(request)
        wanted = [
            f"{name}={value}"
            for name in ("group", "state")
            if (value := query.text(name)) is not None
        ]
        rows = await self._rows(f"?{'&'.join(wanted)}" if wanted else "")
        first = query.whole("offset", 0, MOST_ROWS, 0)
        end = first + query.whole("limit", 0, MOST_ROWS, MOST_ROWS)
        return {"total": len(rows), "devices": rows[first:end]}

    async def add_devices(self, request: Request) -> object:
        """POST /control/devices."""
        group = await members_of(request)
        counts = Counter(dict.fromkeys(range(len(self._parts)), 0))
        for row in await self._rows():
            counts[self._parts.index(self._homes[row["id"]])] += 1
        if "seed" not in group:
            seeds = [int(device_id.rpartition("-")[2]) for device_id in self._homes]
            group["seed"] = max(seeds) + 1
        part = self._parts[min(counts, key=lambda n: counts[n])]
        status, body = await self._ask(part, "POST", "/control/devices", group)
        return Response(body, status, media_type="application/json")

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
        self._fault_count += 1
        # One id for all: by it they agree whom a share of the devices means.
        rule.setdefault("id", f"fault-{self._fault_count}")
        return (await self._each("POST", "/control/faults", rule))[0]

    async def clear_faults(self, _request: Request) -> object:
        """DELETE /control/faults."""
        return (await self._each("DELETE", "/control/faults"))[0]

    async def remove_fault(self, request: Request) -> object:
        """DELETE /control/faults/ID."""
        return (await self._each("DELETE", request.url.path))[0]

    async def clock(self, _request: Request) -> object:
        """GET /control/clock."""
        return (await self._each("GET", "/control/clock"))[0]

    async def set_clock(self, request: Request) -> object:
        """PATCH /control/clock."""
        change = await members_of(request)
        return (await self._each("PATCH", "/control/clock", change))[0]

    async def advance(self, request: Request) -> object:
        """POST /control/clock/advance."""
        seconds = await members_of(request)
        return (await self._each("POST", "/control/clock/advance", seconds))[0]

    async def journal(self, request: Request) -> object:
        """GET /control/journal."""
        query = Query(request)
        await self._listen()
        wanted = {
            name: value
            for name in ("device", "method")
            if (value := query.text(name)) is not None
        }
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
            for number, part in enumerate(self._parts):
                path = f"/control/journal?after={self._seen[number]}&limit=10000"
                _, text = await self._ask(part, "GET", path)
                answer = json.loads(text)
                self._seen[number] = answer["last"]
                new += answer["entries"]
            for entry in sorted(new, key=lambda one: one["time"]):
                self._last += 1
                self._dropped += len(self._entries) == self._entries.maxlen
                self._entries.append(entry | {"seq": self._last})

    async def clear_journal(self, _request: Request) -> object:
        """DELETE /control/journal."""
        await self._listen()
        self._entries.clear()
        self._dropped = 0
        return (await self._each("DELETE", "/control/journal"))[0]

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
        found = await self._each("POST", "/control/snapshots", name)
        sums = {n: sum(one[n] for one in found) for n in ("devices", "bytes")}
        return found[0] | sums

    async def restore(self, request: Request) -> object:
        """POST /control/snapshots/NAME/restore."""
        return (await self._each("POST", request.url.path))[0]

    async def drop_snapshot(self, request: Request) -> object:
        """DELETE /control/snapshots/NAME."""
        return (await self._each("DELETE", request.url.path))[0]

    async def reset(self, _request: Request) -> object:
        """POST /control/reset."""
        await self._each("POST", "/control/reset")
        self._homes.clear()
        return {}

    async def shutdown(self, _request: Request) -> object:
        """POST /control/shutdown."""
        asyncio.get_running_loop().call_later(0.1, self.stop)
        return {}

    async def openapi(self, request: Request) -> object:
        """GET /control/openapi.json."""
        return document(str(request.base_url).rstrip("/"))

    async def metrics(self, _request: Request) -> object:
        """GET /metrics."""
        texts = await asyncio.gather(
            *(self._ask(part, "GET", "/metrics") for part in self._parts)
        )
        text = joined_metrics([body.decode() for _, body in texts])
        return Response(text, headers={"Content-Type": CONTENT_TYPE.decode()})


def joined_metrics(texts: list[str]) -> str:
    """Return the metrics of several parts as one; what all have is added up.

    But for the clock, which is one and the same.
    """
    values: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    heads: dict[str, list[str]] = {}
    for text in texts:
        for family in text_string_to_metric_families(text):
            total = "_total" if family.type == "counter" else ""
            name = f"{family.name}{total}"
            heads[name] = [
                f"# HELP {name} {family.documentation}",
                f"# TYPE {name} {family.type}",
            ]
            for sample in family.samples:
                key = sample.name, tuple(sorted(sample.labels.items()))
                is_clock = sample.name.startswith("softaxe_clock")
                before = 0.0 if is_clock else values.get(key, 0.0)
                values[key] = before + sample.value
    lines = []
    for name, head in heads.items():
        lines += head
        for (sample_name, labels), value in values.items():
            if sample_name == name:
                shown = ",".join(f'{key}="{text}"' for key, text in labels)
                lines.append(f"{name}{f'{{{shown}}}' if shown else ''} {value}")
    return "\n".join(lines) + "\n"
