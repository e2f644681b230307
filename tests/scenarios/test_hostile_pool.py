"""Whatever a pool says, the whole device survives it."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from softaxe import Device
from softaxe.api.views import info_body
from softaxe.device.events import ConnectPool

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


def connected() -> Device:
    device = Device(seed=1)
    now = 0.0
    while not any(isinstance(event, ConnectPool) for event in device.events()):
        now += 0.5
        device.step(now)
    device.pool_connected(now, is_own_pool=True)
    return device


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
