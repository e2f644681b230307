"""A small HTTP load: keep-alive connections that each ask again when answered.

Sockets and an epoll, no event loop: so cheap that the server is the limit.
"""

import select
import socket
import statistics
import time
from dataclasses import dataclass, field

SLACK_BYTES = 64
"""Bodies grow and shrink by some digits; an answer ends in a brace at its end."""
WARM_UP_S = 0.5


@dataclass(frozen=True, slots=True)
class Load:
    """What came of a load."""

    answers_per_s: float
    p99_ms: float
    """99th percentile of the time from a request to its answer's last byte."""


@dataclass(slots=True)
class _Client:
    sock: socket.socket
    missing: int = 0
    asked_at: float = 0.0


@dataclass(slots=True)
class _Counted:
    answers: int = 0
    times_s: list[float] = field(default_factory=list)


def load(host: str, port: int, path: str, seconds: float, connections: int) -> Load:
    """Ask for one route on many connections for some seconds."""
    request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
    answer_bytes = _one_answer(host, port, request)
    poll = select.epoll()
    clients: dict[int, _Client] = {}
    for _ in range(connections):
        client = _Client(socket.create_connection((host, port)))
        client.sock.setblocking(False)
        clients[client.sock.fileno()] = client
        poll.register(client.sock, select.EPOLLIN)
    try:
        for client in clients.values():
            _ask(client, request, answer_bytes, time.perf_counter())
        _run(poll, clients, request, answer_bytes, WARM_UP_S)
        began = time.perf_counter()
        counted = _run(poll, clients, request, answer_bytes, seconds)
        took = time.perf_counter() - began
    finally:
        poll.close()
        for client in clients.values():
            client.sock.close()
    p99_s = statistics.quantiles(counted.times_s, n=100)[98]
    return Load(counted.answers / took, p99_s * 1000)


def _one_answer(host: str, port: int, request: bytes) -> int:
    """Return how long an answer is, head and body."""
    with socket.create_connection((host, port)) as sock, sock.makefile("rb") as stream:
        sock.sendall(request)
        size = length = 0
        while (line := stream.readline()) != b"\r\n":
            size += len(line)
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return size + len(b"\r\n") + len(stream.read(length))


def _ask(client: _Client, request: bytes, answer_bytes: int, now: float) -> None:
    client.missing = answer_bytes
    client.asked_at = now
    client.sock.send(request)


def _run(
    poll: select.epoll,
    clients: dict[int, _Client],
    request: bytes,
    answer_bytes: int,
    seconds: float,
) -> _Counted:
    counted = _Counted()
    until = time.perf_counter() + seconds
    while (now := time.perf_counter()) < until:
        for fileno, _ in poll.poll(1.0, 256):
            client = clients[fileno]
            data = client.sock.recv(65536)
            if not data:
                raise ConnectionError("the server has closed a connection")
            client.missing -= len(data)
            if client.missing <= SLACK_BYTES and data.endswith(b"}"):
                now = time.perf_counter()
                counted.answers += 1
                counted.times_s.append(now - client.asked_at)
                _ask(client, request, answer_bytes, now)
    return counted
