import os
import runpy
from pathlib import Path

import pytest

KILLS = 8


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the target forks")
def test_kill_9_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    """The short run of `kills.py`; it takes a thousand on request."""
    kills = runpy.run_path(str(Path(__file__).with_name("kills.py")))

    outcome = kills["kill"](tmp_path, KILLS)

    assert outcome.lost == []
    assert outcome.trials == KILLS
    assert set(outcome.answered) == {"PATCH", "OTA", "OTAWWW"}
