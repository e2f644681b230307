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
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import uvloop
from websockets.asyncio.client import ClientConnection, connect

POLL_S = 5.0
"""Every device is asked so often."""
MINING_S = 330.0
"""Device time after which every device mines, and pools keep ten jobs of each, if no
block has come."""
MOST_MINED_S = 600_000.0
"""Of all devices of a fleet together, so that 10,000 are measured after a minute of
their lives: five of them take two cores six minutes."""
FIRST_ROUNDS = 3
"""Rounds before anything is counted."""
ROUNDS = 4
QUIET_S = 10.0
"""How long the fleet is left alone before it is asked."""
READY_S = 300.0
FIRST_HOST = "127.0.0.2"
END_S = 120
PEER_DEVICES, PEER_KB, PEER_HZ, PEER_HZ_DEVICES = 500, 125, 230, 200
"""Published of the peer: 500 devices on 502 threads, 125 kB each; 230 requests a
second at 200 devices."""
FAIR_DEVICES, FAIR_PERCENT = 200, 100
"""Devices that share a budget for real work, in percent of one core."""
SETTLED_S = 30.0
"""After which they have booted, and all have work."""
LOOKS = 12
"""How often they are asked, as often as they measure."""
LIVE_DEVICES, LIVE_S = 200, 20.0
"""Devices with a client of their live socket each, and how long they are followed."""
SATURATED_S = 5.0
"""How long a fleet is asked as fast as it answers."""
GOAL = (
    "goal: 10,000 devices, 2 cores, 1 GB, speed 1.00x, p99 under 100 ms; "
    "1,000 devices, 0.25 cores, p99 under 15 ms"
)
REACHED = {True: "reached", False: "missed", None: ""}


@dataclass(frozen=True, slots=True)
class Load:
    """What a fleet took, and gave."""

    devices: int
    start_s: float
    total_mb: float
    """Resident memory of all processes."""
    threads: int
    """Of all processes."""
    quiet_cores: float
    """CPU seconds per second, of all its processes, while nobody asks."""
    quiet_speed: float
    """Device seconds per second meanwhile."""
    cores: float
    """The same while every device is asked."""
    speed: float
    """Device seconds per second meanwhile."""
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    failed: int

    @property
    def step_ms(self) -> float:
        """CPU milliseconds that a second of a device takes while nobody asks."""
        return 1000 * self.quiet_cores / (self.devices * self.quiet_speed)

    @property
    def is_as_wished(self) -> bool | None:
        """Whether it reaches the goal; None for a size without one."""
        if self.devices == 10_000:
            is_fast = self.speed >= 0.995 and self.p99_ms < 100
            return is_fast and self.total_mb <= 1024 and not self.failed
        if self.devices == 1_000:
            return self.cores <= 0.25 and self.p99_ms < 15 and not self.failed
        return None


@dataclass(frozen=True, slots=True)
class RunningFleet:
    """A fleet in processes of its own."""

    pid: int
    url: str
    """Of its control API."""
    start_s: float
    """From the command until all devices were up."""

    def targets(self) -> list[tuple[str, int]]:
        """Host and port of every device."""
        rows = get(f"{self.url}/devices")["devices"]
        places = (row["url"].removeprefix("http://").rpartition(":") for row in rows)
        return [(host, int(port)) for host, _, port in places]

    def pids(self) -> list[int]:
        """The process and its children."""
        path = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [self.pid, *map(int, path.read_text(encoding="ascii").split())]

    def memory_mb(self) -> float:
        """Resident memory of all processes."""
        return sum(map(resident_mb, self.pids()))

    def threads(self) -> int:
        """Threads of all processes."""
        return sum(_status(pid, "Threads") for pid in self.pids())


class Poller(asyncio.Protocol):
    """One client's connection to one device: asks, and notes how long it took."""

    def __init__(self, request: bytes, times: list[float]) -> None:
        self._request = request
        self._times = times
        self._transport: asyncio.Transport | None = None
        self._asked = 0.0
        self.is_waiting = False
        self.failed = 0
        self.asks_on = False
        """Ask again as soon as an answer is there."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready to ask."""
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
        """Note how long an answer took."""
        if data.endswith(b"}"):  # an answer's last byte, as its first is the head's
            self.is_waiting = False
            self._times.append(time.perf_counter() - self._asked)
            if self.asks_on:
                self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail from now on."""
        self._transport = None


def _same(poller: Poller) -> Poller:
    return poller


async def pollers(targets: list[tuple[str, int]], times: list[float]) -> list[Poller]:
    """Connect a client to each target; what its answers take goes to `times`."""
    loop = asyncio.get_running_loop()
    connected = []
    for host, port in targets:
        request = f"GET /api/system/info HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n"
        poller = Poller(request.encode(), times)
        await loop.create_connection(partial(_same, poller), host, port)
        connected.append(poller)
    return connected


async def _saturate(targets: list[tuple[str, int]]) -> float:
    """Ask every device again as soon as it has answered; return answers a second."""
    times: list[float] = []
    for poller in await pollers(targets, times):
        poller.asks_on = True
        poller.ask()
    began, before = time.perf_counter(), len(times)
    await asyncio.sleep(SATURATED_S)
    return (len(times) - before) / (time.perf_counter() - began)


async def _poll(targets: list[tuple[str, int]]) -> tuple[list[float], float, int]:
    """Ask every device every POLL_S; return times, seconds measured, and failures."""
    times: list[float] = []
    asking = await pollers(targets, times)
    began = counted = time.perf_counter()
    for number in range(FIRST_ROUNDS + ROUNDS):
        if number == FIRST_ROUNDS:
            times.clear()
            counted = time.perf_counter()
            for poller in asking:
                poller.failed = 0
        for index, poller in enumerate(asking):
            due = began + (number + index / len(asking)) * POLL_S
            if (wait_s := due - time.perf_counter()) > 0.001:
                await asyncio.sleep(wait_s)
            poller.ask()
    await asyncio.sleep(0.5)
    took_s = time.perf_counter() - counted
    return times, took_s, sum(poller.failed for poller in asking)


@contextmanager
def program(*arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A Python program that is stopped at the end."""
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(END_S)


@contextmanager
def fleet_running(
    count: int, *options: str, workers: int = 1
) -> Iterator[RunningFleet]:
    """Start a fleet on free ports, and end it."""
    control = f"127.0.0.1:{free_port()}"
    arguments = ["--count", str(count), "--ephemeral", "--host", FIRST_HOST]
    arguments += ["--port", str(free_port(FIRST_HOST)), "--control", control, *options]
    if workers > 1:
        arguments += ["--workers", str(workers)]
    began = time.perf_counter()
    with program("-m", "softaxe", "run", *arguments) as process:
        _wait_until_ready(control, process)
        start_s = time.perf_counter() - began
        yield RunningFleet(process.pid, f"http://{control}/control", start_s)


def measure(count: int, *, workers: int = 1) -> Load:
    """Start a fleet, ask every device now and then, and end it."""
    with fleet_running(count, workers=workers) as fleet:
        targets, pids = fleet.targets(), fleet.pids()
        mined_s = min(MINING_S, MOST_MINED_S / count)
        post(f"{fleet.url}/clock/advance", {"seconds": mined_s})
        began_s, clock = get(f"{fleet.url}/clock")["now"], time.perf_counter()
        quiet_cores = _cores_over(fleet, QUIET_S)
        quiet_s = time.perf_counter() - clock
        quiet_speed = (get(f"{fleet.url}/clock")["now"] - began_s) / quiet_s
        before, clock = sum(map(_cpu_s, pids)), time.perf_counter()
        now_s = get(f"{fleet.url}/clock")["now"]
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            times, took_s, failed = runner.run(_poll(targets))
        real_s = time.perf_counter() - clock
        cores = (sum(map(_cpu_s, pids)) - before) / real_s
        cuts = statistics.quantiles(times, n=100)
        return Load(
            devices=count,
            start_s=fleet.start_s,
            total_mb=fleet.memory_mb(),
            threads=fleet.threads(),
            quiet_cores=quiet_cores,
            quiet_speed=quiet_speed,
            cores=cores,
            speed=(get(f"{fleet.url}/clock")["now"] - now_s) / real_s,
            requests_per_s=len(times) / took_s,
            p50_ms=cuts[49] * 1000,
            p99_ms=cuts[98] * 1000,
            failed=failed,
        )


def saturated_hz(count: int) -> float:
    """Answers a second of a mining fleet that is asked as fast as it answers."""
    with (
        fleet_running(count) as fleet,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(_saturate(fleet.targets()))


def live_cost(count: int) -> tuple[list[int], float]:
    """Follow the live socket of every device of a mining fleet.

    Returns:
        The size of every update in bytes, and the CPU seconds a second that they took,
        beyond what the fleet takes without them.
    """
    with fleet_running(count, "--firmware", "2.15.0") as fleet:
        post(f"{fleet.url}/clock/advance", {"seconds": MINING_S})
        alone = _cores_over(fleet, LIVE_S)
        sizes: list[int] = []
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            cores = runner.run(_follow_all(fleet, sizes))
    return sizes, cores - alone


async def _follow_all(fleet: RunningFleet, sizes: list[int]) -> float:
    """Note the sizes of all updates; return the CPU seconds a second meanwhile."""
    async with AsyncExitStack() as stack:
        followers = [
            await stack.enter_async_context(
                connect(f"ws://{host}:{port}/api/ws/live", proxy=None, compression=None)
            )
            for host, port in fleet.targets()
        ]
        tasks = [asyncio.ensure_future(_follow(one, sizes)) for one in followers]
        await asyncio.sleep(1.0)  # the first messages, and the baselines
        sizes.clear()
        cores = await asyncio.to_thread(_cores_over, fleet, LIVE_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return cores


async def _follow(follower: ClientConnection, sizes: list[int]) -> None:
    async for message in follower:
        sizes.append(len(message))


def _cores_over(fleet: RunningFleet, seconds: float) -> float:
    """CPU seconds per second that a fleet takes over some seconds."""
    before, clock = sum(map(_cpu_s, fleet.pids())), time.perf_counter()
    time.sleep(seconds)
    took_s = sum(map(_cpu_s, fleet.pids())) - before
    return took_s / (time.perf_counter() - clock)


def fairness(count: int, cpu_percent: int) -> tuple[float, float, float, float]:
    """Let devices do real work for one pool.

    Returns:
        The least, the middle and the most that one of them has measured of its own
        searches, in hashes a second, and the CPU seconds a second that all took.
    """
    port = free_port()
    options = ["--work", "real", "--cpu-percent", str(cpu_percent)]
    options += ["--pool", f"127.0.0.1:{port}"]
    with (
        program("-m", "softaxe", "pool", "--port", str(port)),
        fleet_running(count, *options) as fleet,
    ):
        time.sleep(SETTLED_S)
        before, clock = _cpu_s(fleet.pid), time.perf_counter()
        looks = []
        for _ in range(LOOKS):
            time.sleep(POLL_S)
            rows = get(f"{fleet.url}/devices")["devices"]
            looks.append([row["hashRate"] * 1e9 for row in rows])
        cores = (_cpu_s(fleet.pid) - before) / (time.perf_counter() - clock)
    rates = sorted(map(statistics.mean, zip(*looks, strict=True)))
    return rates[0], statistics.median(rates), rates[-1], cores


def free_port(host: str = "127.0.0.1") -> int:
    """A port nobody listens on."""
    with socket.socket() as sock:
        sock.bind((host, 0))
        port: int = sock.getsockname()[1]
    return port


def _wait_until_ready(control: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the fleet has ended with {process.returncode}")
        try:
            get(f"http://{control}/control/ready")
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise TimeoutError(f"the fleet was not ready after {READY_S:g} s")


def get(url: str) -> dict[str, Any]:
    """Ask the control API."""
    with urllib.request.urlopen(url, timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def post(url: str, body: dict[str, Any], *, method: str = "POST") -> None:
    """Tell the control API something, and wait until it has happened."""
    request = urllib.request.Request(url, json.dumps(body).encode(), method=method)
    with urllib.request.urlopen(request, timeout=None) as answer:
        answer.read()


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2]
    ticks = fields.split()
    return (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """Resident memory of a process, in megabytes."""
    return _status(pid, "VmRSS") / 1024


def _status(pid: int, name: str) -> int:
    """A number of what the system tells of a process."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    lines = [line.split() for line in text.splitlines()]
    return next((int(words[1]) for words in lines if words[0] == f"{name}:"), 0)


def fleet_figures(counts: tuple[int, ...] = (1, 100, 1000, 10_000)) -> None:
    """Print one line per size of fleet."""
    print(
        f"{'fleet, every device asked every 5 s':38} {'ready':>7} {'memory':>9} "
        f"{'each':>8} {'threads':>7} {'quiet':>6} {'a second':>9} {'cores':>6} "
        f"{'a core':>7} {'speed':>6} {'asked':>8} "
        f"{'p50':>8} {'p99':>8} {'failed':>6} {'goal':>7}"
    )
    one = measure(1)
    for count in counts:
        workers = 3 if count > 5000 else 1  # 20,000 open files each will do
        load = one if count == 1 else measure(count, workers=workers)
        name = f"{count:,} devices, {workers} process{'es' if workers > 1 else ''}"
        each_kb = (load.total_mb - workers * one.total_mb) / count * 1024
        print(
            f"{name:38} {load.start_s:5.1f} s {load.total_mb:6.0f} MB "
            f"{max(0.0, each_kb):5.0f} kB {load.threads:7} {load.quiet_cores:6.2f} "
            f"{load.step_ms:6.3f} ms {load.cores:6.2f} "
            f"{count * load.speed / load.cores:7,.0f} {load.speed:5.2f}x "
            f"{load.requests_per_s:5.0f} /s {load.p50_ms:5.1f} ms "
            f"{load.p99_ms:5.1f} ms {load.failed:6} {REACHED[load.is_as_wished]:>7}",
            flush=True,
        )
    print(GOAL)
    hz = saturated_hz(PEER_HZ_DEVICES)
    print(f"{PEER_HZ_DEVICES} devices, asked as fast as they answer: {hz:,.0f} /s")
    sizes, cores = live_cost(LIVE_DEVICES)
    print(
        f"{LIVE_DEVICES} devices, a client of the live socket each: "
        f"{len(sizes) / LIVE_S:,.0f} updates a second of "
        f"{statistics.median(sizes):,.0f} bytes, {cores:.2f} cores, "
        f"{1000 * cores * LIVE_S / len(sizes):.2f} ms each"
    )
    least, middle, most, cores = fairness(FAIR_DEVICES, FAIR_PERCENT)
    print(
        f"{FAIR_DEVICES} devices with real work for one pool, {FAIR_PERCENT} % of a "
        f"core: {least / 1000:,.1f} to {most / 1000:,.1f} kH/s, the middle one "
        f"{middle / 1000:,.1f}; {cores:.2f} cores in all"
    )
    print(
        f"a peer, as published: {PEER_HZ} /s at {PEER_HZ_DEVICES} devices; "
        f"{PEER_KB} kB each, {PEER_DEVICES} devices on {PEER_DEVICES + 2} threads"
    )


if __name__ == "__main__":
    fleet_figures(tuple(map(int, sys.argv[1:])) or (1, 100, 1000))
