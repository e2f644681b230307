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
    assert all(device.info()["hashRate"] > 0 for device in bitaxe_fleet)
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


FAILING = """
import urllib.request
import pytest, softaxe

@pytest.fixture(scope="session")
def bitaxe_session():
    with softaxe.running(board="204", speed=0) as fleet:
        yield fleet

def test_fixture(bitaxe):
    fault = bitaxe.faults.add("fan_dead")
    bitaxe.faults.add("latency", ms=1, paused=True)
    for number in range(21):
        urllib.request.urlopen(f"{bitaxe.url}/api/system/info?number={number}").close()
    bitaxe.clock.advance(60)
    assert False

def test_context():
    with softaxe.running(speed=0) as bitaxe:
        bitaxe.patch(hostname="seen")
        raise RuntimeError("in the middle")

def test_pool(bitaxe_pool):
    assert False

def test_without():
    assert False

@pytest.mark.parametrize("number", range(3))
def test_shared(bitaxe_shared, number):
    info = bitaxe_shared.info()
    assert (info["boardVersion"], info["frequency"]) == ("204", 485)
    assert bitaxe_shared.clock.now == 25
    assert bitaxe_shared.pool.info()["connections"] == 1
    assert not bitaxe_shared.journal
    urllib.request.urlopen(bitaxe_shared.url + "/api/system/info").close()
    bitaxe_shared.patch(frequency=400)
    bitaxe_shared.faults.add("fan_dead")
    bitaxe_shared.clock.advance(50)
    bitaxe_shared.clock.speed = 9
    assert number < 2

def test_beside(bitaxe_factory):
    bitaxe_factory(speed=0, count=3)

def test_pending():
    assert False
"""


def test_a_failed_test_tells_of_its_devices_and_no_other(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(FAILING)

    result = pytester.inline_run("-pno:cacheprovider", "-pno:randomly")

    reports = result.getreports("pytest_runtest_logreport")
    told = {
        report.nodeid.partition("::")[2]: dict(report.sections)
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
    }
    sections = {
        name: text
        for name, found in told.items()
        if (text := found.get("softaxe (call)")) is not None
    }
    assert list(sections) == [
        "test_fixture",
        "test_context",
        "test_pool",
        "test_shared[2]",
    ]
    lines = sections["test_fixture"].splitlines()
    faults = lines.index("active faults:")
    assert lines[faults + 1].endswith(": fan_dead on 601-1")
    requests = lines.index("last requests (20 of 21):")
    assert requests == faults + 2
    assert lines[requests + 1].endswith("s 601-1 200: GET /api/system/info?number=1")
    log = lines.index("end of the log of 601-1:")
    assert log == requests + 21
    assert len(lines) == log + 31
    assert max(map(len, lines)) <= 2 + 200 + 3
    assert "last requests: none" in sections["test_context"]
    assert "devices: 0" in sections["test_pool"]
    assert "end of the log of pool" in sections["test_pool"]
    assert "end of the log of 204-1" in sections["test_shared[2]"]


def test_the_fixture_takes_what_running_takes() -> None:
    ours, its = (
        inspect.signature(one).parameters for one in (running, MakeDevices.__call__)
    )

    assert list(its)[1:] == list(ours)
    for name, parameter in ours.items():
        assert its[name].annotation == parameter.annotation
