"""A request as an app sees it, its body as it comes, and what an app may say to it.

An app is called with a `Request`. It returns an `Answer`, which then leaves at once; or
an `AcceptWebSocket`, to take a WebSocket over; or None, when nothing is to be said (any
more). It may as well return a coroutine of one of these.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

from softaxe.errors import SoftaxeError
from softaxe.serve.answers import Answer

BODY_STALL_S = 5.0
"""A body may pause this long. Source: ESP-IDF HTTPD_DEFAULT_CONFIG."""
BODY_S = 30.0
"""A body that is no image may take this long, with all its pauses."""
BODY_WAITING_BYTES = 64 << 10
"""So much of a body waits for the app before the client has to."""
HEARD_BYTES = 16 << 10
"""Of a body: kept for the journal. What is longer is an image."""

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]


class BodyCutOff(SoftaxeError):
    """The client went away, or stalled, in the middle of its request's body."""


class BodyTooLong(SoftaxeError):
    """The request's body is longer than what is read of it."""


class Connection(Protocol):
    """What an app may do to the connection that a request came on."""

    def abort(self, *, is_reset: bool = False) -> None:
        """End it at once; what was not sent yet is not sent.

        Args:
            is_reset: With a TCP reset, not with a farewell.
        """

    async def until_gone(self) -> None:
        """Wait until the client has gone, or the connection was ended."""


class WebSocket(Protocol):
    """An open WebSocket."""

    async def send(self, text: str) -> None:
        """Send a message; wait while the client does not read."""

    def send_raw(self, data: bytes) -> None:
        """Send bytes that are no message, to the client a broken frame."""

    async def receive(self) -> bytes | None:
        """Wait for a message; None when the client has gone."""

    def close(self, code: int) -> None:
        """Say farewell."""

    def abort(self) -> None:
        """End it at once; what was not sent yet is not sent."""


class Bent(NamedTuple):
    """How an answer was bent."""

    rule_ids: tuple[str, ...]
    """Of the fault rules that did."""
    original: Answer | None
    """What the device had said; None for a stream."""


class Body:
    """What follows a request's head: filled by the connection, read by the app.

    Args:
        want: Called when the app waits for more than there is.
    """

    __slots__ = ("_is_cut", "_is_whole", "_pieces", "_waiter", "_want", "heard", "size")

    def __init__(self, want: Callable[[], None] = lambda: None) -> None:
        self.heard = bytearray()
        """The beginning of what the app has read."""
        self.size = 0
        """Bytes that wait for the app."""
        self._pieces: deque[bytes] = deque()
        self._is_whole = self._is_cut = False
        self._waiter: asyncio.Future[None] | None = None
        self._want = want

    def feed(self, piece: bytes) -> None:
        """Take a piece."""
        self._pieces.append(piece)
        self.size += len(piece)
        self._wake()

    def finish(self) -> None:
        """There is no more."""
        self._is_whole = True
        self._wake()

    def cut(self) -> None:
        """The rest will not come."""
        self._is_cut = not self._is_whole
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def read(self) -> bytes:
        """Return the next piece; empty at the end.

        Raises:
            BodyCutOff: The client has gone.
        """
        while not self._pieces:
            if self._is_whole:
                return b""
            if self._is_cut:
                raise BodyCutOff("the client has closed the connection")
            self._waiter = asyncio.get_running_loop().create_future()
            self._want()
            await self._waiter
        piece = self._pieces.popleft()
        self.size -= len(piece)
        if len(self.heard) < HEARD_BYTES:
            self.heard += piece
        if not self.size and not self._is_whole:
            self._want()
        return piece


def _no_body() -> Body:
    body = Body()
    body.finish()
    return body


NO_BODY = _no_body()
"""Of every request without one."""


class Request:
    """One request."""

    __slots__ = (
        "access",
        "bent",
        "body",
        "client",
        "connection",
        "fault",
        "headers",
        "is_websocket",
        "method",
        "noted",
        "path",
        "path_params",
        "query",
    )

    def __init__(
        self,
        method: str,
        path: str,
        query: str = "",
        headers: Headers = (),
        *,
        client: str = "",
        connection: Connection | None = None,
        body: Body = NO_BODY,
        is_websocket: bool = False,
    ) -> None:
        self.method = method
        self.path = path
        """As it was sent, without percent-decoding: so the firmware compares it."""
        self.query = query
        """What follows the question mark, as it was sent."""
        self.headers = headers
        """Names in lower case, in the order in which they came."""
        self.client = client
        """The address it came from."""
        self.body = body
        self.is_websocket = is_websocket
        """A valid handshake: the app may accept it."""
        self.path_params: Mapping[str, str] = {}
        """The variable parts of the path, by the router's names for them."""
        self.fault: str | None = None
        """The id of the fault rule that met it."""
        self.bent: Bent | None = None
        """How its answer was bent."""
        self.access: tuple[object, bool, bool] | None = None
        """Kept by the access check: who asks the same again is known."""
        self.noted: tuple[object, Any] | None = None
        """Kept by the journal: an answer, and what it noted of both."""
        self.connection: Connection = _NOWHERE if connection is None else connection

    @property
    def target(self) -> str:
        """The path with its query, as sent."""
        return f"{self.path}?{self.query}" if self.query else self.path

    def header(self, name: bytes) -> str | None:
        """Return the first header called `name` (in lower case), or None."""
        for key, value in self.headers:
            if key == name:
                return value.decode("latin-1")
        return None


class _Nowhere:
    """The connection of a request that came on none."""

    def abort(self, *, is_reset: bool = False) -> None:
        """There is nothing to end."""

    async def until_gone(self) -> None:
        """There is nobody who could be there."""


_NOWHERE = _Nowhere()


@dataclass(frozen=True, slots=True)
class AcceptWebSocket:
    """An app's answer to a WebSocket's handshake: yes."""

    serve: Callable[[WebSocket], Awaitable[None]]
    """Called once it is open; when it returns, the WebSocket is closed."""
    is_unmatched: bool = False
    """No route of the device was meant."""


Reply: TypeAlias = Answer | AcceptWebSocket | None
App: TypeAlias = Callable[[Request], Reply | Coroutine[Any, Any, Reply]]


async def reply_of(found: Reply | Coroutine[Any, Any, Reply]) -> Reply:
    """Wait for what an app has to say, if it has not said it."""
    if found is None or isinstance(found, Answer | AcceptWebSocket):
        return found
    return await found


async def chunks(
    body: Body, *, stall_s: float = BODY_STALL_S, most_s: float = BODY_S
) -> AsyncGenerator[bytes, None]:
    """Yield the pieces of a request's body.

    Args:
        body: Whose.
        stall_s: Real seconds that it may pause.
        most_s: Real seconds that all of it may take.

    Raises:
        BodyCutOff: The client went away, sent nothing for `stall_s` seconds, or drips.
    """
    until = time.monotonic() + most_s
    while True:
        left_s = until - time.monotonic()
        try:
            async with asyncio.timeout(min(stall_s, left_s)):
                piece = await body.read()
        except TimeoutError as error:
            if left_s < stall_s:
                raise BodyCutOff(f"not complete after {most_s:g} s") from error
            raise BodyCutOff(f"nothing received for {stall_s:g} s") from error
        if not piece:
            return
        yield piece


async def read_start(body: Body, most: int) -> bytes:
    """Return a body, or its first `most` bytes.

    Raises:
        BodyCutOff: The client went away or stalled.
    """
    found = bytearray()
    async with aclosing(chunks(body)) as pieces:
        async for chunk in pieces:
            found += chunk
            if len(found) >= most:
                break
    return bytes(found[:most])


async def read_piece(body: Body) -> bytes:
    """Return what comes first of a body, of which a TCP segment has a part.

    Raises:
        BodyCutOff: The client went away or stalled.
    """
    async with aclosing(chunks(body)) as pieces:
        async for chunk in pieces:
            return chunk
    return b""


async def read_body(body: Body, limit: int) -> bytes:
    """Return a body of less than `limit` bytes.

    Raises:
        BodyTooLong: It is longer; the rest has not been read.
        BodyCutOff: The client went away or stalled.
    """
    found = bytearray()
    async with aclosing(chunks(body)) as pieces:
        async for chunk in pieces:
            found += chunk
            if len(found) >= limit:
                raise BodyTooLong(f"{limit} bytes or more")
    return bytes(found)
