import pytest

from softaxe.board.ambient import DAY_S, Ambient


def test_without_a_swing_the_air_stays_as_it_is() -> None:
    assert {Ambient(21.5).at(now) for now in (0, 1e5, 1e9)} == {21.5}


def test_the_day_swings_around_its_mean() -> None:
    ambient = Ambient(25.0, swing_c=4.0)

    assert ambient.at(0) == 25
    assert ambient.at(DAY_S / 4) == pytest.approx(29)
    assert ambient.at(DAY_S * 3 / 4) == pytest.approx(21)
    assert ambient.at(12.3) == pytest.approx(ambient.at(12.3 + 7 * DAY_S))
    hours = [ambient.at(DAY_S * hour / 24) for hour in range(24)]
    assert sum(hours) / 24 == pytest.approx(25)
