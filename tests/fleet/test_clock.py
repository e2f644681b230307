import pytest

from softaxe.fleet import clock as module
from softaxe.fleet.clock import SLICE_S, Clock


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
