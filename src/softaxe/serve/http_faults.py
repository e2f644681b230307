"""Requests that go wrong on order, between a device's port and its app."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import replace
from typing import Any

from softaxe.faults import HttpFault
from softaxe.serve.answers import CHUNK_BYTES, CONNECTION_CLOSE, Answer, CutShort
from softaxe.serve.request import (
    AcceptWebSocket,
    App,
    Reply,
    Request,
    WebSocket,
    reply_of,
)

PIECE_S = 0.05
"""A trickling answer comes in pieces of so long."""


class FaultyApp:
    """A device's app behind a network that misbehaves.

    Args:
        app: The device's.
        fault_of: Tells what happens to a request.
    """

    def __init__(
        self, app: App, fault_of: Callable[[Request], HttpFault | None]
    ) -> None:
        self._app = app
        self._fault_of = fault_of

    def __call__(self, request: Request) -> Reply | Coroutine[Any, Any, Reply]:
        """Serve a request, or not."""
        fault = self._fault_of(request)
        if fault is None:
            return self._app(request)
        request.fault = fault.rule_id
        return self._meet(fault, request)

    async def _meet(self, fault: HttpFault, request: Request) -> Reply:
        if fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        match fault.effect:
            case "timeout":
                await request.connection.until_gone()
                return None
            case "reset":
                request.connection.abort(is_reset=True)
                return None
            case "socket_limit":
                return None
            case "status":
                code = int(fault.values["code"])
                refusal = Answer(b"Fault on order", status=code)
                return refusal.with_headers((CONNECTION_CLOSE,))
        reply = await reply_of(self._app(request))
        match fault.effect:
            case "truncated_json" if isinstance(reply, Answer):
                keep = float(fault.values["keep"])
                return replace(reply, pieces=_beginning(reply, keep))
            case "bandwidth":
                return _trickling(reply, float(fault.values["bytes_per_s"]))
        return reply


async def _beginning(answer: Answer, keep: float) -> AsyncGenerator[bytes, None]:
    """Yield the first part of a body; where it should go on, the connection ends."""
    whole = answer.body[:CHUNK_BYTES] if answer.is_chunked else answer.body
    yield whole[: int(len(whole) * keep)]
    raise CutShort


def _trickling(reply: Reply, bytes_per_s: float) -> Reply:
    if isinstance(reply, Answer):
        return replace(reply, pieces=_slowly(reply, bytes_per_s))
    if isinstance(reply, AcceptWebSocket):
        serve = reply.serve

        async def serve_slowly(websocket: WebSocket) -> None:
            await serve(_SlowWebSocket(websocket, bytes_per_s))

        return replace(reply, serve=serve_slowly)
    return reply


async def _slowly(answer: Answer, bytes_per_s: float) -> AsyncGenerator[bytes, None]:
    piece_bytes = max(1, int(bytes_per_s * PIECE_S))
    for start in range(0, len(answer.body), piece_bytes):
        await asyncio.sleep(piece_bytes / bytes_per_s)
        yield answer.body[start : start + piece_bytes]


class _SlowWebSocket:
    """A WebSocket whose messages take their time."""

    def __init__(self, websocket: WebSocket, bytes_per_s: float) -> None:
        self._bytes_per_s = bytes_per_s
        self._websocket = websocket
        self.send_raw = websocket.send_raw
        self.receive = websocket.receive
        self.close = websocket.close
        self.abort = websocket.abort

    async def send(self, text: str) -> None:
        """Wait as long as the message takes, and send it."""
        await asyncio.sleep(len(text) / self._bytes_per_s)
        await self._websocket.send(text)
