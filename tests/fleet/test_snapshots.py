from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest

from softaxe.device.profile import STRICT
from softaxe.errors import SettingError
from softaxe.testing.run import RunningFleet, running

pytestmark = pytest.mark.unwatched

Make = Callable[..., bytes]


def keep(fleet: RunningFleet, name: str) -> None:
    fleet.run(lambda running: running.take_snapshot(name))
    fleet.call(lambda running: running.snapshots.keep(name))


def test_a_restored_device_is_the_one_of_the_snapshot() -> None:
    with running(speed=0, warm_up_s=0) as fleet:
        keep(fleet, "before")
        fleet["601-1"].remove()
        fleet.add(name="other", seed=1, ambient=60)
        fleet.run(lambda running: running.restore("before"))

        (group,) = fleet.call(lambda f: {m.group for m in f.members.values()})
        assert group == "devices"
        assert fleet.info()["boardVersion"] == "601"


def test_a_restored_fleet_starts_again_with_its_pages(
    tmp_path: Path, make_www_image: Make
) -> None:
    def flash(fleet: RunningFleet, text: bytes) -> None:
        image = make_www_image({"/index.html": text})
        url = f"{fleet.url}/api/system/OTAWWW"
        assert httpx.post(url, content=image).is_success

    def page(fleet: RunningFleet) -> bytes:
        return httpx.get(fleet.url).content

    with running(state=tmp_path, speed=0) as fleet:
        flash(fleet, b"first")
        keep(fleet, "x")
        flash(fleet, b"second")
        assert page(fleet) == b"second"
        fleet.run(lambda running: running.restore("x"))
        assert page(fleet) == b"first"

    with running(state=tmp_path, speed=0) as fleet:
        assert page(fleet) == b"first"
    assert len(list((tmp_path / "images").iterdir())) == 1


def test_a_restored_device_is_as_strict_as_before() -> None:
    with running(speed=0, warm_up_s=0, strict=True) as fleet:
        keep(fleet, "before")
        fleet.patch(overclockEnabled=1, frequency=512.5)
        fleet.run(lambda running: running.restore("before"))

        assert fleet.call(lambda f: f.members["601-1"].device.profile) is STRICT
        with pytest.raises(SettingError, match=r"frequency: 512\.5 MHz is none of"):
            fleet.patch(frequency=512.5)


def test_restoring_a_snapshot_stores_what_was_stored_and_no_more(
    tmp_path: Path,
) -> None:
    def start(target_c: int) -> AbstractContextManager[RunningFleet]:
        return running(
            state=tmp_path,
            speed=0,
            settings={"temptarget": target_c, "minFanSpeed": 30},
        )

    with start(50) as fleet:
        fleet.patch(minFanSpeed=40)
        keep(fleet, "before")
        fleet.patch(minFanSpeed=60, rotation=90)
        fleet.run(lambda running: running.restore("before"))
        assert fleet.info()["minFanSpeed"] == 40

    with start(55) as fleet:
        info = fleet.info()
    assert (info["temptarget"], info["minFanSpeed"], info["rotation"]) == (55, 40, 0)


def test_an_older_snapshot_and_its_images_stay_until_the_new_one_is_kept(
    tmp_path: Path, make_www_image: Make
) -> None:
    def told(fleet: RunningFleet) -> list[tuple[str, float]]:
        return fleet.call(lambda f: [(one.name, one.now) for one in f.snapshots])

    def flash(fleet: RunningFleet, text: bytes) -> None:
        image = make_www_image({"/index.html": text})
        url = f"{fleet.url}/api/system/OTAWWW"
        assert httpx.post(url, content=image).is_success

    with running(state=tmp_path, speed=0, warm_up_s=0) as fleet:
        flash(fleet, b"first")
        keep(fleet, "x")
        older = told(fleet)
        fleet.clock.advance(5)
        flash(fleet, b"second")
        fleet.run(lambda running: running.take_snapshot("x"))
        flash(fleet, b"third")
        assert told(fleet) == older
        assert len(list((tmp_path / "images").iterdir())) == 3

        fleet.call(lambda running: running.snapshots.discard())
        with pytest.raises(KeyError):
            fleet.call(lambda running: running.snapshots.keep("x"))
        assert told(fleet) == older
        fleet.run(lambda running: running.restore("x"))
        assert httpx.get(fleet.url).content == b"first"

        fleet.clock.advance(5)
        keep(fleet, "x")
        assert told(fleet) == [("x", older[0][1] + 5)]
