"""One HTTP connection: whatever comes, nothing escapes and nothing piles up.

The first byte tells how the rest is cut and answered.
"""

from softaxe.serve.answers import CONNECTION_CLOSE, Answer
from softaxe.serve.protocol import (
    DRAIN_BYTES,
    END_OF_BODY,
    MAX_HEAD_BYTES,
    MAX_MESSAGE_BYTES,
    Data,
    HttpConnection,
    Refused,
    WebSocketConnection,
)
from softaxe.serve.request import Request

GET = b"GET /api/system/info?a=%20 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
PATCH = (
    b"PATCH /api/system HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
    b"Content-Length: 12\r\n\r\n"
    b'{"rotate":1}'
)
CHUNKED = (
    b"POST http://a/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;a=b\r\nabc\r\n0\r\nTrailer: x\r\n\r\n"
)
H2C = (
    b"POST /x HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AA\r\nContent-Length: 2\r\n\r\n{}"
)
WEBSOCKET = (
    b"GET /api/ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
FRAMES = (
    b"\x81\x82\0\0\0\0hi\x01\x81\0\0\0\0\xc3\x89\x80\0\0\0\0\x80\x81\0\0\0\0\xa4"
    b"\x82\xfe\0\x80\0\0\0\0" + b"x" * 128 + b"\x88\x82\0\0\0\0\x03\xe8"
)
CORPUS = [
    b"\0" + GET + GET,
    b"\1" + PATCH + GET,
    b"\2" + CHUNKED + GET,
    b"\3" + H2C + CHUNKED,
    b"\4" + WEBSOCKET + FRAMES,
    b"\5" + b"HEAD / HTTP/1.0\r\n\r\n" + GET,
    b"\6" + GET.replace(b"GET", b"CONNECT") + PATCH,
    b"\x17" + PATCH + CHUNKED + WEBSOCKET + FRAMES,
]
PIECES_BYTES = (1, 2, 3, 7, 64, 1 << 20)
ANSWERS = (
    Answer(b"{}"),
    Answer(b"x" * 11_000, is_chunked=True),
    Answer(b"no", status=404, headers=(CONNECTION_CLOSE,)),
)


def one_input(data: bytes) -> None:
    """Be the server of a client that sends this."""
    how = data[0] if data else 0
    size = PIECES_BYTES[how % len(PIECES_BYTES)]
    answer = ANSWERS[how // 8 % len(ANSWERS)]
    http = HttpConnection("127.0.0.1")
    websocket: WebSocketConnection | None = None
    now = 0.0
    for start in range(1, len(data), size):
        piece = data[start : start + size]
        if websocket is not None:
            _hear(websocket, piece)
            continue
        now += 0.01
        http.receive(piece, now)
        http.expire(now)
        websocket = _work(http, answer, is_late=bool(how & 64), is_ws=bool(how & 32))
        http.expire(now)
        assert http.deadline is None or http.deadline > now
        assert len(http._buffer) <= MAX_HEAD_BYTES + len(data)
    http.expire(now + 3600)
    assert http.deadline is None or http.is_answering or http._events


def _work(
    http: HttpConnection, answer: Answer, *, is_late: bool, is_ws: bool
) -> WebSocketConnection | None:
    """Take what there is to take; answer at once, or when the body is there."""
    taken = 0
    while (event := http.next_event()) is not None:
        if isinstance(event, Refused):
            assert http.is_last
            assert len(event.data) <= MAX_HEAD_BYTES
            if event.answer is not None and not http.is_begun:
                # 505 is for a WebSocket by HTTP/1.0.
                assert 400 <= event.status < 500 or event.status == 505
                assert http.answer(event.answer).startswith(b"HTTP/1.1 ")
            assert http.next_event() is None
            return None
        if isinstance(event, Data):
            taken += len(event.piece)
            assert event.piece
        if isinstance(event, Request):
            assert http.is_answering
            assert event.method
            if event.is_websocket and is_ws:
                websocket = http.accept()
                _hear(websocket, b"")
                return websocket
        if not http.is_answering:
            continue
        is_whole = event is END_OF_BODY or not http.has_body
        if is_whole or not is_late:
            http.ask_for_body()
            sent = http.answer(answer)
            assert sent.startswith(b"HTTP/1.1 ")
            assert not http.is_answering
    assert taken <= DRAIN_BYTES
    return None


def _hear(websocket: WebSocketConnection, data: bytes) -> None:
    websocket.receive(data)
    while websocket.unparsed_bytes:
        before = websocket.unparsed_bytes
        for message in websocket.next_messages():
            assert len(message) <= MAX_MESSAGE_BYTES
        websocket.send("a line")
        websocket.data_to_send()
        assert websocket.unparsed_bytes < before
    assert len(websocket._message) <= MAX_MESSAGE_BYTES
