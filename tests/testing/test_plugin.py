import inspect

import pytest

from softaxe.testing.run import MakeDevices, running

TESTS = """
import json, urllib.request

def test_one(bitaxe):
    with urllib.request.urlopen(bitaxe.url + "/api/system/info") as answer:
        assert json.load(answer)["ASICModel"] == "BM1370"
    assert bitaxe.journal[0].status == 200

def test_every_family(bitaxe_fleet):
    models = {device.info()["ASICModel"] for device in bitaxe_fleet}
    assert models == {"BM1397", "BM1366", "BM1368", "BM1370"}
    bitaxe_fleet.clock.advance(60)

def test_a_pool(bitaxe_pool):
    assert bitaxe_pool.url.startswith("stratum+tcp://127.0.0.1:")
    assert bitaxe_pool.info()["connections"] == 0

def test_ones_own(bitaxe_factory):
    hot = bitaxe_factory(ambient=50, speed=0)
    cool = bitaxe_factory(ambient=10, speed=0, firmware="2.14.2")
    assert cool.info()["version"] == "v2.14.2"
    assert hot.info()["vrTemp"] > cool.info()["vrTemp"]
"""


def test_the_fixtures_are_there_without_any_setup(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)

    left_out = ("cacheprovider", "schemathesis", "anyio")  # a user may have none
    options = [f"-pno:{name}" for name in left_out]
    result = pytester.runpytest_subprocess(*options)

    result.assert_outcomes(passed=4)


def test_the_fixture_takes_what_running_takes() -> None:
    ours, its = (
        inspect.signature(one).parameters for one in (running, MakeDevices.__call__)
    )

    assert list(its)[1:] == list(ours)
    for name, parameter in ours.items():
        assert its[name].annotation == parameter.annotation
