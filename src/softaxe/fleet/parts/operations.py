"""What can be asked of a fleet of this process, and ordered: by name, in plain values.

They are what MessagePack knows, so that another process can ask as well.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

import msgspec
from msgspec import to_builtins
from msgspec.structs import replace

from softaxe import __version__
from softaxe.errors import NotThere
from softaxe.faults import FaultRules
from softaxe.fleet import miners
from softaxe.fleet.fleet import Fleet
from softaxe.fleet.groups import read_group
from softaxe.fleet.rows import ROW, row, state_of, sums
from softaxe.fleet.turns import in_turns
from softaxe.json_values import JsonValue
from softaxe.serve.journal import MOST_ENTRIES
from softaxe.serve.member import Member
from softaxe.serve.server import status_of

Table = dict[str, Any]


class Operations:
    """Does what is asked of a fleet; each method is one operation.

    Args:
        fleet: Whose.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    async def ready(self) -> Table:
        """How many devices are up, of how many, and whether that is all."""
        fleet = self._fleet
        return {
            "is_ready": fleet.is_ready,
            "ready": sum(member.is_open for member in fleet.members.values()),
            "devices": sum(group.count for group in fleet.options.groups),
        }

    async def totals(self) -> Table:
        """Sums of all devices, and what the built-in pool has seen."""
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
            "seed": self._fleet.seed,
            **await sums(fleet.members.values()),
            "pool": pool,
            "faults": len(fleet.faults),
        }

    async def load(self) -> Table:
        """What shares have asked of pools, and what those have answered when."""
        load, members = self._fleet.share_load, self._fleet.members.values()
        return {
            "submitted": load.submitted,
            "accepted": load.accepted,
            "rejected": dict(load.rejected),
            "waiting": sum(member.shares_waiting for member in members),
            "connections": load.connections,
            "reconnects": load.reconnects,
            "connected_s": load.connected_s + sum(m.connected_s for m in members),
            "sum_s": load.sum_s,
            "longest_s": load.longest_s,
            "bins": list(load.bins),  # as they are now
            "rate": self._rate(),
        }

    def _rate(self) -> Table:
        """What devices that keep to a rate of shares want, and what they can."""
        found = [m.device.share_rate for m in self._fleet.members.values()]
        rates = [rate for rate in found if rate is not None]
        short = [rate for rate in rates if rate.is_short]
        return {
            "devices": len(rates),
            "wished": sum(rate.per_minute for rate in rates),
            "possible": sum(rate.possible for rate in rates),
            "difficulty": max((rate.difficulty for rate in rates), default=0.0),
            "short": len(short),
            "short_wished": sum(rate.per_minute for rate in short),
            "short_possible": sum(rate.possible for rate in short),
            "needed_hs": sum(rate.needed_hs for rate in short),
            "most_hs": sum(rate.most_hs for rate in short),
        }

    async def history(self) -> Table:
        """The sums over time, a list per quantity."""
        return self._fleet.history.to_json()

    async def metrics(self) -> Table:
        """Prometheus's text of all devices, and the totals."""
        # Its library is only loaded for those who ask.
        from softaxe.fleet.metrics import (  # noqa: PLC0415
            device_metrics,
            fleet_metrics,
        )

        fleet = self._fleet
        return {
            "devices": await device_metrics(fleet.members.values()),
            "totals": fleet_metrics(fleet),
        }

    async def ids(self) -> dict[str, str]:
        """The group of every device, by id."""
        return {member.id: member.group for member in self._fleet.members.values()}

    async def devices(
        self,
        *,
        group: str | None,
        state: str | None,
        firmware: str | None,
        first: int,
        limit: int,
        fields: Sequence[str] | None = None,
    ) -> Table:
        """How many devices there are like that, and some of their rows.

        `fields` says what of a row is wanted; None for all.
        """
        chosen = [
            member
            for member in self._fleet.members.values()
            if group in {None, member.group}
            and state in {None, state_of(member)}
            and fnmatchcase(member.firmware, firmware or "*")
        ]
        names = ROW if fields is None else fields
        rows = [
            self._row(member, names)
            async for member in in_turns(chosen[first:][:limit])
        ]
        return {"total": len(chosen), "devices": rows}

    async def kept(self) -> list[Table]:
        """What tells every device from all others, and names it in storage."""
        return [
            {
                "number": member.options.number,
                "seed": member.options.seed,
                "group": member.group,
                "key": member.key,
            }
            for member in self._fleet.members.values()
        ]

    async def add_devices(
        self, *, group: Table, number: int = 1, others: Mapping[int, str] | None = None
    ) -> Table:
        """Switch on the devices of a group, which is as in a fleet file.

        A part of a fleet is told the first one's number, and what others have.
        """
        chosen = replace(read_group(group), first_of_fleet=number)
        added = await self._fleet.add(chosen, others=others)
        return {"devices": [self._row(member) for member in added]}

    async def device(self, *, device_id: str) -> Table:
        """A device's row, what it answers at /api/system/info, and what that lacks.

        The latter two as they are sent: as JSON.
        """
        member = self._member(device_id)
        info = member.info_body()
        status = msgspec.json.encode(status_of(member))
        return {"row": self._row(member), "info": info, "status": status}

    async def device_history(
        self, *, device_id: str
    ) -> Mapping[str, Sequence[float | None]]:
        """What is remembered of a device, a list per quantity."""
        return self._fleet.history.devices.to_json(self._member(device_id).id)

    async def device_log(self, *, device_id: str, after: int, limit: int) -> Table:
        """The last lines of a device's log that came after a position."""
        member = self._member(device_id)
        self._fleet.watch_log(member)
        lines, last = member.sync().log.after(after, limit)
        return {"lines": lines, "last": last}

    async def remove_device(self, *, device_id: str) -> Table:
        """Switch a device off for good."""
        try:
            await self._fleet.remove(device_id)
        except KeyError as error:
            raise _no_device(device_id) from error
        return {}

    async def order_device(self, *, device_id: str, order: str) -> Table:
        """Let a device do one of `ORDERS`."""
        self._member(device_id).order(order)
        return {}

    async def patch_device(
        self, *, device_id: str, settings: Mapping[str, JsonValue]
    ) -> Table:
        """Change a device's settings as PATCH does; tell what it warns of."""
        return {"warnings": list(self._member(device_id).patch(settings))}

    async def pool(self) -> Table | None:
        """What the built-in pool has seen; None without one, here and below."""
        server = self._fleet.pool_server
        return None if server is None else miners.pool_to_json(server)

    async def new_block(self) -> Table | None:
        """Let others find a block."""
        if self._fleet.pool_server is None:
            return None
        await miners.new_block(self._fleet)
        return await self.pool()

    async def miners(self, *, first: int, limit: int) -> Table | None:
        """How many miners the built-in pool has, and some of their rows."""
        if self._fleet.pool_server is None:
            return None
        return await miners.miners_to_json(self._fleet, first=first, limit=limit)

    async def miner(self, *, miner_id: str) -> Table | None:
        """The row of one; None when it is not here, and below."""
        found = miners.find(self._fleet, miner_id)
        return None if found is None else miners.miner_to_json(self._fleet, found)

    async def disconnect_miner(self, *, miner_id: str) -> Table | None:
        """End the connection of one."""
        found = miners.find(self._fleet, miner_id)
        return None if found is None else miners.disconnect(self._fleet, found)

    async def set_miner(self, *, miner_id: str, difficulty: float) -> Table | None:
        """Ask one for another difficulty."""
        found = miners.find(self._fleet, miner_id)
        if found is None:
            return None
        return miners.set_difficulty(self._fleet, found, difficulty)

    async def do_deed(self, *, miner_id: str, deed: Table) -> Table | None:
        """Do something to one, once."""
        found = miners.find(self._fleet, miner_id)
        return None if found is None else miners.do(self._fleet, found, deed)

    async def faults(self) -> Table:
        """All rules and all effects."""
        return await self._fleet.faults.describe()

    async def named(self, *, rule: Mapping[str, Any]) -> Table:
        """How many devices there are, and how many a rule names, whatever its share."""
        members = list(self._fleet.members.values())
        wanted = FaultRules().add(rule, 0.0)
        count = sum([wanted.is_for(one.whom) async for one in in_turns(members)])
        return {"devices": len(members), "named": count}

    async def add_fault(self, *, rule: Mapping[str, Any]) -> Table:
        """Take an order for a fault."""
        faults = self._fleet.faults
        added = await faults.add(rule)
        return {**added.to_json(), **await faults.met_by(added)}

    async def change_fault(self, *, rule: Mapping[str, Any], rule_id: str) -> Table:
        """Change an order."""
        faults = self._fleet.faults
        with _there(rule_id):
            changed = await faults.change(rule_id, rule)
        return {**changed.to_json(), **await faults.met_by(changed)}

    async def plan_fault(
        self, *, rule: Mapping[str, Any], rule_id: str | None = None
    ) -> Table:
        """Tell what would come of an order, or of changes to one; nothing changes."""
        faults = self._fleet.faults
        with _there(rule_id):
            planned = faults.planned(rule, rule_id)
        return {**planned.to_json(), **await faults.met_by(planned)}

    async def clear_faults(self) -> Table:
        """Take all orders back."""
        await self._fleet.faults.clear()
        return {}

    async def remove_fault(self, *, rule_id: str) -> Table:
        """Take an order back."""
        with _there(rule_id):
            await self._fleet.faults.remove(rule_id)
        return {}

    async def set_clock(self, *, speed: float | None, is_paused: bool | None) -> Table:
        """Change the clock; what is None stays."""
        self._fleet.ticker.set_clock(speed=speed, is_paused=is_paused)
        return {}

    async def advance(self, *, seconds: float | None, until: float | None) -> Table:
        """Let device time pass at once, so much or until a moment."""
        ticker = self._fleet.ticker
        if until is not None:
            await ticker.advance_to(until)
        if seconds is not None:
            await ticker.advance(seconds)
        return {}

    async def journal(self, *, after: int) -> Table:
        """The entries after a number, as plain values."""
        journal = self._fleet.journal
        entries = journal.after(after, lambda entry: True, MOST_ENTRIES)
        return {
            "entries": [to_builtins(one, builtin_types=(bytes,)) for one in entries],
            "last": journal.last,
        }

    async def clear_journal(self) -> Table:
        """Forget what clients have asked."""
        self._fleet.journal.clear()
        return {}

    async def snapshots(self) -> Table:
        """What is told of all snapshots."""
        return {"snapshots": [one.to_json() for one in self._fleet.snapshots]}

    async def take_snapshot(self, *, name: str) -> Table:
        """Take the state of the fleet, and hold it until it is kept or discarded."""
        return (await self._fleet.take_snapshot(name)).to_json()

    async def keep_snapshot(self, *, name: str) -> Table:
        """Let what was taken have its name, in the place of an older one."""
        try:
            self._fleet.snapshots.keep(name)
        except KeyError as error:
            raise _no_snapshot(name) from error
        return {}

    async def discard_snapshot(self) -> Table:
        """Forget what was taken; what was kept stays."""
        self._fleet.snapshots.discard()
        return {}

    async def restore(self, *, name: str) -> Table:
        """Put the fleet back as it was."""
        try:
            await self._fleet.restore(name)
        except KeyError as error:
            raise _no_snapshot(name) from error
        return {}

    async def drop_snapshot(self, *, name: str) -> Table:
        """Forget a snapshot."""
        try:
            self._fleet.snapshots.drop(name)
        except KeyError as error:
            raise _no_snapshot(name) from error
        return {}

    async def reset(self) -> Table:
        """Start over as the fleet was described."""
        await self._fleet.reset()
        return {}

    def _row(self, member: Member, names: Iterable[str] = ROW) -> Table:
        return row(member, self._fleet.faults.at_work_on(member), names)

    def _member(self, device_id: str) -> Member:
        try:
            return self._fleet.members[device_id]
        except KeyError as error:
            raise _no_device(device_id) from error


@contextmanager
def _there(rule_id: str | None) -> Iterator[None]:
    """Tell of a rule that there is none, where that is what it means."""
    try:
        yield
    except KeyError as error:
        raise NotThere(f"fault: there is no {rule_id!r}") from error


def _no_device(device_id: str) -> NotThere:
    return NotThere(f"device: there is no {device_id!r}")


def _no_snapshot(name: str) -> NotThere:
    return NotThere(f"snapshot: there is no {name!r}")
