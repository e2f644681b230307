"""Requests that go wrong on order, between a device's port and its app."""

import asyncio
import socket
import struct
from collections.abc import Callable

from starlette.types import Message, Receive, Scope, Send

from softaxe.faults import HttpFault
from softaxe.serve.answers import CONNECTION_CLOSE, Answer, refusing_websocket
from softaxe.serve.journal import FAULT
from softaxe.serve.listener import TRANSPORT, AsgiApp

PIECE_S = 0.05
"""A trickling answer comes in pieces of so long."""
_RESETS = struct.pack("ii", 1, 0)
"""Let a socket's end be a reset, not a farewell: linger, for no time."""


class FaultyApp:
    """A device's app behind a network that misbehaves; an ASGI application.

    Args:
        app: The device's.
        fault_of: Tells what happens to a request.
    """

    def __init__(
        self, app: AsgiApp, fault_of: Callable[[Scope], HttpFault | None]
    ) -> None:
        self._app = app
        self._fault_of = fault_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or not."""
        fault = self._fault_of(scope)
        if fault is None:
            await self._app(scope, receive, send)
            return
        scope[FAULT] = fault.rule_id
        if fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        match fault.effect:
            case "timeout":
                await _until_gone(receive)
            case "reset":
                if not scope[TRANSPORT].is_closing():
                    connection = scope[TRANSPORT].get_extra_info("socket")
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESETS)
                scope[TRANSPORT].abort()
                await _until_gone(receive)
            case "socket_limit":
                scope[TRANSPORT].abort()
                await _until_gone(receive)
            case "status":
                code = int(fault.values["code"])
                refusal = Answer(b"Fault on order", status=code)
                refusing = refusing_websocket(send) if _is_websocket(scope) else send
                await refusal.with_headers((CONNECTION_CLOSE,)).send_to(refusing)
            case "truncated_json":
                keep = float(fault.values["keep"])
                await self._app(scope, receive, _truncated(scope, send, keep))
                await _until_gone(receive)
            case "bandwidth":
                bytes_per_s = float(fault.values["bytes_per_s"])
                await self._app(scope, receive, _trickling(send, bytes_per_s))
            case _:
                await self._app(scope, receive, send)


def _is_websocket(scope: Scope) -> bool:
    return bool(scope["type"] == "websocket")


async def _until_gone(receive: Receive) -> None:
    while not (await receive())["type"].endswith(".disconnect"):
        pass


def _truncated(scope: Scope, send: Send, keep: float) -> Send:
    """Send the first part of a body, and drop the connection where it should go on."""
    is_over = False

    async def send_part(message: Message) -> None:
        nonlocal is_over
        if is_over:
            return
        if message["type"] != "http.response.body":
            await send(message)
            return
        is_over = True
        body: bytes = message.get("body", b"")
        part = {"body": body[: int(len(body) * keep)], "more_body": True}
        await send({**message, **part})
        # What was written must leave before the end does.
        scope[TRANSPORT].close()

    return send_part


def _trickling(send: Send, bytes_per_s: float) -> Send:
    piece_bytes = max(1, int(bytes_per_s * PIECE_S))

    async def send_slowly(message: Message) -> None:
        if message["type"] == "websocket.send":
            await asyncio.sleep(len(message["text"]) / bytes_per_s)
        if message["type"] != "http.response.body":
            await send(message)
            return
        body: bytes = message.get("body", b"")
        has_more = message.get("more_body", False)
        for start in range(0, len(body), piece_bytes):
            await asyncio.sleep(piece_bytes / bytes_per_s)
            piece = body[start : start + piece_bytes]
            is_last = start + piece_bytes >= len(body)
            more = has_more or not is_last
            await send({**message, "body": piece, "more_body": more})
        if not body:
            await send(message)

    return send_slowly
