"""The log stream at `/api/ws`: every line of the device's log, as it is printed.

Source: ESP-Miner websocket.c.
"""

import asyncio
from collections.abc import Coroutine

from softaxe.serve.access import is_client_allowed
from softaxe.serve.answers import UNAUTHORIZED, Answer
from softaxe.serve.host import Host, LogLines
from softaxe.serve.request import AcceptWebSocket, Request, WebSocket

PATH = "/api/ws"
MAX_CLIENTS = 10
SLOW_CLIENT_S = 5.0
"""A client that does not take a line for so long is dropped."""
REFUSED_CODE = 1008
"""Close code "policy violation". Source: RFC 6455 section 7.4.1."""
TOO_MANY = Answer(b"Max WebSocket clients reached", status=429)
UNKNOWN = Answer(status=404, is_unmatched=True)


class LogStream:
    """Serves WebSocket clients."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._client_count = 0

    def __call__(self, request: Request) -> Answer | AcceptWebSocket:
        """Take or refuse a client."""
        refusal = self._refusal(request)
        if refusal is None:
            return AcceptWebSocket(self._stream)
        if self._host.device.profile.websocket_refused_early:
            return refusal.differing("websocket_refused_early")
        # The firmware writes a raw HTTP answer into the open WebSocket; to the client
        # either is a connection that ends at once.
        return AcceptWebSocket(_close, is_unmatched=refusal.is_unmatched)

    def _refusal(self, request: Request) -> Answer | None:
        if request.path != PATH:
            return UNKNOWN
        if not is_client_allowed(request, self._host.device):
            return UNAUTHORIZED
        return TOO_MANY if self._client_count >= MAX_CLIENTS else None

    async def _stream(self, websocket: WebSocket) -> None:
        """Stream to one client until it leaves."""
        self._client_count += 1
        lines = self._host.subscribe_log()
        try:
            await _run_until_one_ends(
                _send_lines(lines, websocket), _discard(websocket)
            )
        except TimeoutError:
            websocket.abort()  # what it does not read would never leave
        finally:
            lines.close()
            self._client_count -= 1


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


async def _send_lines(lines: LogLines, websocket: WebSocket) -> None:
    while True:
        line = await lines.get()
        async with asyncio.timeout(SLOW_CLIENT_S):
            await websocket.send(line)


async def _discard(websocket: WebSocket) -> None:
    """Read what the client sends; return when it leaves or sends an empty frame."""
    while await websocket.receive():
        pass
