"""Of what a fleet's seed makes, neighbouring ones share nothing."""

import pytest

from softaxe.catalog import board
from softaxe.catalog.lottery import draw
from softaxe.device.identity import MAX_SEED, Identity
from softaxe.fleet.seeds import member_seed


def test_the_first_device_has_the_fleets_own_seed() -> None:
    assert [member_seed(seed, 1) for seed in (0, 7, MAX_SEED - 1)] == [
        0,
        7,
        MAX_SEED - 1,
    ]


@pytest.mark.unwatched
def test_no_two_devices_of_a_fleet_have_one_mac_address() -> None:
    for seed, count in ((0, 3_000), (12345, 30_000)):
        seeds = [member_seed(seed, number) for number in range(1, count + 1)]
        macs = {Identity.from_seed(one, "").mac for one in seeds}

        assert len(macs) == count
        assert max(seeds) < 1 << 53, "JSON's readers keep it"


def test_neighbouring_seeds_share_nothing() -> None:
    gamma = board("601")
    seeds = [member_seed(seed, number) for seed in range(30) for number in range(1, 31)]

    assert len(set(seeds)) == 900
    assert len({Identity.from_seed(one, "").mac for one in seeds}) == 900
    assert len({draw(gamma, one).silicons for one in seeds}) == 900
