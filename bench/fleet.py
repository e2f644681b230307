"""Fleets under load: CPU and memory per device, and how fast they answer."""

import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import uvloop

POLL_S = 5.0
"""Every device is asked so often."""
FIRST_ROUNDS = 2
"""Rounds before anything is counted."""
ROUNDS = 4
READY_S = 300.0
FIRST_HOST = "127.0.0.2"
PEER_DEVICES, PEER_KB, PEER_HZ = 500, 125, 230
"""Published of the peer: 500 devices on 502 threads, 125 kB each; 230 requests a
second at 200 devices."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a fleet took, and gave."""

    devices: int
    start_s: float
    kb_per_device: float
    """Resident memory, over that of the empty program where there are many."""
    total_mb: float
    cores: float
    """CPU seconds per second, of all its processes."""
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    failed: int


class _Poller(asyncio.Protocol):
    """One client's connection to one device: asks, and notes how long it took."""

    def __init__(self, request: bytes, times: list[float]) -> None:
        self._request = request
        self._times = times
        self._transport: asyncio.Transport | None = None
        self._asked = 0.0
        self.is_waiting = False
        self.failed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def ask(self) -> None:
        """Send the request; an answer that is still missing counts as failed."""
        self.failed += self.is_waiting
        if self._transport is None:
            self.failed += 1
            return
        self.is_waiting = True
        self._asked = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"}"):  # an answer's last byte, as its first is the head's
            self.is_waiting = False
            self._times.append(time.perf_counter() - self._asked)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None


def _same(poller: _Poller) -> _Poller:
    return poller


async def _poll(targets: list[tuple[str, int]]) -> tuple[list[float], float, int]:
    """Ask every device every POLL_S; return times, seconds measured, and failures."""
    loop = asyncio.get_running_loop()
    times: list[float] = []
    pollers = []
    for host, port in targets:
        request = f"GET /api/system/info HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n"
        poller = _Poller(request.encode(), times)
        await loop.create_connection(partial(_same, poller), host, port)
        pollers.append(poller)
    began = counted = time.perf_counter()
    for number in range(FIRST_ROUNDS + ROUNDS):
        if number == FIRST_ROUNDS:
            times.clear()
            counted = time.perf_counter()
            for poller in pollers:
                poller.failed = 0
        for index, poller in enumerate(pollers):
            due = began + (number + index / len(pollers)) * POLL_S
            if (wait_s := due - time.perf_counter()) > 0.001:
                await asyncio.sleep(wait_s)
            poller.ask()
    await asyncio.sleep(0.5)
    took_s = time.perf_counter() - counted
    return times, took_s, sum(poller.failed for poller in pollers)


def measure(count: int, *, workers: int = 1) -> Load:
    """Start a fleet, poll it, and end it."""
    control = f"127.0.0.1:{_free_port('127.0.0.1')}"
    arguments = ["--count", str(count), "--ephemeral", "--host", FIRST_HOST]
    arguments += ["--port", str(_free_port(FIRST_HOST)), "--control", control]
    if workers > 1:
        arguments += ["--workers", str(workers)]
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "softaxe", "run", *arguments], stdout=subprocess.DEVNULL
    )
    try:
        _wait_until_ready(control)
        start_s = time.perf_counter() - began
        rows = _get(f"http://{control}/control/devices")["devices"]
        targets = [
            (host, int(port))
            for host, _, port in (r["url"][7:].rpartition(":") for r in rows)
        ]
        pids = _family(process.pid)
        before = sum(map(_cpu_s, pids))
        clock = time.perf_counter()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            times, took_s, failed = runner.run(_poll(targets))
        cores = (sum(map(_cpu_s, pids)) - before) / (time.perf_counter() - clock)
        total_mb = sum(map(_resident_mb, pids))
        cuts = statistics.quantiles(times, n=100)
        return Load(
            devices=count,
            start_s=start_s,
            kb_per_device=total_mb * 1024 / count,
            total_mb=total_mb,
            cores=cores,
            requests_per_s=len(times) / took_s,
            p50_ms=cuts[49] * 1000,
            p99_ms=cuts[98] * 1000,
            failed=failed,
        )
    finally:
        process.terminate()
        process.wait(60)


def _free_port(host: str) -> int:
    with socket.socket() as sock:
        sock.bind((host, 0))
        port: int = sock.getsockname()[1]
    return port


def _wait_until_ready(control: str) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        try:
            _get(f"http://{control}/control/ready")
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise TimeoutError(f"the fleet was not ready after {READY_S:g} s")


def _get(url: str) -> dict[str, list[dict[str, str]]]:
    with urllib.request.urlopen(url, timeout=60) as answer:
        found: dict[str, list[dict[str, str]]] = json.load(answer)
    return found


def _family(pid: int) -> list[int]:
    """The process and its children."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [pid, *map(int, text.split())]


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2]
    ticks = fields.split()
    return (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def fleet_figures(counts: tuple[int, ...] = (1, 100, 1000, 10_000)) -> None:
    """Print one line per size of fleet."""
    print(
        f"{'fleet, every device asked every 5 s':38} {'ready':>7} {'memory':>9} "
        f"{'each':>8} {'cores':>6} {'asked':>8} {'p50':>8} {'p99':>8} {'failed':>6}"
    )
    for count in counts:
        workers = 2 if count > 5000 else 1
        load = measure(count, workers=workers)
        name = f"{count:,} devices, {workers} process{'es' if workers > 1 else ''}"
        print(
            f"{name:38} {load.start_s:5.1f} s {load.total_mb:6.0f} MB "
            f"{load.kb_per_device:5.0f} kB {load.cores:6.2f} "
            f"{load.requests_per_s:5.0f} /s {load.p50_ms:5.1f} ms "
            f"{load.p99_ms:5.1f} ms {load.failed:6}"
        )
    print(
        f"{'peer, as published':38} {'':7} {'':9} {PEER_KB:5} kB {'':6} "
        f"{PEER_HZ:5} /s, {PEER_DEVICES} devices on {PEER_DEVICES + 2} threads"
    )


if __name__ == "__main__":
    fleet_figures(tuple(map(int, sys.argv[1:])) or (1, 100, 1000))
