"""The log stream at `/api/ws`: every line of the device's log, as it is printed.

Source: ESP-Miner websocket.c.
"""

import asyncio
from collections.abc import Coroutine

from starlette.types import Receive, Scope, Send

from softaxe.serve.answers import (
    UNAUTHORIZED,
    Answer,
    is_client_allowed,
    refusing_websocket,
)
from softaxe.serve.host import Host, LogLines
from softaxe.serve.listener import TRANSPORT

PATH = "/api/ws"
MAX_CLIENTS = 10
SLOW_CLIENT_S = 5.0
"""A client that does not take a line for so long is dropped."""
REFUSED_CODE = 1008
"""Close code "policy violation". Source: RFC 6455 section 7.4.1."""
TOO_MANY = Answer(b"Max WebSocket clients reached", status=429)
UNKNOWN = Answer(status=404)


class LogStream:
    """Serves WebSocket clients; an ASGI application for `websocket` scopes."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._client_count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream to one client until it leaves."""
        refusal = self._refusal(scope)
        await receive()  # websocket.connect
        if refusal is not None:
            await self._refuse(refusal, scope, send)
            return
        self._client_count += 1
        lines = self._host.subscribe_log()
        try:
            await send({"type": "websocket.accept"})
            await _run_until_one_ends(_send_lines(lines, send), _discard(receive))
        except TimeoutError:
            scope[TRANSPORT].abort()  # what it does not read would never leave
        finally:
            lines.close()
            self._client_count -= 1

    def _refusal(self, scope: Scope) -> Answer | None:
        if scope["path"] != PATH:
            return UNKNOWN
        if not is_client_allowed(scope, self._host.device):
            return UNAUTHORIZED
        return TOO_MANY if self._client_count >= MAX_CLIENTS else None

    async def _refuse(self, answer: Answer, scope: Scope, send: Send) -> None:
        if not self._host.device.profile.websocket_refused_early:
            # The firmware writes a raw HTTP answer into the open WebSocket, which
            # ASGI cannot; to the client either is a connection that ends at once.
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": REFUSED_CODE})
            return
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close"})
            return
        await answer.send_to(refusing_websocket(send))


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


async def _send_lines(lines: LogLines, send: Send) -> None:
    while True:
        line = await lines.get()
        async with asyncio.timeout(SLOW_CLIENT_S):
            await send({"type": "websocket.send", "text": line})


async def _discard(receive: Receive) -> None:
    """Read what the client sends; return when it leaves or sends an empty frame."""
    while (message := await receive())["type"] == "websocket.receive":
        if not (message.get("text") or message.get("bytes")):
            return
