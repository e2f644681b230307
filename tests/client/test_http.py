import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from tests.each import each

from softaxe.client import http
from softaxe.client.axeos import AxeOS
from softaxe.client.http import address_of
from softaxe.errors import BadResponse, DeviceTimeout, DeviceUnreachable, SettingError


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
        b"HTTP/1.1 200 ",
        b"HTTP/1.1 200 OK\r\nX: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;",
    ],
)
def test_an_answer_that_drips_is_not_waited_for(
    first: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "WHOLE_ANSWER_S", 0.2)
    with (
        answering(first, b"a", every_s=0.01) as url,
        pytest.raises(DeviceTimeout, match=r"no whole answer in 0\.2 s"),
    ):
        AxeOS(url).request("GET", "/")


def test_one_that_never_comes_to_its_point_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http, "WHOLE_ANSWER_S", 0.2)
    with (
        answering(b"", b"HTTP/1.1 100 Continue\r\n\r\n", every_s=0.01) as url,
        pytest.raises(DeviceTimeout),
    ):
        AxeOS(url).request("GET", "/")


def test_nothing_for_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        answering(b"HTTP/1.1 200 OK\r\n", b"x", every_s=60) as url,
        pytest.raises(DeviceTimeout, match=r"nothing in 0\.05 s"),
    ):
        AxeOS(url, timeout_s=0.05).request("GET", "/")


def test_an_answer_of_any_length_is_refused() -> None:
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    with (
        answering(head, bytes(1 << 20)) as url,
        pytest.raises(BadResponse, match="over 4194304 bytes"),
    ):
        AxeOS(url).request("GET", "/")


def test_a_whole_answer_is_read() -> None:
    with answering(b"HTTP/1.1 404 No\r\nA: b\r\nContent-Length: 2\r\n\r\n{}") as url:
        reply = AxeOS(url).request("GET", "/")

    assert (reply.status, reply.headers["a"], reply.json()) == (404, "b", {})


def test_an_answer_may_end_with_its_connection() -> None:
    with answering(b"HTTP/1.0 200 OK\r\n\r\nall") as url:
        assert AxeOS(url).request("GET", "/").body == b"all"


def test_one_that_ends_too_soon_is_none() -> None:
    with (
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf") as url,
        pytest.raises(BadResponse, match=r"ended before the answer did"),
    ):
        AxeOS(url).request("GET", "/")


def test_what_is_said_before_the_answer_is_skipped() -> None:
    first = b"HTTP/1.1 100 Continue\r\nA: b\r\n\r\n"
    with answering(first + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as url:
        reply = AxeOS(url).request("GET", "/")

    assert (reply.status, reply.headers) == (200, {"content-length": "0"})


def test_a_switch_of_protocols_is_an_answer() -> None:
    with answering(b"HTTP/1.1 101 On\r\nUpgrade: websocket\r\n\r\n\x81\x02hi") as url:
        assert AxeOS(url).request("GET", "/api/ws").status == 101


def test_nobody_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    with pytest.raises(DeviceUnreachable, match=f"GET http://127.0.0.1:{port}/a: "):
        AxeOS(f"127.0.0.1:{port}").request("GET", "/a")


@each(
    "url",
    ["https://device", "http://", "http://device:x", "http://device:99999", "a b"],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(SettingError, match=r"device|http|a b"):
        address_of(url)


def test_nobody_can_smuggle_a_request() -> None:
    device = AxeOS("127.0.0.1:9")

    with pytest.raises(SettingError, match="cannot stand in a request"):
        device.request("GET", "/ HTTP/1.1\r\nA: b")
    with pytest.raises(SettingError, match="cannot stand in a header"):
        device.request("GET", "/", headers={"A": "b\r\nC: d"})
