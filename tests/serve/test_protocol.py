"""One connection without a socket: bytes in, events out, answers in, bytes out."""

import base64
import struct

import pytest
from tests.each import each

from softaxe.serve import protocol as module
from softaxe.serve.answers import CONNECTION_CLOSE, Answer
from softaxe.serve.protocol import (
    END_OF_BODY,
    FEED_BYTES,
    MAX_HEAD_BYTES,
    Data,
    Event,
    HttpConnection,
    Refused,
    WebSocketConnection,
)
from softaxe.serve.request import Request

GET = b"GET /api/system/info HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"PATCH /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def events(http: HttpConnection, data: bytes, now: float = 0.0) -> list[Event]:
    """What comes of some bytes while nothing is answered."""
    http.receive(data, now)
    found = []
    while (event := http.next_event()) is not None:
        found.append(event)
    return found


def requests(http: HttpConnection, data: bytes) -> list[str]:
    """The paths of what is asked, when everything is answered at once."""
    http.receive(data, 0.0)
    found = []
    while (event := http.next_event()) is not None:
        if isinstance(event, Request):
            found.append(event.path)
            http.answer(Answer())
    return found


def body_of(found: list[Event]) -> bytes:
    return b"".join(event.piece for event in found if isinstance(event, Data))


def request_of(data: bytes) -> Request:
    first = events(HttpConnection("10.0.0.2"), data)[0]
    assert isinstance(first, Request)
    return first


def test_a_request_comes_with_all_that_was_sent() -> None:
    request = request_of(b"GET /a%20b?c=%2F&d HTTP/1.1\r\nHost: a\r\nX-Y:  z \r\n\r\n")

    assert (request.method, request.path, request.query) == ("GET", "/a%20b", "c=%2F&d")
    assert request.headers == ((b"host", b"a"), (b"x-y", b"z"))
    assert (request.client, request.is_websocket) == ("10.0.0.2", False)


@each(
    ("target", "path", "query"),
    [
        (b"http://a:80/b?c", "/b", "c"),
        (b"http://a", "/", ""),
        (b"*", "*", ""),
    ],
)
def test_targets_of_other_forms_are_understood(
    target: bytes, path: str, query: str
) -> None:
    request = request_of(b"OPTIONS " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")

    assert (request.path, request.query) == (path, query)


@each("size", [1, 2, 3, 5, 1000])
def test_how_bytes_are_cut_does_not_matter(size: int) -> None:
    stream = (
        GET
        + b"\r\n"
        + CHUNKED
        + b"6;ext=1\r\n{\r\n\r\n}\r\n0\r\nTrailer: x\r\n\r\n"
        + b"POST /y HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
        + GET
    )
    http = HttpConnection("")
    paths, bodies = [], []
    for start in range(0, len(stream), size):
        http.receive(stream[start : start + size], 0.0)
        while (event := http.next_event()) is not None:
            if isinstance(event, Request):
                paths.append(event.path)
                bodies.append(b"")
                has_body = http.has_body
            elif isinstance(event, Data):
                bodies[-1] += event.piece
            if event is END_OF_BODY or (isinstance(event, Request) and not has_body):
                http.answer(Answer())

    assert paths == ["/api/system/info", "/x", "/y", "/api/system/info"]
    assert bodies == [b"", b"{\r\n\r\n}", b"abc", b""]


def test_the_next_request_waits_for_the_answer() -> None:
    http = HttpConnection("")

    assert len(events(http, GET * 1000)) == 1
    assert http.is_ahead
    http.answer(Answer())

    assert isinstance(http.next_event(), Request)
    assert http.next_event() is None


def test_a_body_whose_request_is_answered_is_read_and_forgotten() -> None:
    http = HttpConnection("")
    events(http, b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nab")
    http.answer(Answer())

    found = events(http, b"cdef" + GET)

    assert [type(event) for event in found] == [Request]


def test_what_is_not_wanted_is_not_read_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "DRAIN_BYTES", 10)
    head = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 600\r\n\r\n"
    much, late = HttpConnection(""), HttpConnection("")
    for http in much, late:
        events(http, head, now=100.0)
        http.answer(Answer())

    (refused,) = events(much, b"x" * 11)
    assert isinstance(refused, Refused)
    assert refused.answer is None
    assert late.deadline == 100.0 + module.DRAIN_S
    late.expire(200.0)
    assert isinstance(late.next_event(), Refused)


@each("upgrade", [b"h2c", b"H2C, websocket", b"TLS/1.0"])
@each("is_chunked", [True, False])
def test_an_offer_of_another_protocol_keeps_its_body(
    upgrade: bytes, *, is_chunked: bool
) -> None:
    body = b'{"temptarget": 58}'
    head = (  # as Java's HttpClient sends it
        b"PATCH /api/system HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"Host: 127.0.0.1:8080\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAA\r\n"
        b"Upgrade: " + upgrade + b"\r\n"
    )
    if is_chunked:
        head += b"Transfer-Encoding: chunked\r\n\r\n"
        sent = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    else:
        head += b"Content-Length: %d\r\n\r\n" % len(body)
        sent = body
    http = HttpConnection("")

    request, *rest = events(http, head + sent + GET)

    assert isinstance(request, Request)
    assert (request.method, request.path) == ("PATCH", "/api/system")
    assert not request.is_websocket
    assert body_of(rest) == body
    assert http.answer(Answer()).startswith(b"HTTP/1.1 200 OK\r\n")
    assert not http.is_last
    assert isinstance(http.next_event(), Request)


@each(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"\0GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"GET / HTTP/1.1\r\nwifiPass secret1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\nOrigin: http://b\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 40 + b"\r\n\r\n",
        b"GET //[ HTTP/1.1\nHost: a\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused(data: bytes) -> None:
    http = HttpConnection("")

    (refused,) = events(http, data)

    assert isinstance(refused, Refused)
    assert (refused.status, refused.data) == (400, data)
    assert refused.answer is not None
    sent = http.answer(refused.answer)
    assert sent.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"Connection: close\r\n" in sent
    assert events(http, GET) == []


@pytest.mark.parametrize("piece", [b"a", b"a" * 1000, b"a: b\r\n"])
def test_heads_are_bounded(piece: bytes) -> None:
    http = HttpConnection("")
    sent = b"GET / HTTP/1.1\r\nHost: a\r\nx: "
    found = events(http, sent)
    while not found:
        found = events(http, piece)
        sent += piece

    (refused,) = found
    assert isinstance(refused, Refused)
    assert refused.status == 431
    assert len(refused.data) <= len(sent) <= MAX_HEAD_BYTES + len(piece)
    whole = b"GET / HTTP/1.1\r\nHost: a\r\nx: " + b"y" * 70_000 + b"\r\n\r\n"
    (refused,) = events(HttpConnection(""), whole)
    assert isinstance(refused, Refused)
    assert refused.status == 431


def test_headers_alone_may_have_a_bound_of_their_own() -> None:
    line = b"GET /" + b"a" * 1000 + b" HTTP/1.1\r\n"

    def found(headers: bytes) -> Event:
        return events(HttpConnection("", header_bytes=512), line + headers)[0]

    fitting = b"Host: a\r\nx: " + b"y" * (512 - 12)
    assert isinstance(found(fitting + b"\r\n\r\n"), Request)
    refused = [found(fitting + b"y\r\n\r\n"), found(fitting + b"y")]
    assert [one.status for one in refused if isinstance(one, Refused)] == [431, 431]


@pytest.mark.parametrize("line", [b"a: b\r\n", b"a" * 1000])
def test_trailers_are_bounded_and_no_headers(line: bytes) -> None:
    http = HttpConnection("")
    request, *_ = events(http, CHUNKED + b"1\r\nx\r\n0\r\nHost: b\r\n")
    assert isinstance(request, Request)
    if not line.endswith(b"\n"):
        events(http, b"a: ")

    sent, found = 0, list[Event]()
    while not found:
        found = events(http, line)
        sent += len(line)

    assert sent < MAX_HEAD_BYTES + 2000
    assert [type(event) for event in found] == [Refused]
    assert request.headers == ((b"host", b"a"), (b"transfer-encoding", b"chunked"))


def test_a_head_has_a_deadline_for_pauses_and_for_all() -> None:
    http = HttpConnection("")
    assert http.deadline is None, "who says nothing at all may stay"

    events(http, b"G", now=10.0)
    assert http.deadline == 10.0 + module.HEAD_STALL_S
    for second in range(11, 30):
        events(http, b"E", now=float(second))
        http.expire(float(second))
        assert http.next_event() is None
    assert http.deadline == 10.0 + module.HEAD_S
    http.expire(30.0)

    refused = http.next_event()
    assert isinstance(refused, Refused)
    assert refused.status == 408


def test_a_complete_head_has_no_deadline() -> None:
    http = HttpConnection("")
    events(http, GET[:10])
    events(http, GET[10:])

    assert http.deadline is None


def test_an_answer_is_spelt_as_given() -> None:
    http = HttpConnection("")
    events(http, GET)

    sent = http.answer(Answer(b"{}", content_type=b"a/b", headers=((b"X-a", b"1"),)))

    assert sent == (
        b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 2\r\nX-a: 1\r\n\r\n{}"
    )


@each(
    ("head", "is_last", "has_body"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", False, True),
        (b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", False, False),
        (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", True, True),
        (b"GET / HTTP/1.0\r\n\r\n", True, True),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True, True),
    ],
)
@each("is_chunked", [True, False])
def test_who_asks_decides_how_the_answer_ends(
    head: bytes, *, is_last: bool, has_body: bool, is_chunked: bool
) -> None:
    http = HttpConnection("")
    events(http, head)

    sent = http.answer(Answer(b"a" * 20_000, is_chunked=is_chunked))

    lines, _, body = sent.partition(b"\r\n\r\n")
    assert http.is_last is is_last
    assert (b"Connection: close" in lines) is is_last
    knows_chunks = b"HTTP/1.0" not in head
    assert (b"chunked" in lines) is (is_chunked and knows_chunks)
    if is_chunked and knows_chunks and has_body:
        assert body.startswith(b"2800\r\naaa")
        assert body.endswith(b"a\r\n0\r\n\r\n")
    else:
        assert body == (b"a" * 20_000 if has_body else b"")


def test_the_last_answer_is_the_last() -> None:
    http = HttpConnection("")
    events(http, GET + GET)

    http.answer(Answer(headers=(CONNECTION_CLOSE,)))

    assert http.is_last
    assert http.next_event() is None


@pytest.mark.parametrize("is_chunked", [True, False])
def test_an_answer_may_leave_in_pieces(*, is_chunked: bool) -> None:
    http = HttpConnection("")
    events(http, GET)
    answer = Answer(b"abcdef", is_chunked=is_chunked)

    sent = (
        http.begin(answer) + http.piece(b"abcd") + http.piece(b"") + http.piece(b"ef")
    )
    assert http.is_answering
    sent += http.end()

    body = b"4\r\nabcd\r\n2\r\nef\r\n0\r\n\r\n" if is_chunked else b"abcdef"
    assert sent.endswith(b"\r\n\r\n" + body)
    assert not http.is_answering


def test_who_waits_for_a_word_gets_it_once() -> None:
    http = HttpConnection("")
    head = b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"
    events(http, head)

    assert http.ask_for_body() == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert http.ask_for_body() == b""
    http.answer(Answer())
    events(http, b"x" + GET)
    assert http.ask_for_body() == b""


def test_a_repeated_request_is_the_same_and_not_parsed_anew() -> None:
    http = HttpConnection("")
    first = events(http, GET)[0]
    http.answer(Answer())

    assert events(http, GET)[0] is first
    http.answer(Answer())
    other = GET.replace(b"info", b"asic")
    assert (
        requests(http, other + GET + GET)
        == ["/api/system/asic"] + ["/api/system/info"] * 2
    )


# WebSockets


def handshake(**changed: str) -> bytes:
    headers = {
        "Host": "a",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
    } | {name.replace("_", "-"): value for name, value in changed.items()}
    lines = [f"{name}: {value}" for name, value in headers.items() if value]
    return "\r\n".join(["GET /api/ws HTTP/1.1", *lines, "", ""]).encode()


def frame(payload: bytes, opcode: int = 1, *, is_last: bool = True) -> bytes:
    """A client's frame, masked with zeros."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack("!H", size)
    return bytes([opcode | (0x80 if is_last else 0)]) + length + bytes(4) + payload


def opened() -> WebSocketConnection:
    http = HttpConnection("")
    (request,) = events(http, handshake())
    assert isinstance(request, Request)
    assert request.is_websocket
    websocket = http.accept()
    sent, is_over = websocket.data_to_send()
    assert sent.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert not is_over
    return websocket


def messages(websocket: WebSocketConnection, data: bytes) -> list[bytes]:
    websocket.receive(data)
    found = []
    while websocket.unparsed_bytes:
        found += websocket.next_messages()
    return found


def test_a_websocket_may_be_refused_with_an_answer() -> None:
    http = HttpConnection("")
    events(http, handshake() + frame(b"early"))

    sent = http.answer(Answer(b"no", status=401))

    assert sent.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
    assert http.is_last
    assert http.next_event() is None


@each(
    ("data", "status"),
    [
        (handshake(Sec_WebSocket_Key=""), 400),
        (handshake(Sec_WebSocket_Version="8"), 400),
        (handshake().replace(b"GET", b"PUT"), 400),
        (handshake().replace(b"HTTP/1.1", b"HTTP/1.0"), 400),
    ],
)
def test_a_bad_handshake_is_refused(data: bytes, status: int) -> None:
    (refused,) = events(HttpConnection(""), data)

    assert isinstance(refused, Refused)
    assert refused.status >= status
    assert refused.answer is not None


def test_messages_come_whole_and_what_came_early_is_not_lost() -> None:
    http = HttpConnection("")
    events(http, handshake() + frame(b"early"))
    websocket = http.accept()

    assert websocket.next_messages() == [b"early"]
    sent = frame(b"a", is_last=False) + frame(b"b", 9) + frame(b"c", 0) + frame(b"", 2)
    assert messages(websocket, sent) == [b"ac", b""]
    assert websocket.data_to_send()[0].endswith(b"\x8a\x01b")


def test_tiny_frames_are_taken_a_few_at_a_time() -> None:
    websocket = opened()
    websocket.receive(frame(b"") * 10_000)

    assert len(websocket.next_messages()) <= FEED_BYTES // 6 + 1
    assert websocket.unparsed_bytes == 60_000 - FEED_BYTES


def test_text_that_is_none_ends_it(caplog: pytest.LogCaptureFixture) -> None:
    websocket = opened()

    assert messages(websocket, frame(b"\xff\xfe") + frame(b"more")) == []

    sent, is_over = websocket.data_to_send()
    assert sent.startswith(b"\x88")
    assert sent[2:4] == struct.pack("!H", 1007)
    assert is_over
    assert caplog.records == []


def test_too_long_a_message_ends_it() -> None:
    websocket = opened()

    part = b"a" * 40_000
    found = messages(websocket, frame(part, is_last=False) + frame(part, 0))

    assert found == []
    assert websocket.data_to_send()[0][2:4] == struct.pack("!H", 1009)


def test_a_farewell_is_answered() -> None:
    websocket = opened()

    assert messages(websocket, frame(struct.pack("!H", 1000), 8)) == []

    assert websocket.data_to_send() == (b"\x88\x02\x03\xe8", True)
    websocket.send("nobody hears it")
    assert websocket.data_to_send() == (b"", False)
