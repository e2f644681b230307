"""A small HTTP load on keep-alive connections: as much as is answered, or at a rate.

Each connection asks again when it was answered or, at a rate, when its moment has come;
who is answered late has then waited since that moment, not since it could be asked.

Sockets and an epoll, no event loop: so cheap that the server is the limit.
"""

import select
import socket
import statistics
import time
from collections import deque
from dataclasses import dataclass, field

SLACK_BYTES = 64
"""Bodies grow and shrink by some digits; an answer ends in a brace at its end."""
WARM_UP_S = 0.5
REST_S = 2.0
"""So long the last answers are waited for."""


@dataclass(frozen=True, slots=True)
class Load:
    """What came of a load."""

    answers_per_s: float
    p99_ms: float
    """99th percentile of the time from a request, or the moment that it was due, to its
    answer's last byte."""


@dataclass(slots=True)
class _Client:
    sock: socket.socket
    missing: int = 0
    asked_at: float = 0.0
    is_waiting: bool = False
    """For an answer."""
    due: deque[float] = field(default_factory=deque)
    """When what was not asked yet should have been."""


@dataclass(slots=True)
class _Counted:
    answers: int = 0
    times_s: list[float] = field(default_factory=list)


def load(
    host: str,
    port: int,
    path: str,
    seconds: float,
    connections: int,
    *,
    rate_per_s: float | None = None,
) -> Load:
    """Ask for one route on many connections for some seconds.

    Args:
        host: Whom.
        port: Where.
        path: For what.
        seconds: How long, after a warm-up.
        connections: On how many connections, in turns.
        rate_per_s: Requests per second in all; as many as are answered when None.
    """
    request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
    answer_bytes = _one_answer(host, port, request)
    poll = select.epoll()
    clients: dict[int, _Client] = {}
    for _ in range(connections):
        client = _Client(socket.create_connection((host, port)))
        # Once answered, it is there: under load a server may let others wait outside.
        client.sock.sendall(request)
        client.missing = answer_bytes
        while not _take(client, client.sock.recv(65536)):
            pass
        client.sock.setblocking(False)
        clients[client.sock.fileno()] = client
        poll.register(client.sock, select.EPOLLIN)
    try:
        if rate_per_s is None:
            for client in clients.values():
                _ask(client, request, answer_bytes, time.perf_counter())
        _run(poll, clients, request, answer_bytes, WARM_UP_S, rate_per_s=rate_per_s)
        began = time.perf_counter()
        counted = _run(
            poll, clients, request, answer_bytes, seconds, rate_per_s=rate_per_s
        )
        took = time.perf_counter() - began
        _hear_the_rest(poll, clients, counted)
    finally:
        poll.close()
        for client in clients.values():
            client.sock.close()
    p99_s = statistics.quantiles(counted.times_s, n=100)[98]
    return Load(counted.answers / took, p99_s * 1000)


def _hear_the_rest(
    poll: select.epoll, clients: dict[int, _Client], counted: _Counted
) -> None:
    """Count who still waits: a server may have let some wait all the time.

    Whoever is not answered now either has waited as long as this.
    """
    until = time.perf_counter() + REST_S
    waiting = sum(client.is_waiting for client in clients.values())
    while waiting and time.perf_counter() < until:
        for fileno, _ in poll.poll(0.1, 256):
            client = clients[fileno]
            if _take(client, client.sock.recv(65536)):
                counted.times_s.append(time.perf_counter() - client.asked_at)
                waiting -= 1
    now = time.perf_counter()
    for client in clients.values():
        if client.is_waiting:
            counted.times_s.append(now - client.asked_at)


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


def _ask(client: _Client, request: bytes, answer_bytes: int, at: float) -> None:
    client.missing = answer_bytes
    client.asked_at = at
    client.is_waiting = True
    client.sock.send(request)


def _take(client: _Client, data: bytes) -> bool:
    """Take a piece of an answer; True when it was the last."""
    if not data:
        raise ConnectionError("the server has closed a connection")
    client.missing -= len(data)
    if client.missing > SLACK_BYTES or not data.endswith(b"}"):
        return False
    client.is_waiting = False
    return True


def _run(
    poll: select.epoll,
    clients: dict[int, _Client],
    request: bytes,
    answer_bytes: int,
    seconds: float,
    *,
    rate_per_s: float | None,
) -> _Counted:
    counted = _Counted()
    order = list(clients.values())
    asked = 0
    began = now = time.perf_counter()
    while now < began + seconds:
        wait_s = 1.0
        if rate_per_s is not None:
            while (due := began + asked / rate_per_s) <= now:
                client = order[asked % len(order)]
                client.due.append(due)
                asked += 1
                if not client.is_waiting:
                    _ask(client, request, answer_bytes, client.due.popleft())
            wait_s = due - now
        for fileno, _ in poll.poll(wait_s, 256):
            client = clients[fileno]
            if _take(client, client.sock.recv(65536)):
                now = time.perf_counter()
                counted.answers += 1
                counted.times_s.append(now - client.asked_at)
                if rate_per_s is None:
                    _ask(client, request, answer_bytes, now)
                elif client.due:
                    _ask(client, request, answer_bytes, client.due.popleft())
        now = time.perf_counter()
    return counted
