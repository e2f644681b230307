import asyncio
import sys

import pytest

from softaxe.fleet.event_loop import new_event_loop


@pytest.mark.parametrize("has_uvloop", [True, False])
def test_there_is_one_with_uvloop_and_without(
    has_uvloop: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if has_uvloop:
        pytest.importorskip("uvloop")
    else:
        monkeypatch.setitem(sys.modules, "uvloop", None)  # cannot be imported

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        made = type(runner.get_loop()).__module__
        assert runner.run(asyncio.sleep(0, "done")) == "done"

    assert made.startswith("uvloop") == has_uvloop
