"""The example tuner, over HTTP, against the model's true optimum.

The device runs in a process of its own, as for a user: there it is as fast as it goes.
"""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.commands import command
from tests.running import wait_for

from softaxe.catalog import board
from softaxe.catalog.lottery import draw
from softaxe.device.steady import best_efficiency, steady_state

EXAMPLE = Path(__file__).parents[1] / "examples" / "tuner.py"
GAMMA = board("601")


@pytest.fixture(scope="module")
def tuner() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tuner", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["tuner"] = module
    spec.loader.exec_module(module)
    return module


@contextmanager
def softaxe_run(port: int, *options: str) -> Iterator[str]:
    """`softaxe run` in a process of its own, once it answers; yields its address."""
    with command("run", "--ephemeral", "--port", str(port), *options):
        url = f"http://127.0.0.1:{port}"
        wait_for(f"{url}/api/system/info")
        yield url


@pytest.mark.parametrize("seed", [1, 4])
def test_it_comes_within_five_percent_of_the_true_optimum(
    tuner: ModuleType, free_ports: Callable[..., int], seed: int
) -> None:
    tried: list[Any] = []
    with softaxe_run(free_ports(), "--seed", str(seed), "--speed", "2000") as url:
        bitaxe = tuner.Bitaxe(url)
        bitaxe.wait(60)
        found = tuner.tune(bitaxe, tried.append)
        info = bitaxe.get("/api/system/info")

    assert info["frequency"] == found.setting.mhz
    assert info["coreVoltage"] == found.setting.millivolts
    specimen = draw(GAMMA, seed)
    true = best_efficiency(
        specimen, frequencies_mhz=range(350, 601, 25), voltages_mv=range(1000, 1151, 10)
    )
    chosen = steady_state(
        specimen,
        frequency_mhz=found.setting.mhz,
        core_voltage_mv=found.setting.millivolts,
    )
    assert chosen.j_per_th < 1.05 * true.j_per_th
    assert found.j_per_th == pytest.approx(chosen.j_per_th, rel=0.03)
    assert len(tried) < 60
