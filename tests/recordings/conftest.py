"""A recording that the tests of several modules read."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from softaxe.catalog.firmware import families, firmware
from softaxe.fleet.fleet import Fleet
from softaxe.recordings.recorder import record
from softaxe.recordings.replay import load_recording
from softaxe.testing.run import RunningFleet, running

RELEASES = [firmware(family).version for family in families()]


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recording") / "gamma.jsonl"
    with running(speed=20) as bitaxe:
        for duration_s in (1.2, 6.0, 30.0):  # a slow machine gets more time
            record(bitaxe.url, path, duration_s=duration_s, interval_s=duration_s / 4)
            entries = load_recording(path)
            infos = [entry for entry in entries if entry.path == "/api/system/info"]
            if len(infos) >= 4 and any(entry.is_log for entry in entries):
                break
    return path


@pytest.fixture(scope="session")
def releases() -> Iterator[RunningFleet]:
    """Devices of each family of releases: by the page, then as they are."""
    with running(
        groups=[
            {"name": "page", "count": len(RELEASES), "firmware": RELEASES},
            {
                "name": "genuine",
                "count": len(RELEASES),
                "firmware": RELEASES,
                "profile": "firmware",
                "quick_scan": True,
            },
        ],
        speed=0,
        warm_up_s=12,
    ) as fleet:
        fleet.call(_let_in)
        yield fleet


def _let_in(fleet: Fleet) -> None:
    """Let clients of this machine reach devices that would let nobody in but others."""
    for member in fleet.members.values():
        member.device.radio.is_ap_enabled = member.group == "genuine"
