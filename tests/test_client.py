import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from softaxe import client
from softaxe.client import Client
from softaxe.errors import BadResponse, DeviceTimeout


@contextmanager
def answering(
    first: bytes, then: bytes = b"", *, every_s: float = 0.0
) -> Iterator[str]:
    """A device that says something, and then something again and again."""
    is_over = threading.Event()

    def serve(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection, suppress(OSError):
            connection.sendall(first)
            while then and not is_over.wait(every_s):
                connection.sendall(then)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            is_over.set()
            thread.join(60)


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;",
    ],
)
def test_an_answer_that_drips_is_not_waited_for(
    first: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "WHOLE_ANSWER_S", 0.2)
    with (
        answering(first, b"a", every_s=0.01) as url,
        pytest.raises(DeviceTimeout, match=r"no whole answer in 0\.2 s"),
    ):
        Client(url).request("GET", "/")


def test_one_that_never_comes_to_its_point_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "WHOLE_ANSWER_S", 0.2)
    with (
        answering(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100) as url,
        pytest.raises(DeviceTimeout),
    ):
        Client(url).request("GET", "/")


def test_nothing_for_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        answering(b"HTTP/1.1 200 OK\r\n", b"x", every_s=60) as url,
        pytest.raises(DeviceTimeout, match=r"nothing in 0\.05 s"),
    ):
        Client(url, timeout_s=0.05).request("GET", "/")


def test_an_answer_of_any_length_is_refused() -> None:
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    with (
        answering(head, bytes(1 << 20)) as url,
        pytest.raises(BadResponse, match="over 4194304 bytes"),
    ):
        Client(url).request("GET", "/")


def test_a_whole_answer_is_read() -> None:
    with answering(b"HTTP/1.1 404 No\r\nA: b\r\nContent-Length: 2\r\n\r\n{}") as url:
        reply = Client(url).request("GET", "/")

    assert (reply.status, reply.headers["a"], reply.json()) == (404, "b", {})
