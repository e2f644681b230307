from collections.abc import Iterator

import httpx
import pytest

from softaxe.errors import SettingError
from softaxe.testing.run import RunningFleet, running


@pytest.fixture(scope="module")
def fleet() -> Iterator[RunningFleet]:
    with running(count=2, speed=0, warm_up_s=0) as made:
        one, two = made
        httpx.patch(f"{one.url}/api/system", json={"frequency": 490})
        httpx.patch(f"{one.url}/api/system", json={"frequency": 525})
        httpx.get(f"{two.url}/api/system/info")
        yield made


def test_requests_are_found_by_what_they_are_like(fleet: RunningFleet) -> None:
    (low,) = fleet.journal.find(method="PATCH", body={"frequency": {"below": 500}})

    assert low.device == fleet[0].id
    assert [one.path for one in fleet[1].journal.find()] == ["/api/system/info"]
    assert fleet.journal.find(path="/api/system*", status=404) == []


def test_expected_requests_are_there(fleet: RunningFleet) -> None:
    fleet.journal.assert_requested(method="PATCH", times=2)
    fleet.journal.assert_requested(body={"frequency": 525}, after={"method": "PATCH"})
    fleet[1].journal.assert_requested(method="PATCH", times=0)
    fleet[0].journal.assert_requested(device="all", at_least=1, at_most=2)


def test_a_failure_tells_what_was_nearly_so(fleet: RunningFleet) -> None:
    with pytest.raises(AssertionError) as caught:
        fleet.journal.assert_requested(method="PATCH", body={"frequency": 400})

    assert "any gets PATCH with frequency is 400: at least 1" in str(caught.value)
    assert 'PATCH /api/system {"frequency":525} 200' in str(caught.value)
    with pytest.raises(AssertionError, match="found"):
        fleet.journal.assert_requested(method="PATCH", device="all")
    with pytest.raises(SettingError, match="method: 'FETCH' is none of GET"):
        fleet.journal.find(method="FETCH")


def test_forgotten_requests_are_gone() -> None:
    with running(speed=0, warm_up_s=0) as fleet:
        httpx.get(f"{fleet.url}/api/system/info")
        journal = fleet[0].journal
        assert len(list(journal)) == 1

        journal.clear()

        assert (list(journal), list(fleet.journal)) == ([], [])
