from typing import Any

import pytest

from softaxe.fleet import device_histories
from softaxe.fleet.fleet import Fleet
from softaxe.testing.run import running

pytestmark = pytest.mark.unwatched


def test_each_device_has_a_point_a_minute_from_when_it_came() -> None:
    with running(speed=0) as fleet:
        fleet.clock.advance(125)
        fleet.add(board="402")
        fleet[0].restart()
        fleet.clock.advance(120)

        def look(f: Fleet) -> list[Any]:
            told = f.history.devices.to_json
            return [told(device_id) for device_id in (*f.members, "nobody")]

        first, second, nobody = fleet.call(look)

    assert len(first["now"]) == 5
    assert all(len(values) == 5 for values in first.values())
    assert second["now"] == first["now"][-2:]
    assert first["hashRate"][2] == pytest.approx(1070, rel=0.1)
    assert 40 < first["temp"][2] < 70
    uptimes = first["uptimeSeconds"]
    assert uptimes[1] < uptimes[2] > uptimes[3], "it has restarted"
    assert set(map(tuple, nobody.values())) == {()}


def test_no_more_is_kept_than_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(device_histories, "MOST_POINTS", 2)
    with running(speed=0, warm_up_s=0) as fleet:
        fleet.call(
            lambda f: setattr(f.history, "devices", device_histories.DeviceHistories())
        )
        fleet.clock.advance(200)
        told = fleet.call(lambda f: f.history.devices.to_json("601-1"))
        fleet.call(lambda f: f.history.restart(0.0))
        empty = fleet.call(lambda f: f.history.devices.to_json("601-1"))

    assert [len(values) for values in told.values()] == [2] * 7
    first, second = told["now"]
    assert first is not None
    assert second == pytest.approx(first + 60, abs=1)
    assert empty["now"] == empty["temp"] == []
