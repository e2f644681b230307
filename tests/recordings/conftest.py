"""A recording that the tests of several modules read."""

from pathlib import Path

import pytest

from softaxe.recordings.recorder import record
from softaxe.recordings.replay import load_recording
from softaxe.testing.run import running


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
