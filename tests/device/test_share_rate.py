from typing import Any

import pytest

from softaxe import Device, Pool, Simulation
from softaxe.device.share_rate import LEAST_SCALE, ShareRate
from softaxe.stratum.pool import PoolFaults

BOARD_HS = 1.0e12


def test_the_harder_a_share_the_more_is_searched_for_it() -> None:
    rate = ShareRate(30.0)

    easy = rate.scale(1e-6, board_hs=BOARD_HS)
    assert rate.needed_hs == pytest.approx(1e-6 * 2**32 / 2)
    hard = rate.scale(1e-3, board_hs=BOARD_HS)

    assert easy == pytest.approx(BOARD_HS / (1e-6 * 2**32 / 2))
    assert easy / hard == pytest.approx(1000)
    assert rate.possible == 30.0


def test_what_there_is_no_time_for_is_not_searched_and_told() -> None:
    rate = ShareRate(20.0)
    rate.most_hs = 1e5

    scale = rate.scale(1.0, board_hs=BOARD_HS)

    assert scale == pytest.approx(BOARD_HS / 1e5)
    assert rate.possible == pytest.approx(1e5 * 60 / 2**32)


def test_no_difficulty_makes_work_real_or_endless() -> None:
    rate = ShareRate(20.0)

    assert rate.scale(1e9, board_hs=BOARD_HS) == LEAST_SCALE
    assert rate.scale(0.0, board_hs=BOARD_HS) == pytest.approx(BOARD_HS * 3)


def mined(
    per_minute: float, difficulty: float, *, seconds: float, **device: Any
) -> tuple[Device, Simulation]:
    """A device on somebody's pool, which takes no suggestion."""
    pool = Pool(
        seed=1,
        start_difficulty=difficulty,
        network_difficulty=1e4,
        target_share_interval_s=60 / per_minute,
    )
    settings = {"stratumdiff": 0, **device.pop("settings", {})}
    made = Device(seed=1, share_rate=per_minute, settings=settings, **device)
    simulation = Simulation(made, pool, is_own_pool=False)
    simulation.advance(seconds)
    return made, simulation


@pytest.mark.parametrize(
    ("release", "settings"),
    [("2.12.2", {}), ("2.15.0", {"stratumprot": "SV2"})],
)
def test_shares_come_as_often_as_wished_and_the_board_stays_what_it_is(
    release: str, settings: dict[str, str]
) -> None:
    device, simulation = mined(
        50.0, 1e-6, seconds=170.0, firmware=release, settings=settings
    )

    wanted = 50 * 160 / 60
    assert device.shares.accepted == pytest.approx(wanted, abs=4 * wanted**0.5)
    assert device.shares.rejected == simulation.pool.totals.rejected.total() == 0
    assert device.hashrate.one_minute_hs == pytest.approx(1.07e12, rel=0.1)
    assert device.pools.pool_difficulty == pytest.approx(1.071e12 * 60 / 50 / 2**32)


@pytest.mark.unwatched
def test_a_pool_that_asks_for_more_later_gets_as_many_shares() -> None:
    device, simulation = mined(50.0, 1e-6, seconds=30.0)
    before = device.shares.accepted

    for miner in list(simulation.pool.connections):
        miner.set_faults(PoolFaults(difficulty=8e-6), simulation.now)
    simulation.advance(120.0)

    wanted = 50 * 120 / 60
    found = device.shares.accepted - before
    assert found == pytest.approx(wanted, abs=4 * wanted**0.5)
    assert device.shares.rejected == 0
    assert device.share_rate is not None
    assert device.share_rate.difficulty == 8e-6
    assert device.hashrate.one_minute_hs == pytest.approx(1.07e12, rel=0.1)


def test_nothing_is_spent_on_what_a_pool_said_before_it_took_a_suggestion() -> None:
    device = Device(seed=1, share_rate=30.0)
    assert device.share_rate is not None
    device.share_rate.most_hs = 1e5
    pool = Pool(seed=1, start_difficulty=1e-3, network_difficulty=1e4)

    Simulation(device, pool, is_own_pool=False).advance(20.0)

    assert device.mining.sent_difficulty / device.mining.sent_scale > 1e-4
    assert device.pools.pool_difficulty / device.chain.mode.scale < 1e-6


def test_a_device_with_too_little_time_searches_so_much_and_no_more() -> None:
    device = Device(seed=1, share_rate=30.0, settings={"stratumdiff": 0})
    assert device.share_rate is not None
    device.share_rate.most_hs = 1000.0
    pool = Pool(seed=1, start_difficulty=1e-4, network_difficulty=1e4)

    Simulation(device, pool, is_own_pool=False).advance(20.0)

    assert device.chain.mode.scale == pytest.approx(1.071e12 / 1000)
    assert device.share_rate.is_short
    assert device.share_rate.possible == pytest.approx(60 * 1000 / (1e-4 * 2**32))
    assert device.hashrate.current_hs == pytest.approx(1.07e12, rel=0.2)
