"""A fleet of three, and a client of its control port, for the tests of a file."""

from collections.abc import Iterator

import httpx
import pytest

from softaxe.testing import GroupOptions
from softaxe.testing.run import RunningFleet, running


@pytest.fixture(scope="module")
def fleet() -> Iterator[RunningFleet]:
    groups: list[GroupOptions] = [
        {"name": "gammas", "count": 2, "boards": ["601", "602"]},
        {"name": "supras", "board": "402"},
    ]
    with running(groups=groups, control=True, speed=0) as running_fleet:
        yield running_fleet


@pytest.fixture
def api(fleet: RunningFleet) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=fleet.control_url, timeout=120) as client:
        yield client
        client.delete("/control/faults")
        for _ in range(60):  # what was broken or restarted is to mine again
            found = client.get("/control/fleet").json()
            if found["mining"] == found["devices"]:
                break
            client.post("/control/clock/advance", json={"seconds": 10})
