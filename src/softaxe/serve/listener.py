"""HTTP ports that can vanish and come back, on uvicorn's protocols.

uvicorn's own server is one app on some sockets. Here thousands of apps each have a
socket, so its configuration is shared and only what belongs to one port is made anew.
"""

import asyncio
import functools
import logging
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol, cast, runtime_checkable

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.http11 import Request

Scope = MutableMapping[str, Any]
AsgiApp = Callable[
    [
        Scope,
        Callable[[], Awaitable[MutableMapping[str, Any]]],
        Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ],
    Awaitable[None],
]

TRANSPORT = "softaxe.transport"
"""In a request's scope: the connection's transport."""
BACKLOG = 256
MAX_CONNECTIONS = 1000
"""One more makes the one go that was unused for longest. The firmware takes 20."""
MAX_HEAD_BYTES = 16 << 10
"""Of a request line and headers, or of whatever else is no body. The firmware takes
1 KiB; browsers may send more."""
HEAD_STALL_S = 5.0
"""Real seconds without a byte after which the rest of a head is not waited for. Source:
ESP-IDF esp_http_server, recv_wait_timeout."""
HEAD_STALLED = (
    b"HTTP/1.1 408 Request Timeout\r\nContent-Type: text/html\r\n"
    b"Content-Length: 29\r\n\r\nServer closed this connection"
)
HEAD_TOO_LONG = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: text/html\r\n"
    b"Content-Length: 26\r\n\r\nHeader fields are too long"
)
KEEP_ALIVE_S = 3600
"""The firmware never closes an idle connection; an hour is close to never."""
ANSWER_S = 0.2
"""How long an answer that is on its way may take before connections are dropped."""
CLOSE_S = 2.0
"""How long requests in progress may take to notice that their client is gone."""
_COMPLAINTS = (
    "without completing handshake",
    "Invalid HTTP request received",
    "Unsupported upgrade request",
    "No supported WebSocket library",
)


@runtime_checkable
class Witness(Protocol):
    """An app that hears of what is refused before it becomes a request."""

    def refused(self, client: str, data: bytes, status: int) -> None:
        """What `client` sent was answered with `status`, and the connection closed."""


class TransportWebSocket(WebSocketsSansIOProtocol):
    """uvicorn's protocol of a WebSocket, with the way out in its scope."""

    def handle_connect(self, event: Request) -> None:
        """The handshake has come; the app is about to be called."""
        super().handle_connect(event)
        if not self.handshake_complete:
            scope: Scope = self.scope  # type: ignore[assignment]
            scope[TRANSPORT] = self.transport


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's protocol for one of many apps, with a bound on all that is no body."""

    _other_bytes = 0
    """Received since a request or a piece of its body."""
    _is_head = False
    """A head has begun, and is not over."""
    _stall: asyncio.TimerHandle | None = None
    used_at = 0.0
    """When bytes came last, or the connection did."""
    _data = b""
    """What came last."""

    def __init__(self, app: AsgiApp, state: ServerState) -> None:
        super().__init__(_config(), state, {})
        self.app = app
        # uvicorn calls it to make the protocol of a WebSocket, for its own one app.
        self.ws_protocol_class = self._websocket  # type: ignore[assignment]

    def _websocket(self, **options: Any) -> TransportWebSocket:
        protocol = TransportWebSocket(**options)
        protocol.app = self.app
        return protocol

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a client; when there are too many, another has to go."""
        super().connection_made(transport)
        self.used_at = self.loop.time()
        if len(self.connections) > MAX_CONNECTIONS:
            others = cast(set[BoundedHttp], self.connections - {self})
            unused = min(others, key=lambda one: (one.is_busy, one.used_at))
            self.connections.discard(unused)
            unused.transport.abort()

    @property
    def is_busy(self) -> bool:
        """True while a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._wait_for_head(is_wanted=False)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what belongs to no body; refuse too much of it."""
        self._data = data
        self.used_at = self.loop.time()
        self._wait_for_head(is_wanted=False)
        self._other_bytes += len(data)
        if self._other_bytes > MAX_HEAD_BYTES + len(data):
            if self._is_head:
                self._refuse(HEAD_TOO_LONG, 431)
            else:  # trailers, after the answer perhaps
                self.transport.abort()
            return
        super().data_received(data)
        is_over = self.is_busy or self.transport.is_closing()
        self._wait_for_head(is_wanted=self._is_head and not is_over)

    def _wait_for_head(self, *, is_wanted: bool) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        if is_wanted:
            self._stall = self.loop.call_later(
                HEAD_STALL_S, self._refuse, HEAD_STALLED, 408
            )

    def _refuse(self, answer: bytes, status: int) -> None:
        self.transport.write(answer)
        self.transport.close()
        self._tell_refused(status)

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP."""
        super().send_400_response(msg)
        self._tell_refused(400)

    def _tell_refused(self, status: int) -> None:
        if isinstance(self.app, Witness):
            client = self.client[0] if self.client else ""
            self.app.refused(client, self._data, status)

    def on_message_begin(self) -> None:
        """A head begins."""
        self._is_head, self._other_bytes = True, 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; what comes after a body is none of the request's."""
        if self._is_head:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self._other_bytes = 0
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """The head is over; the request knows its way out."""
        self._is_head = False
        scope: Scope = self.scope  # type: ignore[assignment]
        scope[TRANSPORT] = self.transport
        super().on_headers_complete()


class Listener:
    """Serves an ASGI app on one address, between `open` and `close`.

    The port is chosen at the first `open` and kept. A request's scope has the
    connection's transport as `TRANSPORT`.
    """

    def __init__(self, app: AsgiApp, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._app = app
        self._server: asyncio.Server | None = None
        self._state = ServerState()

    @property
    def url(self) -> str:
        """Where it is served."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def is_open(self) -> bool:
        """True while the port is served."""
        return self._server is not None

    @property
    def connection_count(self) -> int:
        """Open connections."""
        return len(self._state.connections)

    async def open(self) -> None:
        """Listen.

        Raises:
            OSError: The address cannot be bound.
        """
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((self.host, self.port))
        except OSError as error:
            sock.close()
            text = f"{self.host} port {self.port}: {error.strerror}"
            raise OSError(error.errno, text) from error
        sock.setblocking(False)
        self.port = sock.getsockname()[1]
        self._state = state = ServerState()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: BoundedHttp(self._app, state), sock=sock, backlog=BACKLOG
        )

    async def close(self) -> None:
        """Stop listening and drop every connection at once, as a reset does."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        state = self._state
        if state.tasks:
            await asyncio.wait(state.tasks, timeout=ANSWER_S)
        for connection in list(state.connections):
            transport = connection.transport
            if transport is not None:
                transport.abort()
        tasks = set(state.tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_S)
        for task in tasks:
            task.cancel()


@functools.cache
def _config() -> uvicorn.Config:
    """What all ports share; its own app is never asked."""
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    config = uvicorn.Config(
        _no_app,
        interface="asgi3",
        http=BoundedHttp,
        ws="websockets-sansio",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,  # they would let a client forge its address
        timeout_keep_alive=KEEP_ALIVE_S,
        backlog=BACKLOG,
        ws_max_size=1 << 16,
        ws_ping_interval=None,
        ws_per_message_deflate=False,  # the firmware offers no extensions
    )
    config.load()
    return config


async def _no_app(_scope: object, _receive: object, _send: object) -> None:
    raise NotImplementedError("every connection has an app of its own")


def _is_news(record: logging.LogRecord) -> bool:
    if record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError):
        return False  # `close` has ended a request
    # Complaints about clients, as many as clients like: theirs is the answer.
    return not any(text in str(record.msg) for text in _COMPLAINTS)
