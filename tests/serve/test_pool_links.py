import asyncio
import datetime
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.each import each

from softaxe.device.events import CloseReason, ConnectPool, Link
from softaxe.fleet.certificates import Certificate, make, server_context
from softaxe.serve.intake import Intake
from softaxe.serve.pool_links import (
    LinkClosed,
    LinkNews,
    LinkOpened,
    LinkReceived,
    LinkResolved,
    PoolLinks,
    _context,
)

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Bench:
    """Pool links and what they told."""

    def __init__(self) -> None:
        self.news: list[LinkNews] = []
        self._told = asyncio.Event()
        self.links = PoolLinks(self._tell, intake=Intake())

    def _tell(self, news: LinkNews) -> None:
        self.news.append(news)
        self._told.set()

    async def until(self, count: int) -> list[LinkNews]:
        async with asyncio.timeout(60):
            while len(self.news) < count:
                self._told.clear()
                await self._told.wait()
        return self.news


@asynccontextmanager
async def serve(
    handler: Handler, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Serve a handler; give its port."""
    tasks = []

    async def handle(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        tasks.append(asyncio.current_task())
        try:
            await handler(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]
        for task in tasks:
            if task is not None:
                task.cancel()
        await asyncio.sleep(0)


def test_bytes_go_both_ways_and_the_end_is_told() -> None:
    async def main() -> None:
        async def echo(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            writer.write(b"hello\n")
            writer.write(await reader.readline())
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        async with serve(echo) as port:
            bench = Bench()
            bench.links.dial(ConnectPool(Link.MAIN, "127.0.0.1", port))
            (resolved, opened, first) = await bench.until(3)
            assert resolved == LinkResolved(Link.MAIN, "127.0.0.1")
            assert opened == LinkOpened(Link.MAIN, "127.0.0.1", port, 2)
            assert first == LinkReceived(Link.MAIN, b"hello\n")
            bench.links.send(Link.MAIN, b"again\n")
            await bench.until(5)
            assert bench.news[3] == LinkReceived(Link.MAIN, b"again\n")
            assert isinstance(bench.news[4], LinkClosed)
            assert bench.news[4].reason is CloseReason.CLOSED
            bench.links.close_all()

    asyncio.run(main())


def test_a_closed_port_is_unreachable_in_words() -> None:
    async def main() -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        bench = Bench()
        bench.links.dial(ConnectPool(Link.MAIN, "127.0.0.1", port))
        resolved, news = await bench.until(2)
        assert resolved == LinkResolved(Link.MAIN, "127.0.0.1")
        assert isinstance(news, LinkClosed)
        assert news.reason is CloseReason.UNREACHABLE
        assert "Connection refused" in news.detail

    asyncio.run(main())


@each("host", ["no-such-host.invalid", "stratum+tcp://a", "x" * 300])
def test_a_name_without_address_is_unresolved(host: str) -> None:
    async def main() -> None:
        bench = Bench()
        bench.links.dial(ConnectPool(Link.PROBE, host, 3333))
        (news,) = await bench.until(1)
        assert isinstance(news, LinkClosed)
        assert news.link is Link.PROBE
        assert news.reason is CloseReason.UNRESOLVED

    asyncio.run(main())


@pytest.mark.skipif(sys.platform != "linux", reason="options of Linux")
def test_who_asks_for_it_has_the_system_look_whether_a_pool_is_still_there() -> None:
    async def main() -> None:
        async def wait(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await reader.read()

        async with serve(wait) as port:
            bench = Bench()
            for link, keepalive in ((Link.MAIN, (60, 10, 3)), (Link.PROBE, None)):
                request = ConnectPool(link, "127.0.0.1", port, keepalive=keepalive)
                bench.links.dial(request)
            opened = await bench.until(4)
            ports = {
                news.link: int(news.own_name.rpartition(":")[2])
                for news in opened
                if isinstance(news, LinkOpened)
            }
            timers = {link: timer_of(own, port) for link, own in ports.items()}
            assert timers == {
                Link.MAIN: "02",
                Link.PROBE: "00",
            }
            bench.links.close_all()

    asyncio.run(main())


def timer_of(own: int, other: int) -> str:
    """The kind of timer that runs for a connection of two ports; 02 is keepalive's."""
    lines = Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]
    rows = [line.split() for line in lines]
    ends = f"0100007F:{own:04X}", f"0100007F:{other:04X}"
    (row,) = (row for row in rows if (row[1], row[2]) == ends)
    return row[5].partition(":")[0]


def test_who_knows_ipv4_alone_finds_no_address_of_another_kind() -> None:
    async def main() -> None:
        bench = Bench()
        bench.links.dial(ConnectPool(Link.MAIN, "::1", 3333, "ipv4 only"))
        (news,) = await bench.until(1)
        assert news == LinkClosed(Link.MAIN, CloseReason.UNRESOLVED, "no address")

    asyncio.run(main())


def test_a_pool_that_does_not_read_is_given_up() -> None:
    async def main() -> None:
        async def deaf(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await asyncio.sleep(10)

        async with serve(deaf) as port:
            bench = Bench()
            bench.links.dial(ConnectPool(Link.MAIN, "127.0.0.1", port))
            await bench.until(2)
            for _ in range(2000):
                bench.links.send(Link.MAIN, b"x" * 10_000)
                if len(bench.news) > 2:
                    break
            news = bench.news[2]
            assert isinstance(news, LinkClosed)
            assert news.reason is CloseReason.WRITE_FAILED
            bench.links.close_all()

    asyncio.run(main())


def test_what_was_closed_by_us_is_told_no_more() -> None:
    async def main() -> None:
        async def talk(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await asyncio.sleep(0.05)
            writer.write(b"late\n")
            await writer.drain()

        async with serve(talk) as port:
            bench = Bench()
            bench.links.dial(ConnectPool(Link.MAIN, "127.0.0.1", port))
            await bench.until(2)
            bench.links.close(Link.MAIN)
            await asyncio.sleep(0.2)
            assert len(bench.news) == 2
            bench.links.close_all()

    asyncio.run(main())


OWN = make(["localhost", "127.0.0.1"], seed=1)
OTHER = make(["localhost", "127.0.0.1"], seed=2)
EXPIRED = make(["localhost"], seed=3, until=datetime.datetime(2021, 1, 1))  # noqa: DTZ001
NAMED = make(["pool.example"], seed=4)


async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"you say " + await reader.read(100))
    await writer.drain()
    await reader.read(1)


async def dialled(host: str, trusted: str, tls: ssl.SSLContext | None) -> LinkNews:
    """What becomes of a connection by TLS, after its address is known."""
    async with serve(hello, tls) as port:
        bench = Bench()
        bench.links.dial(ConnectPool(Link.MAIN, host, port, "ipv4", trusted=trusted))
        opened = (await bench.until(2))[1]
        if isinstance(opened, LinkOpened):
            bench.links.send(Link.MAIN, b"hello\n")
            heard = (await bench.until(3))[2]
            assert heard == LinkReceived(Link.MAIN, b"you say hello\n")
        bench.links.close_all()
        return opened


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_tls_opens_to_who_shows_what_is_trusted(host: str) -> None:
    opened = asyncio.run(dialled(host, f"A text\n{OWN.pem}", server_context(OWN)))

    assert isinstance(opened, LinkOpened)


def test_dates_are_not_looked_at() -> None:
    tls = server_context(EXPIRED)

    assert isinstance(asyncio.run(dialled("localhost", EXPIRED.pem, tls)), LinkOpened)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_two_versions_of_tls_are_spoken(version: ssl.TLSVersion) -> None:
    tls = server_context(OWN)
    tls.minimum_version = tls.maximum_version = version

    assert isinstance(asyncio.run(dialled("localhost", OWN.pem, tls)), LinkOpened)


def test_known_authorities_are_those_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bundle.pem").write_text(OWN.pem, encoding="ascii")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "bundle.pem"))
    _context.cache_clear()
    opened = asyncio.run(dialled("localhost", "", server_context(OWN)))
    _context.cache_clear()

    assert isinstance(opened, LinkOpened)


NOT_TRUSTED = "the certificate is not trusted: "


@each(
    ("shown", "trusted", "why"),
    [
        (OWN, "", f"{NOT_TRUSTED}self-signed certificate"),
        (OWN, OTHER.pem, f"{NOT_TRUSTED}self-signed certificate"),
        (NAMED, NAMED.pem, f"{NOT_TRUSTED}Hostname mismatch"),
        (OWN, "x", "there is no certificate to trust"),
        (OWN, OWN.pem.replace("A", "B"), ""),
        (OWN, OWN.key_pem, "there is no certificate to trust"),
        (None, OWN.pem, "wrong version number"),
    ],
)
def test_who_is_not_trusted_hears_nothing(
    shown: Certificate | None, trusted: str, why: str
) -> None:
    tls = None if shown is None else server_context(shown)
    closed = asyncio.run(dialled("localhost", trusted, tls))

    assert isinstance(closed, LinkClosed)
    assert closed.reason is CloseReason.INSECURE
    assert closed.detail.startswith(why)
    assert closed.detail


def test_a_pool_that_hangs_up_while_tls_begins_is_told() -> None:
    async def main() -> None:
        async def leave(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await reader.read(1)
            writer.transport.abort()

        async with serve(leave) as port:
            bench = Bench()
            request = ConnectPool(Link.MAIN, "127.0.0.1", port, trusted="")
            bench.links.dial(request)
            closed = (await bench.until(2))[1]
            assert isinstance(closed, LinkClosed)
            assert closed.reason in {CloseReason.INSECURE, CloseReason.UNREACHABLE}
            assert closed.detail

    asyncio.run(main())


def test_a_pool_that_says_nothing_while_tls_begins_is_given_up() -> None:
    async def main() -> None:
        async def wait(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            while await reader.read(100):
                pass

        async with serve(wait) as port:
            bench = Bench()
            request = ConnectPool(
                Link.MAIN, "127.0.0.1", port, timeout_s=0.05, trusted=""
            )
            bench.links.dial(request)
            closed = (await bench.until(2))[1]
            assert isinstance(closed, LinkClosed)
            assert closed.reason is CloseReason.UNREACHABLE
            assert "timed out" in closed.detail

    asyncio.run(main())


def test_who_lets_go_when_told_the_address_is_not_connected() -> None:
    async def main() -> None:
        heard = []

        async def note(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            heard.append(await reader.read())

        async with serve(note) as port:
            links = PoolLinks(lambda news: links.close(news.link), intake=Intake())
            links.dial(ConnectPool(Link.MAIN, "127.0.0.1", port))
            await asyncio.sleep(0.1)
        assert heard == []

    asyncio.run(main())
