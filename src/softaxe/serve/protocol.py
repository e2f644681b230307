"""HTTP/1.1 and WebSockets of one connection, without I/O: bytes in, events out.

The parsing is httptools' and websockets'. What is added are the bounds: one request at
a time, so that a client that sends many at once waits for its answers; heads and
trailers of a bounded length and time. The bytes are cut where a message may end, before
the parser sees them, so that what belongs to the next request stays here, unparsed.

The owner calls `receive` for bytes, then `next_event` until there is none, `answer` or
`begin`, `piece` and `end` for the request in hand, and `expire` at `deadline`.
"""

import re
from enum import Enum, auto

from httptools import (
    HttpParserError,
    HttpParserUpgrade,
    HttpRequestParser,
    parse_url,
)
from msgspec import Struct
from websockets.frames import Frame, Opcode
from websockets.http11 import Request as Handshake
from websockets.protocol import State
from websockets.server import ServerProtocol

from softaxe.serve.answers import (
    CONNECTION_CLOSE,
    LAST_CHUNK,
    Answer,
    chunk,
    framed,
    head,
)
from softaxe.serve.request import Connection, Request

MAX_HEAD_BYTES = 16 << 10
"""Of a request line and headers, or of whatever else is no body: browsers may send more
than a device takes."""
HEAD_STALL_S = 5.0
"""Real seconds without a byte after which the rest of a head is not waited for. Source:
ESP-IDF esp_http_server, recv_wait_timeout."""
HEAD_S = 20.0
"""Real seconds after which it is not waited for in any case."""
DRAIN_BYTES = 64 << 20
"""Most that is read, and thrown away, of a body whose request is answered already: a
client that sends all before it reads never sees the answer otherwise. The device reads
on for ever; the largest that somebody sends by mistake is its whole flash, 16 MiB."""
DRAIN_S = 30.0
"""Real seconds that this may take."""
MAX_MESSAGE_BYTES = 1 << 16
"""Of a WebSocket's message."""
FEED_BYTES = 256
"""Of a WebSocket, taken at once: at most some 40 frames."""

LINE_END = b"\r\n"
HEAD_END = LINE_END + LINE_END
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def _refusal(text: bytes, status: int) -> Answer:
    return Answer(text, status=status, headers=(CONNECTION_CLOSE,))


BAD_REQUEST = _refusal(b"Bad request syntax", 400)
HEAD_STALLED = _refusal(b"Server closed this connection", 408)
HEAD_TOO_LONG = _refusal(b"Header fields are too long", 431)
_DATA = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})
_UPGRADE = re.compile(rb"\r\nupgrade(?=[ \t]*:)", re.IGNORECASE)
ONLY_ONCE = frozenset({b"host", b"origin"})
"""Headers that decide who may ask: a request with two of them is refused."""


class Data(Struct, frozen=True):
    """A piece of the body of the request in hand."""

    piece: bytes


class EndOfBody(Struct, frozen=True):
    """The body of the request in hand is complete."""


END_OF_BODY = EndOfBody()


class Refused(Struct, frozen=True):
    """What came is no request that could be answered; the connection is over."""

    answer: Answer | None
    """To be sent; None when another answer is under way, or has been sent."""
    status: int
    data: bytes
    """What came, as far as it was kept."""


Event = Request | Data | EndOfBody | Refused


class _In(Enum):
    """What is expected from the client."""

    HEAD = auto()
    LENGTH = auto()
    """A body whose length is known."""
    CHUNKS = auto()
    DONE = auto()
    """The request is complete; what comes now is the next one, after the answer."""
    OVER = auto()
    """Nothing more."""


class HttpConnection:
    """The server's end of one connection.

    Args:
        client: The peer's address.
        connection: What a request's app may do to it.
        header_bytes: Most that headers may have, if that is less than the head may.
    """

    # With a dict instead, each would take over 1 kB more.
    __slots__ = (
        "_at",
        "_began_at",
        "_buffer",
        "_connection",
        "_drained_bytes",
        "_drains_until",
        "_events",
        "_expects_continue",
        "_header_bytes",
        "_headers",
        "_heard_at",
        "_in",
        "_is_1_1",
        "_is_chunked",
        "_is_complete",
        "_is_head_only",
        "_is_head_over",
        "_known",
        "_known_head",
        "_left",
        "_method",
        "_other_bytes",
        "_parser",
        "_pieces",
        "_sends_chunks",
        "_tail",
        "_target",
        "_websocket",
        "client",
        "is_answering",
        "is_begun",
        "is_last",
    )

    def __init__(
        self,
        client: str,
        connection: Connection | None = None,
        *,
        header_bytes: int = MAX_HEAD_BYTES,
    ) -> None:
        self.client = client
        self._header_bytes = header_bytes
        self.is_answering = False
        """A request waits for its answer, or for the rest of it."""
        self.is_begun = False
        """A part of that answer is on its way."""
        self.is_last = False
        """The answer in hand, or what was refused, is the last here."""
        self._connection = connection
        self._in = _In.HEAD
        self._buffer = b""
        self._at = 0
        """Where in the buffer begins what was not parsed."""
        self._events: list[Event] = []
        self._heard_at = 0.0
        self._began_at: float | None = None
        """When a head began that is not complete."""
        self._drains_until: float | None = None
        self._drained_bytes = 0
        self._known_head = b""
        """The last head of a request without a body..."""
        self._known: Request | None = None
        """...and the request: who polls sends the same again and again."""
        self._websocket: WebSocketConnection | None = None
        self._parser = HttpRequestParser(self)
        self._is_1_1 = True
        self._is_head_only = False
        self._sends_chunks = False
        self._new_message()

    def _new_message(self) -> None:
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._method = ""
        self._is_head_over = self._is_complete = False
        self._pieces: list[bytes] = []
        """Of a body, from what the parser was fed last."""
        self._left = 0
        """Of a body whose length is known."""
        self._is_chunked = self._expects_continue = False
        self._tail = b""
        """The last that the parser was fed of a chunked body."""
        self._other_bytes = 0
        """Received since a piece of a chunked body."""
        self._drained_bytes = 0

    # Bytes in, events out

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes; `next_event` tells what they mean."""
        self._heard_at = now
        if self._at < len(self._buffer):
            self._buffer = self._buffer[self._at :] + data
        else:
            self._buffer = data
        self._at = 0

    @property
    def is_ahead(self) -> bool:
        """True when more has come than the request in hand: it waits for its answer."""
        return self._in is _In.DONE and self._at < len(self._buffer)

    @property
    def has_body(self) -> bool:
        """True while the rest of the body of the request in hand is to come."""
        return self._in is _In.LENGTH or self._in is _In.CHUNKS

    def ask_for_body(self) -> bytes:
        """Return the word that a client waits for before it sends the body."""
        is_due = self._expects_continue and self.has_body and not self.is_begun
        self._expects_continue = False
        return CONTINUE if is_due else b""

    @property
    def deadline(self) -> float | None:
        """When `expire` is to be called, if nothing comes before."""
        if self._drains_until is not None:
            return self._drains_until
        if self._began_at is None:
            return None
        return min(self._heard_at + HEAD_STALL_S, self._began_at + HEAD_S)

    def expire(self, now: float) -> None:
        """Give up what is waited for, if its time is over; `next_event` tells."""
        deadline = self.deadline
        if deadline is not None and now >= deadline:
            answer = HEAD_STALLED if self._drains_until is None else None
            self._over(answer, 408, self._buffer[self._at :])

    def next_event(self) -> Event | None:
        """Return what the bytes mean; None when there must be more, or an answer."""
        while True:
            if self._events:
                return self._events.pop(0)
            at = self._at
            if at == len(self._buffer):
                return None
            if self._in is _In.HEAD:
                self._read_head()
            elif self._in is _In.LENGTH or self._in is _In.CHUNKS:
                self._read_piece()
            elif self._in is _In.OVER:
                self._buffer, self._at = b"", 0
            if self._at == at and not self._events:
                return None

    def repeated(self, data: bytes) -> Request | None:
        """Return the last request if these bytes are all of it, again.

        The quick way past `receive` and `next_event`; None when it must be those.
        """
        if self._in is not _In.HEAD or self._at < len(self._buffer):
            return None
        return self._repeat() if data == self._known_head else None

    def _read_head(self) -> None:
        buffer, at = self._buffer, self._at
        if self._known_head and buffer.startswith(self._known_head, at):
            self._at = at + len(self._known_head)
            self._events.append(self._repeat())
            return
        if buffer[at] in HEAD_END:  # before a request: RFC 9112 section 2.2
            self._at = len(buffer) - len(buffer[at:].lstrip(HEAD_END))
            return
        if not buffer[at : at + 1].isalpha():  # TLS, for one
            self._over(BAD_REQUEST, 400, buffer[at:])
            return
        end = buffer.find(HEAD_END, at, at + MAX_HEAD_BYTES)
        if self._has_long_headers(buffer, at, end):
            self._over(HEAD_TOO_LONG, 431, buffer[at:])
        elif end >= 0:
            self._began_at = None
            self._at = end + len(HEAD_END)
            self._parse_head(buffer[at : self._at])
        elif len(buffer) - at >= MAX_HEAD_BYTES:
            self._over(HEAD_TOO_LONG, 431, buffer[at:])
        elif self._began_at is None:
            self._began_at = self._heard_at

    def _has_long_headers(self, buffer: bytes, at: int, end: int) -> bool:
        """Tell whether a head from `at` to `end`, if it ends, is beyond the bound."""
        if self._header_bytes >= MAX_HEAD_BYTES:
            return False
        line_end = buffer.find(LINE_END, at)
        last = end if end >= 0 else len(buffer)
        return 0 <= line_end < last - len(LINE_END) - self._header_bytes

    def _repeat(self) -> Request:
        """Take the request that came last, again."""
        request = self._known
        assert request is not None
        request.fault = request.bent = None
        self._began_at = None
        self._is_1_1, self._is_head_only = True, False
        self._in = _In.DONE
        self.is_answering = True
        return request

    def _parse_head(self, data: bytes) -> None:
        self._new_message()
        try:
            is_upgrade = self._feed(data)
            if is_upgrade and not self._asks_for_websocket():
                # HTTP/2 over plain TCP, for one. Who offers it takes HTTP/1.1 as well
                # (RFC 9110 section 7.8): let the parser see no such offer.
                self._parser = HttpRequestParser(self)
                self._new_message()
                self._feed(_UPGRADE.sub(rb"\r\nx-upgrade", data))
                is_upgrade = False
            request = self._request(is_websocket=is_upgrade)
        except (HttpParserError, ValueError):
            self._over(BAD_REQUEST, 400, data)
            return
        if is_upgrade:
            self._websocket = WebSocketConnection(data)
            if self._websocket.refusal is not None:
                refusal = self._websocket.refusal
                self._over(refusal, refusal.status, data)
                return
        self.is_answering = True
        self._is_head_only = request.method == "HEAD"
        self.is_last = self.is_last or is_upgrade
        if not self._is_complete:
            self._in = _In.CHUNKS if self._is_chunked else _In.LENGTH
        else:
            self._in = _In.DONE
            if not self.is_last and not self._is_head_only:
                self._known_head, self._known = data, request
        self._events.append(request)

    def _feed(self, data: bytes) -> bool:
        """Let the parser call what is below; True when another protocol follows."""
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            return True
        return False

    def _asks_for_websocket(self) -> bool:
        return any(
            name == b"upgrade" and value.lower() == b"websocket"
            for name, value in self._headers
        )

    def _request(self, *, is_websocket: bool) -> Request:
        """Raise ValueError when what was parsed is no request to be answered."""
        if not self._is_head_over:
            raise ValueError("the head has no end")
        once = [name for name, _ in self._headers if name in ONLY_ONCE]
        if len(once) != len(set(once)):
            raise ValueError("a header that decides who may ask comes twice")
        for name, value in self._headers:
            if name == b"content-length":
                self._left = int(value)
            elif name == b"transfer-encoding":
                self._is_chunked = True
            elif name == b"expect":
                self._expects_continue = value.lower() == b"100-continue"
        path, _, query = self._target.partition(b"?")
        if not path.startswith(b"/"):
            path, query = _parts_of(self._target)
        return Request(
            self._method,
            path.decode("latin-1"),
            query.decode("latin-1"),
            tuple(self._headers),
            client=self.client,
            connection=self._connection,
            is_websocket=is_websocket,
        )

    def _read_piece(self) -> None:
        buffer, at = self._buffer, self._at
        if self._in is _In.LENGTH:
            self._at = min(len(buffer), at + self._left)
        else:
            self._at = self._possible_end(buffer, at)
        data = buffer[at : self._at]
        self._pieces.clear()
        try:
            self._feed(data)
        except HttpParserError:
            self._over(BAD_REQUEST if self.is_answering else None, 400, data)
            return
        piece = b"".join(self._pieces)
        self._left -= len(piece)
        self._other_bytes = 0 if piece else self._other_bytes + len(data)
        self._drained_bytes += 0 if self.is_answering else len(data)
        if self._other_bytes > MAX_HEAD_BYTES or self._drained_bytes > DRAIN_BYTES:
            self._over(None, 413, data)
            return
        if self._is_complete:
            self._in = _In.DONE if self.is_answering else _In.HEAD
            self._drains_until = None
        if self.is_answering:
            if piece:
                self._events.append(Data(piece))
            if self._is_complete:
                self._events.append(END_OF_BODY)

    def _possible_end(self, buffer: bytes, at: int) -> int:
        """Return where a chunked body may end, or all there is.

        Its end looks like that of a head, trailers or not. A part of that may have been
        parsed already.
        """
        before = self._tail
        end = (before + buffer[at : at + len(HEAD_END) - 1]).find(HEAD_END)
        if end >= 0:
            found = at - len(before) + end + len(HEAD_END)
        else:
            end = buffer.find(HEAD_END, at)
            found = len(buffer) if end < 0 else end + len(HEAD_END)
        self._tail = (before + buffer[max(at, found - 3) : found])[-3:]
        return found

    def _over(self, answer: Answer | None, status: int, data: bytes) -> None:
        """Refuse what came: nothing that comes now can be understood."""
        self._in = _In.OVER
        self._buffer, self._at = b"", 0
        self._began_at = self._drains_until = None
        self.is_last = True
        self._is_head_only = False
        self._events.append(Refused(answer, status, data[:MAX_HEAD_BYTES]))

    def close(self) -> None:
        """Let go of everything: nothing may be called any more.

        The parser knows whom to call, and so both would stay until garbage is looked
        for, which a large fleet seldom does.
        """
        del self._parser
        self._known = self._connection = None

    # What the parser calls

    def on_message_begin(self) -> None:
        """Refuse a second message in what can hold one only."""
        if self._is_complete:
            raise ValueError("there is more than one message")

    def on_url(self, target: bytes) -> None:
        """Take the target."""
        self._target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; what comes after a body is none of the request's."""
        if not self._is_head_over:
            # The parser leaves white space at the end.
            self._headers.append((name.lower(), value.strip()))

    def on_headers_complete(self) -> None:
        """Take what only the parser knows."""
        parser = self._parser
        self._is_head_over = True
        self._method = parser.get_method().decode("ascii")
        self._is_1_1 = parser.get_http_version() == "1.1"
        self.is_last = not (self._is_1_1 and parser.should_keep_alive())

    def on_body(self, piece: bytes) -> None:
        """Take a piece of the body."""
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        """The request is complete."""
        self._is_complete = True

    # Answers in, bytes out

    def answer(self, answer: Answer) -> bytes:
        """Return a whole answer's bytes."""
        data, is_last = answer.made
        if is_last or self.is_last or self._is_head_only:
            return self.begin(answer) + self._body(answer) + self.end(is_framed=True)
        self._finish()
        return data

    def _body(self, answer: Answer) -> bytes:
        if self._is_head_only:
            return b""
        return b"".join(framed(answer)) if self._sends_chunks else answer.body

    def begin(self, answer: Answer) -> bytes:
        """Return an answer's head; `piece`, and at last `end`, must follow."""
        self.is_begun = True
        self.is_last = self.is_last or answer.is_last
        self._sends_chunks = answer.is_chunked and self._is_1_1
        must_tell = self.is_last and not answer.is_last
        more = (CONNECTION_CLOSE,) if must_tell else ()
        return head(answer, more, has_chunks=self._is_1_1)

    def piece(self, piece: bytes) -> bytes:
        """Return a piece of the body of an answer that was begun."""
        if self._is_head_only or not piece:
            return b""
        return chunk(piece) if self._sends_chunks else piece

    def end(self, *, is_framed: bool = False) -> bytes:
        """Return what ends the answer in hand; `next_event` may have the next request.

        Args:
            is_framed: Its body knows its end already.
        """
        is_open = self._sends_chunks and not self._is_head_only and not is_framed
        self._finish()
        return LAST_CHUNK if is_open else b""

    def _finish(self) -> None:
        self.is_answering = self.is_begun = False
        self._events.clear()  # of a body that nobody reads any more
        if self.is_last:
            self._in = _In.OVER
        elif self._in is _In.DONE:
            self._in = _In.HEAD
        else:
            self._drains_until = self._heard_at + DRAIN_S

    def accept(self) -> "WebSocketConnection":
        """Return the WebSocket that the request in hand asks for.

        What was received after the request is its.
        """
        websocket = self._websocket
        assert websocket is not None
        self._websocket = None
        websocket.accept()
        websocket.receive(self._buffer[self._at :])
        self._finish()
        return websocket


def _parts_of(target: bytes) -> tuple[bytes, bytes]:
    """Return the path and query of a target with a scheme.

    Raises:
        HttpParserError: It is none.
    """
    if target == b"*":
        return target, b""
    found = parse_url(target)
    return found.path or b"/", found.query or b""


class WebSocketConnection:
    """The server's end of a WebSocket.

    `receive` takes bytes; `next_messages` what they mean, a little at a time. After
    every call `data_to_send` has what is to leave.

    Args:
        head: Of the request that asks for it.
    """

    def __init__(self, head: bytes) -> None:
        # The firmware offers no extensions.
        self._protocol = ServerProtocol(max_size=MAX_MESSAGE_BYTES)
        self._buffer = b""
        self._at = 0
        self._message = bytearray()
        """So far, of one that comes in fragments."""
        self._is_text = self._has_failed = False
        self.refusal: Answer | None = BAD_REQUEST
        """What is answered instead when there can be none."""
        self._protocol.receive_data(head)
        for request in self._protocol.events_received():
            assert isinstance(request, Handshake)
            self._response = self._protocol.accept(request)
            is_accepted = self._response.status_code == 101
            body = bytes(self._response.body or b"")
            refusal = _refusal(body, self._response.status_code)
            self.refusal = None if is_accepted else refusal

    def accept(self) -> None:
        """Open it."""
        del self._response.headers["Date"]  # the firmware sends none
        self._protocol.send_response(self._response)

    def receive(self, data: bytes) -> None:
        """Take bytes."""
        self._buffer = self._buffer[self._at :] + data
        self._at = 0

    @property
    def unparsed_bytes(self) -> int:
        """So much waits for `next_messages`."""
        return len(self._buffer) - self._at

    @property
    def is_open(self) -> bool:
        """True while messages may be sent."""
        return self._protocol.state is State.OPEN

    def next_messages(self) -> list[bytes]:
        """Return the messages that end in a little of what was received."""
        piece = self._buffer[self._at : self._at + FEED_BYTES]
        self._at += len(piece)
        self._protocol.receive_data(piece)
        found = []
        for frame in self._protocol.events_received():
            message = self._take(frame) if isinstance(frame, Frame) else None
            if message is not None:
                found.append(message)
        return found

    def _take(self, frame: Frame) -> bytes | None:
        """Return the message that a frame ends."""
        if frame.opcode not in _DATA:
            return None
        if frame.opcode != Opcode.CONT:
            self._is_text = frame.opcode == Opcode.TEXT
        self._message += frame.data
        if not frame.fin or self._has_failed:
            return None
        message = bytes(self._message)
        self._message.clear()
        try:
            if self._is_text:
                message.decode()
        except UnicodeDecodeError:
            self._has_failed = True
            if self.is_open:
                self._protocol.fail(1007, "no UTF-8")
            return None
        return message

    def send(self, text: str) -> None:
        """Send a message; nothing when it is closed."""
        if self.is_open:
            self._protocol.send_text(text.encode("utf-8", "replace"))

    def close(self, code: int) -> None:
        """Say farewell; the client's is to be waited for, but not for ever."""
        if self.is_open:
            self._protocol.send_close(code)

    def data_to_send(self) -> tuple[bytes, bool]:
        """Return what is to leave, and whether the connection ends after it."""
        writes = self._protocol.data_to_send()
        return b"".join(writes), b"" in writes
