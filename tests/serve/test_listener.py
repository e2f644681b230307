import asyncio
import gc
import logging
import socket
import struct
import time
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import pytest

from softaxe.fleet.event_loop import new_event_loop
from softaxe.serve import listener as module
from softaxe.serve import protocol
from softaxe.serve.answers import Answer
from softaxe.serve.listener import (
    BOUNDS,
    Bounds,
    HttpServerProtocol,
    Listener,
    Presence,
)
from softaxe.serve.request import AcceptWebSocket, App, Body, Request, WebSocket

T = TypeVar("T")
HANDSHAKE = (
    b"GET /api/ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)

CHUNKED = b"Transfer-Encoding: chunked\r\n\r\nf4240\r\n%b\r\n0\r\n\r\n"


def test_closing_ends_a_request_that_waits_without_complaint(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "CLOSE_S", 0.05)
    began = asyncio.Event()

    async def never(_request: Request) -> None:
        began.set()
        await asyncio.Event().wait()

    async def main() -> bytes:
        listener = Listener(never, "127.0.0.1", 0)
        await listener.open()
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await began.wait()
        await listener.close()
        await asyncio.sleep(0.05)
        try:
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()

    with caplog.at_level(logging.INFO):
        assert asyncio.run(main()) == b""

    assert caplog.records == []


def answering(_request: Request) -> Answer:
    return Answer()


def accepting(request: Request) -> Answer | AcceptWebSocket:
    return AcceptWebSocket(listen) if request.is_websocket else Answer()


async def listen(websocket: WebSocket) -> None:
    while await websocket.receive():
        pass


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def serving(
    bounds: Bounds = BOUNDS,
) -> AsyncIterator[Callable[[], Awaitable[Connection]]]:
    listener = Listener(accepting, "127.0.0.1", 0, bounds=lambda: bounds)
    await listener.open()
    writers = []

    async def connect() -> Connection:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writers.append(writer)
        return reader, writer

    try:
        yield connect
    finally:
        for writer in writers:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        await listener.close()


async def status_of(connection: Connection) -> bytes:
    reader, writer = connection
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    return (await reader.readuntil(b"\r\n\r\n"))[:12]


@pytest.mark.parametrize("line", [b"a: b\r\n", b"a" * 1000])
def test_trailers_are_bounded_and_no_headers(line: bytes) -> None:
    async def flood() -> None:
        async with serving() as connect:
            reader, writer = await connect()
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\n")
            writer.write(b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n")
            if not line.endswith(b"\n"):
                writer.write(b"a: ")
            async with asyncio.timeout(10):
                with suppress(ConnectionError):
                    while not reader.at_eof():
                        writer.write(line * (2048 // len(line)))
                        await writer.drain()
                        await asyncio.sleep(0)

    asyncio.run(flood())


def test_the_rest_of_a_head_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_STALL_S", 0.1)

    async def stall() -> tuple[bytes, bytes]:
        async with serving() as connect:
            idle = await connect()
            reader, writer = await connect()
            writer.write(b"GET / HTTP/1.1\r\nHost:")
            async with asyncio.timeout(10):
                answer = await reader.read()
            return answer, await status_of(idle)

    answer, after = asyncio.run(stall())

    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert answer.endswith(b"\r\n\r\nServer closed this connection")
    assert after == b"HTTP/1.1 200", "who says nothing at all may stay"


def test_one_connection_too_many_ends_the_one_unused_for_longest() -> None:
    few = Bounds(connections=3)

    async def crowd() -> tuple[list[bytes], bytes]:
        async with serving(few) as connect:
            some = [await connect() for _ in range(3)]
            for connection in (some[1], some[0], some[2], some[0]):
                assert await status_of(connection) == b"HTTP/1.1 200"
            fourth = await connect()
            found = [await status_of(one) for one in (some[0], some[2], fourth)]
            async with asyncio.timeout(10):
                with suppress(ConnectionError):
                    return found, await some[1][0].read()
            return found, b""

    answers, left = asyncio.run(crowd())

    assert answers == [b"HTTP/1.1 200"] * 3
    assert left == b""


@pytest.mark.parametrize("keeps_websockets", [True, False])
def test_a_websocket_that_only_listens_is_the_last_to_go_or_counts_as_unused(
    keeps_websockets: bool,
) -> None:
    few = Bounds(connections=2, keeps_websockets=keeps_websockets)

    async def crowd() -> bytes:
        async with serving(few) as connect:
            reader, writer = await connect()
            writer.write(HANDSHAKE)
            await reader.readuntil(b"\r\n\r\n")
            first = await connect()
            assert await status_of(first) == b"HTTP/1.1 200"
            second = await connect()
            assert await status_of(second) == b"HTTP/1.1 200"
            gone = first[0] if keeps_websockets else reader
            async with asyncio.timeout(10):
                with suppress(ConnectionError):
                    return await gone.read()
            return b""

    assert asyncio.run(crowd()) == b""


def test_where_no_room_is_made_one_too_many_waits_for_a_place() -> None:
    few = Bounds(connections=1, makes_room=False)

    async def crowd() -> tuple[bool, bytes, bytes]:
        async with serving(few) as connect:
            first, second, third = [await connect() for _ in range(3)]
            assert await status_of(first) == b"HTTP/1.1 200"
            waiting = asyncio.ensure_future(status_of(second))
            left = asyncio.ensure_future(status_of(third))
            await asyncio.sleep(0.05)
            has_waited = not waiting.done()
            await end(first[1])
            async with asyncio.timeout(10):
                answer = await waiting
                await end(second[1])
                return has_waited, answer, await left

    assert asyncio.run(crowd()) == (True, b"HTTP/1.1 200", b"HTTP/1.1 200")


async def end(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


def serve(
    app: App, work: Callable[[Listener], Awaitable[T]], bounds: Bounds = BOUNDS
) -> T:
    async def main() -> T:
        listener = Listener(app, "127.0.0.1", 0, bounds=lambda: bounds)
        await listener.open()
        try:
            return await work(listener)
        finally:
            await listener.close()

    return asyncio.run(main())


def flood(listener: Listener, data: bytes, most: int, first: bytes = b"") -> int:
    """Send again and again, read nothing; return how much the server took."""
    address = "127.0.0.1", listener.port
    with socket.create_connection(address, timeout=0.5) as client:
        sent = 0
        try:
            client.sendall(first)
            while sent < most:
                sent += client.send(data)
        except (TimeoutError, ConnectionError):
            pass
        return sent


async def longest_wait(listener: Listener, works: list[asyncio.Future[int]]) -> float:
    """The longest time of an answer to somebody else, while this goes on."""
    longest = 0.0
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    while not all(work.done() for work in works):
        began = time.monotonic()
        writer.write(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % int(began * 1e6))
        await reader.readuntil(b"\r\n\r\n")
        longest = max(longest, time.monotonic() - began)
        await asyncio.sleep(0.005)
    await end(writer)
    return longest


def waiting_bytes(connection: HttpServerProtocol) -> int:
    http, transport = connection._http, connection._transport
    assert http is not None
    assert transport is not None
    return len(http._buffer) + transport.get_write_buffer_size()


@pytest.mark.parametrize("is_slow", [True, False])
def test_pipelined_requests_do_not_pile_up(*, is_slow: bool) -> None:
    async def never(_request: Request) -> Answer:
        await asyncio.Event().wait()
        return Answer()

    async def attacked(listener: Listener) -> tuple[list[int], list[int], float]:
        loop = asyncio.get_running_loop()
        requests = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 4000
        works = [
            loop.run_in_executor(pool, flood, listener, requests, 65 << 20)
            for _ in range(8)
        ]
        wait = 0.0 if is_slow else await longest_wait(listener, works)
        await asyncio.wait(works, return_when=asyncio.FIRST_COMPLETED)
        held = [waiting_bytes(one) for one in listener.connections]
        return held, [await work for work in works], wait

    with ThreadPoolExecutor(8) as pool:
        app: App = never if is_slow else answering
        held, taken, wait = serve(app, attacked)

    assert max(held, default=0) < 1 << 20
    assert max(taken) < 65 << 20, "the client must wait: its system's buffers are full"
    assert wait < 0.5


def test_tiny_frames_do_not_keep_others_waiting() -> None:
    async def listen(websocket: WebSocket) -> None:
        while await websocket.receive() is not None:
            pass

    def app(request: Request) -> Answer | AcceptWebSocket:
        return AcceptWebSocket(listen) if request.is_websocket else Answer()

    async def attacked(listener: Listener) -> float:
        loop = asyncio.get_running_loop()
        frames = b"\x81\x81\0\0\0\0x" * 30_000
        works = [
            loop.run_in_executor(pool, flood, listener, frames, 1 << 19, HANDSHAKE)
            for _ in range(4)
        ]
        return await longest_wait(listener, works)

    with ThreadPoolExecutor(4) as pool:
        assert serve(app, attacked) < 0.5


def test_no_garbage_is_left_by_clients() -> None:
    async def visited(listener: Listener) -> list[object]:
        gone: list[weakref.ref[HttpServerProtocol]] = []
        for sent in (
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"nonsense\r\n\r\n",
            HANDSHAKE,
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(sent)
            await reader.readuntil(b"\r\n\r\n")
            gone += map(weakref.ref, listener.connections)
            writer.close()
            await writer.wait_closed()
        await asyncio.sleep(0.05)
        return [ref() for ref in gone]

    gc.disable()
    try:
        assert serve(answering, visited) == [None] * 3
    finally:
        gc.enable()


def test_a_body_is_read_no_faster_than_it_is_taken() -> None:
    async def slow(request: Request) -> Answer:
        await request.body.read()
        seen.append(request.body)
        await asyncio.sleep(0.5)
        return Answer()

    async def sent(listener: Listener) -> int:
        loop = asyncio.get_running_loop()
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n"
        work = loop.run_in_executor(
            None, flood, listener, b"x" * (1 << 20), 100_000_000, head
        )
        await asyncio.sleep(0.4)
        size = seen[0].size
        await work
        return size

    seen: list[Body] = []
    assert serve(slow, sent) < 1 << 20


def test_a_head_after_a_body_that_nobody_read_has_its_own_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocol, "HEAD_STALL_S", 0.05)

    async def asked(listener: Listener) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"{}GET / HTTP/1.1\r\n")
        async with asyncio.timeout(10):
            found = await reader.read(12)
        await end(writer)
        return found

    assert serve(answering, asked) == b"HTTP/1.1 408"


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 1000000\r\n\r\n%b", CHUNKED], ids=["length", "chunks"]
)
def test_a_body_that_was_not_read_does_not_hold_the_next_request(
    framing: bytes,
) -> None:
    async def hasty(_request: Request) -> Answer:
        await asyncio.sleep(0.01)
        return Answer()

    async def asked(listener: Listener) -> bytes:
        connection = await asyncio.open_connection("127.0.0.1", listener.port)
        connection[1].write(b"POST / HTTP/1.1\r\n" + framing % (b"x" * 1_000_000))
        async with asyncio.timeout(5):
            found = await status_of(connection)
            await connection[0].readuntil(b"\r\n\r\n")
            found += await status_of(connection)
        await end(connection[1])
        return found

    assert serve(hasty, asked) == b"HTTP/1.1 200" * 2


def test_a_failing_app_is_a_500_and_a_line_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def at_once(_request: Request) -> Answer:
        raise RuntimeError("no such thing")

    async def later(request: Request) -> Answer:
        await asyncio.sleep(0)
        return at_once(request)

    async def asked(listener: Listener) -> bytes:
        connection = await asyncio.open_connection("127.0.0.1", listener.port)
        found = await status_of(connection)
        await connection[0].readuntil(b"Server Error")
        assert await status_of(connection) == found, "the connection stays"
        await end(connection[1])
        return found

    for app in at_once, later:
        assert serve(app, asked) == b"HTTP/1.1 500"
    assert [record.message for record in caplog.records] == [
        "a request has failed: GET /"
    ] * 4


def test_a_client_that_is_still_sending_hears_why_it_is_refused() -> None:
    async def asked(listener: Listener) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(b"GET / HTTP/1.1\r\n" + b"x" * 2_000_000)
        found = await reader.read()
        await end(writer)
        return found

    assert serve(answering, asked).startswith(b"HTTP/1.1 431 ")


def test_answers_in_pieces_wait_for_slow_readers() -> None:
    made = 0

    async def endless() -> AsyncGenerator[bytes, None]:
        nonlocal made
        while True:
            made += 1 << 16
            yield b"x" * (1 << 16)

    def app(_request: Request) -> Answer:
        return Answer(b"", is_chunked=True, pieces=endless())

    async def asked(listener: Listener) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        before = -1
        while made != before:
            before = made
            await asyncio.sleep(0.2)
        await end(writer)

    serve(app, asked)
    assert 0 < made < 64 << 20


# Away


async def reaches(listener: Listener) -> bool:
    patience_s = 10 if listener.presence is Presence.SERVED else 0.1
    try:
        async with asyncio.timeout(patience_s):
            _, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    except TimeoutError:
        return False
    await end(writer)
    return True


async def left_of(connection: Connection, seconds: float = 0.1) -> bytes | None:
    """What is still to be read; None when nothing comes, not even the end."""
    try:
        async with asyncio.timeout(seconds):
            return await connection[0].read()
    except TimeoutError:
        return None
    except ConnectionResetError:
        return b"reset"


@pytest.mark.skipif(not module.DROPS_WHEN_FULL, reason="as other systems do not")
def test_a_silent_port_answers_nobody_and_is_back_at_once() -> None:
    async def work(listener: Listener) -> list[bool]:
        port, found = listener.port, [await reaches(listener)]
        for _ in range(3):
            await listener.become(Presence.SILENT)
            found.append(await reaches(listener))
            await listener.become(Presence.SERVED)
            found.append(await reaches(listener))
        assert listener.port == port
        return found

    assert serve(answering, work) == [True, *(False, True) * 3]


@pytest.mark.parametrize("drops", [module.DROPS_WHEN_FULL, False])
def test_who_knocks_at_a_silent_port_is_let_in_when_it_is_back(
    monkeypatch: pytest.MonkeyPatch, *, drops: bool
) -> None:
    monkeypatch.setattr(module, "DROPS_WHEN_FULL", drops)

    async def work(listener: Listener) -> bytes:
        await listener.become(Presence.SILENT)
        knocking = asyncio.create_task(
            asyncio.open_connection("127.0.0.1", listener.port)
        )
        await asyncio.sleep(0.05)
        await listener.become(Presence.SERVED)
        connection = await knocking  # the system tries again after a second
        found = await status_of(connection)
        await end(connection[1])
        return found

    assert serve(answering, work) == b"HTTP/1.1 200"


def test_an_open_connection_goes_silent_and_is_reset_when_it_speaks_later() -> None:
    async def work(listener: Listener) -> list[bytes | None]:
        address = "127.0.0.1", listener.port
        speaker, other, listening = [
            await asyncio.open_connection(*address) for _ in range(3)
        ]
        for one in speaker, other, listening:
            assert await status_of(one) == b"HTTP/1.1 200"
        await listener.become(Presence.SILENT)
        assert listener.connection_count == 0
        other[1].write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        found = [await left_of(one) for one in (speaker, other)]
        await listener.become(Presence.SERVED)
        found.append(await left_of(listening))
        speaker[1].write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        found += [await left_of(one, 5) for one in (speaker, other)]
        for one in speaker, other, listening:
            await end(one[1])
        return found

    assert serve(answering, work) == [None, None, None, b"reset", b"reset"]


def test_a_websocket_of_a_port_that_vanishes_ends_for_its_app_alone() -> None:
    ended = asyncio.Event()

    async def follow(websocket: WebSocket) -> None:
        await websocket.send("there")
        assert await websocket.receive() is None
        await websocket.send("nobody hears this")
        ended.set()

    async def work(listener: Listener) -> tuple[bytes, bytes | None]:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(HANDSHAKE)
        heard = await reader.readuntil(b"there")
        await listener.become(Presence.SILENT)
        async with asyncio.timeout(5):
            await ended.wait()
        left = await left_of((reader, writer))
        await end(writer)
        return heard[:12], left

    assert serve(lambda _: AcceptWebSocket(follow), work) == (b"HTTP/1.1 101", None)


def test_what_is_asked_of_a_port_that_vanishes_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "CLOSE_S", 0.05)
    monkeypatch.setattr(module, "ANSWER_S", 0.05)
    given_up = asyncio.Event()

    async def never(_request: Request) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()

    async def work(listener: Listener) -> bytes | None:
        connection = await asyncio.open_connection("127.0.0.1", listener.port)
        connection[1].write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.sleep(0.05)
        await listener.become(Presence.SILENT)
        async with asyncio.timeout(5):
            await given_up.wait()
        left = await left_of(connection)
        await end(connection[1])
        return left

    assert serve(never, work) is None


def test_no_more_connections_are_remembered_as_forgotten_than_there_may_be() -> None:
    few = Bounds(connections=3)

    async def work(listener: Listener) -> list[bytes | None]:
        address, some = ("127.0.0.1", listener.port), []
        for _ in range(2):
            for _ in range(2):
                some.append(await asyncio.open_connection(*address))
                await asyncio.sleep(0.01)  # the server takes it up
            await listener.become(Presence.SILENT)
            await listener.become(Presence.SERVED)
        found = [await left_of(some[0], 10)]
        found += [await left_of(one) for one in some[1:]]
        for one in some:
            await end(one[1])
        return found

    assert serve(answering, work, few) == [b"reset", None, None, None]


def test_who_went_while_nobody_heard_it_leaves_nothing_behind() -> None:
    async def work(listener: Listener) -> int:
        client = socket.create_connection(("127.0.0.1", listener.port))
        await asyncio.sleep(0.01)
        await listener.become(Presence.SILENT)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        await asyncio.sleep(0.01)
        assert len(listener.forgotten) == 1
        await listener.become(Presence.SERVED)
        deadline = time.monotonic() + 10
        while listener.forgotten and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return len(listener.forgotten)

    assert serve(answering, work) == 0


def test_closing_resets_who_was_forgotten() -> None:
    async def work(listener: Listener) -> bytes | None:
        connection = await asyncio.open_connection("127.0.0.1", listener.port)
        assert await status_of(connection) == b"HTTP/1.1 200"
        await listener.become(Presence.SILENT)
        await listener.become(Presence.CLOSED)
        left = await left_of(connection, 5)
        await end(connection[1])
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", listener.port)
        return left

    assert serve(answering, work) == b"reset"


@pytest.mark.unwatched
@pytest.mark.parametrize("presence", [Presence.SILENT, Presence.CLOSED])
def test_who_is_let_in_as_the_port_goes_is_not_left_with_a_socket_of_nobody(
    presence: Presence,
) -> None:
    """In Python's own loop, a client is accepted in one turn and connected in the next.

    A socket left over is a warning, which fails a test.
    """

    async def come_as_it_goes(listener: Listener) -> None:
        for turns in range(4):
            await listener.open()
            with socket.create_connection(("127.0.0.1", listener.port)):
                for _ in range(turns):
                    await asyncio.sleep(0)
                await listener.become(presence)
        await listener.close()

    serve(answering, come_as_it_goes)
    gc.collect()


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, new_event_loop])
def test_a_port_at_which_another_listens_is_not_served_until_it_is_free(
    new_loop: Callable[[], asyncio.AbstractEventLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> list[Presence]:
        with socket.socket() as another:
            another.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            another.bind(("127.0.0.1", 0))
            port = another.getsockname()[1]
            listener = Listener(answering, "127.0.0.1", port)
            bind = listener._bound

            def bind_in_vain() -> socket.socket:
                bound = bind()
                another.listen()
                return bound

            with monkeypatch.context() as patch:
                patch.setattr(listener, "_bound", bind_in_vain)
                with pytest.raises(OSError, match=f"127.0.0.1 port {port}: .* in use"):
                    await listener.open()
            met = [listener.presence]
        await listener.open()
        met.append(listener.presence)
        await listener.close()
        return [*met, listener.presence]

    with asyncio.Runner(loop_factory=new_loop) as runner:
        met = runner.run(main())
    assert met == [Presence.SILENT, Presence.SERVED, Presence.CLOSED]


def test_a_port_whose_opening_is_called_off_is_closed() -> None:
    async def main() -> None:
        listener = Listener(answering, "127.0.0.1", 0)
        opening = asyncio.ensure_future(listener.open())
        await asyncio.sleep(0)  # asyncio's own loop waits for a turn until it serves
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        assert opening.cancelled()
        await listener.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", listener.port)

    with asyncio.Runner() as runner:
        runner.run(main())
    gc.collect()  # a server that nobody has closed complains
