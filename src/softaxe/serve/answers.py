"""HTTP answers in the firmware's manner, and bounded reading of requests."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace

from starlette.types import Message, Receive, Scope, Send

from softaxe.api.access import is_allowed
from softaxe.device.device import Device
from softaxe.errors import SoftaxeError

CHUNK_BYTES = 10240
"""Largest piece of a file. Source: ESP-Miner http_server.c."""
BODY_STALL_S = 5.0
"""A body may pause this long. Source: ESP-IDF HTTPD_DEFAULT_CONFIG."""

Headers = tuple[tuple[bytes, bytes], ...]


class HeaderName(bytes):
    """A header name that reaches the wire with its capitals.

    uvicorn writes, and compares, `name.lower()`. HTTP does not care, but small clients
    that search an answer's text for `Content-Length:` do.
    """

    __slots__ = ()

    def lower(self) -> "HeaderName":  # noqa: D102
        return self

    def __eq__(self, other: object) -> bool:
        return bytes.lower(self) == other

    def __hash__(self) -> int:
        return hash(bytes.lower(self))


_CONTENT_TYPE = HeaderName(b"Content-Type")
_CONTENT_LENGTH = HeaderName(b"Content-Length")
_CHUNKED = (HeaderName(b"Transfer-Encoding"), b"chunked")
CONNECTION_CLOSE = (HeaderName(b"Connection"), b"close")


def _cors(methods: bytes) -> Headers:
    return (
        (HeaderName(b"Access-Control-Allow-Origin"), b"*"),
        (HeaderName(b"Access-Control-Allow-Methods"), methods),
        (HeaderName(b"Access-Control-Allow-Headers"), b"Content-Type"),
    )


NO_CORS: Headers = ()
FULL_CORS = _cors(b"GET, POST, PUT, PATCH, DELETE, OPTIONS")
THEME_CORS = _cors(b"GET, POST, OPTIONS")
"""Source: ESP-Miner http_server.c."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer."""

    body: bytes = b""
    status: int = 200
    content_type: bytes = b"text/html"
    """What ESP-IDF says when a handler says nothing."""
    headers: Headers = ()
    """Headers after type and length, in order."""
    is_chunked: bool = False
    """Sent in chunks of up to 10240 bytes, without a length."""

    def with_headers(self, headers: Headers) -> "Answer":
        """Return a copy with `headers` after its own."""
        return replace(self, headers=self.headers + headers)

    async def send_to(self, send: Send, more_headers: Headers = ()) -> None:
        """Send it as ASGI messages, with `more_headers` after its own."""
        length = (_CONTENT_LENGTH, b"%d" % len(self.body))
        await send(
            {
                "type": "http.response.start",
                "status": self.status,
                "headers": [
                    (_CONTENT_TYPE, self.content_type),
                    _CHUNKED if self.is_chunked else length,
                    *self.headers,
                    *more_headers,
                ],
            }
        )
        if self.is_chunked:
            for start in range(0, len(self.body), CHUNK_BYTES):
                piece = self.body[start : start + CHUNK_BYTES]
                await send(
                    {"type": "http.response.body", "body": piece, "more_body": True}
                )
            await send({"type": "http.response.body"})
        else:
            await send({"type": "http.response.body", "body": self.body})


def refusing_websocket(send: Send) -> Send:
    """Return how to send an answer to who asked for a WebSocket, instead of one."""

    async def send_as_websocket(message: Message) -> None:
        await send({**message, "type": f"websocket.{message['type']}"})

    return send_as_websocket


UNAUTHORIZED = Answer(b"Unauthorized", status=401)


def reason(text: str, *, status: int = 400) -> Answer:
    """Answer a refusal with a text that may quote the request."""
    return Answer(
        text.encode(), status=status, content_type=b"text/plain; charset=utf-8"
    )


def header(scope: Scope, name: bytes) -> str | None:
    """Return the first header called `name` (in lower case), or None."""
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return None


def is_client_allowed(scope: Scope, device: Device) -> bool:
    """Tell whether a request passes the device's access check."""
    client = scope.get("client")
    return is_allowed(
        client[0] if client else "",
        header(scope, b"origin"),
        header(scope, b"host"),
        profile=device.profile,
        hostname=device.settings.hostname,
        is_ap_enabled=device.radio.is_ap_enabled,
    )


class BodyCutOff(SoftaxeError):
    """The client went away, or stalled, in the middle of its request's body."""


class BodyTooLong(SoftaxeError):
    """The request's body is longer than what is read of it."""


async def chunks(
    receive: Receive, *, stall_s: float = BODY_STALL_S
) -> AsyncGenerator[bytes, None]:
    """Yield the pieces of a request's body.

    Raises:
        BodyCutOff: The client went away or sent nothing for `stall_s` seconds.
    """
    has_more = True
    while has_more:
        try:
            async with asyncio.timeout(stall_s):
                message = await receive()
        except TimeoutError as error:
            raise BodyCutOff(f"nothing received for {stall_s:g} s") from error
        if message["type"] == "http.disconnect":
            raise BodyCutOff("the client has closed the connection")
        has_more = message.get("more_body", False)
        if body := message.get("body"):
            yield body


def body_source(scope: Scope, receive: Receive, device: Device) -> Receive:
    """Return where to read a body from.

    The firmware knows no chunked request bodies: to it they are empty.
    """
    is_chunked = header(scope, b"transfer-encoding") is not None
    if not is_chunked or device.profile.chunked_bodies_read:
        return receive

    async def nothing() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    return nothing


async def read_start(receive: Receive, most: int) -> bytes:
    """Return a body, or its first `most` bytes.

    Raises:
        BodyCutOff: The client went away or stalled.
    """
    body = bytearray()
    async with aclosing(chunks(receive)) as pieces:
        async for chunk in pieces:
            body += chunk
            if len(body) >= most:
                break
    return bytes(body[:most])


async def read_body(receive: Receive, limit: int) -> bytes:
    """Return a body of less than `limit` bytes.

    Raises:
        BodyTooLong: It is longer; the rest has not been read.
        BodyCutOff: The client went away or stalled.
    """
    body = bytearray()
    async for chunk in chunks(receive):
        body += chunk
        if len(body) >= limit:
            raise BodyTooLong(f"{limit} bytes or more")
    return bytes(body)
