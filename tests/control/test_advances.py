import time
from collections.abc import Iterator

import httpx
import pytest

from softaxe.control.advances import MOST_ADVANCES
from softaxe.device.device import Device


@pytest.fixture
def slow_steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Devices that take so long that somebody loses patience."""
    step = Device.step

    def slow_step(device: Device, now: float) -> None:
        time.sleep(0.002)
        step(device, now)

    with monkeypatch.context() as slower:
        slower.setattr(Device, "step", slow_step)
        yield


def standing(api: httpx.Client) -> float:
    """Wait until the paused clock stands, and return its time."""
    deadline = time.monotonic() + 20
    before = -1.0
    while before != (now := api.get("/control/clock").json()["now"]):
        assert time.monotonic() < deadline
        before = now
        time.sleep(0.3)
    return before


def test_an_advance_ends_when_its_client_has_gone(
    api: httpx.Client, slow_steps: None
) -> None:
    """One that timed out once went on, under everybody else's feet."""
    before = standing(api)

    with pytest.raises(httpx.ReadTimeout):
        api.post("/control/clock/advance", json={"seconds": 36_000}, timeout=0.5)

    stopped = standing(api)
    assert before < stopped < before + 36_000
    assert api.get("/control/clock").json()["paused"] is True
    later = api.post("/control/clock/advance", json={"seconds": 1}).json()
    assert later["now"] == pytest.approx(stopped + 1)


def test_who_has_heard_no_answer_may_ask_again(
    api: httpx.Client, slow_steps: None
) -> None:
    until = standing(api) + 30

    for patience_s in (0.2, 60, 60):
        try:
            asked = {"until": until}
            answer = api.post("/control/clock/advance", json=asked, timeout=patience_s)
        except httpx.ReadTimeout:
            continue
        assert answer.status_code == 200
        assert answer.json()["now"] == pytest.approx(until)
    past = api.post("/control/clock/advance", json={"until": until - 20}).json()
    assert past["now"] == pytest.approx(until)


def test_a_long_advance_tells_how_far_it_is_and_can_be_stopped(
    api: httpx.Client, slow_steps: None
) -> None:
    before = standing(api)
    asked = {"seconds": 36_000, "wait": False}
    begun = api.post("/control/clock/advance", json=asked)
    assert begun.status_code == 202
    place = begun.headers["location"]
    assert place == begun.json()["url"]
    assert begun.json()["until"] == pytest.approx(before + 36_000)
    waiting = api.post("/control/clock/advance", json={"until": 1e5, "wait": False})

    deadline = time.monotonic() + 20
    while (told := api.get(place).json())["now"] <= before:
        assert time.monotonic() < deadline
    assert told["done"] is False
    for one in (waiting.json()["url"], place):
        ended = api.delete(one).json()
        assert (ended["done"], ended["error"]) == (True, "it was stopped")
    assert before < ended["now"] < before + 36_000
    assert standing(api) == pytest.approx(ended["now"])
    assert api.delete(place).json() == ended, "once is enough"
    assert api.get("/control/clock/advances/x").status_code == 404

    short = api.post("/control/clock/advance", json={"seconds": 1, "wait": False})
    while not (told := api.get(short.json()["url"]).json())["done"]:
        assert time.monotonic() < deadline + 20
    assert (told["now"], told["error"]) == (told["until"], None)


def test_advances_that_nobody_waits_for_are_bounded(
    api: httpx.Client, slow_steps: None
) -> None:
    asked = {"seconds": 36_000, "wait": False}
    answers = [
        api.post("/control/clock/advance", json=asked) for _ in range(MOST_ADVANCES + 1)
    ]

    assert [one.status_code for one in answers] == [202] * MOST_ADVANCES + [503]
    assert "advances are under way; stop one" in answers[-1].json()["error"]
    for one in reversed(answers[:-1]):
        api.delete(one.json()["url"])
    assert standing(api) < 36_000
    again = api.post("/control/clock/advance", json={"seconds": 0, "wait": False})
    assert again.status_code == 202, "those that have ended make room"
