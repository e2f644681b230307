"""Whatever a pool says, the whole device survives it."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pool_lines import NOTIFY, SUBSCRIBED

from softaxe import Device
from softaxe.api.views import info_body
from softaxe.device.events import CloseReason, ConnectPool, Link
from softaxe.device.profile import DOCUMENTED, FIRMWARE, Profile

hex32 = st.binary(min_size=32, max_size=32).map(bytes.hex)
u32 = st.integers(0, 2**32 - 1).map(lambda value: f"{value:08x}")
notify = st.tuples(
    st.text(max_size=8),
    hex32,
    st.binary(max_size=90).map(bytes.hex),
    st.binary(max_size=60).map(bytes.hex),
    st.lists(hex32, max_size=3),
    u32,
    u32,
    u32,
    st.booleans(),
).map(lambda params: {"id": None, "method": "mining.notify", "params": params})
difficulty = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False), st.integers(), st.just(2**-40)
).map(lambda d: {"id": None, "method": "mining.set_difficulty", "params": [d]})
answer = st.tuples(st.integers(-1, 9), st.sampled_from([True, False, None, [1, "x"]]))
other = st.one_of(
    answer.map(lambda a: {"id": a[0], "result": a[1], "error": None}),
    answer.map(lambda a: {"id": a[0], "result": None, "error": a[1]}),
    st.tuples(st.binary(max_size=9), st.integers(-2, 40)).map(
        lambda e: {"id": 2, "result": [[], e[0].hex(), e[1]], "error": None}
    ),
    u32.map(lambda m: {"method": "mining.set_version_mask", "params": [m]}),
    st.just({"method": "client.reconnect", "params": []}),
)


AUTHORIZED = {"id": 3, "error": None, "result": True}
EASY = {"id": None, "method": "mining.set_difficulty", "params": [2**-40]}
REFUSALS: list[dict[str, Any]] = [
    {"id": 2, "error": None, "result": None},
    {"id": 2, "error": [20, "banned", None], "result": None},
    {"id": 2, "error": None, "result": [[], "e9695791", -1]},
]
MINUTES = 60


def connected(profile: Profile = DOCUMENTED) -> Device:
    device = Device(seed=1, profile=profile)
    now = 0.0
    while not any(isinstance(event, ConnectPool) for event in device.events()):
        now += 0.5
        device.step(now)
    device.pool_connected(now, is_own_pool=True)
    return device


def live(device: Device, seconds: float, *lines: dict[str, Any]) -> list[float]:
    """Let it live with a pool that says so much at every connection; return dials."""
    dials, until = [], device.now + seconds
    while device.now < until:
        device.step(device.now + 0.1)
        for event in device.events():
            if isinstance(event, ConnectPool) and event.link is Link.MAIN:
                dials.append(device.now)
                device.pool_connected(device.now, is_own_pool=True)
                tell(device, *lines)
    return dials


def tell(device: Device, *lines: dict[str, Any]) -> None:
    """Let the pool say something."""
    data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    device.pool_received(data, device.now)


def submits(device: Device) -> list[str]:
    """The extranonce2 of every share that is to be sent."""
    said = [json.loads(line) for line in device.data_to_pool().splitlines()]
    return [one["params"][2] for one in said if one["method"] == "mining.submit"]


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_pool_that_gives_no_extranonce_is_left_and_tried_again_later(
    refusal: dict[str, Any],
) -> None:
    device = connected()
    tell(device, refusal)

    dials = live(device, 5 * MINUTES, refusal, EASY, NOTIFY)

    assert submits(device) == []
    assert min(b - a for a, b in pairwise(dials)) > 5
    assert len(dials) > 50, "it does not give up"
    said = [line.text for line in device.log.take()]
    assert any(text.startswith("Pool refused to subscribe: ") for text in said)
    live(device, 1 * MINUTES, SUBSCRIBED, AUTHORIZED, EASY, NOTIFY)
    assert {len(one) for one in submits(device)} == {8}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_the_firmware_crashes_at_a_job_without_an_extranonce_again_and_again(
    refusal: dict[str, Any],
) -> None:
    device = connected(FIRMWARE)
    tell(device, refusal, AUTHORIZED, EASY, NOTIFY)
    boots = set()
    for _ in range(30):
        live(device, 2, refusal, AUTHORIZED, EASY, NOTIFY)
        assert submits(device) == []
        boots.add(device.booted_at)

    assert len(boots) > 3
    assert device.reset_reason == "Software reset due to exception/panic"
    live(device, 1 * MINUTES, SUBSCRIBED, AUTHORIZED, EASY, NOTIFY)
    assert {len(one) for one in submits(device)} == {8}


def test_the_firmware_mines_on_with_the_extranonce_of_an_earlier_connection() -> None:
    device = connected(FIRMWARE)
    tell(device, SUBSCRIBED)
    device.pool_closed(CloseReason.CLOSED, device.now)

    booted_at = device.booted_at
    live(device, 1 * MINUTES, REFUSALS[0], AUTHORIZED, EASY, NOTIFY)

    assert device.booted_at == booted_at
    assert {len(one) for one in submits(device)} == {8}


@pytest.mark.parametrize("profile", [DOCUMENTED, FIRMWARE])
def test_who_is_not_authorized_mines_all_the_same(profile: Profile) -> None:
    device = connected(profile)
    refusal = {"id": 3, "result": False, "error": [24, "unauthorized worker", None]}
    tell(device, SUBSCRIBED, refusal, EASY, NOTIFY)

    assert live(device, 1 * MINUTES) == []
    assert submits(device)


@settings(max_examples=40)
@given(st.lists(st.one_of(notify, difficulty, other), min_size=1, max_size=25))
def test_any_messages_in_any_order(messages: list[dict[str, Any]]) -> None:
    device = connected()
    now = device.now
    for message in messages:
        now += 0.4
        device.pool_received(json.dumps(message).encode() + b"\n", now)
        for event in device.events():
            if isinstance(event, ConnectPool):
                device.pool_connected(now, is_own_pool=True)
        device.data_to_pool()
    device.step(now + 30)

    assert json.loads(info_body(device))["ASICModel"] == "BM1370"
