import pytest

from softaxe.fleet import clock as module
from softaxe.fleet.clock import SLICE_S, Clock, Pace


class FakeTime:
    """Stands in for the system's clock."""

    def __init__(self) -> None:
        self.value = 100.0

    def monotonic(self) -> float:
        return self.value


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    fake = FakeTime()
    monkeypatch.setattr(module, "time", fake)
    return fake


def test_time_passes_as_fast_as_it_is_told(real: FakeTime) -> None:
    normal, double = Clock(), Clock(speed=2.0)
    real.value += 0.1

    assert normal.advance() == pytest.approx(0.1)
    assert double.advance() == pytest.approx(0.2)


def test_time_never_jumps_over_more_than_a_slice(real: FakeTime) -> None:
    clock = Clock()
    real.value += 1.0

    steps = [clock.advance() for _ in range(6)]

    assert steps[0] == SLICE_S
    assert steps[3:] == [pytest.approx(1.0)] * 3


def test_a_speed_that_cannot_be_kept_is_no_debt(real: FakeTime) -> None:
    clock = Clock(speed=1000.0)
    real.value += 60.0
    clock.advance()

    for _ in range(10_000):
        clock.advance()

    assert clock.now < 2000


def test_the_way_to_a_deadline_is_told_in_real_seconds(real: FakeTime) -> None:
    clock = Clock(speed=4.0, start=10.0)

    assert clock.real_delay(12.0) == pytest.approx(0.5)
    assert clock.real_delay(9.0) == 0
    real.value += 1.0
    clock.advance()
    assert clock.real_delay(100.0) == 0, "it is behind"


def test_time_stops_at_the_horizon_and_catches_up_behind_it(real: FakeTime) -> None:
    clock = Clock()
    clock.horizon = 0.1
    real.value += 0.2

    assert clock.advance() == pytest.approx(0.1)
    assert clock.real_delay(5.0) == 0, "it is behind"
    clock.horizon = 5.0
    assert clock.advance() == pytest.approx(0.2)


def test_time_that_is_behind_stands_at_once_when_it_is_paused(real: FakeTime) -> None:
    clock = Clock()
    real.value += 1.0
    before = clock.advance()
    clock.is_paused = True

    assert [clock.advance() for _ in range(3)] == [before] * 3


def go(clock: Clock, real: FakeTime, seconds: float, *, step: float = 0.05) -> None:
    for _ in range(round(seconds / step)):
        real.value += step
        clock.advance()


def test_the_speed_that_is_reached_is_told_of_the_last_ten_seconds(
    real: FakeTime,
) -> None:
    clock = Clock(speed=4.0)
    assert clock.reached_speed is None
    go(clock, real, 1.0)
    assert clock.reached_speed is None, "it has just begun to go"
    go(clock, real, 2.0)
    assert clock.reached_speed == pytest.approx(4.0)

    clock.slice_s = 0.05  # it cannot keep up
    go(clock, real, 5.0)
    reached = clock.reached_speed
    assert reached is not None
    assert 1.0 < reached < 4.0
    go(clock, real, 10.0)
    assert clock.reached_speed == pytest.approx(1.0, rel=0.02)


def test_no_speed_is_reached_while_time_stands_or_somebody_moves_it(
    real: FakeTime,
) -> None:
    clock = Clock(speed=2.0)
    go(clock, real, 5.0)
    clock.is_paused = True
    assert clock.reached_speed is None
    go(clock, real, 5.0)
    clock.is_paused = False
    go(clock, real, 3.0)
    assert clock.reached_speed == pytest.approx(2.0)

    clock.is_held = True
    go(clock, real, 5.0)
    clock.move(clock.now + 3600)
    clock.is_held = False
    go(clock, real, 3.0)
    assert clock.reached_speed == pytest.approx(2.0)

    clock.speed = 3.0
    assert clock.reached_speed is None, "that of another wish is of no interest"
    go(clock, real, 3.0)
    assert clock.reached_speed == pytest.approx(3.0)


def test_what_a_stopped_process_has_lost_is_told(real: FakeTime) -> None:
    told: list[float] = []
    clock = Clock(tell_lost=told.append)
    go(clock, real, 3.0)
    real.value += 60.0

    go(clock, real, 3.0)

    assert told == [pytest.approx(60.0, abs=0.1)]
    assert clock.now + clock.lost_s == pytest.approx(66.0, abs=0.3)
    assert clock.lost_s > 58


def test_a_long_pause_or_advance_loses_nothing(real: FakeTime) -> None:
    told: list[float] = []
    clock = Clock(tell_lost=told.append, is_paused=True)
    real.value += 3600.0
    clock.advance()
    clock.is_paused = False
    clock.is_held = True
    real.value += 3600.0
    clock.move(7.0)
    clock.is_held = False
    go(clock, real, 3.0)

    assert (told, clock.lost_s) == ([], 0.0)
    assert clock.now == pytest.approx(10.0, abs=0.3)


def test_a_part_goes_where_it_is_told_to(real: FakeTime) -> None:
    cells = [0.0] * 4
    pace, other = Pace(cells, 1), Pace(cells, 0)
    clock = Clock(pace=pace)
    pace.until = 0.4

    assert [clock.advance() for _ in range(3)] == [0.25, 0.4, 0.4]
    assert pace.now == 0.4
    assert (other.now, other.until) == (0.0, 0.0)
    assert clock.real_delay(9.0) <= module.LOOK_S
