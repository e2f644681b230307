"""The built-in pool with miners that have no manners, on real sockets."""

import asyncio
import contextlib
import itertools
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from softaxe.fleet import pool_server
from softaxe.fleet.certificates import make, server_context
from softaxe.fleet.clock import Clock
from softaxe.fleet.pool_server import PoolServer
from softaxe.serve.intake import TURN_LINES, Intake
from softaxe.stratum.pool import Pool

SETUP = (
    b'{"id":2,"method":"mining.subscribe","params":[]}\n'
    b'{"id":3,"method":"mining.authorize","params":["%b","x"]}\n'
)
SUBMIT = b'{"id":5,"method":"mining.submit","params":["w","1","00","00","00"]}\n'


@asynccontextmanager
async def serving() -> AsyncIterator[PoolServer]:
    server = PoolServer(Pool.for_scaled_work(seed=1), Clock(), intake=Intake())
    await server.listen("127.0.0.1", 0)
    try:
        yield server
    finally:
        await server.close()


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run it, and let nothing go wrong beside it."""
    wrong: list[dict[str, Any]] = []
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.get_loop().set_exception_handler(lambda _, about: wrong.append(about))
        runner.run(work)
    assert wrong == []


async def until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        for _ in itertools.takewhile(lambda _: not is_so(), itertools.count()):
            await asyncio.sleep(0)


def test_what_a_miner_has_sent_before_it_went_is_heard() -> None:
    async def main() -> None:
        async with serving() as server:
            with socket.create_connection(server.addresses[0]) as miner:
                miner.sendall(SETUP % b"w" + SUBMIT * 500)
            await until(lambda: server.connection_count)
            await until(lambda: not server.connection_count)
            assert sum(server.pool.totals.rejected.values()) == 500

    run(main())


def test_a_miner_that_does_not_read_is_disconnected_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool_server, "SHUTDOWN_S", 0)
    monkeypatch.setattr(pool_server, "MAX_UNSENT_BYTES", 1 << 30)

    async def main() -> None:
        async with serving() as server:
            with socket.socket() as miner:
                miner.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                miner.setblocking(False)
                loop = asyncio.get_running_loop()
                await loop.sock_connect(miner, server.addresses[0])
                await loop.sock_sendall(miner, SETUP % b"w")
                await until(
                    lambda: any(one.is_mining for one in server.pool.connections)
                )
                [connection] = server.pool.connections
                for _ in range(60):  # more than the system's own buffers take
                    connection.flood(100)
                    server.flush_all()

                connection.close("on order")
                server.flush_all()

                await until(lambda: not server.connection_count)

    run(main())


def test_miners_may_come_from_one_port_to_two_of_the_pools() -> None:
    async def main() -> None:
        async with serving() as server:
            await server.listen("127.0.0.1", 0)
            miners: list[socket.socket] = []
            for address in server.addresses:
                miner = socket.socket()
                miner.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                own = miners[0].getsockname() if miners else ("127.0.0.1", 0)
                miner.bind(own)
                miner.setblocking(False)
                await asyncio.get_running_loop().sock_connect(miner, address)
                miners.append(miner)
            place = "{}:{}".format(*miners[0].getsockname())
            await until(lambda: server.connection_count == 2)
            names = [one.name for one in server.pool.connections]
            assert names == [place, f"{place}~2"]

            for number, miner in enumerate(miners):
                miner.send(b'{"id":%d,"method":"mining.ping"}\n' % number)
            for number, miner in enumerate(miners):
                loop = asyncio.get_running_loop()
                assert json.loads(await loop.sock_recv(miner, 999))["id"] == number
            miners[0].close()
            await until(lambda: server.connection_count == 1)
            assert server.connection(f"{place}~2") is not None
            miners[1].close()

    run(main())


def test_a_flood_does_not_keep_another_miner_waiting() -> None:
    async def main() -> None:
        async with serving() as server:
            flood = socket.create_connection(server.addresses[0])
            flood.sendall(SETUP % b"flood" + SUBMIT * 500)
            await until(lambda: server.pool.totals.rejected)
            reader, writer = await asyncio.open_connection(*server.addresses[0])
            writer.write(SETUP % b"honest")
            heard = [await reader.readline()]
            # Of the flood much is still to come when the other's job is there.
            while b"mining.notify" not in heard[-1]:
                heard.append(await reader.readline())
            told = sum(server.pool.totals.rejected.values())
            assert told < 500 - TURN_LINES
            flood.close()
            writer.close()
            await until(lambda: not server.connection_count)

    run(main())


def test_a_miner_that_closes_its_line_at_once_is_forgotten() -> None:
    async def main() -> None:
        async with serving() as server:
            for _ in range(5):
                socket.create_connection(server.addresses[0]).close()
            await asyncio.sleep(0.05)
            await until(lambda: not server.connection_count)
            assert server.pool.connections == ()

    run(main())


def test_a_miner_that_has_gone_before_it_is_taken_up_leaves_nothing() -> None:
    async def main() -> None:
        async with serving() as server:
            for _ in range(5):
                gone = socket.create_connection(server.addresses[0])
                reset = struct.pack("ii", 1, 0)
                gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                gone.close()
            reader, writer = await asyncio.open_connection(*server.addresses[0])
            writer.write(b'{"id":1,"method":"mining.ping"}\n')
            await reader.readline()
            assert server.connection_count == 1
            writer.close()
            await until(lambda: not server.connection_count)

    run(main())


def test_by_tls_who_speaks_plain_text_is_no_miner() -> None:
    async def main() -> None:
        own = make(["127.0.0.1"], seed=1)
        async with serving() as server:
            address = await server.listen("127.0.0.1", 0, tls=server_context(own))
            for data in (SETUP % b"plain", b"\x16\x03\x01", b""):
                with socket.create_connection(address) as rude:
                    rude.sendall(data)
            trusting = ssl.create_default_context(cadata=own.pem)
            trusting.verify_flags |= ssl.VERIFY_X509_STRICT
            reader, writer = await asyncio.open_connection(*address, ssl=trusting)
            writer.write(SETUP % b"w")
            assert json.loads(await reader.readline())["id"] == 2
            assert server.connection_count == 1
            server.replace(Pool.for_scaled_work(seed=2))
            with contextlib.suppress(ConnectionError):
                await reader.read()
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            await until(lambda: not server.connection_count)

    run(main())


def test_lines_are_answered_in_their_order() -> None:
    async def main() -> None:
        async with serving() as server:
            reader, writer = await asyncio.open_connection(*server.addresses[0])
            ping = b'{"id":%d,"method":"mining.ping"}\n'
            writer.write(b"".join(ping % number for number in range(200)))
            ids = [json.loads(await reader.readline())["id"] for _ in range(200)]
            writer.close()
            await until(lambda: not server.connection_count)
        assert ids == list(range(200))

    run(main())


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_port_that_another_takes_in_the_same_moment_is_left_to_it(
    new_loop: Callable[[], asyncio.AbstractEventLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Loop:
        """Lets another listen at a port that has been bound."""

        async def create_server(self, *args: Any, **more: Any) -> asyncio.Server:
            server = await runner.get_loop().create_server(*args, **more)
            another.listen()
            return server

    async def main() -> None:
        server = PoolServer(Pool.for_scaled_work(seed=1), Clock(), intake=Intake())
        with monkeypatch.context() as patch:
            patch.setattr(asyncio, "get_running_loop", Loop)
            with pytest.raises(OSError, match="in use"):
                await server.listen("127.0.0.1", port)
        assert await server.listen("127.0.0.1", port, tries=50) > ("127.0.0.1", port)
        await server.close()
        await asyncio.sleep(0)

    with socket.socket() as another, asyncio.Runner(loop_factory=new_loop) as runner:
        another.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        another.bind(("127.0.0.1", 0))
        port = another.getsockname()[1]
        runner.run(main())
