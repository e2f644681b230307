"""HTTP ports that can vanish and come back: the sockets and timers of `protocol`.

A port is served, silent or closed (`Presence`). A silent one is kept and hears nothing,
as a device without a network; its connections are forgotten, as by a device that
restarts: nothing leaves on them any more, and who speaks on one of them when the device
is back gets a reset.

Thousands of devices are served here, each with a port, by apps that are called with a
`Request`. What an app can say at once leaves at once; only what takes time has a task.
No connection works for longer than `TURN_S` without the others having their turn.
"""

import asyncio
import logging
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import aclosing, suppress
from enum import Enum, auto
from typing import Any, Protocol, cast, runtime_checkable
from weakref import WeakKeyDictionary

from msgspec import Struct

from softaxe.serve.addresses import netloc
from softaxe.serve.answers import Answer, CutShort
from softaxe.serve.protocol import (
    MAX_HEAD_BYTES,
    Data,
    EndOfBody,
    Event,
    HttpConnection,
    Refused,
    WebSocketConnection,
)
from softaxe.serve.request import (
    BODY_WAITING_BYTES,
    NO_BODY,
    AcceptWebSocket,
    App,
    Body,
    Reply,
    Request,
    reply_of,
)

BACKLOG = 1024
"""As many may come at once as may be there."""
DROPS_WHEN_FULL = sys.platform == "linux"
"""This system drops whatever comes to a port whose queue is full."""
PLUGS = 2
"""Connections of our own that fill a queue. One would do; but a queue for none makes
Linux suspect a flood, and log it."""
MAX_CONNECTIONS = 1000
TURN_S = 0.001
"""So long a connection works through what a client has sent before others may."""
TURNS_S = 0.004
"""So long all that have more to do may go on between two looks at the sockets."""
ANSWER_S = 0.2
"""How long an answer that is on its way may take before connections are dropped."""
CLOSE_S = 2.0
"""How long requests in progress may take to notice that their client is gone."""
FAREWELL_S = 2.0
"""How long the client's end is waited for after the last word to it: what it still
sends is not read by anybody, and would make the system take that word back."""
MESSAGES_WAITING = 16
"""So many messages of a WebSocket wait for the app before the client has to."""
WRITE_WAITING_BYTES = 64 << 10
"""So much waits for a client that reads slowly before its app has to."""
FAILED = Answer(b"Internal Server Error", status=500)
_RESETS = struct.pack("ii", 1, 0)
"""Let a socket's end be a reset, not a farewell: linger, for no time."""

log = logging.getLogger(__name__)


class Bounds(Struct, frozen=True):
    """What a port takes of its clients."""

    connections: int = MAX_CONNECTIONS
    makes_room: bool = True
    """One too many makes the one go that was unused for longest; else it waits."""
    keeps_websockets: bool = True
    """They are the last to go; else they count as unused while they only listen."""
    header_bytes: int = MAX_HEAD_BYTES
    """Of a request's headers."""


BOUNDS = Bounds()


class Presence(Enum):
    """How a port meets clients."""

    SERVED = auto()
    SILENT = auto()
    """Nobody answers: to connect takes until the client's time is over."""
    CLOSED = auto()
    """Connections are refused by this system."""


@runtime_checkable
class Witness(Protocol):
    """An app that hears of what is refused before it becomes a request."""

    def refused(self, client: str, data: bytes, status: int) -> None:
        """What `client` sent was answered with `status`, and the connection closed."""


class Turns:
    """Connections whose clients have sent more than one turn's work.

    They go on one after the other, all together for a little while between two looks at
    the sockets: so many clients that flood cost the others no more than one.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[HttpServerProtocol] = deque()

    @property
    def is_busy(self) -> bool:
        """True while somebody waits for a turn."""
        return bool(self._waiting)

    def add(self, connection: "HttpServerProtocol") -> None:
        """Let a connection have another turn."""
        if not self._waiting:
            self._loop.call_soon(self._run)
        self._waiting.append(connection)

    def _run(self) -> None:
        until = self._loop.time() + TURNS_S
        for _ in range(len(self._waiting)):
            self._waiting[0].take_planned_turn()
            self._waiting.popleft()
            if self._loop.time() > until:
                break
        if self._waiting:
            self._loop.call_soon(self._run)


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, Turns] = WeakKeyDictionary()


class HttpServerProtocol(asyncio.Protocol):
    """One connection: the sockets' side of an `HttpConnection`."""

    def __init__(self, listener: "Listener") -> None:
        self._listener = listener
        self._app = listener.app
        self._loop = listener.loop
        self._turns = listener.turns
        self._transport: asyncio.Transport | None = None
        self._http: HttpConnection | None = None
        self._websocket: OpenWebSocket | None = None
        self._task: asyncio.Task[None] | None = None
        self._body = NO_BODY
        self._timer: asyncio.TimerHandle | None = None
        self._is_read_paused = self._is_turn_due = self._is_ending = False
        self._can_write: asyncio.Future[None] | None = None
        """While the client does not read what was written."""
        self._gone: asyncio.Future[None] | None = None
        self.used_at = 0.0
        """When bytes came last, or the connection did."""
        self._is_forgotten = False

    @property
    def is_busy(self) -> bool:
        """True while a request is being answered."""
        return self._task is not None

    @property
    def is_listening(self) -> bool:
        """True while it is a WebSocket."""
        return self._websocket is not None

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a client; when there are too many, another has to go, or it waits."""
        # uvloop's TCP transport is no subclass of it.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(WRITE_WAITING_BYTES)
        peer = transport.get_extra_info("peername")
        self._http = HttpConnection(
            str(peer[0]) if peer else "",
            self,
            header_bytes=self._listener.bounds().header_bytes,
        )
        self.used_at = self._loop.time()
        self._listener.take(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything: the client has gone."""
        self._listener.lose(self)
        self._let_go()
        self._transport = None

    def wait(self, *, is_over: bool = False) -> None:
        """Read nothing of a client that was not let in yet, until it is."""
        transport = self._transport
        if transport is not None and not transport.is_closing():
            self._pause_reading(transport, is_paused=not is_over)

    def _let_go(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._body.cut()
        if self._websocket is not None:
            self._websocket.cut()
        for waiter in self._can_write, self._gone:
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
        self._is_ending = True
        if self._http is not None:
            self._http.close()
        self._http = self._timer = None

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        if self._is_forgotten:
            self.reset()
            return
        self.used_at = now = self._loop.time()
        http = self._http
        if self._is_ending or http is None:
            return
        if self._websocket is not None:
            self._websocket.protocol.receive(data)
        elif self._can_write is None and (request := http.repeated(data)) is not None:
            self._take_request(request)
            return
        else:
            http.receive(data, now)
        if not self._is_turn_due:
            self._take_turn()

    def pause_writing(self) -> None:
        """The client does not read: neither is it read."""
        self._can_write = self._loop.create_future()
        self._mind_reading()

    def resume_writing(self) -> None:
        """The client reads again."""
        if self._can_write is not None:
            if not self._can_write.done():
                self._can_write.set_result(None)
            self._can_write = None
            self.plan_turn()

    # Turns

    def plan_turn(self) -> None:
        """Go on as soon as the others had their turn."""
        if not self._is_turn_due:
            self._is_turn_due = True
            self._turns.add(self)

    def take_planned_turn(self) -> None:
        """Go on."""
        self._is_turn_due = False
        self._take_turn()

    def _take_turn(self) -> None:
        """Work through what has come, for a little while."""
        until = 0.0
        while not self._is_ending and self._can_write is None:
            if not self._take_next():
                break
            if until == 0.0:
                until = self._loop.time() + (0.0 if self._turns.is_busy else TURN_S)
            elif self._loop.time() > until:
                self.plan_turn()
                break
        self._mind_reading()
        self._mind_deadline()

    def _take_next(self) -> bool:
        """Do a piece of work; False when there is none."""
        if self._websocket is not None:
            return self._websocket.take_some()
        if self._http is None or self._body.size >= BODY_WAITING_BYTES:
            return False
        event = self._http.next_event()
        if event is None:
            return False
        self._take_event(event)
        return True

    def _take_event(self, event: Event) -> None:
        if isinstance(event, Request):
            self._take_request(event)
        elif isinstance(event, Data):
            self._body.feed(event.piece)
        elif isinstance(event, EndOfBody):
            self._body.finish()
        else:
            self._take_refusal(event)

    def _mind_reading(self) -> None:
        """Read no more of a client than there is work done for it."""
        transport = self._transport
        if transport is None or self._is_ending:
            return
        must_wait = (
            self._can_write is not None
            or self._is_turn_due
            or self._body.size >= BODY_WAITING_BYTES
            or self._is_ahead
        )
        self._pause_reading(transport, is_paused=must_wait)

    def _pause_reading(self, transport: asyncio.Transport, *, is_paused: bool) -> None:
        if is_paused != self._is_read_paused:
            self._is_read_paused = is_paused
            if is_paused:
                transport.pause_reading()
            else:
                transport.resume_reading()

    @property
    def _is_ahead(self) -> bool:
        if self._websocket is not None:
            return self._websocket.is_ahead
        return self._http is not None and self._http.is_ahead

    def _mind_deadline(self) -> None:
        deadline = None if self._http is None else self._http.deadline
        if deadline is None or self._is_ending:
            return
        if self._timer is not None:
            if self._timer.when() <= deadline:
                return
            self._timer.cancel()  # of what was waited for before
        self._timer = self._loop.call_at(deadline, self._look_at_deadline)

    def _look_at_deadline(self) -> None:
        self._timer = None
        if self._http is not None and not self._is_ending:
            self._http.expire(self._loop.time())
            self._take_turn()

    # Requests and answers

    def _take_request(self, request: Request) -> None:
        http = self._http
        assert http is not None
        self._body = NO_BODY
        if http.has_body:
            self._body = request.body = Body(self._want_body)
        try:
            found = self._app(request)
        except Exception:
            log.exception("a request has failed: %s %s", request.method, request.path)
            found = FAILED
        if isinstance(found, Answer) and found.pieces is None:
            self._write(http.answer(found))
            if http.is_last:
                self._end()
        else:
            self._task = self._loop.create_task(self._serve(request, found))
            self._listener.tasks.add(self._task)
            self._task.add_done_callback(self._listener.tasks.discard)

    async def _serve(
        self, request: Request, found: Reply | Coroutine[Any, Any, Reply]
    ) -> None:
        """Answer a request that takes time."""
        try:
            try:
                reply = await reply_of(found)
                if isinstance(reply, AcceptWebSocket):
                    await self._serve_websocket(reply)
                elif reply is not None:
                    await self._send(reply)
                else:
                    self.abort()
            except Exception:
                where = request.method, request.path
                log.exception("a request has failed: %s %s", *where)
                await self._fail()
            self._end_if_last()
        finally:
            self._task, self._body = None, NO_BODY
        if not self._is_ending:
            self._take_turn()

    async def _send(self, answer: Answer) -> None:
        http = self._http
        if http is None or self._is_ending:
            return
        if answer.pieces is None:
            self._write(http.answer(answer))
            return
        self._write(http.begin(answer))
        try:
            async with aclosing(answer.pieces) as pieces:
                async for piece in pieces:
                    if self._is_ending:
                        return
                    self._write(http.piece(piece))
                    await self.drain()
        except CutShort:
            self._end()
            return
        if not self._is_ending:
            self._write(http.end())

    async def _fail(self) -> None:
        """Answer that nothing can be answered, if that is still possible."""
        if self._websocket is not None:
            self.abort()
        elif self._http is not None and not self._is_ending:
            if self._http.is_begun:
                self.abort()
            else:
                self._write(self._http.answer(FAILED))

    def _want_body(self) -> None:
        """The app waits for more of the body."""
        http = self._http
        if http is None or self._is_ending:
            return
        self._write(http.ask_for_body())
        if self._is_read_paused:
            self.plan_turn()

    def _take_refusal(self, refused: Refused) -> None:
        http = self._http
        assert http is not None
        self._body.cut()
        if isinstance(self._app, Witness):
            self._app.refused(http.client, refused.data, refused.status)
        if refused.answer is None or http.is_begun:
            self.abort()
        else:
            self._write(http.answer(refused.answer))
            self._end()

    def _write(self, data: bytes) -> None:
        if data and self._transport is not None:
            self._transport.write(data)

    # The end

    def _end_if_last(self) -> None:
        http = self._http
        if http is None or self._websocket is not None:
            return
        if http.is_last and not http.is_answering:
            self._end()

    def _end(self) -> None:
        """Let what was written leave, then go."""
        transport = self._transport
        if self._is_ending or transport is None:
            return
        self._is_ending = True
        if not transport.can_write_eof():
            transport.close()
            return
        transport.write_eof()
        transport.resume_reading()
        if self._timer is not None:
            self._timer.cancel()
        self._wait_for_end(transport.get_write_buffer_size())

    def _wait_for_end(self, unsent_bytes: int) -> None:
        """Go on waiting for the client's end as long as it takes what is sent."""
        self._timer = self._loop.call_later(FAREWELL_S, self._look_at_end, unsent_bytes)

    def _look_at_end(self, before_bytes: int) -> None:
        transport = self._transport
        if transport is None:
            return
        unsent_bytes = transport.get_write_buffer_size()
        if unsent_bytes < before_bytes:
            self._wait_for_end(unsent_bytes)
        else:
            transport.abort()

    def abort(self, *, is_reset: bool = False) -> None:
        """End it at once; what was not sent yet is not sent."""
        transport = self._transport
        self._is_ending = True
        if transport is None or self._is_forgotten:
            return
        if is_reset:
            self.reset()
        else:
            transport.abort()

    def reset(self) -> None:
        """End it at once with a TCP reset."""
        transport = self._transport
        if transport is not None and not transport.is_closing():
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESETS)
            transport.abort()

    # While the device is away

    def forget(self) -> None:
        """Say and hear nothing more: who knew of this connection is gone."""
        transport = self._transport
        if transport is None:
            return
        if self._is_ending:  # it has said its farewell
            transport.abort()
        else:
            self._pause_reading(transport, is_paused=True)
        self._let_go()
        self._is_forgotten = True

    def remind(self) -> None:
        """Hear again: to whoever speaks, there is no such connection."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if transport.get_write_buffer_size():
            self.reset()
        else:
            self._pause_reading(transport, is_paused=False)

    # What an app may do

    async def until_gone(self) -> None:
        """Wait until the client has gone, or the connection was ended."""
        if self._transport is None or self._is_forgotten:
            return
        if self._gone is None:
            self._gone = self._loop.create_future()
        await asyncio.shield(self._gone)  # others may wait too

    # A WebSocket

    async def _serve_websocket(self, reply: AcceptWebSocket) -> None:
        if self._http is None or self._is_ending:
            return
        self._websocket = OpenWebSocket(self, self._http.accept())
        self._websocket.flush()
        self.plan_turn()
        await reply.serve(self._websocket)
        self._websocket.close(1000)

    def write_and_end(self, data: bytes, *, is_over: bool) -> None:
        """Write what a WebSocket has to say."""
        if not self._is_ending:
            self._write(data)
            if is_over:
                self._end()

    async def drain(self) -> None:
        """Wait while the client does not read."""
        if self._can_write is not None:
            await self._can_write

    def end_soon(self) -> None:
        """Wait for the client's farewell, but not for ever."""
        self._loop.call_later(FAREWELL_S, self._end)


class OpenWebSocket:
    """A WebSocket between an app and a connection."""

    def __init__(self, owner: HttpServerProtocol, protocol: WebSocketConnection):
        self.protocol = protocol
        self._owner = owner
        self._messages: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._is_cut = False

    @property
    def is_ahead(self) -> bool:
        """True when more has come than was worked through."""
        return self.protocol.unparsed_bytes > 0

    def take_some(self) -> bool:
        """Work through a little of what has come; False when there is nothing to do."""
        if not self.is_ahead or len(self._messages) >= MESSAGES_WAITING:
            return False
        self._messages += self.protocol.next_messages()
        self.flush()
        self._wake()
        return True

    def flush(self) -> None:
        """Write what is to be written."""
        data, is_over = self.protocol.data_to_send()
        self._is_cut = self._is_cut or is_over
        self._owner.write_and_end(data, is_over=is_over)

    def cut(self) -> None:
        """The client has gone."""
        self._is_cut = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def send(self, text: str) -> None:
        """Send a message; wait while the client does not read."""
        self.protocol.send(text)
        self.flush()
        await self._owner.drain()

    def send_raw(self, data: bytes) -> None:
        """Send bytes that are no message, to the client a broken frame."""
        self._owner.write_and_end(data, is_over=False)

    async def receive(self) -> bytes | None:
        """Wait for a message; None when the client has gone."""
        while not self._messages:
            if self._is_cut:
                return None
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        self._owner.plan_turn()
        return self._messages.popleft()

    def close(self, code: int) -> None:
        """Say farewell."""
        if self.protocol.is_open:
            self.protocol.close(code)
            self.flush()
            self._owner.end_soon()

    def abort(self) -> None:
        """End it at once."""
        self._owner.abort()


async def close_server(server: asyncio.Server) -> None:
    """Stop listening; its connections stay.

    Python's own event loop accepts a client in one turn and makes its connection in the
    next; a server that closed between the two would leave the client with a socket that
    nobody knows of.
    """
    loop = asyncio.get_running_loop()
    for sock in server.sockets:
        with suppress(NotImplementedError):  # the loop of Windows
            loop.remove_reader(sock)
    await asyncio.sleep(0)  # who was accepted gets a connection ...
    await asyncio.sleep(0)  # ... which hears that it was made
    server.close()


class Listener:
    """Serves an app on one address as long as `become` has it so.

    The port is chosen at first, and kept.

    Args:
        app: What is served.
        host: Where.
        port: Where; 0 for any that is free.
        bounds: Tells what the port takes at present.
        name: By which others find it; the host when left out.
    """

    def __init__(
        self,
        app: App,
        host: str,
        port: int,
        *,
        bounds: Callable[[], Bounds] = lambda: BOUNDS,
        name: str | None = None,
    ) -> None:
        self.bounds = bounds
        self.host = host
        self.name = host if name is None else name
        self.port = port
        self.app = app
        self.loop: asyncio.AbstractEventLoop
        self.turns: Turns
        self.connections: set[HttpServerProtocol] = set()
        self.waiting: dict[HttpServerProtocol, None] = {}
        """Who is let in when another has gone; the first first."""
        self.tasks: set[asyncio.Task[None]] = set()
        """Requests that are being answered."""
        self.forgotten: dict[HttpServerProtocol, None] = {}
        """Connections of a device that was away since; the oldest first."""
        self._socket: socket.socket | None = None
        """Has the port; the server's while there is one."""
        self._server: asyncio.Server | None = None
        """None while nobody answers."""
        self._plugs: list[socket.socket] = []

    @property
    def url(self) -> str:
        """Where others find it."""
        return f"http://{netloc(self.name, self.port)}"

    @property
    def presence(self) -> Presence:
        """How the port meets clients."""
        if self._socket is None:
            return Presence.CLOSED
        return Presence.SILENT if self._server is None else Presence.SERVED

    @property
    def connection_count(self) -> int:
        """Open connections, without those that are forgotten."""
        return len(self.connections)

    def take(self, connection: HttpServerProtocol) -> None:
        """Take a client; when there are too many, another has to go, or it waits."""
        bounds = self.bounds()
        if len(self.connections) >= bounds.connections:
            if not bounds.makes_room:
                self.waiting[connection] = None
                self.loop.call_soon(self._hold, connection)
                return
            self._make_room(keeps_websockets=bounds.keeps_websockets)
        self.connections.add(connection)

    def _hold(self, connection: HttpServerProtocol) -> None:
        """Read nothing of who waits.

        Not in `connection_made`: Python 3.11.2's own event loop begins to read after
        it, even if it has paused that.
        """
        if connection in self.waiting:
            connection.wait()

    def _make_room(self, *, keeps_websockets: bool) -> None:
        def use(one: HttpServerProtocol) -> tuple[bool, float]:
            is_kept = keeps_websockets or not one.is_listening
            return one.is_busy and is_kept, one.used_at

        unused = min(self.connections, key=use)
        self.connections.discard(unused)
        unused.abort()

    def lose(self, connection: HttpServerProtocol) -> None:
        """A connection has ended; who waits for its place gets it."""
        was_in = connection in self.connections
        self.connections.discard(connection)
        self.waiting.pop(connection, None)
        self.forgotten.pop(connection, None)
        if was_in and self.waiting:
            following = next(iter(self.waiting))
            del self.waiting[following]
            self.connections.add(following)
            following.wait(is_over=True)

    async def become(self, presence: Presence) -> None:
        """Meet clients so from now on.

        Raises:
            OSError: The address cannot be bound.
        """
        if presence is self.presence:
            return
        if presence is Presence.CLOSED:
            await self.close()
            return
        if self._socket is None:
            self._socket = self._bound()
        if presence is Presence.SERVED:
            await self._serve(self._socket)
        else:
            await self._vanish(self._socket)

    async def open(self) -> None:
        """Serve the port.

        Raises:
            OSError: The address cannot be bound.
        """
        await self.become(Presence.SERVED)

    def _bound(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            if sys.platform == "win32":  # there "reuse" lets two programs have one port
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
            else:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((self.host, self.port))
        except OSError as error:
            sock.close()
            raise self._named(error) from error
        sock.setblocking(False)
        self.port = sock.getsockname()[1]
        return sock

    async def _serve(self, sock: socket.socket) -> None:
        """Be there (again), on the same port; who waits meanwhile is let in."""
        # Who was there before has gone, but perhaps does not know it yet.
        self.connections, self.tasks, self.waiting = set(), set(), {}
        self.loop = asyncio.get_running_loop()
        self.turns = _turns.setdefault(self.loop, Turns(self.loop))
        self._unplug()
        for connection in list(self.forgotten):
            connection.remind()
        try:
            sock.listen(BACKLOG)  # uvloop would not tell that another has the port
        except OSError as error:
            raise self._named(error) from error
        self._server = await self.loop.create_server(
            lambda: HttpServerProtocol(self),
            sock=sock,
            backlog=BACKLOG,
            start_serving=False,  # which may be called off
        )
        await self._server.start_serving()

    def _named(self, error: OSError) -> OSError:
        """Return an error that names the address."""
        text = f"{self.host} port {self.port}: {error.strerror}"
        return OSError(error.errno, text)

    async def _vanish(self, sock: socket.socket) -> None:
        """Forget every connection, and let nobody in."""
        server, self._server = self._server, None
        if server is not None:
            self._socket = sock = sock.dup()  # for the server's is closed with it
            await close_server(server)
        self._plug(sock)
        tasks, connections = self.tasks, {*self.connections, *self.waiting}
        await self._let_leave(tasks)
        self.connections, self.tasks, self.waiting = set(), set(), {}
        for connection in sorted(connections, key=lambda one: one.used_at):
            connection.forget()
            self.forgotten[connection] = None
        for connection in list(self.forgotten)[: -self.bounds().connections]:
            connection.reset()
        asyncio.get_running_loop().call_later(CLOSE_S, _cancel, tasks)

    def _plug(self, sock: socket.socket) -> None:
        """Let the system's queue of those who want to be let in be full.

        Linux then drops whatever comes to the port, so that clients send their SYN
        again and again, as to a host that is not there. No privilege is needed. On
        other systems clients are let in by the system, and wait.
        """
        if not DROPS_WHEN_FULL:
            sock.listen(BACKLOG)
            return
        sock.listen(PLUGS - 1)
        for _ in range(PLUGS):
            plug = socket.socket(sock.family, socket.SOCK_STREAM)
            plug.setblocking(False)
            plug.connect_ex(sock.getsockname())
            self._plugs.append(plug)

    def _unplug(self) -> None:
        while self._plugs:
            self._plugs.pop().close()

    async def close(self) -> None:
        """Stop listening and drop every connection at once, as a reset does."""
        sock, self._socket = self._socket, None
        server, self._server = self._server, None
        if sock is None:
            return
        if server is None:
            sock.close()
        else:
            await close_server(server)
        self._unplug()
        for connection in list(self.forgotten):
            connection.reset()
        tasks, connections = self.tasks, [*self.connections, *self.waiting]
        await self._let_leave(tasks)
        for connection in connections:
            connection.abort()
        left = set(tasks)
        if left:
            await asyncio.wait(left, timeout=CLOSE_S)
        _cancel(left)

    async def _let_leave(self, tasks: set[asyncio.Task[None]]) -> None:
        """Let answers leave that are on their way."""
        await asyncio.sleep(0)  # what was written leaves at the end of a turn
        if tasks:
            await asyncio.wait(tasks, timeout=ANSWER_S)


def _cancel(tasks: set[asyncio.Task[None]]) -> None:
    for task in list(tasks):
        task.cancel()
