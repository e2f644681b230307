"""`make bench`: prints every figure beside its peer or limit."""

import http.client
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.fleet import (
    fleet_figures,
    fleet_running,
    free_port,
    program,
    resident_mb,
)
from bench.kernels import kernel_figures
from bench.load import Load, load
from bench.page import (
    find_chromium,
    first_paint_s,
    fleet_weight_bytes,
    frames_ms,
    weight_bytes,
)
from softaxe import Device, Pool, Simulation, testing

ROUNDS = 5
FIXTURES = 20
FLEET_DEVICES = 1000
LOAD_S = 2.0
RATE = 0.8
"""Of what the peer answers at most: so much both are asked when latency counts."""
INFO = "/api/system/info"
HOUR_S = 3600
DEVICE_SECOND_MS = 0.12
LATENCY_HZ = 200
LATENCY_REQUESTS = 600


def main() -> None:
    """Measure and print."""
    print(f"{'figure':44} {'softaxe':>12} {'peer or limit':>14}  ratio")
    http_figures()
    start_figures()
    import_figures()
    hour_figure()
    stratum_figures()
    latency_figures()
    kernel_figures()
    fixture_figures()
    page_figures()
    fleet_figures()


def http_figures() -> None:
    """Info on one core, softaxe and the peer in turns; the load has another core."""
    with softaxe_running() as (port, process), tempfile.TemporaryDirectory() as folder:
        body = Path(folder) / "info.json"
        body.write_bytes(fetch(port))
        peer_port = free_port()
        with program("-m", "bench.peer", str(peer_port), str(body)) as peer:
            wait_for(peer_port)
            pin(process.pid, 0)
            pin(peer.pid, 0)
            pin(0, 1)
            for connections in (32, 1000):
                http_rows(port, peer_port, connections)
            row(
                "memory of the process after load",
                f"{resident_mb(process.pid):.0f} MB",
                f"{resident_mb(peer.pid):.0f} MB",
                resident_mb(process.pid) / resident_mb(peer.pid),
            )
    unpin()


def http_rows(port: int, peer_port: int, connections: int) -> None:
    """Answers per second, and the time of an answer, at so many connections."""
    ours, theirs = list[Load](), list[Load]()
    for _ in range(ROUNDS):
        for found, at in (ours, port), (theirs, peer_port):
            found.append(load("127.0.0.1", at, INFO, LOAD_S, connections))
    pairs = list(zip(ours, theirs, strict=True))
    row(
        f"info answers per second, {connections:,} connections",
        f"{statistics.median(one.answers_per_s for one in ours):,.0f}",
        f"{statistics.median(one.answers_per_s for one in theirs):,.0f}",
        statistics.median(a.answers_per_s / b.answers_per_s for a, b in pairs),
    )
    p99_row(f"p99 of info, {connections:,} connections, flat out", ours, theirs)
    rate = RATE * min(one.answers_per_s for one in theirs)
    ours, theirs = [], []
    for _ in range(ROUNDS):
        for found, at in (ours, port), (theirs, peer_port):
            one = load("127.0.0.1", at, INFO, LOAD_S, connections, rate_per_s=rate)
            found.append(one)
    p99_row(f"p99, {connections:,} connections, {rate:,.0f} a second", ours, theirs)


def p99_row(name: str, ours: Sequence[Load], theirs: Sequence[Load]) -> None:
    """Print the 99th percentile of the time of an answer."""
    ratios = [a.p99_ms / b.p99_ms for a, b in zip(ours, theirs, strict=True)]
    row(
        name,
        f"{statistics.median(one.p99_ms for one in ours):.1f} ms",
        f"{statistics.median(one.p99_ms for one in theirs):.1f} ms",
        statistics.median(ratios),
    )


def start_figures() -> None:
    """Command to first answer."""
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder:
        body = Path(folder) / "info.json"
        body.write_bytes(b"{}")
        for _ in range(ROUNDS):
            began = time.perf_counter()
            with softaxe_running():
                ours.append(time.perf_counter() - began)
            port = free_port()
            began = time.perf_counter()
            with program("-m", "bench.peer", str(port), str(body)):
                wait_for(port)
                theirs.append(time.perf_counter() - began)
    mine, peer = statistics.median(ours), statistics.median(theirs)
    row("start to first answer", f"{mine:.2f} s", f"{peer:.2f} s", mine / peer)
    row("", "", "limit 1.00 s", mine)


def import_figures() -> None:
    """CPU of those who only have softaxe installed, or ask for its version."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_x.py").write_text("def test_x(): pass\n")
        alone = "-m", "pytest", "-q", folder  # without what else is installed here
        bare, imported, version, without, with_ours = cpu_ms(
            ("-c", ""),
            ("-c", "import softaxe"),
            ("-m", "softaxe", "--version"),
            alone,
            (*alone, "-p", "softaxe.testing.plugin"),
        )
    for name, took_ms, limit_ms in (
        ("import softaxe, CPU", imported - bare, 60),
        ("--version, CPU", version, 150),
        ("unused pytest plugin, CPU", with_ours - without, 30),
    ):
        row(name, f"{took_ms:.0f} ms", f"limit {limit_ms} ms", took_ms / limit_ms)


def cpu_ms(*commands: tuple[str, ...]) -> list[float]:
    """CPU that Python takes with these arguments, at best; measured in turns."""
    times_s: list[list[float]] = [[] for _ in commands]
    for _ in range(4 * ROUNDS):
        for command, times in zip(commands, times_s, strict=True):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(
                [sys.executable, *command],
                check=True,
                stdout=subprocess.DEVNULL,
                env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            )
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            user_s = after.ru_utime - before.ru_utime
            times.append(user_s + after.ru_stime - before.ru_stime)
    return [min(times) * 1000 for times in times_s]


def page_figures() -> None:
    """Our own pages in Chromium."""
    for name, weight in ("", weight_bytes()), ("fleet's ", fleet_weight_bytes()):
        text = f"{weight / 1000:.1f} kB"
        row(f"{name}page, gzipped", text, "limit 150 kB", weight / 150_000)
    chromium = find_chromium()
    if chromium is None:
        row("page, first paint", "no chromium", "limit 1.00 s", 0)
        return
    with softaxe_running() as (port, _):
        paint_s = first_paint_s(chromium, port)
    row("page, first paint", f"{paint_s:.2f} s", "limit 1.00 s", paint_s)
    with fleet_running(FLEET_DEVICES) as fleet:
        gaps_ms = frames_ms(chromium, fleet.url.removesuffix("control"))
    name = f"{FLEET_DEVICES:,} devices scrolled, "
    middle, longest = statistics.median(gaps_ms), max(gaps_ms)
    row(f"{name}frame by frame", f"{middle:.0f} ms", "limit 17 ms", middle / 17)
    row(f"{name}longest", f"{longest:.0f} ms", "limit 100 ms", longest / 100)


def fixture_figures() -> None:
    """From nothing to a device that mines, in somebody's test."""
    with testing.running():  # what is loaded once
        pass
    times_s = []
    for _ in range(FIXTURES):
        began = time.perf_counter()
        with testing.running():
            times_s.append(time.perf_counter() - began)
    took_ms = statistics.median(times_s) * 1000
    row("a device for a test", f"{took_ms:.0f} ms", "limit 50 ms", took_ms / 50)


def hour_figure() -> None:
    """CPU for one hour of a mining Gamma with its pool in the same process."""
    simulation = Simulation(Device(seed=1), Pool.for_scaled_work(seed=1))
    simulation.advance(60)
    began = time.process_time()
    simulation.advance(HOUR_S)
    took = time.process_time() - began
    speed = HOUR_S / took
    row("one simulated hour, CPU time", f"{took:.2f} s", "", 0)
    each_ms = 1000 * took / HOUR_S
    goal = f"goal {DEVICE_SECOND_MS} ms"
    row(
        "one device-second, CPU time",
        f"{each_ms:.3f} ms",
        goal,
        each_ms / DEVICE_SECOND_MS,
    )
    row("device-hours an hour, one core", f"{speed:,.0f}", "goal 100,000", speed / 1e5)


def stratum_figures() -> None:
    """CPU for one hour of a Gamma on 2.15, by Stratum v2 beside v1."""
    v1_s = _hour_s({})
    row("one simulated hour of 2.15, CPU time", f"{v1_s:.2f} s", "", 0)
    for channel in ("extended", "standard"):
        took = _hour_s({"stratumprot": "SV2", "sv2chantype": channel})
        name = f"the same by Stratum v2, {channel}"
        row(name, f"{took:.2f} s", f"{v1_s:.2f} s", took / v1_s)


def _hour_s(settings: dict[str, str | int | float]) -> float:
    device = Device(seed=1, firmware="2.15.0", settings=settings)
    simulation = Simulation(device, Pool.for_scaled_work(seed=1))
    simulation.advance(60)
    began = time.process_time()
    simulation.advance(HOUR_S)
    return time.process_time() - began


def latency_figures() -> None:
    """HTTP latency while the device searches flat out on every core, beside idle."""
    cores = os.cpu_count() or 1
    busy_options = ("--work", "real", "--cpu-percent", str(100 * cores))
    idle: list[float] = []
    busy: list[float] = []
    for _ in range(ROUNDS):
        for options, times in (("--work", "scaled"), idle), (busy_options, busy):
            with softaxe_running(*options) as (port, _):
                wait_for_hashes(port)
                times.append(p99_ms(port))
    mine, peer = statistics.median(busy), statistics.median(idle)
    row(
        "p99 of info, searching flat out (peer: not)",
        f"{mine:.2f} ms",
        f"{peer:.2f} ms",
        mine / peer,
    )


def wait_for_hashes(port: int) -> None:
    """Return when the device says that it hashes."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if json.loads(fetch(port))["hashRate"]:
            return
        time.sleep(0.2)
    raise TimeoutError("the device does not hash")


def p99_ms(port: int) -> float:
    """99th percentile of the time of an answer, at LATENCY_HZ."""
    times = []
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    for _ in range(LATENCY_REQUESTS):
        began = time.perf_counter()
        connection.request("GET", INFO)
        connection.getresponse().read()
        times.append(time.perf_counter() - began)
        time.sleep(1 / LATENCY_HZ)
    connection.close()
    return statistics.quantiles(times, n=100)[98] * 1000


def row(name: str, ours: str, peer: str, ratio: float) -> None:
    """Print one line."""
    print(f"{name:44} {ours:>12} {peer:>14}  {f'{ratio:.2f}' if ratio else ''}")


@contextmanager
def softaxe_running(*options: str) -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    """A softaxe on a free port, from its command to its first answer and on."""
    port = free_port()
    arguments = ("-m", "softaxe", "run", "--ephemeral", "--port", str(port), *options)
    with program(*arguments) as process:
        wait_for(port)
        yield port, process


def wait_for(port: int) -> None:
    """Return after the first answer."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            fetch(port)
        except OSError:
            time.sleep(0.005)
        else:
            return
    raise TimeoutError(f"nothing answers on port {port}")


def fetch(port: int) -> bytes:
    """Return the body of the info route."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{INFO}", timeout=5) as answer:
        body: bytes = answer.read()
    return body


def pin(pid: int, core: int) -> None:
    """Keep a process on one core where the system can and has two."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(pid, {core})


def unpin() -> None:
    """Let this process run anywhere again."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(range(os.cpu_count() or 1)))


if __name__ == "__main__":
    main()
