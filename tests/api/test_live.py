"""What the live socket sends: everything once, then what has changed."""

import json
from typing import Any

import pytest

from softaxe import Device, Pool, Simulation
from softaxe.api import views
from softaxe.api.live import PERIOD_S, Live
from softaxe.api.schema import info_fields
from softaxe.device.mining import BlockInfo

pytestmark = pytest.mark.unwatched


def mining(release: str, seconds: float = 20) -> Simulation:
    """A device that mines on a pool."""
    device = Device(firmware=release, seed=1)
    simulation = Simulation(device, Pool.for_scaled_work(seed=1))
    simulation.advance(seconds)
    return simulation


def data(message: str | None) -> dict[str, Any]:
    """Read what an update tells."""
    assert message is not None
    update = json.loads(message)
    assert list(update) == ["event", "data"]
    assert update["event"] == "update"
    found: dict[str, Any] = update["data"]
    return found


@pytest.mark.parametrize("release", ["2.14.2", "2.15.0"])
def test_a_client_gets_all_live_members_first(release: str) -> None:
    device = mining(release).device

    whole = data(Live.whole(device))

    asked_only = {f.name for f in info_fields(device.firmware) if not f.is_live}
    info = json.loads(views.info_body(device))
    assert whole == {k: v for k, v in info.items() if k not in asked_only}
    assert list(whole) == [name for name in info if name not in asked_only]


def test_changes_before_the_first_update_are_lost_until_they_change_again() -> None:
    simulation = mining("2.15.0")
    device = simulation.device
    live = Live(device)
    device.shares.reject("Stale")

    simulation.advance(PERIOD_S)
    first = live.update(device)
    simulation.advance(2 * PERIOD_S)  # numbers move once a second
    second = data(live.update(device))

    assert first is None
    assert "sharesRejected" not in second
    device.shares.reject("Stale")
    simulation.advance(2 * PERIOD_S)
    assert data(live.update(device))["sharesRejected"] == 2


def test_updates_add_up_to_the_info_answer() -> None:
    simulation = mining("2.14.2")
    device = simulation.device
    live, seen = Live(device), data(Live.whole(device))
    simulation.advance(PERIOD_S)
    live.update(device)
    seen = data(Live.whole(device))

    sizes = []
    for _ in range(20):
        simulation.advance(PERIOD_S)
        message = live.update(device)
        if message is not None:
            sizes.append(len(data(message)))
            seen.update(data(message))

    assert seen == data(Live.whole(device))
    assert 0 < max(sizes) < len(seen) / 2


def test_an_update_is_due_every_half_second_of_device_time() -> None:
    simulation = mining("2.15.0")
    device = simulation.device
    live = Live(device)
    left_s = Live.next_at(device) - device.now
    assert 0 < left_s <= PERIOD_S
    simulation.advance(left_s)
    live.update(device)
    device.shares.reject("Stale")

    simulation.advance(PERIOD_S - 0.01)
    assert live.update(device) is None
    simulation.advance(0.01)

    assert data(live.update(device))["sharesRejected"] == 1


def test_arrays_come_whole_and_what_is_gone_is_not_told() -> None:
    simulation = mining("2.15.0")
    device = simulation.device
    live = Live(device)
    simulation.advance(PERIOD_S)
    live.update(device)
    block, device.mining.block = device.mining.block, None
    device.shares.reject("Stale")
    device.shares.reject("Above target")

    simulation.advance(PERIOD_S)
    without = data(live.update(device))
    assert isinstance(block, BlockInfo)
    device.mining.block = block
    simulation.advance(PERIOD_S)

    assert "blockHeight" not in without
    assert [one["message"] for one in without["sharesRejectedReasons"]] == [
        "Stale",
        "Above target",
    ]
    assert data(live.update(device))["blockHeight"] == block.height


def test_in_set_up_mode_there_are_no_updates() -> None:
    device = Device(firmware="2.15.0", networks=())
    device.step(20.0)
    live = Live(device)
    assert data(Live.whole(device))["apEnabled"] == 1

    messages = []
    for number in range(10):
        device.step(20.0 + number)
        messages.append(live.update(device))

    assert messages == [None] * 10


def test_after_a_restart_the_baseline_is_taken_anew() -> None:
    simulation = mining("2.14.2")
    device = simulation.device
    live = Live(device)
    simulation.advance(PERIOD_S)
    live.update(device)

    device.restart(device.now)
    simulation.advance(10)

    assert live.update(device) is None
    simulation.advance(1)
    assert "uptimeSeconds" in data(live.update(device))
