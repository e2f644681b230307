"""A device and a pool joined by bytes, without sockets and faster than life.

For tests, benchmarks and anyone who wants to see what an hour brings. The wire has a
latency, so that response times are what they would be on a home connection.
"""

from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

from softaxe.device.device import Device
from softaxe.device.events import (
    ClosePool,
    CloseReason,
    ConnectPool,
    Event,
    Link,
    SaveFlash,
    SaveSettings,
)
from softaxe.stratum.pool import Miner, Pool

if TYPE_CHECKING:
    from softaxe.stratum.v2.pool import Entrance

LATENCY_S = 0.02
"""One way over the wire; an estimate for a home connection to a near pool."""


class Simulation:
    """Runs a device on a pool in lockstep.

    Both pools the device dials, primary and fallback, are `pool` unless `reachable`
    says otherwise.

    Args:
        device: The miner.
        pool: Answers every connection.
        latency_s: One way over the wire.
        reachable: Tells for host and port whether a connection succeeds at present.
        is_own_pool: Passed to `Device.pool_connected`; True means scaled work.
    """

    def __init__(
        self,
        device: Device,
        pool: Pool,
        *,
        latency_s: float = LATENCY_S,
        reachable: Callable[[str, int], bool] = lambda host, port: True,
        is_own_pool: bool = True,
    ) -> None:
        self.device = device
        self.pool = pool
        self.now = device.now
        self.events: list[Event] = []
        """Facts of the device that nobody had to act upon, oldest first."""
        self._latency_s = latency_s
        self._reachable = reachable
        self._is_own_pool = is_own_pool
        self.entrance: Entrance | None = None
        """Where a device that speaks Stratum v2 comes in; made when one does."""
        self._connections: dict[Link, Miner] = {}
        self._in_flight: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = count()

    def advance(self, duration_s: float) -> None:
        """Let `duration_s` seconds of device time pass."""
        end = self.now + duration_s
        must_look = True  # somebody may have asked something of device or pool
        while True:
            flight = self._in_flight[0][0] if self._in_flight else end
            pool_wake = self.pool.next_wake
            due = min(end, flight, pool_wake)
            if must_look:
                due = min(due, self.device.next_wake)
                must_look = False
            elif self.device.next_wake < due:
                self.device.step_to_output(due)
                self.now = self.device.now
                self._exchange()
                continue
            self.now = max(self.now, due)
            while self._in_flight and self._in_flight[0][0] <= self.now:
                heappop(self._in_flight)[2](self.now)
            self.device.step(self.now)
            if pool_wake <= self.now:
                self.pool.step(self.now)
            self._exchange()
            if due >= end and not self._is_due(end):
                return

    def drop_connections(self) -> None:
        """Cut every connection, as a dying pool would."""
        for link, connection in list(self._connections.items()):
            self._forget(link, connection)
            self.device.pool_closed(CloseReason.CLOSED, self.now, link=link)
        self._exchange()

    def _is_due(self, end: float) -> bool:
        return bool(self._in_flight) and self._in_flight[0][0] <= end

    def _exchange(self) -> None:
        for event in self.device.events():
            match event:
                case ConnectPool():
                    self._later(partial(self._connect, event))
                case ClosePool(link=link):
                    if link in self._connections:
                        self._forget(link, self._connections[link])
                case SaveSettings() | SaveFlash():
                    pass
                case _:
                    self.events.append(event)
        for link, connection in list(self._connections.items()):
            if data := self.device.data_to_pool(link):
                self._later(partial(self._to_pool, connection, data))
            if data := connection.data_to_send():
                self._later(partial(self._to_device, link, connection, data))
            if connection.wants_close:
                self._forget(link, connection)
                self.device.pool_closed(CloseReason.CLOSED, self.now, link=link)

    def _later(self, action: Callable[[float], None]) -> None:
        due = self.now + self._latency_s
        heappush(self._in_flight, (due, next(self._order), action))

    def _connect(self, request: ConnectPool, now: float) -> None:
        link = request.link
        self.device.pool_resolved(now, link=link)
        if not self._reachable(request.host, request.port):
            detail = "errno 111: Connection refused"
            reason = CloseReason.UNREACHABLE
            self.device.pool_closed(reason, now, link=link, detail=detail)
            return
        self._connections[link] = self._take_up(request, now)
        self.device.pool_connected(now, link=link, is_own_pool=self._is_own_pool)

    def _take_up(self, request: ConnectPool, now: float) -> Miner:
        if not request.is_v2:
            return self.pool.connect(now)
        if self.entrance is None:
            from softaxe.stratum.v2.pool import Entrance  # noqa: PLC0415 - has libraries

            self.entrance = Entrance(self.pool)
        return self.entrance.connect(now)

    def _forget(self, link: Link, connection: Miner) -> None:
        del self._connections[link]
        connection.closed(self.now)

    def _to_pool(self, connection: Miner, data: bytes, now: float) -> None:
        if connection in self._connections.values():
            connection.receive(data, now)

    def _to_device(
        self, link: Link, connection: Miner, data: bytes, now: float
    ) -> None:
        if self._connections.get(link) is connection:
            self.device.pool_received(data, now, link=link)
