"""What a flood from a pool or a miner does to everybody else: `python -m bench.floods`.

One of 20 devices mines on a pool that never stops sending, or a miner never stops
sending to the built-in pool. How long do the others' answers take, and does device time
keep up?
"""

import asyncio
import itertools
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import uvloop

from bench.fleet import (
    RunningFleet,
    fleet_running,
    free_port,
    get,
    pollers,
    post,
    program,
    resident_mb,
)

DEVICES = 20
MEASURED_S = 10.0
POLL_S = 0.5
"""Each of the others is asked so often."""
SETTLED_S = 8.0
"""Until the device has restarted and dialled."""
CHUNK_BYTES = 1 << 16
HEAD = (
    b'{"id":1,"result":{"version-rolling":true,"version-rolling.mask":"1fffe000"},'
    b'"error":null}\n{"id":2,"result":[[],"81000001",8],"error":null}\n'
    b'{"id":3,"result":true,"error":null}\n'
)
NOTIFY = (
    b'{"id":null,"method":"mining.notify","params":["6f","%(h)b","01000000010000'
    b'%(h)bffffffff1e03a9d90b00","ffffffff0100","","20000000","1d00ffff","695fdb00",'
    b"true]}\n"
).replace(b'"",', b'["%(h)b"],') % {b"h": b"0f" * 32}
POOLS = {
    "pool: jobs": NOTIFY,
    "pool: garbage": b"x\n",
    "pool: difficulties": b'{"method":"mining.set_difficulty","params":[1000]}\n',
    "pool: long lines": b'{"a":[' + b"1," * 30_000 + b"1]}\n",
}
SUBSCRIBED = b'{"id":1,"method":"mining.subscribe","params":[]}\n'
MINERS = {
    "miner: bad submits": b'{"id":5,"method":"mining.submit","params":["x","1",'
    b'"0000000000000001","695fdb00","00000001"]}\n',
    "miner: names": b'{"id":3,"method":"mining.authorize","params":["x","x"]}\n',
    "miner: difficulties": b'{"id":4,"method":"mining.suggest_difficulty",'
    b'"params":[1]}\n{"id":4,"method":"mining.suggest_difficulty","params":[2]}\n',
}


COMING = "miner: new ones"
COMING_AT_ONCE = 20


async def _send_for_ever(writer: asyncio.StreamWriter, line: bytes) -> None:
    chunk = line * max(1, CHUNK_BYTES // len(line))
    while True:
        writer.write(chunk)
        await writer.drain()


async def _read_for_ever(reader: asyncio.StreamReader) -> None:
    while await reader.read(CHUNK_BYTES):
        pass


async def _be_pool(port: int, line: bytes) -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD)
        await asyncio.gather(_read_for_ever(reader), _send_for_ever(writer, line))

    server = await asyncio.start_server(flood, "127.0.0.1", port)
    await server.serve_forever()


async def _be_miner(port: int, line: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(SUBSCRIBED + MINERS["miner: names"])
    await asyncio.gather(_read_for_ever(reader), _send_for_ever(writer, line))


async def _be_new_miners(port: int) -> None:
    """Come with new names and go again, for ever."""

    async def come_and_go(number: int) -> None:
        for turn in itertools.count():
            with suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                names = (f"m{number}-{turn}-{name}" for name in range(8))
                line = '{"id":3,"method":"mining.authorize","params":["%s","x"]}\n'
                text = "".join(line % name for name in names)
                writer.write(SUBSCRIBED + text.encode())
                await reader.readline()
                writer.transport.abort()

    await asyncio.gather(*map(come_and_go, range(COMING_AT_ONCE)))


@contextmanager
def _flooded(kind: str, fleet: RunningFleet) -> Iterator[None]:
    host, port = fleet.targets()[0]
    device = f"http://{host}:{port}/api/system"
    if kind in POOLS:
        flood_port = free_port()
        with program("-m", "bench.floods", kind, str(flood_port)):
            wish = {"stratumURL": "127.0.0.1", "stratumPort": flood_port}
            post(device, wish, method="PATCH")
            post(f"{device}/restart", {})
            time.sleep(SETTLED_S)
            yield
    elif kind in MINERS or kind == COMING:
        pool_port = get(f"{device}/info")["stratumPort"]
        with program("-m", "bench.floods", kind, str(pool_port)):
            time.sleep(SETTLED_S)
            yield
    else:
        time.sleep(SETTLED_S)
        yield


async def _poll(targets: list[tuple[str, int]]) -> tuple[list[float], int]:
    times: list[float] = []
    asking = await pollers(targets, times)
    ends_at = time.perf_counter() + MEASURED_S
    while time.perf_counter() < ends_at:
        for poller in asking:
            poller.ask()
            await asyncio.sleep(POLL_S / len(asking))
    await asyncio.sleep(POLL_S)
    return times, sum(poller.failed + poller.is_waiting for poller in asking)


def measure(kind: str) -> None:
    """Print how the others fare under one flood."""
    with fleet_running(DEVICES) as fleet, _flooded(kind, fleet):
        before_mb = resident_mb(fleet.pid)
        now, clock = get(f"{fleet.url}/clock")["now"], time.perf_counter()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            times, late = runner.run(_poll(fleet.targets()[1:]))
        took_s = time.perf_counter() - clock
        reached = (get(f"{fleet.url}/clock")["now"] - now) / took_s
        cuts = statistics.quantiles(times, n=100)
        print(
            f"{kind:22} {len(times):6} {cuts[49] * 1000:7.1f} {cuts[98] * 1000:7.1f} "
            f"{max(times) * 1000:7.1f} {late:5} {reached:7.2f} "
            f"{resident_mb(fleet.pid) - before_mb:+7.1f}"
        )


def main() -> None:
    """Measure every flood, or be one."""
    if len(sys.argv) == 3:
        kind, port = sys.argv[1], int(sys.argv[2])
        if kind == COMING:
            asyncio.run(_be_new_miners(port))
        elif kind in POOLS:
            asyncio.run(_be_pool(port, POOLS[kind]))
        else:
            asyncio.run(_be_miner(port, MINERS[kind]))
        return
    print(
        f"{'19 devices beside':22} {'polls':>6} {'p50 ms':>7} {'p99 ms':>7} "
        f"{'max ms':>7} {'late':>5} {'speed':>7} {'MB':>7}"
    )
    for kind in ("nothing", *POOLS, *MINERS, COMING):
        measure(kind)


if __name__ == "__main__":
    main()
