import asyncio
import math
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest

from softaxe.fleet.built_in_pool import BuiltInPool
from softaxe.fleet.clock import Clock
from softaxe.fleet.options import FleetOptions, PoolOptions
from softaxe.serve.addresses import found_at
from softaxe.serve.intake import Intake
from softaxe.stratum.dialects import dialect_of
from softaxe.testing.options import GroupOptions
from softaxe.testing.run import running

Profile = Literal["documented", "firmware"]


@pytest.mark.unwatched
def test_shares_are_counted_alike_on_both_sides() -> None:
    with running(groups=[{"count": 5, "user": "w.{n}"}], speed=0) as fleet:
        fleet.clock.advance(600)
        infos = [device.info() for device in fleet]
        pool = fleet.pool.info()

    def by_worker(told: dict[str, Any]) -> tuple[int, int]:
        return told["sharesAccepted"], sum(told["sharesRejected"].values())

    told = {i["stratumUser"]: (i["sharesAccepted"], i["sharesRejected"]) for i in infos}
    assert len(told) == 5
    assert min(accepted for accepted, _ in told.values()) > 60
    assert pool["connections"] == 5
    assert {name: by_worker(one) for name, one in pool["workers"].items()} == told
    accepted, rejected = (sum(column) for column in zip(*told.values(), strict=True))
    assert by_worker(pool) == (accepted, rejected)


@asynccontextmanager
async def built_in(**options: Any) -> AsyncIterator[BuiltInPool]:
    described = FleetOptions(Path("not used"), **options)
    made = BuiltInPool(described, Clock(), Intake(), None, seed=7)
    try:
        yield made
    finally:
        await made.close()


def test_there_is_none_until_somebody_needs_it() -> None:
    async def main() -> None:
        async with built_in() as pool:
            assert (pool.rows(), pool.next_wake, pool.is_quiet) == ({}, math.inf, True)
            await pool.step(1.0)
            pool.start_over()
            assert pool.server is None

            await pool.start(take_up=lambda connection: None)
            server = pool.server
            assert server is not None
            assert pool.next_wake == server.pool.next_wake
            await pool.start(take_up=lambda connection: None)
            assert pool.server is server
            assert len(server.addresses) == 2

    asyncio.run(main())


def test_it_speaks_and_offers_what_is_ordered() -> None:
    async def main() -> None:
        order = {"pool_job_version": 0x30000000, "pool_share_version": "xor"}
        async with built_in(pool_port=0, pool_dialect="ckpool", **order) as pool:
            await pool.start(take_up=lambda connection: None)
            for _ in range(2):
                assert pool.server is not None
                made = pool.server.pool
                assert made.dialect == dialect_of(
                    "ckpool", job_version=0x30000000, share_version="xor"
                )
                assert made.chain.template.version == 0x30000000
                assert made.start_difficulty == 42 / 2**32
                pool.start_over()

    asyncio.run(main())


def test_devices_find_it_as_a_primary_and_as_a_fallback(
    free_ports: Callable[..., int],
) -> None:
    port = free_ports(3)

    async def main() -> None:
        with socket.create_server(("127.0.0.1", port)):  # is taken: the next will do
            async with built_in(pool_port=port) as pool:
                await pool.start(take_up=lambda connection: None)
                assert pool.rows() == {
                    "stratumurl": "127.0.0.1",
                    "stratumport": port + 1,
                    "fbstratumurl": "127.0.0.1",
                    "fbstratumport": port + 2,
                }

    asyncio.run(main())


def test_it_is_found_where_it_listens() -> None:
    async def found(host: str) -> tuple[str, bool]:
        async with built_in(pool_host=host, pool_port=0) as pool:
            await pool.start(take_up=lambda connection: None)
            assert pool.server is not None
            rows = pool.rows()
            place = str(rows["stratumurl"]), int(rows["stratumport"])
            _, writer = await asyncio.open_connection(*place)
            writer.close()
            return place[0], place in pool.server.addresses

    assert asyncio.run(found("127.0.0.9")) == ("127.0.0.9", True)
    assert asyncio.run(found("0.0.0.0")) == (found_at("0.0.0.0"), True)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"pool_host": "192.0.2.1"}, r"--pool-host: 192\.0\.2\.1: "),
        ({"pool": PoolOptions(place=("no.invalid", 0))}, "--host: no.invalid: "),
    ],
)
def test_an_address_that_is_not_this_machine_s_is_told(
    options: dict[str, Any], complaint: str
) -> None:
    async def main() -> None:
        async with built_in(**options) as pool:
            await pool.start(take_up=lambda connection: None)

    with pytest.raises(OSError, match=complaint):
        asyncio.run(main())


def test_it_starts_over_with_the_same_seed_and_no_miners() -> None:
    async def main() -> None:
        async with built_in() as pool:
            await pool.start(take_up=lambda connection: None)
            assert pool.server is not None
            before = pool.server.pool
            template = before.chain.template
            await pool.step(3600.0)
            assert before.chain.template != template

            pool.start_over()

            assert pool.server.pool is not before
            assert pool.server.pool.chain.template == template
            pool.replace(before)
            assert pool.server.pool is before

    asyncio.run(main())


@pytest.mark.unwatched
@pytest.mark.parametrize("profile", ["documented", "firmware"])
def test_devices_that_want_tls_reach_it_by_tls(profile: Profile) -> None:
    groups: list[GroupOptions] = [
        {
            "name": "by certificate",
            "count": 2,
            "firmware": ["2.13.2", "2.15.0"],
            "settings": {"stratumTLS": 2},
        },
        {
            "name": "by authorities, which do not know it",
            "firmware": "2.14.2",
            "settings": {"stratumTLS": 1},
        },
        {"name": "plain", "firmware": "2.14.2"},
    ]
    for group in groups:
        group["profile"] = profile
    with running(groups=groups, speed=0, control=True) as fleet:
        fleet.clock.advance(120)
        infos = [device.info() for device in fleet]
        pool = fleet.pool.info()
        texts = [str(infos), str(fleet.journal), str(fleet.pool.journal), str(pool)]
        for device in fleet:
            for path in ("softaxe/status.json", "api/system/logs"):
                texts.append(httpx.get(f"{device.url}/{path}").text)

    how = [info["poolConnectionInfo"] for info in infos]
    assert how == ["IPv4 (TLS Cert)"] * 2 + ["IPv4"] * 2
    fallen = [info["isUsingFallbackStratum"] for info in infos]
    assert fallen == [0, 0, 1, 0], "to one of plain text, as it is set"
    assert all(info["sharesAccepted"] > 5 for info in infos)
    assert not any(info["sharesRejected"] for info in infos)
    assert pool["connections"] == 4
    assert "PRIVATE KEY" not in "".join(texts)
    told = {info["stratumCert"] for info in infos[:2]}
    assert len(told) == 1
    ports = {info["stratumPort"] for info in infos}
    assert len(ports) == 2, "one of plain text"


def test_its_certificate_is_the_same_in_every_run() -> None:
    async def main() -> object:
        async with built_in() as pool:
            assert pool.rows("tls") == {}
            await pool.start(take_up=lambda connection: None)
            assert pool.rows("tls") == {}
            await pool.start(take_up=lambda connection: None, has_tls=True)
            await pool.start(take_up=lambda connection: None, has_tls=True)
            assert pool.server is not None
            assert len(pool.server.addresses) == 4
            return pool.rows("tls")["stratumcert"]

    assert asyncio.run(main()) == asyncio.run(main())


@pytest.mark.unwatched
def test_devices_mine_on_it_by_stratum_v2() -> None:
    groups: list[GroupOptions] = [
        {
            "firmware": version,
            "settings": {"stratumProtocol": "SV2", "stratumV2ChannelType": channel},
        }
        for version, channel in (("2.14.2", "extended"), ("2.15.0", "standard"))
    ]
    with running(groups=[*groups, {}], speed=0, control=True) as fleet:
        fleet.clock.advance(60)
        fleet.run(lambda running: running.take_snapshot("v2"))
        fleet.call(lambda running: running.snapshots.keep("v2"))
        fleet.clock.advance(30)
        fleet.run(lambda running: running.restore("v2"))
        fleet.clock.advance(60)
        infos = [device.info() for device in fleet]
        pool = fleet.pool.info()

    accepted = [info["sharesAccepted"] for info in infos]
    assert all(count > 5 for count in accepted)
    assert not any(info["sharesRejected"] for info in infos)
    assert pool["connections"] == 3
    assert len({info["stratumPort"] for info in infos}) == 2, "one is of v1"
    assert all(info["stratumV2AuthorityPubkey"] for info in infos[:2])


def test_other_people_s_miners_have_a_place_of_their_own(
    free_ports: Callable[..., int],
) -> None:
    port = free_ports(2)
    place = PoolOptions(place=("127.0.0.1", port), has_v2=True)

    async def main() -> None:
        async with built_in(pool=place, pool_port=0) as pool:
            await pool.start(take_up=lambda connection: None, has_plain=False)
            assert pool.server is not None
            assert pool.server.entrance is not None
            key = pool.server.entrance.authority.text
            assert pool.server.urls == [
                f"stratum+tcp://127.0.0.1:{port}",
                f"stratum2+tcp://127.0.0.1:{port + 1}/{key}",
            ]
            assert pool.rows() == pool.rows("v2") == {}
            await pool.start(take_up=lambda connection: None, has_v2=True)
            assert pool.rows("v2")["sv2authpubkey"] == key
            assert len(pool.server.urls) == 6, "with those of devices"

    asyncio.run(main())


def test_a_place_that_is_taken_is_not_exchanged_for_another(
    free_ports: Callable[..., int],
) -> None:
    place = PoolOptions(place=("127.0.0.1", free_ports()))

    async def main() -> None:
        async with built_in(pool=place) as first, built_in(pool=place) as second:
            await first.start(take_up=lambda connection: None, has_plain=False)
            with pytest.raises(OSError, match="in use"):
                await second.start(take_up=lambda connection: None, has_plain=False)

    asyncio.run(main())


def test_the_same_seed_brings_the_same_jobs_blocks_and_keys() -> None:
    place = PoolOptions(
        start_difficulty=0.001,
        network_difficulty=2.0,
        block_interval_s=60.0,
        place=("127.0.0.1", 0),
        has_v2=True,
    )
    hello = (
        b'{"id":1,"method":"mining.subscribe","params":[]}\n'
        b'{"id":2,"method":"mining.authorize","params":["me","x"]}\n'
    )

    async def main() -> tuple[bytes, str]:
        async with built_in(pool=place) as pool:
            await pool.start(take_up=lambda connection: None, has_plain=False)
            assert pool.server is not None
            assert pool.server.entrance is not None
            miner = pool.server.pool.connect(0.0, "miner")
            miner.receive(hello, 0.0)
            await pool.step(600.0)
            return miner.data_to_send(), pool.server.entrance.authority.text

    said, key = asyncio.run(main())

    assert said.count(b"mining.notify") > 20
    assert b'"mining.set_difficulty", "params": [0.001]' in said
    assert asyncio.run(main()) == (said, key)
