"""Answers the control API for a fleet of this process."""

import asyncio
import json
from typing import Any

from softaxe import __version__
from softaxe.control.app import (
    JSON,
    Query,
    Refused,
    base_url,
    clock_to_json,
    json_answer,
    members_of,
    no_device,
)
from softaxe.control.bodies import MOST_ROWS, Advance, ClockChange, NewSnapshot
from softaxe.control.document import document
from softaxe.control.metrics import CONTENT_TYPE, metrics_text
from softaxe.description import read
from softaxe.fleet.fleet import Fleet
from softaxe.fleet.groups import read_group
from softaxe.fleet.rows import STATES, row, state_of, sums
from softaxe.fleet.turns import in_turns
from softaxe.serve.answers import Answer
from softaxe.serve.journal import Entry
from softaxe.serve.request import Request


class Control:
    """Answers the control API for the fleet of this process.

    Args:
        fleet: What is controlled.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    # The fleet

    async def health(self, _request: Request) -> object:
        """GET /control/health."""
        return {"status": "ok"}

    async def ready(self, _request: Request) -> object:
        """GET /control/ready."""
        fleet = self._fleet
        if fleet.is_ready:
            return {"status": "ok"}
        up = sum(member.is_open for member in fleet.members.values())
        wanted = sum(group.count for group in fleet.options.groups)
        state = {"status": "starting", "ready": up, "devices": wanted}
        return json_answer(state, status=503)

    async def fleet(self, _request: Request) -> object:
        """GET /control/fleet."""
        fleet, server = self._fleet, self._fleet.pool_server
        pool = None
        if server is not None:
            host, port = server.addresses[0]
            totals = server.pool.totals
            pool = {
                "url": f"{host}:{port}",
                "connections": server.connection_count,
                "sharesAccepted": totals.accepted,
                "sharesRejected": sum(totals.rejected.values()),
            }
        return {
            "softaxe": __version__,
            **await sums(fleet.members.values()),
            **self._clock(),
            "workers": 1,
            "pool": pool,
            "faults": len(fleet.faults),
        }

    async def history(self, _request: Request) -> object:
        """GET /control/history."""
        return self._fleet.history.to_json()

    async def metrics(self, _request: Request) -> object:
        """GET /metrics."""
        return Answer(await metrics_text(self._fleet), content_type=CONTENT_TYPE)

    async def openapi(self, request: Request) -> object:
        """GET /control/openapi.json."""
        return document(base_url(request))

    async def shutdown(self, _request: Request) -> object:
        """POST /control/shutdown."""
        # The answer should still leave.
        asyncio.get_running_loop().call_later(0.1, self._fleet.stop)
        return {}

    async def reset(self, _request: Request) -> object:
        """POST /control/reset."""
        await self._fleet.reset()
        return {}

    # Devices

    async def devices(self, request: Request) -> object:
        """GET /control/devices."""
        query = Query(request)
        group, state = query.text("group"), query.text("state")
        if state is not None and state not in STATES:
            raise Refused(400, f"state: {state[:80]!r} is none of {', '.join(STATES)}")
        chosen = [
            member
            for member in self._fleet.members.values()
            if group in {None, member.group} and state in {None, state_of(member)}
        ]
        first = query.whole("offset", 0, MOST_ROWS, 0)
        end = first + query.whole("limit", 0, MOST_ROWS, MOST_ROWS)
        rows = [
            row(member, self._fault_ids(member))
            async for member in in_turns(chosen[first:end])
        ]
        return {"total": len(chosen), "devices": rows}

    async def add_devices(self, request: Request) -> object:
        """POST /control/devices."""
        added = await self._fleet.add(read_group(await members_of(request)))
        return {"devices": [row(member, self._fault_ids(member)) for member in added]}

    async def device(self, request: Request) -> object:
        """GET /control/devices/ID."""
        member = self._fleet.members[self._device_id(request)]
        info = member.info_body()
        listed = row(member, self._fault_ids(member))
        body = b'{"row":' + json.dumps(listed).encode() + b',"info":' + info + b"}"
        return Answer(body, content_type=JSON)

    async def remove_device(self, request: Request) -> object:
        """DELETE /control/devices/ID."""
        device_id = self._device_id(request)
        try:
            await self._fleet.remove(device_id)
        except KeyError as error:  # somebody else was faster
            raise no_device(device_id) from error
        return {}

    async def restart_device(self, request: Request) -> object:
        """POST /control/devices/ID/restart."""
        self._fleet.members[self._device_id(request)].restart()
        return {}

    def _device_id(self, request: Request) -> str:
        device_id: str = request.path_params["id"]
        if device_id not in self._fleet.members:
            raise no_device(device_id)
        return device_id

    def _fault_ids(self, member: Any) -> list[str]:
        return self._fleet.faults.names_for(member)

    # Faults

    async def faults(self, _request: Request) -> object:
        """GET /control/faults."""
        return await self._fleet.faults.describe()

    async def add_fault(self, request: Request) -> object:
        """POST /control/faults."""
        return (await self._fleet.faults.add(await members_of(request))).to_json()

    async def clear_faults(self, _request: Request) -> object:
        """DELETE /control/faults."""
        await self._fleet.faults.clear()
        return {}

    async def remove_fault(self, request: Request) -> object:
        """DELETE /control/faults/ID."""
        rule_id = request.path_params["id"]
        try:
            await self._fleet.faults.remove(rule_id)
        except KeyError as error:
            raise Refused(404, f"fault: there is no {rule_id!r}") from error
        return {}

    # The clock

    async def clock(self, _request: Request) -> object:
        """GET /control/clock."""
        self._fleet.clock.advance()
        return self._clock()

    async def set_clock(self, request: Request) -> object:
        """PATCH /control/clock."""
        change: ClockChange = read(ClockChange, await members_of(request))
        self._fleet.ticker.set_clock(speed=change.speed, is_paused=change.paused)
        self._fleet.clock.advance()
        return self._clock()

    async def advance(self, request: Request) -> object:
        """POST /control/clock/advance."""
        asked: Advance = read(Advance, await members_of(request))
        await self._fleet.ticker.advance(asked.seconds)
        return self._clock()

    def _clock(self) -> dict[str, Any]:
        return clock_to_json(self._fleet.clock)

    # Journal

    async def journal(self, request: Request) -> object:
        """GET /control/journal."""
        query, journal = Query(request), self._fleet.journal
        wanted = {name: query.text(name) for name in ("device", "method", "path")}
        status = query.whole("status", 0, 999, None)
        unmatched = query.flag("unmatched")

        def accepts(entry: Entry) -> bool:
            return (
                wanted["device"] in {None, entry.device}
                and (wanted["method"] or entry.method).upper() == entry.method
                and (wanted["path"] is None or entry.path.startswith(wanted["path"]))
                and status in {None, entry.status}
                and unmatched in {None, entry.is_unmatched}
            )

        after = query.whole("after", 0, 1 << 53, 0)
        limit = query.whole("limit", 1, 10_000, 1000)
        entries = journal.after(after, accepts, limit)
        return {
            "entries": [entry.to_json() for entry in entries],
            "last": journal.last,
            "dropped": journal.dropped,
        }

    async def clear_journal(self, _request: Request) -> object:
        """DELETE /control/journal."""
        self._fleet.journal.clear()
        return {}

    # Snapshots

    async def snapshots(self, _request: Request) -> object:
        """GET /control/snapshots."""
        return {"snapshots": [one.to_json() for one in self._fleet.snapshots]}

    async def take_snapshot(self, request: Request) -> object:
        """POST /control/snapshots."""
        asked: NewSnapshot = read(NewSnapshot, await members_of(request))
        return (await self._fleet.take_snapshot(asked.name)).to_json()

    async def restore(self, request: Request) -> object:
        """POST /control/snapshots/NAME/restore."""
        await self._fleet.restore(self._snapshot_name(request))
        return self._clock()

    async def drop_snapshot(self, request: Request) -> object:
        """DELETE /control/snapshots/NAME."""
        self._fleet.snapshots.drop(self._snapshot_name(request))
        return {}

    def _snapshot_name(self, request: Request) -> str:
        name: str = request.path_params["name"]
        if name not in {snapshot.name for snapshot in self._fleet.snapshots}:
            raise Refused(404, f"snapshot: there is no {name!r}")
        return name
