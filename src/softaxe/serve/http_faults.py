"""Requests that go wrong on order, between a device's port and its app."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import replace
from typing import Any

from softaxe.bending import (
    MOST_BENT_BYTES,
    NO_BODY_STATUSES,
    Changes,
    bent_json,
    changes_of,
)
from softaxe.faults import HttpFault
from softaxe.serve.answers import CHUNK_BYTES, CONNECTION_CLOSE, Answer, CutShort
from softaxe.serve.request import (
    AcceptWebSocket,
    App,
    Bent,
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
        give_back: Called with the id of a rule that could not bend an answer.
    """

    def __init__(
        self,
        app: App,
        fault_of: Callable[[Request], HttpFault | None],
        give_back: Callable[[str], None],
    ) -> None:
        self._app = app
        self._fault_of = fault_of
        self._give_back = give_back

    def __call__(self, request: Request) -> Reply | Coroutine[Any, Any, Reply]:
        """Serve a request, or not."""
        fault = self._fault_of(request)
        if fault is None:
            return self._app(request)
        request.fault = None if fault.effect == "bend" else fault.rule_id
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
        reply = self._bend(fault, request, await reply_of(self._app(request)))
        match fault.effect:
            case "truncated_json" if isinstance(reply, Answer):
                keep = float(fault.values["keep"])
                return replace(reply, pieces=_beginning(reply, keep))
            case "bandwidth":
                return _trickling(reply, float(fault.values["bytes_per_s"]))
        return reply

    def _bend(self, fault: HttpFault, request: Request, reply: Reply) -> Reply:
        original, bent_by = reply, []
        for rule_id, values in fault.bends:
            before, reply = reply, bent(reply, changes_of(values))
            if reply is before:
                self._give_back(rule_id)
            else:
                bent_by.append(rule_id)
        if bent_by:
            if fault.effect in {"bend", "latency"}:
                request.fault = bent_by[0]
            said = original if isinstance(original, Answer) else None
            request.bent = Bent(tuple(bent_by), said)
        return reply


def bent(reply: Reply, changes: Changes) -> Reply:
    """Return a reply with changes; itself if it has nothing that could change.

    Of a WebSocket members are bent, in each message.
    """
    if isinstance(reply, Answer):
        return _bent_answer(reply, changes)
    has_members = changes.convert or changes.set or changes.null or changes.remove
    if reply is None or changes.only_status is not None or not has_members:
        return reply
    serve = reply.serve

    async def serve_bent(websocket: WebSocket) -> None:
        await serve(_ChangedWebSocket(websocket, lambda text: bent_json(text, changes)))

    return replace(reply, serve=serve_bent)


def _bent_answer(answer: Answer, changes: Changes) -> Answer:
    if changes.only_status not in {None, answer.status}:
        return answer
    new = answer
    if changes.body is not None:
        new = replace(new, body=changes.body.encode(), pieces=None, differs=())
    elif answer.pieces is None and len(answer.body) <= MOST_BENT_BYTES:
        new = replace(new, body=_bent_body(answer.body, changes))
    for name, text in changes.headers.items():
        new = _with_header(new, name, text)
    if changes.status is not None:
        new = replace(new, status=changes.status)
    if new.status in NO_BODY_STATUSES:
        new = replace(new, body=b"", is_chunked=False, pieces=None)
    return answer if new == answer else new


def _bent_body(body: bytes, changes: Changes) -> bytes:
    try:
        text = body.decode()
        return bent_json(text, changes).encode()
    except UnicodeError:
        return body


def _with_header(answer: Answer, name: str, text: str) -> Answer:
    if name.lower() == "content-type":
        return replace(answer, content_type=text.encode())
    key = name.encode()
    others = tuple(one for one in answer.headers if one[0].lower() != key.lower())
    return replace(answer, headers=(*others, (key, text.encode())) if text else others)


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


class _ChangedWebSocket:
    """A WebSocket whose messages are others than those that are sent.

    Args:
        websocket: Which.
        change: Returns what leaves instead of a message.
    """

    def __init__(self, websocket: WebSocket, change: Callable[[str], str]) -> None:
        self._websocket = websocket
        self._change = change
        self.send_raw = websocket.send_raw
        self.receive = websocket.receive
        self.close = websocket.close
        self.abort = websocket.abort

    async def send(self, text: str) -> None:
        """Send a message, changed."""
        await self._websocket.send(self._change(text))


class _SlowWebSocket(_ChangedWebSocket):
    """A WebSocket whose messages take their time."""

    def __init__(self, websocket: WebSocket, bytes_per_s: float) -> None:
        super().__init__(websocket, str)
        self._bytes_per_s = bytes_per_s

    async def send(self, text: str) -> None:
        """Wait as long as the message takes, and send it."""
        await asyncio.sleep(len(text) / self._bytes_per_s)
        await super().send(text)
