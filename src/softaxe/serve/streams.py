"""The device's WebSockets: its log at `/api/ws`, its state at `/api/ws/live`.

Both share one number of clients. Source: ESP-Miner websocket.c, websocket_log.c and
websocket_api.c.
"""

import asyncio
from collections.abc import Coroutine
from enum import StrEnum

from softaxe.api.live import Live
from softaxe.serve.access import is_client_allowed
from softaxe.serve.answers import CONNECTION_CLOSE, UNAUTHORIZED, Answer
from softaxe.serve.host import Host, LogLines
from softaxe.serve.request import AcceptWebSocket, Request, WebSocket
from softaxe.units import Level

SLOW_CLIENT_S = 5.0
"""A client that does not take a message for so long is dropped."""
UPDATES_WAITING = 16
"""So many updates wait for a client that reads slowly; those after it does not get."""
LEAST_NAP_S, MOST_NAP_S = 0.05, 0.5
"""Real seconds between two looks whether an update is due. Time may run so fast that
one is due every millisecond: what they tell is told at once. It may jump as well."""
FIRST_FD = 45
"""File descriptor of the first client, as a device's log has it; an estimate."""
REFUSED_CODE = 1008
"""Close code "policy violation". Source: RFC 6455 section 7.4.1."""
TOO_MANY = Answer(b"Max WebSocket clients reached", status=429)


class Kind(StrEnum):
    """What a client came for, as the log calls it."""

    LOG = "log"
    LIVE = "api"


PATHS = {"/api/ws": Kind.LOG, "/api/ws/live": Kind.LIVE}


class Streams:
    """Serves WebSocket clients of one device."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._clients: dict[int, Kind] = {}
        """By slot."""
        self._served: LogLines | None = None
        """Of the last to come, where there is only one."""
        self._updates: set[asyncio.Queue[str]] = set()
        self._updating: asyncio.Task[None] | None = None

    def has(self, path: str) -> bool:
        """Tell whether there is a WebSocket; elsewhere nobody heeds the upgrade."""
        return path in PATHS and self._host.device.firmware.has_route("GET", path)

    def __call__(self, request: Request) -> Answer | AcceptWebSocket:
        """Take or refuse a client."""
        device, path = self._host.device, request.path
        refusal = self._refusal(request)
        if refusal is None:
            is_log = PATHS[path] is Kind.LOG
            return AcceptWebSocket(self._stream_log if is_log else self._stream_live)
        rule = device.firmware.rows.websocket_refusal
        if rule == "before upgrade":
            return refusal.with_headers((CONNECTION_CLOSE,))
        if device.profile.websocket_refused_early:
            return refusal.differing("websocket_refused_early")
        if rule == "closed after upgrade":
            return AcceptWebSocket(_close)

        async def send_refusal(websocket: WebSocket) -> None:
            websocket.send_raw(refusal.made[0])
            await _discard(websocket)

        return AcceptWebSocket(send_refusal)

    def _refusal(self, request: Request) -> Answer | None:
        device = self._host.device
        if not is_client_allowed(request, device, self._host.networks):
            return UNAUTHORIZED
        most = device.firmware.rows.websocket_clients
        return TOO_MANY if len(self._clients) >= most > 1 else None

    # Clients

    async def _serve(
        self, websocket: WebSocket, kind: Kind, work: Coroutine[None, None, None]
    ) -> None:
        """Serve one client until it leaves."""
        device = self._host.device
        booted_at, rows = device.booted_at, device.firmware.rows
        has_ring = rows.log_frames == "ring"
        slot = next(n for n in range(len(self._clients) + 1) if n not in self._clients)
        self._clients[slot] = kind
        self._log("Added", slot, kind)
        try:
            await _run_until_one_ends(work, _discard(websocket, to_empty=not has_ring))
        except TimeoutError:
            websocket.abort()  # what it does not read would never leave
        finally:
            del self._clients[slot]
            if self._host.device.booted_at == booted_at:
                self._log("Removed", slot, kind)

    def _log(self, what: str, slot: int, kind: Kind) -> None:
        device = self._host.device
        line = device.firmware.rows.websocket_line
        if line is not None:
            count = list(self._clients.values()).count(kind)
            fd = FIRST_FD + slot
            text = line.format(what=what, kind=kind, fd=fd, slot=slot, count=count)
            device.log(Level.INFO, "websocket", text)

    async def _send(self, websocket: WebSocket, text: str) -> None:
        """Send a message; a client that does not read is dropped, or waited for."""
        if self._host.device.firmware.rows.keeps_slow_websockets:
            await websocket.send(text)
            return
        async with asyncio.timeout(SLOW_CLIENT_S):
            await websocket.send(text)

    # The log

    async def _stream_log(self, websocket: WebSocket) -> None:
        device = self._host.sync()
        ring = device.log.ring
        lines = self._host.subscribe_log()
        if device.firmware.rows.websocket_clients == 1:
            if self._served is not None:
                self._served.close()
            self._served = lines
        if ring is None:
            work = self._send_lines(lines, websocket)
        else:
            # With a client, the log's task has looked at every line; else of late.
            has_others = Kind.LOG in self._clients.values()
            position = ring.written if has_others else ring.seen(device.now)
            work = self._send_ring(lines, websocket, position)
        try:
            await self._serve(websocket, Kind.LOG, work)
        finally:
            lines.close()

    async def _send_lines(self, lines: LogLines, websocket: WebSocket) -> None:
        while True:
            await self._send(websocket, await lines.get())

    async def _send_ring(
        self, lines: LogLines, websocket: WebSocket, position: int
    ) -> None:
        """Send what the ring has from a position on, and what comes."""
        while True:
            # It may be another one after a snapshot of the device came back.
            ring = self._host.device.log.ring
            piece, position = (b"", 0) if ring is None else ring.read(position)
            if piece:
                await self._send(websocket, piece.decode("utf-8", "replace"))
            else:
                await lines.get()

    # The state

    async def _stream_live(self, websocket: WebSocket) -> None:
        device = self._host.sync()
        updates: asyncio.Queue[str] = asyncio.Queue(UPDATES_WAITING)
        updates.put_nowait(Live.whole(device))
        self._updates.add(updates)
        if self._updating is None:
            self._updating = asyncio.ensure_future(self._update())
        try:
            await self._serve(
                websocket, Kind.LIVE, self._send_updates(updates, websocket)
            )
        finally:
            self._updates.discard(updates)

    async def _send_updates(
        self, updates: asyncio.Queue[str], websocket: WebSocket
    ) -> None:
        while True:
            await self._send(websocket, await updates.get())

    async def _update(self) -> None:
        """Tell all clients what has changed, as long as there is one."""
        live = Live(self._host.device)
        try:
            while self._updates:
                await asyncio.sleep(self._nap_s())
                text = live.update(self._host.sync()) if self._updates else None
                if text is None:
                    continue
                for updates in self._updates:
                    if not updates.full():
                        updates.put_nowait(text)
        finally:
            self._updating = None

    def _nap_s(self) -> float:
        host, device = self._host, self._host.device
        if host.speed == 0:
            return MOST_NAP_S
        left_s = (Live.next_at(device) - device.now) / host.speed
        return min(max(left_s, LEAST_NAP_S), MOST_NAP_S)


async def _close(websocket: WebSocket) -> None:
    websocket.close(REFUSED_CODE)


async def _run_until_one_ends(*works: Coroutine[None, None, None]) -> None:
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.result()


async def _discard(websocket: WebSocket, *, to_empty: bool = False) -> None:
    """Read what the client sends; return when it leaves.

    Args:
        websocket: Its connection.
        to_empty: An empty frame counts as leaving.
    """
    while (message := await websocket.receive()) is not None:
        if to_empty and not message:
            return
