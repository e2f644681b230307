import asyncio
import math
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from softaxe.fleet.built_in_pool import BuiltInPool
from softaxe.fleet.clock import Clock
from softaxe.fleet.options import FleetOptions
from softaxe.serve.intake import Intake
from softaxe.testing.run import running


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

            await pool.start(take_stranger=lambda connection: None)
            server = pool.server
            assert server is not None
            assert pool.next_wake == server.pool.next_wake
            await pool.start(take_stranger=lambda connection: None)
            assert pool.server is server
            assert len(server.addresses) == 2

    asyncio.run(main())


def test_devices_find_it_as_a_primary_and_as_a_fallback(
    free_ports: Callable[..., int],
) -> None:
    port = free_ports(3)

    async def main() -> None:
        with socket.create_server(("127.0.0.1", port)):  # is taken: the next will do
            async with built_in(pool_port=port) as pool:
                await pool.start(take_stranger=lambda connection: None)
                assert pool.rows() == {
                    "stratumurl": "127.0.0.1",
                    "stratumport": port + 1,
                    "fbstratumurl": "127.0.0.1",
                    "fbstratumport": port + 2,
                }

    asyncio.run(main())


def test_it_starts_over_with_the_same_seed_and_no_miners() -> None:
    async def main() -> None:
        async with built_in() as pool:
            await pool.start(take_stranger=lambda connection: None)
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
