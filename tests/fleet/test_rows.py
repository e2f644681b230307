"""What a fleet tells of its devices."""

import pytest

from softaxe.fleet.device_histories import hashing_hs
from softaxe.fleet.fleet import Fleet
from softaxe.fleet.rows import row, state_of, sums
from softaxe.stratum.ledger import Unanswered
from softaxe.testing.run import running

pytestmark = pytest.mark.unwatched


def test_a_switched_off_device_adds_nothing_to_the_sum() -> None:
    with running(count=2, speed=0) as fleet:
        fleet.clock.advance(60)
        both = fleet.run(lambda f: sums(f.members.values()))
        fleet[0].faults.add("ambient", c=100)
        fleet.clock.advance(900)
        assert fleet[0].info()["overheat_mode"] == 1

        left = fleet.run(lambda f: sums(f.members.values()))

        assert left["mining"] == 1
        assert left["hashRate"] == pytest.approx(both["hashRate"] / 2, rel=0.2)


def test_a_counter_that_has_run_over_is_no_part_of_the_sum() -> None:
    with running(speed=0) as fleet:
        fleet.clock.advance(60)

        def run_over(f: Fleet) -> float:
            (member,) = f.members.values()
            member.device.hashrate.current_hs = 5e17
            return hashing_hs(member.device)

        assert 0.5e12 < fleet.call(run_over) < 2e12


def test_a_pool_that_answers_no_share_is_told() -> None:
    with running(speed=0) as fleet:
        fleet.clock.advance(60)

        def look(f: Fleet) -> list[str]:
            (member,) = f.members.values()
            session = member.device.pools.session
            assert session is not None
            told = []
            for ago_s in (299.0, 300.0):
                session.unanswered = Unanswered()
                session.unanswered.submitted(1, member.device.now - ago_s)
                told.append(state_of(member))
            session.unanswered.answered(1, member.device.now)
            told.append(state_of(member))
            for _ in range(2):
                member.device.shares.reject("Above target")
                told.append(state_of(member))
            member.device.shares.accept(10)
            return [*told, state_of(member)]

        assert fleet.call(look) == [
            *("mining", "unanswered", "mining", "mining", "rejecting", "mining")
        ]


def test_a_device_is_starting_until_it_has_a_rate_and_slow_below_its_own() -> None:
    with running(speed=0) as fleet:
        fleet.clock.advance(10)

        def look(f: Fleet) -> list[str]:
            (member,) = f.members.values()
            told = [state_of(member)]
            member.device.hashrate.one_minute_hs = 0.0
            return [*told, state_of(member)]

        assert fleet.call(look) == ["mining", "starting"]
        fleet[0].patch(overclockEnabled=1, coreVoltage=1000, frequency=800)
        fleet.clock.advance(90)
        assert fleet.call(look)[0] == "slow"


def test_real_work_is_shown_and_mines_without_flicker() -> None:
    with running(speed=0, work="real") as fleet:
        fleet.clock.advance(61)

        def look(f: Fleet) -> tuple[str, float]:
            (member,) = f.members.values()
            member.device.hashrate.current_hs = 6.123e4
            shown = row(member, [])["hashRate"]
            member.device.hashrate.current_hs = 0.0
            return state_of(member), shown

        assert fleet.call(look) == ("mining", 6.123e-5)
