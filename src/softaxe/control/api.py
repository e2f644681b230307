"""Answers the control API: reads what is asked, asks the fleet's parts, and merges."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec

from softaxe.api.access import is_loopback
from softaxe.control.advances import Advances
from softaxe.control.app import (
    JSON,
    ControlApp,
    Refused,
    base_url,
    json_answer,
    members_of,
    query_of,
)
from softaxe.control.bodies import (
    Advance,
    ClockChange,
    DevicesOrder,
    DevicesQuery,
    FaultQuery,
    JournalQuery,
    LogQuery,
    MinerChange,
    MinersQuery,
    NewSnapshot,
)
from softaxe.control.changes import Changes
from softaxe.control.document import document
from softaxe.description import read
from softaxe.errors import NotNow, NotThere, SettingError
from softaxe.fleet.clock import Clock
from softaxe.fleet.load_report import load_to_json
from softaxe.fleet.options import control_address
from softaxe.fleet.parts import merge
from softaxe.fleet.parts.whole import Whole
from softaxe.fleet.pool_server import FIRST_PORT_TRIES
from softaxe.serve.addresses import found_at
from softaxe.serve.answers import Answer
from softaxe.serve.journal import Entry
from softaxe.serve.listener import Listener
from softaxe.serve.request import Request

CONTROL = "127.0.0.1:8100"
"""The API's usual place; the next free one is taken when it is not."""
SHUTDOWN_S = 0.1
"""Real seconds from the order to end until the end begins: the answer should leave."""


async def open_control(whole: Whole, token: str = "") -> Listener | None:
    """Serve the API of a fleet where its options say; None for nowhere.

    Args:
        whole: The fleet.
        token: That every order must have; empty when none is asked for.

    Raises:
        OSError: The port asked for is taken.
        SettingError: No address was meant.
    """
    address = control_address(whole.options.control)
    if address is None:
        return None
    host, port = address
    tries = FIRST_PORT_TRIES if whole.options.control == CONTROL else 1
    options = whole.options
    app = ControlApp(
        Control(whole),
        token,
        hosts=options.control_names,
        networks=options.networks,
    )
    name = host if is_loopback(host) else found_at(host, options.advertise)
    for attempt in range(tries):
        listener = Listener(app, host, port + attempt if port else 0, name=name)
        try:
            await listener.open()
        except OSError:
            if attempt + 1 == tries:
                raise
        else:
            whole.tell_control(listener.url)
            return listener
    return None


class Control:
    """Answers the control API; has a method for each of its operations, by its name.

    Args:
        whole: The fleet that is controlled.
    """

    def __init__(self, whole: Whole) -> None:
        self._whole = whole
        self._advances = Advances(whole)
        self._changes = Changes()

    # The fleet

    async def health(self, _request: Request) -> object:
        """GET /control/health."""
        return {"status": "ok"}

    async def ready(self, _request: Request) -> object:
        """GET /control/ready."""
        whole = self._whole
        up, is_ready = await whole.count_up()
        if is_ready:
            return {"status": "ok"}
        state = {"status": "starting", "ready": up, "devices": whole.device_count}
        return json_answer(state, status=503)

    async def fleet(self, _request: Request) -> object:
        """GET /control/fleet."""
        total = merge.totals(await self._whole.ask("totals"))
        pool, faults = total.pop("pool"), total.pop("faults")
        clock = clock_to_json(self._whole.clock)
        workers = {"workers": len(self._whole.parts)}
        start = {"startTime": self._whole.options.start_time}
        return total | start | clock | workers | {"pool": pool, "faults": faults}

    async def workers(self, _request: Request) -> object:
        """GET /control/workers."""
        return {
            "workers": [msgspec.to_builtins(part.state) for part in self._whole.parts]
        }

    async def load(self, _request: Request) -> object:
        """GET /control/load."""
        return load_to_json(merge.load(await self._whole.ask("load")))

    async def history(self, _request: Request) -> object:
        """GET /control/history."""
        return merge.history(await self._whole.ask("history"))

    async def metrics(self, _request: Request) -> object:
        """GET /metrics."""
        # Prometheus's library is only loaded for those who ask.
        from softaxe.fleet.metrics import CONTENT_TYPE, metrics_text  # noqa: PLC0415

        found = await self._whole.ask("metrics")
        devices = [one["devices"] for one in found]
        totals = [one["totals"] for one in found]
        load = merge.load(await self._whole.ask("load"))
        text = metrics_text(devices, totals, self._whole.clock, load)
        return Answer(text, content_type=CONTENT_TYPE)

    async def openapi(self, request: Request) -> object:
        """GET /control/openapi.json."""
        return document(base_url(request))

    async def shutdown(self, _request: Request) -> object:
        """POST /control/shutdown."""
        asyncio.get_running_loop().call_later(SHUTDOWN_S, self._whole.stop)
        return {}

    async def reset(self, _request: Request) -> object:
        """POST /control/reset."""
        await self._whole.reset()
        return {}

    # Devices

    async def devices(self, request: Request) -> object:
        """GET /control/devices."""
        query = query_of(DevicesQuery, request)
        if query.since is not None and query != DevicesQuery(
            since=query.since, fields=query.fields
        ):
            raise SettingError("since: it goes with fields alone, and with all devices")
        found = await self._whole.devices(
            first=query.offset,
            limit=query.limit,
            group=query.group,
            state=query.state,
            firmware=query.firmware,
            fields=query.fields,
        )
        if query.since is None:
            return found
        return found | self._changes.take(found["devices"], query.since)

    async def add_devices(self, request: Request) -> object:
        """POST /control/devices."""
        return await self._whole.add_devices(await members_of(request))

    async def device(self, request: Request) -> object:
        """GET /control/devices/ID."""
        found = await self._whole.ask_home(request.path_params["id"], "device")
        return found | {name: msgspec.Raw(found[name]) for name in ("info", "status")}

    async def device_history(self, request: Request) -> object:
        """GET /control/devices/ID/history."""
        return await self._whole.ask_home(request.path_params["id"], "device_history")

    async def device_log(self, request: Request) -> object:
        """GET /control/devices/ID/log."""
        query = query_of(LogQuery, request)
        return await self._whole.ask_home(
            request.path_params["id"],
            "device_log",
            after=query.after,
            limit=query.limit,
        )

    async def remove_device(self, request: Request) -> object:
        """DELETE /control/devices/ID."""
        return await self._whole.ask_home(request.path_params["id"], "remove_device")

    async def restart_device(self, request: Request) -> object:
        """POST /control/devices/ID/restart."""
        device_id = request.path_params["id"]
        return await self._whole.ask_home(device_id, "order_device", order="restart")

    async def order_devices(self, request: Request) -> object:
        """POST /control/devices/orders."""
        asked: DevicesOrder = read(DevicesOrder, await members_of(request))
        done, refused = list[str](), dict[str, str]()
        for device_id in dict.fromkeys(asked.devices):
            try:
                if asked.order == "remove":
                    await self._whole.ask_home(device_id, "remove_device")
                else:
                    await self._whole.ask_home(
                        device_id, "order_device", order=asked.order
                    )
            except (NotThere, NotNow, SettingError) as error:
                refused[device_id] = str(error)
            else:
                done.append(device_id)
        return {"done": done, "refused": refused}

    # The built-in pool

    async def pool(self, _request: Request) -> object:
        """GET /control/pool."""
        return merge.pool(await self._ask_pools("pool"))

    async def new_block(self, _request: Request) -> object:
        """POST /control/pool/blocks."""
        return merge.pool(await self._ask_pools("new_block"))

    async def miners(self, request: Request) -> object:
        """GET /control/pool/miners."""
        query = query_of(MinersQuery, request)
        offset, limit = query.offset, query.limit
        found = await self._ask_pools("miners", first=0, limit=offset + limit)
        return merge.miners(found, offset, limit)

    async def miner(self, request: Request) -> object:
        """GET /control/pool/miners/MINER."""
        return await self._ask_miner(request, "miner")

    async def set_miner(self, request: Request) -> object:
        """PATCH /control/pool/miners/MINER."""
        change: MinerChange = read(MinerChange, await members_of(request))
        return await self._ask_miner(request, "set_miner", difficulty=change.difficulty)

    async def disconnect_miner(self, request: Request) -> object:
        """DELETE /control/pool/miners/MINER."""
        return await self._ask_miner(request, "disconnect_miner")

    async def do_deed(self, request: Request) -> object:
        """POST /control/pool/miners/MINER/deeds."""
        deed = await members_of(request)
        return await self._ask_miner(request, "do_deed", deed=deed)

    async def _ask_pools(self, name: str, /, **arguments: Any) -> list[Any]:
        """Let every part with a pool do something with it; without any there is none.

        Raises:
            NotThere: No part has a pool.
        """
        answers = await self._whole.ask(name, **arguments)
        found = [one for one in answers if one is not None]
        if not found:
            raise NotThere(
                "pool: there is none, as no device mines on the built-in one"
            )
        return found

    async def _ask_miner(
        self, request: Request, name: str, /, **arguments: Any
    ) -> object:
        """Let the part whose pool has a miner do something with it.

        Raises:
            NotThere: There is no such miner.
        """
        miner_id = request.path_params["miner"]
        answers = await self._whole.ask(name, miner_id=miner_id, **arguments)
        for one in answers:
            if one is not None:
                return one
        raise NotThere(f"miner: there is no {miner_id!r}")

    # Faults

    async def faults(self, _request: Request) -> object:
        """GET /control/faults."""
        return merge.faults(await self._whole.ask("faults"))

    async def add_fault(self, request: Request) -> object:
        """POST /control/faults."""
        rule = await members_of(request)
        if query_of(FaultQuery, request).dry_run:
            planned = await self._whole.order_fault("plan_fault", rule)
            return json_answer(planned)
        return await self._whole.order_fault("add_fault", rule)

    async def change_fault(self, request: Request) -> object:
        """PATCH /control/faults/ID."""
        rule_id = request.path_params["id"]
        is_plan = query_of(FaultQuery, request).dry_run
        return await self._whole.order_fault(
            "plan_fault" if is_plan else "change_fault",
            await members_of(request),
            rule_id=rule_id,
        )

    async def clear_faults(self, _request: Request) -> object:
        """DELETE /control/faults."""
        await self._whole.ask("clear_faults")
        return {}

    async def remove_fault(self, request: Request) -> object:
        """DELETE /control/faults/ID."""
        await self._whole.ask("remove_fault", rule_id=request.path_params["id"])
        return {}

    # The clock

    async def clock(self, _request: Request) -> object:
        """GET /control/clock."""
        return clock_to_json(self._whole.look())

    async def set_clock(self, request: Request) -> object:
        """PATCH /control/clock."""
        change: ClockChange = read(ClockChange, await members_of(request))
        await self._whole.set_clock(speed=change.speed, is_paused=change.paused)
        return clock_to_json(self._whole.look())

    async def advance(self, request: Request) -> object:
        """POST /control/clock/advance."""
        asked: Advance = read(Advance, await members_of(request))
        if not asked.wait:
            job = self._advances.begin(seconds=asked.seconds, until=asked.until)
            place = f"/control/clock/advances/{job.id}"
            body = msgspec.json.encode(job.to_json() | {"url": place})
            headers = ((b"Location", place.encode()),)
            return Answer(body, status=202, content_type=JSON, headers=headers)
        advancing = self._whole.advance(seconds=asked.seconds, until=asked.until)
        await _while_there(request, advancing)
        return clock_to_json(self._whole.clock)

    async def advances(self, request: Request) -> object:
        """GET /control/clock/advances/ADVANCE."""
        return self._advances[request.path_params["advance"]].to_json()

    async def stop_advance(self, request: Request) -> object:
        """DELETE /control/clock/advances/ADVANCE."""
        return (await self._advances.stop(request.path_params["advance"])).to_json()

    # Journal

    async def journal(self, request: Request) -> object:
        """GET /control/journal."""
        query = query_of(JournalQuery, request)

        def accepts(entry: Entry) -> bool:
            return (
                query.device in {None, entry.device}
                and (query.method or entry.method).upper() == entry.method
                and (query.path is None or entry.path.startswith(query.path))
                and query.status in {None, entry.status}
                and query.unmatched in {None, entry.is_unmatched}
                and query.warned in {None, bool(entry.warnings)}
                and query.differs in {None, bool(entry.differs)}
            )

        journal = await self._whole.journal()
        entries = journal.after(query.after, accepts, query.limit)
        return {
            "entries": [entry.to_json() for entry in entries],
            "last": journal.last,
            "dropped": journal.dropped,
        }

    async def clear_journal(self, _request: Request) -> object:
        """DELETE /control/journal."""
        await self._whole.clear_journal()
        return {}

    # Snapshots

    async def snapshots(self, _request: Request) -> object:
        """GET /control/snapshots."""
        return merge.snapshots(await self._whole.ask("snapshots"))

    async def take_snapshot(self, request: Request) -> object:
        """POST /control/snapshots."""
        asked: NewSnapshot = read(NewSnapshot, await members_of(request))
        return merge.snapshot(await self._whole.take_snapshot(asked.name))

    async def restore(self, request: Request) -> object:
        """POST /control/snapshots/NAME/restore."""
        await self._whole.restore(request.path_params["name"])
        return clock_to_json(self._whole.clock)

    async def drop_snapshot(self, request: Request) -> object:
        """DELETE /control/snapshots/NAME."""
        await self._whole.ask("drop_snapshot", name=request.path_params["name"])
        return {}


async def _while_there(request: Request, work: Coroutine[Any, Any, None]) -> None:
    """Wait for some work, and cancel it when the client has gone."""
    working = asyncio.ensure_future(work)
    going = asyncio.ensure_future(request.connection.until_gone())
    try:
        await asyncio.wait({working, going}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Refused(503, "the client has gone")
        working.result()
    finally:
        working.cancel()
        going.cancel()
        await asyncio.gather(working, going, return_exceptions=True)


def clock_to_json(clock: Clock) -> dict[str, Any]:
    """Return what is told of the clock."""
    return {
        "now": round(clock.now, 3),
        "speed": clock.speed,
        "paused": clock.is_paused,
        "reachedSpeed": clock.reached_speed,
        "lostSeconds": round(clock.lost_s, 3),
    }
