"""Miners at the built-in pool: what is told of them, and what is ordered of one.

What lasts is a fault (`effects`). What happens once, and to one miner, is a `Deed`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, get_args

from msgspec import Struct

from softaxe.description import about, read
from softaxe.effects import PoolText
from softaxe.errors import SettingError
from softaxe.fleet.fleet import Fleet
from softaxe.fleet.pool_server import PoolServer
from softaxe.fleet.rows import ghs
from softaxe.fleet.turns import Turns, in_turns
from softaxe.stratum.pool import Miner, Protocol, Seat, WorkerStatistics

MOST_JOBS = 100
"""Of a flood; with more, a miner of v1 is taken for one that does not read."""
STRANGER = None, 1.0
"""Id and scale of a miner that is no device of the fleet."""
Table = dict[str, Any]


class Deed(Struct, kw_only=True, forbid_unknown_fields=True, tag_field="deed"):
    """What the pool does to one miner, once."""

    meant: ClassVar[str] = "miners that get jobs"
    """Whom it can be done to."""

    def do(self, miner: Miner) -> bool | None:
        """Do it; False if there is nothing to do it to."""
        raise NotImplementedError


class Reconnect(Deed, tag="reconnect"):
    """Ask the miner to connect anew."""

    host: Annotated[PoolText, about("Where; the same place when left out.")] = ""
    port: Annotated[int, about("Which there.", within=(0, 65535))] = 0

    def do(self, miner: Miner) -> None:
        """Do it."""
        miner.request_reconnect(self.host, self.port)


class ChangeExtranonce(Deed, tag="change_extranonce"):
    """Give the miner another extranonce, and a job for it."""

    meant = "miners that get jobs and have subscribed to other extranonces"

    def do(self, miner: Miner) -> bool:
        """Do it."""
        return miner.change_extranonce()


class Flood(Deed, tag="flood"):
    """Send the miner many jobs at once."""

    jobs: Annotated[int, about("How many.", within=(1, MOST_JOBS))] = MOST_JOBS

    def do(self, miner: Miner) -> None:
        """Do it."""
        miner.flood(self.jobs)


class TruncateMessage(Deed, tag="truncate_message"):
    """Send a message without its end; what follows is taken for that."""

    def do(self, miner: Miner) -> None:
        """Do it."""
        miner.truncate_message()


class ReplayMessage(Deed, tag="replay_message"):
    """Send the same bytes twice; in Stratum v2 that is a nonce twice."""

    def do(self, miner: Miner) -> None:
        """Do it."""
        miner.replay_message()


class CloseChannels(Deed, tag="close_channels"):
    """Close all channels, while the connection stays; Stratum v2 alone."""

    meant = "miners with open channels of Stratum v2"
    reason: Annotated[PoolText, about("With these words.")] = "closed"

    def do(self, miner: Miner) -> bool:
        """Do it."""
        return miner.close_channels(self.reason)


class Regroup(Deed, tag="regroup"):
    """Put the channels into a new group; Stratum v2 alone."""

    meant = CloseChannels.meant

    def do(self, miner: Miner) -> bool:
        """Do it."""
        return miner.regroup()


AnyDeed = (
    Reconnect
    | ChangeExtranonce
    | Flood
    | TruncateMessage
    | ReplayMessage
    | CloseChannels
    | Regroup
)
"""All there are."""


# What is told


def pool_of(fleet: Fleet) -> PoolServer:
    """Return the built-in pool of a fleet that has it."""
    assert fleet.pool_server is not None
    return fleet.pool_server


def pool_to_json(server: PoolServer) -> Table:
    """Return what the control API tells of the pool; difficulties are real ones."""
    pool = server.pool
    connections = [miner.protocol for miner in pool.connections]
    protocols = {
        name: {"connections": connections.count(name)} | _counts(pool.by_protocol[name])
        for name in get_args(Protocol)
    }
    return {
        "urls": server.urls,
        "height": pool.height,
        "networkDifficulty": pool.chain.network_difficulty,
        "connections": len(connections),
        **_counts(pool.totals),
        "protocols": protocols,
    }


def _counts(found: WorkerStatistics) -> Table:
    return {
        "sharesAccepted": found.accepted,
        "sharesRejected": dict(found.rejected),
        "acceptedDifficulty": found.accepted_difficulty,
        "bestDifficulty": found.best_difficulty,
        "blocksFound": found.blocks_found,
    }


async def miners_to_json(fleet: Fleet, *, first: int, limit: int) -> Table:
    """Return how many miners there are, and some of their rows, oldest first."""
    connections = pool_of(fleet).pool.connections
    own, now = _own_by_name(fleet), fleet.clock.now
    rows = [
        _row(miner, now, *own.get(miner.name, STRANGER))
        async for miner in in_turns(connections[first:][:limit])
    ]
    return {"total": len(connections), "miners": rows}


def _own_by_name(fleet: Fleet) -> dict[str, tuple[str, float]]:
    """Return id and scale of the fleet's devices, by their end of the connection."""
    return {
        member.pool_name: (member.id, member.device.work_mode.scale)
        for member in fleet.members.values()
    }


def miner_to_json(fleet: Fleet, miner: Miner) -> Table:
    """Return the row of one miner."""
    return _row(miner, fleet.clock.now, *_own_by_name(fleet).get(miner.name, STRANGER))


def _row(miner: Miner, now: float, device: str | None, scale: float) -> Table:
    return {
        "id": miner.name,
        "device": device,
        "protocol": miner.protocol,
        "agent": miner.agent,
        "connectedAt": round(miner.connected_at, 3),
        "workers": [_worker_row(seat, now, scale) for seat in miner.seats()],
    }


def _worker_row(seat: Seat, now: float, scale: float) -> Table:
    found = seat.statistics
    return {
        "user": seat.user,
        "channel": seat.channel,
        "channelKind": seat.channel_kind,
        "difficulty": seat.difficulty * scale,
        "extranonce1": seat.extranonce1.hex(),
        "extranonce2Size": seat.extranonce2_size,
        "sharesAccepted": found.accepted,
        "sharesRejected": dict(found.rejected),
        "bestDifficulty": found.best_difficulty * scale,
        "hashRate": ghs(found.hashrate_hs(now) * scale),
    }


# What is ordered


async def new_block(fleet: Fleet) -> None:
    """Let others find a block, and tell all miners, also while time stands still."""
    server, turns = pool_of(fleet), Turns()
    server.pool.new_block(server.now())
    while server.pool.tell_next(server.now()):
        server.flush_all()
        await turns.give()
    server.flush_all()


def find(fleet: Fleet, miner_id: str) -> Miner | None:
    """Return the miner at `address:port`, or the device of this id, if connected."""
    server, member = fleet.pool_server, fleet.members.get(miner_id)
    name = miner_id if member is None else member.pool_name
    return None if server is None else server.connection(name)


def disconnect(fleet: Fleet, miner: Miner) -> Table:
    """End its connection."""
    miner.close("disconnected on order")
    pool_of(fleet).flush_all()
    return {}


def set_difficulty(fleet: Fleet, miner: Miner, difficulty: float) -> Table:
    """Ask it for another difficulty, as it sees it, and return its row.

    The difficulty goes on by the rate of shares.

    Raises:
        SettingError: It has no channel yet.
    """
    server = pool_of(fleet)
    device, scale = _own_by_name(fleet).get(miner.name, STRANGER)
    if not miner.set_difficulty(difficulty / scale, server.now()):
        raise SettingError(f"difficulty: {miner.name} has no open channel")
    server.flush_all()
    return _row(miner, fleet.clock.now, device, scale)


def do(fleet: Fleet, miner: Miner, members: Mapping[str, Any]) -> Table:
    """Do a deed to it, which is as JSON writes it.

    Raises:
        SettingError: There is no such deed, or it cannot be done to this miner.
    """
    deed: Deed = read(AnyDeed, members)
    if not miner.is_mining or deed.do(miner) is False:
        name = members["deed"]
        raise SettingError(f"deed: {name} is for {deed.meant}, not for {miner.name}")
    pool_of(fleet).flush_all()
    return {}
